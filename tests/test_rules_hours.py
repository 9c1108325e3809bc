"""The rule of hours: on the clock of the exchange, at the moment an order would begin to work."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from framework import ConfigError
from framework.data import BarSeries, build_tape
from framework.model.enums import Reason
from framework.model.instrument import Instrument
from framework.rules import TimeRestrictions
from framework.rules.hours import AFTERHOURS, CLOSED, PREMARKET, REGULAR
from tests.rule_cases import MINUTE, Script, checked, composed, flat_tape, logs_of

NEW_YORK = ZoneInfo("America/New_York")
HONG_KONG = ZoneInfo("Asia/Hong_Kong")


def at(text: str, zone: Any = NEW_YORK) -> int:
    """Return a local time as ns UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * 1_000_000_000


def shown(exchange: str, *moments: int, **params: Any) -> dict[str, list[float]]:
    """Return the columns of the rule at some closes."""
    columns = TimeRestrictions(**params).clocks(exchange, np.array(moments, np.int64))
    return {name: values.tolist() for name, values in columns.items()}


@pytest.mark.parametrize(("close", "phase", "minute", "end"), [
    ("2024-01-16T09:35", REGULAR, 575, 585),  # 09:35 lies in 09:30-09:45
    ("2024-01-16T09:45", REGULAR, 585, -1),  # the end is free again
    ("2024-01-16T12:00", REGULAR, 720, -1),
    ("2024-01-16T15:45", REGULAR, 945, 960),
    ("2024-01-16T15:59", REGULAR, 959, 960),
    ("2024-01-16T16:00", REGULAR, 570, 585),  # at the close an order waits for 09:30 of the next session
    ("2024-07-16T09:35", REGULAR, 575, 585),  # in summer as in winter
    ("2024-01-16T08:00", PREMARKET, 480, -1),
    ("2024-01-16T04:00", PREMARKET, 240, -1),
    ("2024-01-16T03:59", CLOSED, 239, -1),
    ("2024-01-16T16:01", AFTERHOURS, 961, -1),
    ("2024-01-16T19:59", AFTERHOURS, 1199, -1),
    ("2024-01-16T20:00", CLOSED, 1200, -1),
    ("2024-01-15T12:00", CLOSED, 720, -1),  # Martin Luther King Day
    ("2024-01-13T12:00", CLOSED, 720, -1),  # a Saturday
    ("2024-07-03T13:00", REGULAR, 570, 585),  # an early close; the next open is that of the 5th
])
def test_the_moment_is_that_of_the_exchange(close: str, phase: int, minute: int, end: int) -> None:
    assert shown("XNYS", at(close)) == {"phase": [phase], "minute": [minute], "blackout_end": [end]}


def test_a_lunch_break_is_waited_for() -> None:
    lunch = at("2024-01-16T12:15", HONG_KONG)
    assert shown("XHKG", lunch, blackout_periods=["13:00-13:05"]) == {
        "phase": [REGULAR], "minute": [780], "blackout_end": [785]}


def test_coins_have_no_hours_but_blackouts_in_utc() -> None:
    utc = ZoneInfo("UTC")
    moments = [at("2024-01-13T23:30", utc), at("2024-01-14T00:30", utc), at("2024-01-14T02:00", utc)]
    assert shown("24/7", *moments, blackout_periods=["23:00-02:00"]) == {
        "phase": [0, 0, 0], "minute": [1410, 30, 120], "blackout_end": [120, 120, -1]}
    assert shown("24/7", *moments, blackout_periods=[])["blackout_end"] == [-1, -1, -1]


def test_a_whole_day_ends_at_24() -> None:
    utc = ZoneInfo("UTC")
    moments = [at(f"2024-01-13T{time}", utc) for time in ("00:00", "12:00", "23:59")]
    assert shown("24/7", *moments, blackout_periods=["00:00-24:00"])["blackout_end"] == [1440] * 3
    assert shown("24/7", *moments, blackout_periods=["23:00-24:00"])["blackout_end"] == [-1, -1, 1440]


