"""Rules that stop openings for a while: what begins a halt, what ends it, and that nothing else is stopped by it."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import pytest

from framework import buy, close_position
from framework.backtest.compose import Terms
from framework.backtest.config import Account
from framework.boundary.jit import JIT
from framework.model.enums import OrderStatus, Reason, Role
from framework.risk import RiskRule
from framework.rules import CircuitBreaker, Drawdown, Leverage, LossLimits, LossStreak
from framework.strategy import place_limit
from framework.testing.runs import difference
from tests.rule_cases import DAY, MINUTE, Opening, Script, acting, composed, flat_tape, logs_of, run_of

HOUR = 60 * MINUTE


# --- loss_limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("period", "start", "limit"), [
    ("day", "day_start_equity", 5_000.0), ("week", "week_start_equity", 15_000.0),
    ("month", "month_start_equity", 50_000.0),
])
def test_a_loss_halts_until_the_next_roll_even_when_equity_recovers(period: str, start: str, limit: float) -> None:
    fields = {"peak": 1e6, "equity": 1e6, "day_start_equity": 1e6, "week_start_equity": 1e6, "month_start_equity": 1e6}
    opening = Opening(LossLimits, {"max_daily_loss": 1e9, "max_weekly_loss": 1e9, "max_monthly_loss": 1e9,
                                   f"max_{ {'day': 'daily'}.get(period, period + 'ly') }_loss": limit,
                                   "max_loss_per_trade": 1e9}, **fields)  # fmt: skip
    opening.watch(**{start: 1e6, "equity": 1e6 - limit + 0.01})
    assert opening.check()[0] == 100.0
    opening.watch(equity=1e6 - limit)
    assert opening.check() == (0.0, limit, limit)
    opening.watch(equity=1e6)
    assert opening.check() == (0.0, limit, limit)  # recovered, and halted all the same
    opening.watch(**{period: 1, start: 1e6})
    assert opening.check()[0] == 100.0
    assert opening.rule.outcome(opening.memory[0]["state"]) == [
        f"loss_limits: openings were halted for the rest of 1 {period}"]


def test_the_day_rolls_on_the_account_s_calendar_in_a_run() -> None:
    # hours from midnight: 10 shares lose 50 of their 1,000 in the bar that closes at 03:00; the day rolls at 24:00
    closes = [100.0, 100.0, 95.0, *([95.0] * 30)]
    rules = [LossLimits(max_daily_loss=50.0, max_loss_per_trade=1e9)]
    actions = {0: lambda now: buy(now, qty=10.0), 4: lambda now: buy(now, qty=1.0, tag=0),
               22: lambda now: buy(now, qty=2.0), 24: lambda now: buy(now, qty=3.0)}  # fmt: skip
    logs = logs_of(composed(flat_tape(closes, step=HOUR), rules, acting(actions)))
    assert logs["fills"]["qty"].tolist() == [10.0, 3.0]  # the bar that closes at 01:00 of the next day
    halted = [(int(row["time"]) // HOUR, row["value"], row["limit"]) for row in logs["refusals"]]
    assert halted == [(5, 50.0, 50.0), (23, 50.0, 50.0)]


def test_weeks_begin_on_monday_and_months_with_the_calendar() -> None:
    # 1970-01-01 is a Thursday; day numbers count from it. 10 shares lose 100 at the close of day 1 (Friday the 2nd).
    closes = [100.0, 100.0, 90.0, *([90.0] * 40)]
    begin: dict[int, Any] = {0: lambda now: buy(now, qty=10.0)}
    for limit, first in (("max_weekly_loss", 4), ("max_monthly_loss", 31)):
        rule = LossLimits(**{limit: 100.0, "max_loss_per_trade": 1e9})
        tries = {day: lambda now: buy(now, qty=1.0) for day in range(3, 40)}
        logs = logs_of(composed(flat_tape(closes), [rule], acting(begin | tries)))
        days = [(int(row["placed_time"]) - 1) // DAY for row in logs["orders"]]
        assert days[:2] == [0, first]  # Monday, 5 January; Sunday, 1 February


def test_months_are_those_of_the_calendar() -> None:
    from framework.engine.ledger import month_of

    days = np.arange(-200_000, 200_000, 7)
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(int)
    compute = getattr(month_of, "py_func", month_of)
    assert [compute(int(day)) for day in days] == months.tolist()


# --- circuit_breaker --------------------------------------------------------------------------------------------------


def breaker(**params: Any) -> Opening:
    """Return an opening before a breaker of 500 a day, 2 losses in a row, 60 minutes, on day 10."""
    given = {"daily_loss_threshold": 500.0, "max_consecutive_losses": 2} | params
    opening = Opening(CircuitBreaker, given, day=10, time_ns=10 * DAY + HOUR)
    opening.watch()
    return opening


def test_a_loss_of_the_day_trips_the_breaker_at_its_threshold() -> None:
    opening = breaker()
    opening.watch(equity=9_500.01)
    assert opening.check()[0] == 100.0
    opening.watch(equity=9_500.0)
    assert opening.check() == (0.0, 500.0, 500.0)


@pytest.mark.parametrize("auto_resume", [False, True])
def test_a_loss_trip_ends_at_the_later_of_cooldown_and_roll(auto_resume: bool) -> None:
    late = breaker(auto_resume=auto_resume)
    late.watch(equity=9_500.0, time_ns=10 * DAY + 23 * HOUR + 30 * MINUTE)
    late.watch(day=11, day_start_equity=9_500.0, time_ns=11 * DAY + 29 * MINUTE)
    assert late.check()[0] == 0.0  # rolled, but 59 minutes only
    late.watch(time_ns=11 * DAY + 30 * MINUTE)
    assert late.check()[0] == 100.0
    early = breaker(auto_resume=auto_resume)
    early.watch(equity=9_500.0, time_ns=10 * DAY + 2 * HOUR)
    early.watch(equity=10_000.0, time_ns=10 * DAY + 23 * HOUR)
    assert early.check()[0] == 0.0  # cooled down, but not rolled
    early.watch(day=11, time_ns=11 * DAY + MINUTE)
    assert early.check()[0] == 100.0


def test_a_loss_on_the_day_after_trips_it_anew() -> None:
    opening = breaker()
    opening.watch(equity=9_500.0, time_ns=10 * DAY + 23 * HOUR)
    opening.watch(day=11, day_start_equity=9_500.0, equity=9_000.0, time_ns=11 * DAY + HOUR)
    assert opening.check() == (0.0, 500.0, 500.0)
    assert opening.order.state.loss_trips == 2


def test_a_streak_trips_it_when_the_last_loss_ends_and_auto_resume_waits_for_the_cooldown_only() -> None:
    opening = breaker(auto_resume=True)
    opening.watch(losing_streak=1, round_trips=1)
    assert opening.check()[0] == 100.0
    ended = 10 * DAY + 5 * HOUR
    opening.watch(losing_streak=2, round_trips=2, last_exit_time=ended, time_ns=ended + 30 * MINUTE)
    assert opening.check() == (0.0, 2.0, 2.0)
    opening.watch(time_ns=ended + 59 * MINUTE)
    assert opening.check()[0] == 0.0
    opening.watch(time_ns=ended + 60 * MINUTE)
    assert opening.check()[0] == 100.0
    opening.watch(losing_streak=3, round_trips=3)  # the count began anew: one loss since
    assert opening.check()[0] == 100.0
    opening.watch(losing_streak=4, round_trips=4, last_exit_time=ended + 90 * MINUTE)
    assert opening.check()[0] == 0.0


def test_a_drawdown_is_measured_from_the_newest_peak_during_a_halt_without_an_end() -> None:
    # 99 at 100 of 10,000: at 79 equity is 7,921, a drawdown of 20.79 %; at 120 it is 11,980, at 110 it is 10,990
    hourly = flat_tape([100.0, 100.0, 100.0, 79.0, 120.0, 110.0, 110.0], step=HOUR)
    logs = logs_of(composed(hourly, [Drawdown()], Script(enter=1, again=5, qty=99.0),
                            terms=Terms(capital=10_000.0, account=Account(leverage=3.0))))  # fmt: skip
    (refusal,) = logs["refusals"]
    assert refusal["value"] == pytest.approx(1.0 - 10_990.0 / 11_980.0)


def test_a_round_trip_that_breaks_even_is_no_loss_after_a_trip_either() -> None:
    opening = breaker(auto_resume=True)  # trips after two
    opening.watch(losing_streak=2, round_trips=2, last_exit_time=10 * DAY, time_ns=10 * DAY)
    opening.watch(time_ns=10 * DAY + 60 * MINUTE)
    opening.watch(losing_streak=2, round_trips=3)  # broke even
    assert opening.check()[0] == 100.0
    opening.watch(losing_streak=3, round_trips=4, last_exit_time=10 * DAY + 90 * MINUTE)  # one loss of a new count
    assert opening.check()[0] == 100.0
    opening.watch(losing_streak=4, round_trips=5, last_exit_time=10 * DAY + 95 * MINUTE)
    assert opening.check() == (0.0, 2.0, 2.0)


@pytest.mark.parametrize("steps", [[(0, 3), (1, 4), (2, 5)], [(2, 5)], [(1, 4), (2, 5)]])
def test_a_winner_after_a_trip_lets_every_later_loss_count(steps: list[tuple[int, int]]) -> None:
    # two losses, then +, -, -: seen one by one, all at once, or the first two at once
    opening = breaker(auto_resume=True)
    opening.watch(losing_streak=2, round_trips=2, last_exit_time=10 * DAY, time_ns=10 * DAY)
    opening.watch(time_ns=10 * DAY + 60 * MINUTE)
    for streak, trips in steps:
        assert opening.check()[0] == 100.0
        opening.watch(losing_streak=streak, round_trips=trips, last_exit_time=10 * DAY + 90 * MINUTE)
    assert opening.check() == (0.0, 2.0, 2.0)


def test_without_auto_resume_a_streak_s_trip_waits_for_the_next_roll_and_says_so() -> None:
    opening = breaker()
    opening.watch(losing_streak=2, round_trips=2, last_exit_time=10 * DAY + 5 * HOUR, time_ns=10 * DAY + 5 * HOUR)
    opening.watch(time_ns=10 * DAY + 20 * HOUR)
    assert opening.check()[0] == 0.0
    opening.watch(day=11, time_ns=11 * DAY + MINUTE)
    assert opening.check()[0] == 100.0
    (told,) = opening.rule.outcome(opening.memory[0]["state"])
    assert told == ("circuit_breaker: tripped once by losses in a row, first at 1970-01-11T05:00Z; auto_resume = false "
                    "waits for a person: here it resumed when the day had rolled")


@pytest.mark.parametrize(("trades", "position", "allowed"), [
    (49, 0.0, 100.0), (50, 0.0, 0.0), (50, 10.0, 100.0), (50, -10.0, 0.0),  # what is held may grow, not turn
])
def test_the_fifty_first_trade_of_a_day_is_refused(trades: int, position: float, allowed: float) -> None:
    opening = breaker()
    got, value, limit = opening.check(trades_today=trades, position_qty=position)
    assert got == allowed
    assert (value, limit) == ((51.0, 50.0) if not got else (0.0, 0.0))


def test_trades_of_a_day_are_counted_with_working_openings_and_begin_anew_with_the_day() -> None:
    hourly = flat_tape([100.0] * 60, step=HOUR)
    actions = {1: lambda now: buy(now, qty=1.0), 2: close_position,
               3: lambda now: place_limit(now, 1, 50.0, qty=1.0, tag=1),  # works, never fills: the second
               5: lambda now: buy(now, qty=1.0),  # refused: the third
               20: lambda now: buy(now, qty=1.0),
               30: lambda now: buy(now, qty=1.0)}  # the day after: the limit still works, this is the second

    logs = logs_of(composed(hourly, [CircuitBreaker(max_trades_per_day=2)], acting(actions)))
    hours = [int(row["time"]) // HOUR for row in logs["fills"]]
    assert hours == [2, 3, 31]
    assert [(int(row["time"]) // HOUR, row["value"], row["limit"]) for row in logs["refusals"]] == [
        (6, 3.0, 2.0), (21, 3.0, 2.0)]


def test_a_trade_that_begins_at_the_first_open_of_a_day_counts_for_that_day() -> None:
    # daily bars: an entry decided on day 1 fills at the open of day 2, before day 2 has rolled by its close
    actions: dict[int, Any] = {1: lambda now: buy(now, qty=1.0), 2: lambda now: close_position(now)}
    asked: list[int] = []

    class Counts(RiskRule):
        """Note how many trades the day has."""

        name = "counts"

        @staticmethod
        def check(order: Any) -> None:
            """Keep what is shown."""
            asked.append(order.past.trades_today)

    actions[3] = lambda now: buy(now, qty=1.0)
    actions[4] = lambda now: buy(now, qty=1.0)
    logs_of(composed(flat_tape([100.0] * 8), [Counts()], acting(actions)))
    assert asked == [0, 0, 1]  # on day 4 the trade that began at its open counts


def trades_of(prices: list[float], rules: list[RiskRule], entries: list[int], **kinds: Any) -> dict[str, np.ndarray]:
    """Return the tables of one-share trades that begin at some bars and are closed one bar later."""
    actions: dict[int, Any] = {bar: lambda now: buy(now, qty=10.0) for bar in entries}
    actions |= {bar + 1: lambda now: close_position(now) for bar in entries}
    return logs_of(composed(flat_tape(prices, **kinds), rules, acting(actions)))


def test_losing_trades_trip_the_breaker_in_a_run() -> None:
    # hourly bars fall by 1 each: every trade loses 10. The second loss ends at 05:00: tripped until 06:30; the opening
    # of 06:00 is refused, that of 08:00 passes, and its loss is the first of a new count
    falling = [200.0 - i for i in range(22)]
    for minutes, entries, refused in ((90, [2, 4, 8, 10], [6]), (61, [2, 4, 8, 10], [6]), (60, [2, 4, 6, 8, 10], [])):
        rule = CircuitBreaker(max_consecutive_losses=2, auto_resume=True, cooldown_minutes=minutes)
        logs = trades_of(falling, [rule], [1, 3, 5, 7, 9], step=HOUR)
        assert [int(row["entry_time"]) // HOUR for row in logs["trades"]] == entries
        assert [int(row["time"]) // HOUR for row in logs["refusals"] if row["reason"] == Reason.RULE] == refused
    stuck = CircuitBreaker(max_consecutive_losses=2, daily_loss_threshold=1e9)
    logs = trades_of(falling, [stuck], [1, 3, 5, 7, 9], step=HOUR)
    assert [int(row["entry_time"]) // HOUR for row in logs["trades"]] == [2, 4]


def test_a_winner_ends_a_streak_in_a_run() -> None:
    prices = [100.0, 100.0, 99.0, 99.0, 98.0, 98.0, 97.0, 97.0, 99.0, 99.0, 98.0, 98.0, 98.0]
    # entries at the opens of bars 2, 4, 6, 8, 10 at 100, 99, 98, 97, 99; exits a bar later: - - - + -
    streaks: list[int] = []

    class Notes(RiskRule):
        """Note the streak."""

        name = "notes"

        @staticmethod
        def check(order: Any) -> None:
            """Keep what is shown."""
            streaks.append(order.past.losing_streak)

    logs = trades_of(prices, [Notes()], [1, 3, 5, 7, 9, 11])
    assert np.sign(logs["trades"]["pnl"]).tolist() == [-1, -1, -1, 1, -1]
    assert streaks == [0, 1, 2, 3, 0, 1]
    half = trades_of(prices, [LossStreak(consecutive_loss_limit=2, multiplier=0.5)], [1, 3, 5, 7, 9, 11])
    entries = half["fills"][half["fills"]["role"] == Role.ENTRY]
    assert entries["qty"].tolist() == [10.0, 10.0, 5.0, 5.0, 10.0, 10.0]


def test_on_trip_flatten_closes_everything_and_cancels_what_works() -> None:
    falling = [100.0, 100.0, 100.0, 94.0, 94.0, 94.0, 94.0]
    actions = {0: lambda now: buy(now, qty=10.0, stop=50.0), 1: lambda now: place_limit(now, 1, 40.0, qty=1.0, tag=1)}
    rules = [CircuitBreaker(daily_loss_threshold=50.0, on_trip="flatten")]
    simulation = composed(flat_tape(falling, ("A", "B")), rules, acting(actions), terms=Terms(capital=10_000.0))
    logs = logs_of(simulation)
    # two symbols lose 60 each on day 3; all is closed at the open of day 4
    exits = logs["fills"][logs["fills"]["role"] == Role.HALT]
    assert [(int(row["time"]) // DAY, row["symbol"], row["qty"]) for row in exits] == [(4, 0, 10.0), (4, 1, 10.0)]
    limits = logs["orders"][logs["orders"]["price"] == 40.0]
    assert limits["status"].tolist() == [OrderStatus.CANCELED] * 2
    assert simulation.state.slots["qty"].tolist() == [0.0, 0.0]
    assert "all positions were closed at the next open" in simulation.notes[0]
    kept = composed(flat_tape(falling, ("A", "B")), [CircuitBreaker(daily_loss_threshold=50.0)], acting(actions))
    logs_of(kept)
    assert kept.state.slots["qty"].tolist() == [10.0, 10.0]


def test_a_trip_never_blocks_a_stop_or_a_close() -> None:
    closes = [100.0, 100.0, 100.0, 96.0, 96.0, 96.0, 89.0, 89.0]
    rules: list[RiskRule] = [CircuitBreaker(daily_loss_threshold=160.0), LossLimits(max_daily_loss=100.0)]
    logs = run_of(closes, rules, enter=1, again=3, qty=40.0, stop=90.0)
    assert [row["role"] for row in logs["fills"]] == [Role.ENTRY, Role.STOP]
    assert [(row["reason"], row["value"], row["limit"]) for row in logs["refusals"]] == [(Reason.RULE, 160.0, 160.0)]
    closed = run_of(closes, rules, enter=1, leave=3, qty=40.0)
    assert [row["role"] for row in closed["fills"]] == [Role.ENTRY, Role.EXIT]


# --- leverage: maintenance --------------------------------------------------------------------------------------------


def test_positions_are_closed_at_the_open_after_the_maintenance_margin_breaks() -> None:
    # 150 at 100 on 10,000 with leverage 2: at p equity is 10,000 + 150 (p - 100), exposure 150 p.
    # 25 % of exposure: 10,000 + 150 p - 15,000 < 37.5 p, p < 44.44
    closes = [100.0, 100.0, 100.0, 45.0, 44.0, 43.0, 43.0]
    rule = Leverage(allow_leverage=True, max_leverage=2.0, min_margin_percent=50.0)
    terms = Terms(capital=10_000.0, account=Account(leverage=2.0))
    simulation = composed(flat_tape(closes), [rule], Script(enter=1, qty=150.0), terms=terms)
    logs = logs_of(simulation)
    assert [(int(row["time"]) // DAY, row["side"], row["price"]) for row in logs["fills"]] == [
        (2, 1, 100.0), (5, -1, 44.0)]
    assert simulation.notes == ["leverage: equity fell below the maintenance margin once, first at 1970-01-06T00:00Z; "
                                "all positions were closed at the next open"]
    held = composed(flat_tape(closes), [Leverage(allow_leverage=True, max_leverage=2.0, min_margin_percent=50.0,
                                                 maintenance_percent=20.0)], Script(enter=1, qty=150.0), terms=terms)
    assert logs_of(held)["fills"].size == 1


def test_a_short_that_runs_away_is_closed_too_and_only_once() -> None:
    # 100 short at 100: equity 20,000 - 100 p, exposure 100 p; 25 %: 20,000 < 125 p, p > 160
    closes = [100.0, 100.0, 100.0, 160.0, 161.0, 161.0, 161.0]
    logs = run_of(closes, [Leverage()], enter=1, qty=99.0, side=-1)
    assert [(int(row["time"]) // DAY, row["side"]) for row in logs["fills"]] == [(2, -1), (5, 1)]
    assert logs["orders"].size == 2


def test_a_margin_call_of_the_account_is_not_closed_a_second_time_by_the_rule() -> None:
    # both ask for 25 %: the account's liquidation goes first, the rule adds no order to it
    closes = [100.0, 100.0, 100.0, 160.0, 161.0, 161.0, 161.0]
    terms = Terms(capital=10_000.0, account=Account(maintenance=0.25))
    logs = logs_of(composed(flat_tape(closes), [Leverage()], Script(enter=1, qty=99.0, side=-1), terms=terms))
    assert logs["orders"]["role"].tolist() == [Role.ENTRY, Role.LIQUIDATION]
    assert logs["fills"].size == 2


# --- alarms -----------------------------------------------------------------------------------------------------------


class EveryMark(RiskRule):
    """Look at every mark, and so have every other rule look as well."""

    name = "every_mark"
    state: ClassVar[Any] = {"marks": 0}

    @staticmethod
    def watch(order: Any) -> None:
        """Count."""
        order.state.marks += 1


HALTING: list[tuple[type[RiskRule], dict[str, Any]]] = [
    (Drawdown, {"max_drawdown": 0.03, "resume_after": "12h", "drawdown_warning": 0.01, "drawdown_critical": 0.02}),
    (Drawdown, {"max_drawdown": 0.05, "drawdown_warning": 0.01, "drawdown_critical": 0.02}),
    (LossLimits, {"max_daily_loss": 150.0, "max_weekly_loss": 300.0, "max_monthly_loss": 900.0}),
    (CircuitBreaker, {"daily_loss_threshold": 150.0, "max_consecutive_losses": 3, "auto_resume": True}),
    (CircuitBreaker, {"daily_loss_threshold": 120.0, "max_consecutive_losses": 2, "on_trip": "flatten"}),
    (Leverage, {"allow_leverage": True, "max_leverage": 1.25, "min_margin_percent": 80.0, "maintenance_percent": 80.0}),
]


@pytest.mark.parametrize(("rule", "params"), HALTING)
@pytest.mark.parametrize("seed", [2, 3] if JIT else [2])
def test_sleeping_between_alarms_changes_nothing(rule: type[RiskRule], params: dict[str, Any], seed: int) -> None:
    """A rule that is called only when it asked to be ends as one that is called at every mark."""
    rng = np.random.default_rng(seed)
    closes = (100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.015, 400)))).tolist()
    turns = {bar: (lambda now: buy(now, qty=120.0)) if bar % 10 == 0 else close_position for bar in range(0, 400, 5)}
    ended = []
    for rules in ([rule(**params)], [rule(**params), EveryMark()]):
        terms = Terms(capital=10_000.0, account=Account(leverage=2.0))
        simulation = composed(flat_tape(closes, step=HOUR), rules, acting(turns), terms=terms)
        logs = logs_of(simulation)
        state = simulation.checks.record(1, simulation.plugs[-1].dtype if len(rules) == 1 else
                                         next(p.dtype for p in simulation.plugs if p.owner == f"{rule.name}.watch"))
        ended.append((logs, state["state"].tobytes(), simulation.notes))
    assert not difference(ended[0][0], ended[1][0], ("A",), ("asleep", "awake"))
    assert ended[0][1:] == ended[1][1:]
    assert ended[0][0]["refusals"].size or ended[0][0]["fills"].size != 80


def test_a_rule_that_sleeps_is_called_rarely_and_one_that_does_not_at_every_mark() -> None:
    calls = {"asleep": 0, "awake": 0}

    class Asleep(Drawdown):
        """Count its calls."""

        name = "asleep"

        @staticmethod
        def watch(order: Any) -> None:
            """Count and do what it does."""
            calls["asleep"] += 1
            Drawdown.watch(order)

    class Awake(EveryMark):
        """Count its calls."""

        name = "awake"

        @staticmethod
        def watch(order: Any) -> None:
            """Count."""
            calls["awake"] += 1

    tape = flat_tape([100.0] * 240, step=HOUR)
    logs_of(composed(tape, [Asleep()], Script()))
    assert calls["asleep"] == 10  # the first mark of each of ten days
    logs_of(composed(tape, [Awake()], Script()))
    assert calls["awake"] == 240


def test_a_rule_s_memory_survives_a_snapshot() -> None:
    closes = (100.0 * np.exp(np.cumsum(np.random.default_rng(4).normal(0.0, 0.02, 300)))).tolist()
    turns = {bar: (lambda now: buy(now, qty=60.0)) if bar % 10 == 0 else close_position for bar in range(0, 300, 5)}

    def made() -> Any:
        rules = [rule(**params) for rule, params in HALTING[:4]]
        return composed(flat_tape(closes, step=HOUR), rules, acting(turns))

    whole = made()
    logs = logs_of(whole)
    for cut in (101, 250, 401):
        first, second = made(), made()
        first.advance(cut)
        second.restore(first.snapshot())
        again = logs_of(second)
        assert not difference(logs, again, ("A",), ("whole", "restored"))
        assert second.notes == whole.notes
    assert math.isfinite(float(logs["marks"]["equity"][-1]))
