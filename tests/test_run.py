"""From a configuration to a folder, end to end: the same run twice, the accounting, and runs that cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import framework
from framework.backtest.compose import Plan, Terms, compose
from framework.backtest.result import Result
from framework.backtest.write import write_run
from framework.data import load_tape
from framework.errors import ConfigError, DataError, StrategyError
from framework.indicators import sma
from framework.model.enums import OrderStatus
from framework.rules import PercentOfEquity
from framework.strategy import Param, Strategy, buy, close_position, place_limit, sell


class Flipping(Strategy):
    """Always in the market: long above the slow average, short below it."""

    name = "flipping"
    fast = Param(5, low=2, high=50)
    slow = Param(20, low=5, high=5_000)

    def indicators(self, bars):  # type: ignore[no-untyped-def]
        return {"fast": sma(bars.close, self.fast), "slow": sma(bars.close, self.slow)}

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.ind.fast > now.ind.slow and now.position.qty <= 0.0:
            buy(now, stop=now.bar.close * 0.97, target=now.bar.close * 1.05)
        elif now.ind.fast < now.ind.slow and now.position.qty >= 0.0:
            sell(now, stop=now.bar.close * 1.03)


class Idle(Strategy):
    """Never has a view."""

    name = "idle"


class Patient(Strategy):
    """Waits for a price that never comes, with one order."""

    name = "patient"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.order_count == 0:
            place_limit(now, 1, now.bar.close / 1000)


class Closing(Strategy):
    """Closes, and never opens."""

    name = "closing"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        close_position(now)


class Exposed(Strategy):
    """Buys once and holds."""

    name = "exposed"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.position.qty == 0.0 and now.position.pending == 0.0:
            buy(now, qty=10.0)
        elif now.position.bars_held == 50:
            close_position(now)


def run(strategy: type[Strategy] = Flipping, **settings: object) -> Result:
    """Run a strategy on two seeded random symbols."""
    options = {"bars": 1_500, "timeframe": "1h", "symbols": ["AAA", "BBB"]}
    data = {"source": "synthetic", "seed": 3, **options}
    return framework.backtest(data=data, strategy=strategy, fees={"taker_bps": 5}, slippage="fixed", **settings)


def test_the_same_run_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    """stats.json and every table are equal byte for byte."""
    for name in ("one", "two"):
        write_run(run(), tmp_path / name, report=False)
    names = sorted(p.name for p in (tmp_path / "one").iterdir() if p.name != "run.json")
    assert {"stats.json", "trades.parquet", "equity.parquet"} <= set(names)
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_the_change_of_equity_is_closed_and_open_profit() -> None:
    """Equity at the end - capital = P&L of all trades + P&L of open positions, costs included."""
    result = run()
    closed = result.records.trades["pnl"].sum()
    still_open = result.records.open_trades["pnl"].sum()
    assert len(result.records.trades) > 50
    assert result.records.marks["equity"][-1] - 100_000.0 == pytest.approx(closed + still_open, abs=1e-6)


def test_cash_and_positions_give_the_equity() -> None:
    """Equity = cash + sum of signed quantity times last close, short positions negative."""
    result = run()
    value = float(np.sum(result.positions * result.last_close))
    assert result.cash + value == pytest.approx(result.records.marks["equity"][-1], rel=1e-12)


def test_fees_and_slippage_of_trades_are_those_of_the_fills() -> None:
    """Nothing is charged twice and nothing is forgotten."""
    result = run()
    for name, own in (("fees", "fee"), ("slippage", "slippage")):
        in_trades = result.records.trades[name].sum() + result.records.open_trades[name].sum()
        assert in_trades == pytest.approx(result.records.fills[own].sum(), rel=1e-9)


def test_orders_that_still_work_at_the_end_say_so() -> None:
    """No order is left without a final status."""
    result = run()
    assert OrderStatus.WORKING not in set(result.records.orders["status"])
    assert (result.records.orders["ended_time"] > 0).all()


def test_every_day_of_the_account_is_there_once_and_the_last_one_is_the_end() -> None:
    """Days ascend without repetition; the last one carries the last mark."""
    result = run()
    days = result.records.days
    assert (np.diff(days["day"]) > 0).all()
    assert days["equity"][-1] == result.records.marks["equity"][-1]
    assert len(days) == len(np.unique(np.ceil(result.records.marks["time"] / 86_400e9)))


def test_decisions_fall_into_the_window_only() -> None:
    """Orders are placed in [start, end), although the bars before warm the indicators up."""
    result = run(start="2020-01-20", end="2020-02-10")
    placed = result.records.orders["placed_time"].astype("M8[ns]")
    assert placed.min() >= np.datetime64("2020-01-20")
    assert placed.max() < np.datetime64("2020-02-11")


def test_a_run_in_which_nothing_is_ever_decided_is_done_and_says_so() -> None:
    """Conditions that are never met are a result; only a run that could not decide at all is an error."""
    result = run(Idle)
    assert (result.outcome, len(result.trades), result.stats["Return [%]"]) == ("done", 0, 0.0)
    (note,) = [text for text in result.stats.footnotes if "no decision" in text]
    assert "no decision in the whole run: idle never bought or sold; check conditions" in note
    assert "`framework explain RUN --symbol AAA --at TIME`" in note
    told = framework.explain(result, "AAA", "2020-01-20")
    assert told["slots"][0]["verdict"] == "asked, and intended nothing"
    with pytest.raises(ConfigError, match=r"needs more bars to warm up than the data has \(1500"):
        run(Flipping, params={"slow": 4_000})


def test_orders_that_never_fill_and_orders_that_are_all_refused_are_told_apart() -> None:
    """A limit far below the market, and a rule that lets nothing through."""
    (note,) = [text for text in run(Patient).stats.footnotes if "no trade" in text]
    assert note.startswith("no trade: none of 2 orders was filled; `framework explain RUN")
    refused = run(Exposed, start="2020-01-20", end="2020-01-20", risk={"position_limits": {"max_shares": 0.0}})
    (note,) = [text for text in refused.stats.footnotes if "no trade" in text or "rejected" in text]
    assert note.startswith("no trade: not one order came through; 48 rejected orders, by reason: position_limits 48; ")
    assert refused.stats["Rejected orders"] == len(refused.refusals) == 48
    assert not any("no trade" in text for text in run().stats.footnotes)


def test_an_order_that_is_reduced_and_then_refused_is_one() -> None:
    """Reduced to half a share by a rule, which is below the minimum of one: two rows of refusals, one order."""
    refused = run(Exposed, symbols=["AAA"], start="2020-01-20", end="2020-01-20T01:00", instruments={"AAA": {
        "lot": 0.5, "min_qty": 1.0}}, risk={"position_limits": {"max_shares": 0.5}})
    assert refused.refusals["allowed"].to_list() == [0.5, 0.0]
    (note,) = [text for text in refused.stats.footnotes if "no trade" in text or "rejected" in text]
    assert note.startswith("no trade: not one order came through; 1 rejected order, by reason: below_minimum 1; ")


def test_closing_what_is_not_held_is_no_order() -> None:
    """Two symbols, asked at the 24 closes of a day each."""
    closed = run(Closing, start="2020-01-20", end="2020-01-20")
    (note,) = [text for text in closed.stats.footnotes if "whole run" in text or "rejected" in text]
    assert note.startswith("no decision in the whole run: closing never bought or sold, and asked 48 times to close, ")


@pytest.mark.parametrize(("settings", "message"), [
    ({"params": {"fats": 3}}, r"unknown parameter 'fats'; did you mean 'fast'"),
    ({"params": {"fast": 1}}, r"fast = 1 is out of bounds: 2 <= value <= 50"),
    ({"params": {"fast": "ten"}}, r"fast = 'ten' must be a number"),
    ({"params": {"fast": float("nan")}}, r"must be finite"),
    ({"risk": {"portfolio_heet": {}}}, r"portfolio_heet.*did you mean 'portfolio_heat'"),
    ({"risk": {"portfolio_heat": {"max_heta": 1}}}, r"max_heta.*did you mean 'max_heat'"),
    ({"instruments": {"AAC": {"lot": 1}}}, r"AAC.*did you mean 'AA"),
])
def test_bad_settings_are_named_with_the_nearest_good_one(settings: dict[str, object], message: str) -> None:
    """One clear message each."""
    with pytest.raises((ConfigError, DataError, framework.errors.PluginError), match=message):
        run(**settings)


def test_strict_stops_at_the_first_stop_on_the_wrong_side() -> None:
    """The message names both prices and the rule; without strict it is a refusal."""

    class WrongSide(Strategy):
        name = "wrong_side"

        @staticmethod
        def decide(now):  # type: ignore[no-untyped-def]
            buy(now, qty=1.0, stop=now.bar.close * 1.5)

    result = run(WrongSide)
    assert len(result.records.orders) == 0
    assert len(result.records.refusals) == 3_000
    with pytest.raises(StrategyError, match=r"strict = true.*where the expected price is"):
        run(WrongSide, strict=True)


def test_a_strategy_that_does_not_compile_runs_interpreted_and_says_so() -> None:
    """A dictionary is beyond the compiler: same semantics, one note with the reason."""

    class Dictionary(Strategy):
        name = "dictionary"

        @staticmethod
        def decide(now):  # type: ignore[no-untyped-def]
            views = {"up": 1, 2: "down"}
            if views["up"] and now.position.qty == 0.0:
                buy(now, qty=1.0)

    result = run(Dictionary)
    assert any("dictionary.decide runs interpreted" in note for note in result.notes)
    assert len(result.records.fills) == 2


def test_the_interpreted_run_is_the_compiled_run(tmp_path: Path) -> None:
    """Bit for bit, to the bytes of the files."""
    write_run(run(), tmp_path / "compiled", report=False)
    write_run(run(interpreted=True), tmp_path / "interpreted", report=False)
    for name in ("stats.json", "trades.parquet", "fills.parquet", "orders.parquet", "equity.parquet"):
        assert (tmp_path / "compiled" / name).read_bytes() == (tmp_path / "interpreted" / name).read_bytes(), name


def test_the_run_folder_says_what_was_run(tmp_path: Path) -> None:
    """run.json carries configuration, versions, seed and the data's fingerprint."""
    write_run(run(Exposed), tmp_path / "run", report=True)
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["config"]["strategy"][0]["name"] == "exposed"
    assert len(told["fingerprint"]) == 64
    assert told["versions"]["numba"]
    assert "<html" in (tmp_path / "run" / "report.html").read_text()