@pytest.mark.parametrize(("params", "phase", "end", "allowed"), [
    ({}, REGULAR, -1.0, 100.0),
    ({}, REGULAR, 585.0, 0.0),
    ({}, PREMARKET, -1.0, 0.0),
    ({"allow_premarket": True}, PREMARKET, -1.0, 100.0),
    ({"allow_premarket": True}, AFTERHOURS, -1.0, 0.0),
    ({"allow_afterhours": True}, AFTERHOURS, -1.0, 100.0),
    ({"allow_premarket": True, "allow_afterhours": True}, CLOSED, -1.0, 0.0),
    ({"enforce_market_hours": False}, CLOSED, -1.0, 100.0),
    ({"enforce_market_hours": False}, CLOSED, 585.0, 0.0),
])
def test_what_begins_at_a_wrong_time_is_refused(params: dict[str, Any], phase: int, end: float,
                                                allowed: float) -> None:
    got, value, limit = checked(TimeRestrictions, params, phase=phase, minute=570.0, blackout_end=end)
    assert got == allowed
    if not allowed:
        assert (value, limit) == ((570.0, end) if end >= 0.0 else (float(phase), 0.0))


def test_a_blackout_in_a_run_ends_with_its_last_minute() -> None:
    # bars of 15 minutes from 09:30 to 16:00; the one that closes at 09:45 may act, those of 15:45 and 16:00 may not
    opened = [at("2024-01-16T09:30") + i * 15 * MINUTE for i in range(26)]
    opened += [at("2024-01-17T09:30") + i * 15 * MINUTE for i in range(26)]
    time, price = np.array(opened), np.full(52, 100.0)
    tape = build_tape([BarSeries(Instrument("A", exchange="XNYS", lot=1.0), "15m", time, time + 15 * MINUTE, price,
                                 price, price, price, np.ones(52))])  # fmt: skip
    placed = {}
    for bar in (0, 1, 23, 24, 25, 26):
        logs = logs_of(composed(tape, [TimeRestrictions()], Script(enter=bar)))
        placed[bar] = logs["orders"].size
        if not placed[bar]:
            assert logs["refusals"]["reason"].tolist() == [Reason.RULE]
    assert placed == {0: 1, 1: 1, 23: 1, 24: 0, 25: 0, 26: 1}


def test_daily_bars_of_a_stock_wait_for_the_open_and_meet_its_blackout() -> None:
    days = [at(f"2024-01-{day}T09:30") for day in (16, 17, 18, 19)]
    time, price = np.array(days), np.full(4, 100.0)
    tape = build_tape([BarSeries(Instrument("A", exchange="XNYS", lot=1.0), "1d", time, time + 390 * MINUTE, price,
                                 price, price, price, np.ones(4))])  # fmt: skip
    (refusal,) = logs_of(composed(tape, [TimeRestrictions()], Script()))["refusals"]
    assert (refusal["value"], refusal["limit"]) == (570.0, 585.0)
    free = TimeRestrictions(blackout_periods=["15:45-16:00"])
    assert logs_of(composed(tape, [free], Script()))["fills"].size == 1


def test_daily_bars_of_a_coin_pass() -> None:
    assert logs_of(composed(flat_tape([100.0] * 4), [TimeRestrictions()], Script()))["fills"].size == 1


@pytest.mark.parametrize(("periods", "told"), [
    ("09:30-09:45", "must be a list of times of day"),
    ([930], "must be a list of times of day"),
    (["9:30-9:45"], "'9:30-9:45' is not a time of day"),
    (["09:30"], "is not a time of day"),
    (["24:00-01:00"], "is not a time of day"),
    (["09:30-09:75"], "is not a time of day"),
    (["09:30-09:30"], "'09:30-09:30' ends when it begins; write \"00:00-24:00\" for the whole day"),
    (["12:00-13:00", "00:00-00:00"], "'00:00-00:00' ends when it begins"),
])
def test_a_blackout_is_a_list_of_times(periods: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        TimeRestrictions(blackout_periods=periods)
