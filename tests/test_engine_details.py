"""Finer bars inside bars: hand-worked cases, the laws that hold with them, and equality with the reference."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from framework.backtest.compose import Plan, Terms, compose
from framework.boundary.jit import JIT
from framework.model.enums import OrderStatus, Role, TimeInForce
from framework.risk import RiskRule
from framework.rules.protection import TakeProfit
from framework.strategy import BUY, SELL, buy, close_position, place_limit, place_stop, place_stop_limit, sell
from tests.reference import ReferenceStrategy, Settings, engine
from tests.reference import simulate as reference_simulate
from tests.reference.compare import first_difference
from tests.reference.detailed import DetailedCase, detailed_case_of, with_details
from tests.reference.engine import run_engine
from tests.reference.hand import FLAT, SIMULATORS, chosen, follow, rows, run, simulate, statuses
from tests.reference.tapes import PERIOD, tape_of
from tests.test_engine_equals_reference import digest, run_whole

EQUAL, ALIKE, DRAWN = (60, 40, 80) if JIT else (12, 5, 8)
"""How many random cases there are of each law: without the compiler they only show its branches."""
RANDOM = settings(max_examples=60, deadline=None, derandomize=True, database=None,
                  suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])  # fmt: skip


@pytest.fixture(params=SIMULATORS)
def both(request, monkeypatch):
    """Run a hand-worked case on the reference and on the engine."""
    monkeypatch.setitem(chosen, "simulate", SIMULATORS[request.param])


hand = pytest.mark.usefixtures("both")


def run_detailed(bars, finer, *scripts, **terms):
    """Run scripts on one symbol; finer: place of a bar -> its finer bars."""
    tape = with_details(tape_of(bars), finer)
    return simulate(tape, [ReferenceStrategy([0], follow(script)) for script in scripts], Settings(**terms))


def held_from_bar_1(**protection):
    """Return a script that buys ten at the first close, to be filled at 100 at the open of bar 1."""
    return {0: lambda now: buy(now, qty=10, **protection)}


# --- what finer bars settle -------------------------------------------------------------------------------------------

WIDE = (100, 112, 88, 100)


@hand
def test_a_target_that_finer_bars_reach_before_the_stop_wins_and_nothing_is_ambiguous():
    script = held_from_bar_1(stop=90, target=110)
    finer = {2: [(100, 112, 99, 108), (108, 109, 88, 95), (95, 101, 94, 100), (100, 100, 100, 100)]}
    result = run_detailed([FLAT, FLAT, WIDE], finer, script)
    assert rows(result) == [(100, 10, 100), (225, -10, 110)]  # in the first quarter of the bar from 200 to 300
    assert Role(result.fills[1].role) == Role.TARGET
    assert result.trades[0].pnl == 100
    assert result.counters["ambiguous"] == 0
    worst = run([FLAT, FLAT, WIDE], script)
    assert (rows(worst)[1], worst.counters["ambiguous"]) == ((300, -10, 90), 1)


@hand
def test_a_stop_that_finer_bars_reach_first_fills_first():
    finer = {2: [(100, 101, 88, 95), (95, 112, 95, 100)]}
    result = run_detailed([FLAT, FLAT, WIDE], finer, held_from_bar_1(stop=90, target=110))
    assert (rows(result)[1], result.counters["ambiguous"]) == ((250, -10, 90), 0)


@hand
def test_a_finer_bar_that_reaches_both_is_read_at_its_worst_and_counts_once():
    # The first finer bar reaches stop and target, the second two siblings: one ambiguous bar, as with the first alone.
    wider = (100, 130, 70, 100)
    siblings = {1: lambda now: (place_stop(now, BUY, 125, qty=1, oco=1), place_limit(now, BUY, 75, qty=1, oco=1))}
    for last, entries in ((wider, [(300, 1, 125)]), (FLAT, [])):
        bar = whole_of([WIDE, last])
        result = run_detailed([FLAT, FLAT, bar], {2: [WIDE, last]}, held_from_bar_1(stop=90, target=110) | siblings)
        assert rows(result)[1:] == [(250, -10, 90), *entries]
        assert result.counters["ambiguous"] == 1


@hand
def test_a_fill_carries_the_close_of_the_finer_bar_and_the_row_of_the_bar():
    finer = {1: [FLAT, (100, 106, 99, 104), FLAT, FLAT]}
    result = run_detailed([FLAT, (100, 106, 99, 100), FLAT], finer, {0: lambda now: place_stop(now, BUY, 105, qty=1)})
    assert [(f.time, f.price, f.bar) for f in result.fills] == [(150, 105, 1)]
    assert result.orders[0].ended_time == 150


@hand
def test_a_finer_bar_that_opens_beyond_a_stop_fills_at_its_open():
    finer = {2: [(100, 101, 99, 100), (87, 89, 85, 88)]}
    result = run_detailed([FLAT, FLAT, (100, 101, 85, 88)], finer, held_from_bar_1(stop=90))
    assert rows(result)[1] == (300, -10, 87)


@hand
def test_a_bracket_born_in_a_finer_bar_is_an_ordinary_one_in_the_next():
    # Entered at 105 in the first finer bar; the second reaches the target 110 though the bar closes at 100.
    finer = {1: [(100, 106, 100, 106), (106, 111, 105, 106), (106, 106, 99, 100), FLAT]}
    script = {0: lambda now: place_stop(now, BUY, 105, qty=1, stop=90, target=110)}
    bar = (100, 111, 99, 100)
    result = run_detailed([FLAT, bar], finer, script)
    assert rows(result) == [(125, 1, 105), (150, -1, 110)]
    assert result.counters["ambiguous"] == 0
    worst = run([FLAT, bar], script)
    assert (rows(worst), worst.counters["ambiguous"]) == ([(200, 1, 105)], 1)  # the target needs the close beyond it


@hand
def test_a_trail_moves_from_finer_bar_to_finer_bar():
    # High 110 in the first half: the stop trails to 105 and is hit in the second; on the bar alone it would stay at 95.
    finer = {2: [(100, 110, 100, 109), (109, 109, 104, 107)]}
    result = run_detailed([FLAT, FLAT, (100, 110, 100, 107)], finer, held_from_bar_1(trail=5))
    assert (rows(result)[1], Role(result.fills[1].role)) == ((300, -10, 105), Role.TRAIL)
    assert rows(run([FLAT, FLAT, (100, 110, 100, 107)], held_from_bar_1(trail=5))) == [(100, 10, 100)]


@hand
def test_a_stop_limit_triggered_in_a_finer_bar_is_a_limit_in_the_next():
    finer = {1: [(100, 104, 100, 104), (104, 105, 102, 103), FLAT, FLAT]}
    bars = [FLAT, (100, 105, 99, 100), FLAT]
    script = {0: lambda now: place_stop_limit(now, BUY, 103, 102.5, qty=1)}
    assert rows(run_detailed(bars, finer, script)) == [(150, 1, 102.5)]
    assert rows(run(bars, script)) == [(200, 1, 100)]


@hand
def test_a_stop_limit_with_one_chance_has_it_at_the_next_open():
    finer = {1: [(100, 104, 100, 104), (104, 105, 102, 103), FLAT, FLAT]}
    bars = [FLAT, (100, 105, 99, 104), (104, 104, 104, 104)]
    script = {0: lambda now: place_stop_limit(now, BUY, 103, 102.5, qty=1, tif=TimeInForce.IOC)}
    result = run_detailed(bars, finer, script)
    assert (rows(result), statuses(result), result.orders[0].ended_time) == ([], ["CANCELED"], 200)


@hand
def test_the_finer_bars_of_a_bar_share_its_participation():
    # Half of a mean volume of 20: ten units for the whole bar, not for each finer one.
    bars = [(*FLAT, 20), (*FLAT, 20)]
    finer = {1: [FLAT, FLAT, FLAT, FLAT]}
    script = {0: lambda now: (place_limit(now, BUY, 99.5, qty=8), place_limit(now, BUY, 99, qty=8))}
    result = run_detailed(bars, finer, script, participation=0.5)
    assert rows(result) == [(125, 8, 99.5), (125, 2, 99)]


# --- what positions see -----------------------------------------------------------------------------------------------


def high_water_of(bars, finer, *further):
    """Return the high-water mark and whether orders work, after bar 1, of a position entered at its open."""
    seen = []
    script = {0: lambda now: (buy(now, qty=1), *(act(now) for act in further)),
              1: lambda now: seen.append(now.position.high_water)}  # fmt: skip
    run_detailed(bars, finer, script)
    return seen[0]


@hand
def test_on_its_entry_bar_a_position_sees_the_close_of_the_first_finer_bar_and_the_range_of_the_others():
    bars = [FLAT, (100, 120, 99, 101), FLAT]
    finer = {1: [(100, 120, 100, 103), (103, 104, 100, 101), (101, 107, 99, 100), (100, 101, 100, 101)]}
    assert high_water_of(bars, finer) == 107
    assert high_water_of(bars, finer, lambda now: place_stop(now, SELL, 50, qty=1)) == 107  # with an order that works
    assert high_water_of(bars, {}) == 101  # the close of the bar


@hand
def test_what_is_added_to_a_position_does_not_see_prices_from_before_it():
    # 10 at 100 see the low of 80: -20 %.  10 more at 120 make the average 110, of which 80 would be -27 %.
    parts = [(100, 101, 80, 100), (100, 121, 100, 120), (120, 121, 119, 120), (120, 120, 120, 120)]
    bars = [FLAT, FLAT, whole_of(parts), (120, 120, 120, 120)]
    script = {0: lambda now: buy(now, qty=10), 1: lambda now: place_stop(now, BUY, 120, qty=10),
              2: lambda now: close_position(now)}  # fmt: skip
    assert run_detailed(bars, {2: parts}, script).trades[0].mae == pytest.approx(-0.2)
    assert run(bars, script).trades[0].mae == pytest.approx(-30 / 110)


@hand
def test_an_entry_at_the_close_sees_its_close_only():
    script = {0: lambda now: buy(now, qty=1, on_close=True), 1: lambda now: close_position(now)}
    bar = (100, 130, 80, 100)
    result = run_detailed([FLAT, bar, FLAT], {1: [bar, (100, 120, 90, 100)]}, script)
    assert (result.trades[0].mae, result.trades[0].mfe) == (0, 0)


# --- several symbols --------------------------------------------------------------------------------------------------


RISE = (100, 106, 99, 100)
FALL = (100, 101, 94, 100)


def two_symbols():
    """Return a tape of two symbols: in their second bar the first moves in the last quarter, the other in the first."""
    bars = [FLAT, (100, 106, 94, 100), FLAT, FLAT]
    late, early = [FLAT, FLAT, RISE, FALL], [RISE, FALL, FLAT, FLAT]
    return with_details(tape_of(bars, bars), {1: late, 5: early})


@hand
def test_fills_of_one_group_stand_in_the_order_of_symbols_each_with_its_own_time():
    enter = {0: lambda now: place_stop(now, BUY, 105, qty=1)}
    result = simulate(two_symbols(), [ReferenceStrategy([0, 1], follow(enter))], Settings())
    assert [(f.symbol, f.time) for f in result.fills] == [(0, 175), (1, 125)]


def test_rules_are_told_the_latest_exit_of_all_symbols():
    told = []

    class Listening(RiskRule):
        name = "listening"

        @staticmethod
        def check(order):
            told.append((order.clock.time_ns, order.past.last_exit_time))

    enter = {0: lambda now: place_stop(now, BUY, 105, qty=1, stop=95), 2: lambda now: buy(now, qty=1)}
    tape = engine.arrays_of(two_symbols())
    strategy = engine.strategy_of(ReferenceStrategy([0, 1], follow(enter)))
    simulation = compose(tape, [Plan(strategy)], engine.sizing_of(Settings()), [Listening()], None, Terms(),
                         interpreted=True)  # fmt: skip
    simulation.state.slots["ready"] = tape.series[simulation.state.slots["symbol"]]
    simulation.advance(tape.n_events)
    assert simulation.state.trades["exit_time"][:2].tolist() == [200, 150]
    assert told == [(100, 0), (100, 0), (300, 200), (300, 200)]


def test_a_position_that_began_in_a_finer_bar_gets_its_first_target_for_a_share():
    # Entered at 105 in the first quarter of bar 1; half of it is to leave 3 % higher, from bar 2 on.
    bars = [FLAT, (100, 109, 99, 108), (108, 109, 107, 108)]
    parts = [(100, 106, 99, 106), (106, 109, 106, 108), (108, 108, 107, 108), (108, 108, 108, 108)]
    enter = {0: lambda now: place_stop(now, BUY, 105, qty=10, stop=90)}
    rule = TakeProfit(first_target_percent=3.0, second_target_percent=50.0, min_risk_reward_ratio=0.0)
    tape = engine.arrays_of(with_details(tape_of(bars), {1: parts}))
    strategy = engine.strategy_of(ReferenceStrategy([0], follow(enter)))
    simulation = compose(tape, [Plan(strategy)], engine.sizing_of(Settings()), [rule], None, Terms(), interpreted=True)
    simulation.state.slots["ready"] = 0
    simulation.advance(tape.n_events)
    fills = simulation.state.fills[:2]
    assert simulation.state.account["fills"][0] == 2
    told = [(int(f["time"]), float(f["side"] * f["qty"]), round(float(f["price"]), 6)) for f in fills]
    assert told == [(125, 10, 105), (300, -5, 108.15)]
    placed = simulation.state.orders[3]
    assert (Role(placed["role"]), placed["placed_time"], placed["qty"]) == (Role.EXIT, 200, 5)


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(ALIKE))
def test_one_finer_bar_a_bar_is_as_good_as_none(seed: int):
    case = detailed_case_of(seed, factors=(1,))
    assert case.tape.joined["detail"].size > 1
    assert case.plain.tape.joined["detail"].size == 1
    assert digest(run_whole(case)) == digest(run_whole(case.plain))


def test_the_engine_equals_the_reference_with_finer_bars():
    for seed in range(EQUAL):
        assert_equal(detailed_case_of(seed))


@pytest.mark.slow
def test_the_engine_equals_the_reference_with_finer_bars_on_many_markets():
    for seed in range(100, 700):
        assert_equal(detailed_case_of(seed))


def assert_equal(case: DetailedCase):
    expected = reference_simulate(case.tape, case.reference_strategies(), case.reference_settings())
    difference = first_difference(expected, run_engine(case), case.numbers["capital"])
    assert difference is None, difference


def continuous(seed: int, count: int):
    """Return bars each of which opens where the one before closed, on a grid of halves."""
    rng = random.Random(seed)
    price, bars = 100.0, []
    for _ in range(count):
        close = max(20.0, price + rng.choice((-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3)))
        high, low = max(price, close) + rng.choice((0, 0.5, 2)), min(price, close) - rng.choice((0, 0.5, 2))
        bars.append((price, high, low, close))
        price = close
    return bars


def whole_of(parts):
    return parts[0][0], max(p[1] for p in parts), min(p[2] for p in parts), parts[-1][3]


def drawn_action(rng: random.Random):
    """Return a decision that reads nothing which depends on the length of bars."""
    side, kind, trail = rng.choice((BUY, SELL)), rng.choice((0, 0, 1, 2)), rng.choice((None, None, 3.0))
    near, far = rng.choice((1.0, 2.5, 5.0)), rng.choice((1.5, 4.0, 9.0))
    price = rng.choice((-4.0, -1.5, 1.5, 4.0))

    def act(now):
        if now.position.qty != 0:
            if kind == 1:
                close_position(now)
            return
        exits = {"stop_offset": near, "target_offset": far}
        exits |= {"trail": trail, "trail_after": 1.0} if trail else {}
        place = {True: place_limit, False: place_stop}[(price < 0) == (side == BUY)]
        if kind == 0:
            (buy if side == BUY else sell)(now, qty=3, **exits)
        else:
            place(now, side, now.bar.close + price, qty=3, tag=0, tif=TimeInForce.GTC, **exits)

    return act


@settings(RANDOM, max_examples=DRAWN)
@given(st.integers(0, 10**9), st.sampled_from([2, 3, 4, 12]))
def test_fills_are_those_of_a_run_on_the_finer_bars_that_decides_at_the_same_closes(seed, factor):
    rng = random.Random(seed)
    finer = continuous(seed, factor * 30)
    groups = [finer[i : i + factor] for i in range(0, len(finer), factor)]
    actions = {i: drawn_action(rng) for i in range(30) if rng.random() < 0.5}

    def decide(now):
        place, rest = divmod(now.clock.time_ns, PERIOD * factor)
        if rest == 0 and place - 1 in actions:
            actions[place - 1](now)

    fine, long = tape_of(finer), tape_of([whole_of(group) for group in groups])
    for name in ("open_time", "close_time", "event_time"):
        setattr(long, name, [time * factor for time in getattr(long, name)])
    results = [engine.simulate(tape, [ReferenceStrategy([0], decide)], Settings(capital=1e6))
               for tape in (fine, with_details(long, dict(enumerate(groups))))]  # fmt: skip
    # What the open of a finer bar fills carries its open there and its close here, but for the first one of a bar.
    mine, theirs = ([(finer_bar_of(f, tape), f.side, f.qty, f.price, f.role) for f in one.fills]
                    for one, tape in zip(results, (fine, long), strict=True))  # fmt: skip
    assert mine == theirs
    mine, theirs = ([(t.mae, t.mfe, t.pnl) for t in one.trades] for one in results)
    assert mine == theirs


def finer_bar_of(fill, tape):
    """Return the number of the finer bar in which a fill came."""
    if not hasattr(tape, "details"):
        return fill.bar
    return fill.time // PERIOD if fill.time == tape.open_time[fill.bar] else fill.time // PERIOD - 1


def test_orders_that_ended_inside_a_bar_keep_that_time():
    finer = {2: [(100, 112, 99, 108), (108, 109, 88, 95)]}
    chosen["simulate"] = engine.simulate
    result = run_detailed([FLAT, FLAT, WIDE], finer, held_from_bar_1(stop=90, target=110))
    ended = [(OrderStatus(o.status).name, o.ended_time) for o in result.orders[1:]]
    assert ended == [("POSITION_CLOSED", 250), ("FILLED", 250)]