def test_slots_of_a_strategy_share_what_it_declares_shared() -> None:
    """One counter for both symbols: after n decisions on each, the fifth decision overall buys, once."""

    class Counting(Strategy):
        name = "counting"
        shared: ClassVar = {"decisions": 0}

        @staticmethod
        def decide(now):  # type: ignore[no-untyped-def]
            now.shared.decisions += 1
            if now.shared.decisions == 5:
                buy(now, qty=1.0)

    for interpreted in (False, True):
        result = run(Counting, interpreted=interpreted)
        assert result.orders["symbol"].to_list() == ["AAA"]
        assert len(result.records.orders) == 1


class SharedPlain(Strategy):
    """Buys on the third decision of both symbols together; nothing but shared memory."""

    name = "shared_plain"
    shared: ClassVar = {"decisions": 0}

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        now.shared.decisions += 1
        if now.shared.decisions == 3:
            buy(now, qty=1.0)


class SharedAmongOthers(Strategy):
    """Has indicators, parameters and a state of each slot before its shared memory."""

    name = "shared_among_others"
    slow = Param(20, low=5, high=200)
    state: ClassVar = {"calls": 0}
    shared: ClassVar = {"decisions": 0, "weight": 0.5}

    def indicators(self, bars):  # type: ignore[no-untyped-def]
        return {"mean": sma(bars.close, self.slow)}

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        now.state.calls += 1
        now.shared.decisions += 1
        if now.state.calls == 4 and now.ind.mean > 0.0 and now.shared.weight == 0.5:
            buy(now, qty=float(now.shared.decisions))


