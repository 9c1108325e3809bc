"""What `explain` says of orders: on runs whose every step is known, and on random ones, where nothing may be lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

import framework
from framework.backtest.explain import explain
from framework.backtest.explain_orders import ENDS
from framework.backtest.explain_text import MEANING
from framework.model.enums import OrderStatus, Reason
from framework.slippage import SlippageModel
from framework.strategy import (
    BUY,
    DAY,
    FOK,
    GTD,
    IOC,
    SELL,
    Strategy,
    buy,
    cancel,
    place_limit,
    place_stop,
    place_stop_limit,
    sell,
)
from tests.reference.authors import RandomFlow, RandomUniverse

DAYS = 86_400_000_000_000
START = 19_723 * DAYS
"""2024-01-01, at which bar 1 opens."""


def frame_of(bars: list[tuple[float, ...]]) -> dict[str, np.ndarray]:
    """Return daily bars (open, high, low, close) as a table."""
    table = np.array(bars, float)
    columns = {name: table[:, place] for place, name in enumerate(("open", "high", "low", "close"))}
    times = np.array(START + DAYS * np.arange(len(bars))).view("datetime64[ns]")
    return {"open_time": times, **columns, "volume": np.full(len(bars), 1000.0)}


def day(number: int) -> str:
    """Return the time at which bar `number` closes."""
    return f"2024-01-{number + 1:02} 00:00"


class Scripted(Strategy):
    """Each kind and life of an order once.

            open high low close
        1    100  101  99   100    a stop-limit, and limits far below: for the day, until noon of day 3, IOC and FOK
        2    100  104  99   103    the stop-limit is touched; the limits for the next open and for the day are over
        3    103  105 102   104    bought at the open; the limit until noon is over.  Two exits that end each other
        4    104  109 103   108    sold at 108.  Buys 9 at the next close with a stop
        5    108  110 107   109    bought at the close.  Three steps of profit
        6    109  113 108   112    the first one
        7    112  115 111   114    the second one
        8    113  114 112   113    a limit below, and its cancellation the bar after
        9    113  114 112   113
       10    113  114 112   113    the end, with three left
    """

    name = "scripted"
    tags = ("below",)

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        bar = (now.clock.time_ns - 1_704_067_200_000_000_000) // 86_400_000_000_000
        if bar == 1:
            place_stop_limit(now, BUY, 102.0, 103.0, qty=1.0)
            place_limit(now, BUY, 90.0, qty=1.0, tif=DAY)
            place_limit(now, BUY, 91.0, qty=1.0, tif=GTD, until=1_704_067_200_000_000_000 + 216_000_000_000_000)
            place_limit(now, BUY, 92.0, qty=1.0, tif=IOC)
            place_limit(now, BUY, 93.0, qty=2.0, tif=FOK)
        elif bar == 3:
            place_limit(now, SELL, 108.0, qty=1.0, reduce_only=True, oco=1)
            place_stop(now, SELL, 98.0, qty=1.0, reduce_only=True, oco=1)
        elif bar == 4:
            buy(now, qty=9.0, stop=90.0, on_close=True)
        elif bar == 5:
            for step in range(3):
                place_limit(now, SELL, 112.0 + 2.0 * step + 4.0 * (step // 2), qty=3.0, reduce_only=True)
        elif bar == 8:
            place_limit(now, BUY, 95.0, qty=1.0, tag=now.tag.below)
        elif bar == 9:
            cancel(now, now.tag.below)


BARS = [(100, 101, 99, 100), (100, 104, 99, 103), (103, 105, 102, 104), (104, 109, 103, 108), (108, 110, 107, 109),
        (109, 113, 108, 112), (112, 115, 111, 114), (113, 114, 112, 113), (113, 114, 112, 113), (113, 114, 112, 113)]


@pytest.fixture(scope="module")
def run() -> Any:
    """The scripted run."""
    return framework.backtest(data={"A": frame_of(BARS)}, strategy=Scripted, run={"close_at_end": True},
                              fees={"taker_bps": 0, "maker_bps": 0})


def told(run: Any, number: int, symbol: str = "A") -> dict[str, Any]:
    """Return what is said of the one slot at a bar."""
    found = explain(run, symbol, day(number))
    assert found["is_faithful"]
    (slot,) = found["slots"]
    assert found["verdict"].startswith(slot["strategy"])
    return dict(slot)


@pytest.mark.parametrize(("number", "says"), [
    (1, "order 1 bought 1 at 103 at 2024-01-03 00:00:00Z"),
    (2, "order 1: its stop price was touched: it is a limit of 103 from the next bar on, and was not filled"),
    (2, "order 2 ended: the session that it was good for is over"),
    (2, "order 4 ended: its one chance did not fill it: 1 of 1 were left"),
    (2, "order 5 ended: its one chance did not fill all of it at once: 2 of 2 were left"),
    (2, "order 3: not reached by 99 to 104"),
    (3, "in this bar it bought 1 at 103 at 2024-01-03 00:00:00Z"),
    (3, "order 1: the open was 103 or better"),
    (3, "order 3 ended: it was good until 2024-01-03 12:00:00Z"),
    (4, "order 6: the range reached its limit of 108"),
    (4, "order 7 ended: order 6, of the same oco number, was filled"),
    (5, "bought 9 at 109"),
    (5, "order 8: at the close, as asked"),
    (6, "order 10: the range reached its limit of 112"),
    (6, "order 11: not reached by 108 to 113"),
    (7, "order 11: the range reached its limit of 114"),
    (7, "order 12: not reached by 111 to 115"),
    (8, "order 13 not filled: canceled at 2024-01-10 00:00:00Z"),
    (9, "order 13 ended: cancelled by the strategy"),
    (10, "sold 3 at 113 (end)"),
    (10, "order 14: close_at_end closes what is open at the last close of the run"),
    (10, "order 12 ended: its symbol had its last close"),
    (10, "order 9 ended: its symbol had its last close"),
])
def test_a_bar_says_what_became_of_each_order(run: Any, number: int, says: str) -> None:
    assert says in told(run, number)["verdict"]


def test_the_phase_of_a_fill_and_the_order_that_it_made_are_named(run: Any) -> None:
    """At the close of bar 5 the entry of 9 is filled, which makes its stop."""
    slot = told(run, 5)
    assert [(fill["phase"], fill["order_id"]) for fill in slot["fills"]] == [("close", 8)]
    assert [(order["id"], order["kind"], order["price"]) for order in slot["made"]] == [(9, "stop", 90.0)]
    assert [fill["phase"] for fill in told(run, 3)["fills"]] == ["open"]
    assert [fill["phase"] for fill in told(run, 10)["fills"]] == ["close"]


def test_the_lines_show_terms_of_orders_and_of_intents(run: Any) -> None:
    lines = str(explain(run, "A", day(1))).splitlines()
    assert "intended buy 1 stop limit 102, limit 103" in lines
    assert any(line.startswith("placed   order 2: buy limit 90, 1, DAY: not filled: expired") for line in lines)
    assert any(line.startswith("placed   order 1: buy limit 103, 1, once a stop limit: bought 1 at") for line in lines)
    assert any(line == "intended buy 2 limit 93, time in force fok" for line in lines)
    lines = str(explain(run, "A", day(2))).splitlines()
    assert any(line.startswith("worked   order 1: buy stop limit 102 for 103, 1; its stop price was") for line in lines)
    lines = str(explain(run, "A", day(4))).splitlines()
    assert any(line.startswith("worked   order 7: sell stop 98 (exit), 1, oco 1; ended: order 6") for line in lines)
    assert "intended buy 9 market on close, stop 90" in lines


class BuysOnce(Strategy):
    """Buys at the first close with a stop far below."""

    name = "buys_once"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.position.qty == 0 and now.bar.close == 100.0:
            buy(now, qty=90.0, stop=80.0)


def test_a_liquidation_is_told_at_its_call_and_at_its_fill() -> None:
    """At 93 equity is 370 of an exposure of 8,370; less than 4.5 %."""
    bars = [(100, 101, 99, 100), (100, 101, 99, 99.5), (99, 100, 92, 93), (92, 95, 90, 94)]
    run = framework.backtest(data={"A": frame_of(bars)}, strategy=BuysOnce, run={"capital": 1000.0},
                             account={"leverage": 10.0, "maintenance": 0.045})
    assert "order 3, which closes what the account can no longer carry, sold 90 at 92" in told(run, 3)["verdict"]
    verdict = told(run, 4)["verdict"]
    assert "order 3: the account had fallen below its maintenance margin" in verdict
    assert "order 2 ended: its position was closed by order 3" in verdict


def test_a_delisted_symbol_says_so_and_what_is_asked_of_it_afterwards_is_refused() -> None:
    bars = [(100, 101, 99, 100), (100, 101, 99, 99.5), (99, 100, 97, 98)]
    longer = [(50.0, 51.0, 49.0, 50.0)] * 9
    run = framework.backtest(data={"A": frame_of(bars), "B": frame_of(longer)}, strategy=BuysOnce,
                             fills={"delisted_after": 1})
    verdict = told(run, 3)["verdict"]
    assert "sold 90 at 98 (delisted)" in verdict
    assert "order 3: its symbol has no more bars, so it leaves at the last close" in verdict
    assert "order 2 ended: its symbol had its last close" in verdict


def test_an_entry_that_a_gap_makes_too_dear_says_what_was_left() -> None:
    """90 at 100 are accepted with 9,100; at the open of 110 they pay for 82."""
    bars = [(100, 101, 99, 100), (110, 111, 109, 110.5)]
    run = framework.backtest(data={"A": frame_of(bars)}, strategy=BuysOnce, run={"capital": 9100.0},
                             fees={"taker_bps": 0, "maker_bps": 0}, instruments={"A": {"lot": 1.0}})
    verdict = told(run, 2)["verdict"]
    assert "in this bar it bought 82 at 110" in verdict
    assert "order 1 ended: buying power at the fill did not cover the rest" in verdict


class AfterWideBars(SlippageModel):
    """1 % after a bar that was wider than 5, else nothing."""

    name = "after_wide_bars"

    @staticmethod
    def price(fill):  # type: ignore[no-untyped-def]
        cost = 0.01 * fill.reference if fill.bar.high - fill.bar.low > 5.0 else 0.0
        return fill.reference + cost if fill.qty > 0.0 else fill.reference - cost


class BuysAbove(Strategy):
    """Buys above 105."""

    name = "buys_above"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.bar.close == 100.0:
            place_stop(now, BUY, 105.0, qty=1.0)


def test_an_entry_that_slips_too_far_names_the_rule_at_its_open() -> None:
    """1 % where half of it is allowed, after the wide second bar."""
    bars = [(100, 101, 99, 100), (100, 104, 94, 101), (106, 107, 105, 106)]
    run = framework.backtest(data={"A": frame_of(bars)}, strategy=BuysAbove, slippage=AfterWideBars,
                             risk={"order_validation": {"max_slippage_percent": 0.5}})
    verdict = told(run, 3)["verdict"]
    assert "order 1 ended: its slippage was more than a rule allows" in verdict
    assert "refused buy 1 at 2024-01-03 00:00:00Z by the rule order_validation (value 1, limit 0.5)" in verdict


class BuysAt100(Strategy):
    """Buys 50 at a close of 100 without a position, and never sells."""

    name = "buys_at_100"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.position.qty == 0 and now.bar.close == 100.0:
            buy(now, qty=50.0)


def test_what_a_rule_closes_names_the_rule_though_the_strategy_intends_nothing() -> None:
    """50 bought at 100 lose 450 at 91, which trips a breaker at 400; out at the open of 90."""
    bars = [(100, 101, 99, 100), (100, 101, 99, 99.5), (99, 100, 90, 91), (90, 95, 89, 94)]
    run = framework.backtest(data={"A": frame_of(bars)}, strategy=BuysAt100, capital=10_000,
                             risk={"circuit_breaker": {"daily_loss_threshold": 400.0, "on_trip": "flatten"}})
    verdict = told(run, 3)["verdict"]
    assert "asked, and intended nothing itself" in verdict
    assert ("order 2, with which the rule circuit_breaker closes everything, sold 50 at 90 (halt) at "
            "2024-01-04 00:00:00Z") in verdict
    placed = "placed   order 2: sell market (halt), the whole position, with which the rule circuit_breaker closes"
    assert any(line.startswith(placed) for line in str(explain(run, "A", day(3))).splitlines())
    assert "(halt)" in told(run, 4)["verdict"]
    assert "a risk rule had asked for everything to be closed" in told(run, 4)["verdict"]
    assert "the rule" not in told(run, 2)["verdict"]
    assert "intended nothing itself" not in told(run, 2)["verdict"]


def test_a_working_order_that_a_rule_cancels_names_the_rule() -> None:
    """A limit to sell at 120 works until the breaker closes everything."""
    bars = [(100, 101, 99, 100), (100, 101, 99, 99.5), (99, 100, 98, 99), (99, 100, 90, 91), (90, 95, 89, 94)]
    run = framework.backtest(data={"A": frame_of(bars)}, strategy=SellsHigh, capital=10_000,
                             risk={"circuit_breaker": {"daily_loss_threshold": 300.0, "on_trip": "flatten"}})
    assert "order 2 ended: the rule circuit_breaker had everything closed" in told(run, 4)["verdict"]


class SellsHigh(Strategy):
    """Buys 50 at the first close; once it holds them it leaves a limit to sell at 120."""

    name = "sells_high"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.bar.close == 100.0:
            buy(now, qty=50.0)
        elif now.bar.close == 99.5:
            place_limit(now, SELL, 120.0, qty=50.0, reduce_only=True)


def test_money_that_no_fill_moved_is_told_at_its_bar() -> None:
    """Short 10 at 100 over the second night at 36.5 % a year on 1,000: 1. On 11,000 in cash, less the 1,000 of the
    short sale that is borrowed, 10,000 at 3.65 %: 1."""
    bars = [(100, 101, 99, 100), (100, 101, 99, 100), (100, 101, 99, 100)]
    run = framework.backtest(data={"A": frame_of(bars)}, strategy=ShortOnce, capital=10_000,
                             account={"borrow_percent": 36.5, "interest_percent": 3.65})
    slot = told(run, 2)
    (flow,) = slot["cash_flows"]
    assert (flow["kind"], flow["qty"], flow["base"]) == ("borrow", -10.0, -1000.0)
    assert flow["amount"] == pytest.approx(-1.0, rel=1e-9)
    assert "paid 1 of borrow at 2024-01-03 00:00:00Z: 0.100000% of -1,000" in slot["verdict"]
    lines = str(explain(run, "A", day(2))).splitlines()
    assert "flowed   paid 1 of borrow at 2024-01-03 00:00:00Z: 0.100000% of -1,000" in lines
    assert any(line.startswith("account  received 1 of interest at 2024-01-03 00:00:00Z: 0.010000% of 10,")
               for line in lines)


class ShortOnce(Strategy):
    """Sells 10 short at the first close."""

    name = "short_once"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.position.qty == 0 and now.position.pending == 0:
            sell(now, qty=10.0)


def test_every_reason_of_the_core_has_a_meaning() -> None:
    """What has none would be told as a rule of the configuration."""
    assert set(MEANING) == {reason.name.lower() for reason in Reason if reason != Reason.RULE}


def test_every_end_of_an_order_has_a_sentence() -> None:
    by_hand = {OrderStatus.WORKING, OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED,
               OrderStatus.SIBLING_FILLED}
    assert set(OrderStatus) == by_hand | set(ENDS)


class ShortOfAll(Strategy):
    """Sells more short than it can carry."""

    name = "short_of_all"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.position.qty == 0:
            sell(now, qty=90.0)


def test_the_mark_that_ruins_an_account_is_told() -> None:
    """Short 90 at 100 on 1,000: at 112 nothing is left."""
    bars = [(100, 101, 99, 100), (100, 112, 99, 112), (112, 113, 111, 112)]
    run = framework.backtest(data={"A": frame_of(bars)}, strategy=ShortOfAll, run={"capital": 1000.0},
                             account={"leverage": 10.0})
    assert "the account was ruined at this mark: equity -80" in told(run, 2)["verdict"]
    assert "the run had ended before: the account was ruined" in told(run, 3)["verdict"]


# --- nothing is lost --------------------------------------------------------------------------------------------------


def market(seed: int, bars: int, step: int = DAYS) -> dict[str, np.ndarray]:
    """Return a random walk on a grid of halves, with gaps and quiet bars."""
    rng = np.random.default_rng(seed)
    close = 100.0 + np.cumsum(rng.integers(-6, 7, bars)) * 0.5
    open_ = np.concatenate(([100.0], close[:-1])) + rng.integers(-3, 4, bars) * 0.5 * (rng.random(bars) < 0.4)
    high = np.maximum(open_, close) + rng.integers(0, 6, bars) * 0.5
    low = np.minimum(open_, close) - rng.integers(0, 6, bars) * 0.5
    times = np.array(START + step * np.arange(bars)).view("datetime64[ns]")
    return {"open_time": times, "open": open_, "high": high, "low": low, "close": close,
            "volume": np.full(bars, 1000.0)}


@pytest.mark.parametrize(("strategy", "seed", "step"), [
    (RandomFlow, 1, DAYS), (RandomFlow, 2, DAYS), (RandomFlow, 3, DAYS // 2), (RandomUniverse, 4, DAYS // 2)])
def test_every_order_fill_end_and_refusal_of_a_run_is_told_at_one_bar(strategy: Any, seed: int, step: int) -> None:
    """Two symbols, of which the second begins later and ends earlier; each bar has a verdict that names its events.

    With bars of half a day for the second, a universe acts on the first in the middle of its bars.
    """
    one = market(seed, 20)
    two = {name: column[3:17] for name, column in market(seed + 100, 20, step).items()}
    run = framework.backtest(data={"A": one, "B": two}, strategy=strategy(seed=seed, idle=0),
                             run={"capital": 10_000.0, "close_at_end": True}, fills={"participation": 0.02},
                             account={"leverage": 3.0, "maintenance": 0.2, "borrow_percent": 5.0, "loan_percent": 4.0})
    seen: dict[str, Counter[Any]] = {name: Counter() for name in ("fills", "orders", "ends", "refusals", "cash_flows")}
    placed = dict(zip(run.orders["id"], run.orders["placed_time"].dt.replace_time_zone(None).to_numpy(), strict=True))
    for symbol, frame, length in (("A", one, DAYS), ("B", two, step)):
        for time in frame["open_time"] + np.timedelta64(length, "ns"):
            found = explain(run, symbol, str(time)[:19])
            assert found["is_faithful"]
            (slot,) = found["slots"]
            verdict = slot["verdict"]
            assert len(verdict) > 10
            for fill in slot["fills"]:
                assert f"order {fill['order_id']}: {fill['because']}" in verdict
            for order in slot["ended"]:
                assert f"order {order['id']} ended: {order['because']}" in verdict
            for refusal in slot["refusals"]:
                assert str(refusal["rule"]) in verdict
            assert {placed[order["id"]] for order in slot["orders"]} <= {time}
            seen["fills"].update(fill["id"] for fill in slot["fills"])
            seen["orders"].update(order["id"] for order in [*slot["orders"], *slot["made"]])
            seen["cash_flows"].update(flow["id"] for flow in slot["cash_flows"])
            seen["ends"].update(order["id"] for order in slot["ended"])
            seen["refusals"].update((symbol, str(refusal["rule"])) for refusal in slot["refusals"])
    ended = run.orders.filter(~run.orders["status"].is_in(["filled", "working"]))
    assert seen["fills"] == Counter(run.fills["id"].to_list())
    assert seen["orders"] == Counter(run.orders["id"].to_list())
    assert seen["ends"] == Counter(ended["id"].to_list())
    last = {"A": one["open_time"][-1] + DAYS, "B": two["open_time"][-1] + step}  # a universe asks on for B: no bar
    refused = [(row["symbol"], row["rule"]) for row in run.refusals.iter_rows(named=True)
               if np.datetime64(row["time"].replace(tzinfo=None)) <= last[row["symbol"]]]
    assert seen["refusals"] == Counter(refused)
    assert seen["cash_flows"] == Counter(run.cash_flows.filter(run.cash_flows["symbol"].is_not_null())["id"].to_list())
    assert seen.pop("cash_flows")
    assert min(sum(counted.values()) for counted in seen.values()) > 10