def test_strategies_with_shared_memory_of_different_layouts_leave_each_other_alone() -> None:
    """Together they do what each does alone: one order of the first; of the second 7 and 8 units at the fourth call."""
    together = run([SharedPlain, SharedAmongOthers])  # type: ignore[arg-type]
    quantities = {name: together.orders.filter(together.orders["strategy"] == name)["qty"].to_list()
                  for name in ("shared_plain", "shared_among_others")}
    assert quantities["shared_plain"] == [1.0]
    assert quantities["shared_among_others"] == [7.0, 8.0]


def test_regime_sizing_tells_how_often_each_regime_held() -> None:
    """The shares of the four regimes are among the notes of the result."""
    result = run(sizing={"name": "regime"})
    told = [note for note in result.notes if note.startswith("regime: of ")]
    shares = [float(word.rstrip(",%")) for word in told[0].split() if word.rstrip(",").endswith("%")]
    assert len(told) == 1
    assert len(shares) == 4
    assert sum(shares) == pytest.approx(100.0, abs=0.3)


@pytest.mark.parametrize("change", [
    {"plans": [Plan(Flipping(fast=4, slow=9))]},
    {"tape": load_tape("synthetic", {"bars": 200, "seed": 8}, ["A"], "1h")},
    {"terms": Terms(capital=5.0)},
])
def test_a_snapshot_of_another_run_is_refused(change):
    base = {"tape": load_tape("synthetic", {"bars": 200, "seed": 7}, ["A"], "1h"),
            "plans": [Plan(Flipping(fast=3, slow=9))], "sizing": PercentOfEquity()}
    saved = compose(**base).snapshot()
    compose(**base).restore(saved)
    with pytest.raises(ConfigError, match="snapshot is of another run"):
        compose(**{**base, **change}).restore(saved)


def test_bytes_that_are_no_snapshot_are_refused():
    made = compose(load_tape("synthetic", {"bars": 20, "seed": 7}, ["A"], "1h"), [Plan(Flipping())], PercentOfEquity())
    with pytest.raises(ConfigError, match="are not a snapshot"):
        made.restore(b"PK\x03\x04 something else")


def test_what_is_before_the_start_of_a_run_is_in_no_statistic():
    """Bars before [run] start warm indicators up; a day on which nothing could be decided is not a day of return 0."""
    data = {"source": "synthetic", "symbols": ["A"], "bars": 900, "timeframe": "1d"}
    start = "2021-01-01"
    whole = framework.backtest(data=data, strategy=Flipping(slow=20), start=start)
    first = np.datetime64(start, "ns").astype(np.int64)
    assert whole.records.marks["time"].min() >= first > whole.prices.close_time[0]
    assert whole.records.days["time"].min() >= first
    assert len(whole.records.marks) == np.sum(whole.prices.close_time >= first)


@pytest.mark.parametrize(("window", "told"), [
    ({"start": "2031-01-01"}, r"\[run\] start = 2031-01-01 00:00:00Z, and"),
    ({"end": "2019-06-30"}, r"\[run\] end = 2019-07-01 00:00:00Z, and"),
    ({"start": "2019-02-01", "end": "2019-02-27"}, r"start = 2019-02-01 00:00:00Z and end = 2019-02-28 00:00:00Z, and"),
])
def test_a_window_outside_the_data_is_named_with_the_range_of_the_data(window: dict[str, str], told: str) -> None:
    """Neither the strategy nor its warm-up is to blame."""
    with pytest.raises(ConfigError, match=f"{told} the bars of the data close from 2020-01-01 01:00:00Z to 2020-03-"):
        run(**window)


class AllIn(Strategy):
    """Sells short at once, for ten times what it has."""

    name = "all_in"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.position.qty == 0.0:
            sell(now, qty=90.0)


def test_ruin_is_told_once() -> None:
    """Short 90 at 100 on 1,000: at 112 nothing is left."""
    close = np.array([100.0, 112.0, 112.0])
    frame = {"open_time": np.datetime64("2024-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D"),
             "open": np.array([100.0, 100.0, 112.0]), "high": close + 1.0, "low": close - 13.0, "close": close,
             "volume": np.full(3, 1e6)}
    result = framework.backtest(data={"A": frame}, strategy=AllIn, capital=1_000, account={"leverage": 10.0})
    assert result.outcome == "ruined"
    assert [note for note in result.stats.footnotes if "ruin" in note] == [
        "ruined: equity fell to zero or below and the run ended there"]


def test_two_uses_of_one_strategy_are_told_apart_in_every_table() -> None:
    """By its label, and by its number where it has none."""
    uses = [{"name": "flipping", "params": {"fast": 3, "slow": 9}}, {"name": "flipping", "label": "slower"},
            {"name": "flipping", "params": {"fast": 8}}]
    framework.plugins.registry().add("strategy", Flipping)
    result = run(uses, symbols=["AAA"])  # type: ignore[arg-type]
    expected = {"flipping", "slower", "flipping#2"}
    assert result.slots == (("flipping", "AAA"), ("slower", "AAA"), ("flipping#2", "AAA"))
    for name in ("orders", "fills", "trades", "exits", "refusals"):
        assert set(getattr(result, name)["strategy"].drop_nulls()) <= expected
    assert set(result.orders["strategy"]) == expected
    shares = {share.name: share for share in result.attribution()["strategy"]}
    assert set(shares) == expected
    counted = dict(result.trades["strategy"].value_counts().iter_rows())
    assert {name: share.trades for name, share in shares.items()} == counted
    told = framework.explain(result, "AAA", "2020-02-10 00:00")
    assert [slot["strategy"] for slot in told["slots"]] == ["flipping", "slower", "flipping#2"]
    assert told["is_faithful"]
