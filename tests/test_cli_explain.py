"""`framework explain`: what it says of a run in which every step is known by hand, and what it refuses to say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from told_runs import BARS, Handmade, make_run, write_bars

import framework
from framework import plugins
from framework.backtest.explain import explain
from framework.cli import main
from framework.errors import ConfigError
from framework.strategy import Strategy, buy, target


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of told_runs."""
    folder = tmp_path_factory.mktemp("told")
    write_bars(folder)
    return make_run(folder, "run")


def day(number: int) -> str:
    """Return the time at which bar `number` closes: a day of 24/7 ends at the next midnight."""
    return f"2024-01-{number + 1:02} 00:00"


def told(run: Path, number: int) -> dict[str, Any]:
    """Return what is said of the one slot at a bar."""
    found = explain(run, "HAND", day(number))
    assert found["bar"]["number"] == number
    assert [found["bar"][name] for name in ("open", "high", "low", "close")] == list(BARS[number - 1])
    assert found["is_faithful"]
    assert found["notes"] == []
    (slot,) = found["slots"]
    return dict(slot)


def test_a_bar_of_the_warm_up_says_from_which_bar_on_the_strategy_is_asked(run: Path) -> None:
    """sma(2) is defined at bar 2, and at the bar before from bar 3 on."""
    slot = told(run, 2)
    assert (slot["was_asked"], slot["reason"]) == (False, "warm-up")
    assert slot["because"] == "warm-up: this is bar 2, it is asked from bar 3 on (at 2024-01-04 00:00:00Z)"


def test_indicators_are_those_of_the_bar_and_of_the_bar_before(run: Path) -> None:
    """Closes 100, 99: mean 99.5; before it 100, 100."""
    slot = told(run, 3)
    assert slot["was_asked"]
    assert slot["intents"] == []
    assert (slot["indicators"], slot["indicators_before"]) == ({"mean": 99.5}, {"mean": 100.0})
    assert slot["verdict"] == "asked, and intended nothing"


def test_a_sleeping_slot_names_its_condition_and_the_bar_at_which_it_wakes(run: Path) -> None:
    """The next close above 100 is that of bar 5."""
    slot = told(run, 4)
    assert (slot["was_asked"], slot["reason"], slot["wake"]) == (False, "asleep", {"flat": False})
    assert slot["because"] == ("asleep: its wake when flat, (close > 100), is not true at this bar; it is asked next "
                               "at 2024-01-06 00:00:00Z unless an order fills")


def test_an_entry_is_followed_to_its_fill_with_price_slippage_and_fee(run: Path) -> None:
    """10 at the next open, 103; the fee is 10 bps of 1,030."""
    slot = told(run, 5)
    assert slot["intents"] == [{"verb": "order", "side": "buy", "kind": "market", "qty": 10.0, "stop": 98.0}]
    (order,) = slot["orders"]
    assert (order["side"], order["kind"], order["status"], order["qty"]) == ("buy", "market", "filled", 10.0)
    (fill,) = order["fills"]
    assert (fill["price"], fill["reference"], fill["slippage"]) == (103.0, 103.0, 0.0)
    assert fill["fee"] == pytest.approx(1.03)
    assert slot["refusals"] == []
    assert slot["buying_power"] == 10_000.0


def test_the_bar_of_a_fill_shows_it_at_its_open_and_the_stop_that_worked_since(run: Path) -> None:
    """The range of bar 6, 102 to 105, does not reach the stop at 98."""
    slot = told(run, 6)
    (fill,) = slot["fills"]
    assert (fill["phase"], fill["side"], fill["price"], fill["qty"]) == ("open", "buy", 103.0, 10.0)
    entry, stop = slot["working"]
    assert (entry["kind"], entry["outcome"]) == ("market", "filled")
    assert (stop["kind"], stop["role"], stop["side"], stop["price"]) == ("stop", "stop", "sell", 98.0)
    assert stop["outcome"] == "not reached by 102 to 105"
    assert not stop["is_reached"]
    assert slot["position"]["qty"] == 10.0
    assert slot["position"]["pnl"] == 10.0 * (104.0 - 103.0)
    assert slot["position"]["stop"] == 98.0


def test_a_stop_out_names_the_stop_its_level_and_the_fill(run: Path) -> None:
    """The low of bar 7, 97, is below 98: sold there, fee 10 bps of 980."""
    slot = told(run, 7)
    (stop,) = slot["working"]
    assert stop["is_reached"]
    (fill,) = slot["fills"]
    assert (fill["phase"], fill["role"], fill["side"], fill["price"]) == ("range", "stop", "sell", 98.0)
    assert fill["order_id"] == stop["id"]
    assert fill["fee"] == pytest.approx(0.98)
    assert slot["position"] == {"qty": 0.0}
    assert "in this bar it sold 10 at 98 (stop)" in slot["verdict"]


def test_a_refusal_names_the_rule_the_value_and_the_limit(run: Path) -> None:
    """A stop of 120 under a long entry at 111."""
    slot = told(run, 9)
    (refusal,) = slot["refusals"]
    assert (refusal["rule"], refusal["allowed"]) == ("wrong_side", 0.0)
    assert (refusal["value"], refusal["limit"]) == (120.0, 111.0)
    assert slot["orders"] == []
    assert "refused buy" in slot["verdict"]
    assert "value 120, limit 111" in slot["verdict"]


def test_a_reduction_names_the_rule_and_what_was_left(run: Path) -> None:
    """Equity 10,000 - 50 - 1.03 - 0.98 = 9,947.99, heat at most 0.006 of it = 59.68794; 12 a unit leave 4.973995."""
    slot = told(run, 10)
    (refusal,) = slot["refusals"]
    assert (refusal["rule"], refusal["asked"]) == ("portfolio_heat", 10.0)
    assert refusal["allowed"] == pytest.approx(0.006 * 9_947.99 / 12.0)
    assert refusal["limit"] == pytest.approx(0.006 * 9_947.99)
    (order,) = slot["orders"]
    assert order["qty"] == pytest.approx(0.006 * 9_947.99 / 12.0, abs=1e-8)
    assert "reduced from 10 to 4.973995 by the rule portfolio_heat" in slot["verdict"]


def test_a_date_is_the_last_bar_of_that_day_and_a_time_the_bar_around_it(run: Path) -> None:
    """On 24/7 the bar that closes at midnight belongs to the day before."""
    for at in ("2024-01-07", "2024-01-07T13:30:00", "2024-01-08T00:00:00Z", "2024-01-08T02:00:00+02:00"):
        assert explain(run, "HAND", at)["bar"]["number"] == 7, at


def test_the_window_of_decisions_is_named(tmp_path: Path) -> None:
    """Decisions from 2024-01-07 on: the close of bar 5 is before."""
    write_bars(tmp_path)
    run = make_run(tmp_path, "late", 'run.start="2024-01-07"', 'run.end="2024-01-11"')
    slot = told(run, 5)
    assert slot["because"] == "outside the window of decisions: [run] start = 2024-01-07 00:00:00Z"
    assert "past the end of the run" in told(run, 12)["because"]


def test_a_run_made_in_python_explains_itself() -> None:
    """Its data is still there, so that nothing has to be found again; several slots answer each for itself."""

    class Holds(Strategy):
        name = "holds"

        @staticmethod
        def decide(now):  # type: ignore[no-untyped-def]
            target(now, qty=2.0)

    class Ranks(Strategy):
        name = "ranks"
        state: ClassVar = {"seen": 0}

        @staticmethod
        def decide_all(nows):  # type: ignore[no-untyped-def]
            for now in nows:
                now.state.seen += 1
                if now.state.seen == 3:
                    buy(now, qty=1.0, tag=0)

    prices = np.linspace(100.0, 120.0, 10)
    times = np.datetime64("2024-01-01", "ns") + np.arange(10) * np.timedelta64(1, "D")
    frame = {"open_time": times, "open": prices, "high": prices + 1, "low": prices - 1, "close": prices,
             "volume": np.full(10, 1e6)}
    result = framework.backtest(data={"A": frame, "B": frame}, strategy=[Holds, Ranks])
    found = framework.explain(result, "B", "2024-01-03")
    holds, ranks = found["slots"]
    assert holds["verdict"].endswith("no order came of it: what it wants is held or under way already")
    assert ranks["state"] == {"seen": 2}
    assert [order["status"] for order in ranks["orders"]] == ["filled"]


# --- what it refuses --------------------------------------------------------------------------------------------------


def says(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, which must find bad input, and return its message."""
    capsys.readouterr()
    assert main(["explain", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_a_misspelt_symbol_or_run_and_a_time_without_a_bar_are_told(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the nearest name, and the range of the data."""
    assert "did you mean 'HAND'?" in says(capsys, str(run), "--symbol", "HND", "--at", "2024-01-03")
    assert "did you mean 'run'?" in says(capsys, str(run.parent / "rn"), "--symbol", "HAND", "--at", "2024-01-03")
    assert "its bars reach from 2024-01-01" in says(capsys, str(run), "--symbol", "HAND", "--at", "2025-01-03")
    assert "--at = 'noon'" in says(capsys, str(run), "--symbol", "HAND", "--at", "noon")
    assert "it has no run.json" in says(capsys, str(run.parent), "--symbol", "HAND", "--at", "2024-01-03")


def test_data_that_changed_is_refused_and_the_symbol_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One close of one bar."""
    write_bars(tmp_path)
    run = make_run(tmp_path, "run")
    write_bars(tmp_path, {12: (115, 117, 114, 116.5)})
    message = says(capsys, str(run), "--symbol", "HAND", "--at", "2024-01-03")
    assert "the data is not what it was" in message
    assert "other bars of HAND" in message


def test_other_versions_are_refused_unless_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recording says numpy 1.0 and an older plug-in; what is told all the same says so."""
    write_bars(tmp_path)
    run = make_run(tmp_path, "run")
    document = json.loads((run / "run.json").read_text())
    document["versions"]["numpy"] = "1.0"
    document["plugins"][0]["version"] = "0.0.1"
    (run / "run.json").write_text(json.dumps(document))
    capsys.readouterr()
    message = says(capsys, str(run), "--symbol", "HAND", "--at", "2024-01-05")
    assert f"numpy was 1.0, is {np.__version__}" in message
    assert "strategy handmade: version was 0.0.1, is none" in message
    assert main(["explain", str(run), "--symbol", "HAND", "--at", "2024-01-05", "--any-version", "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert f"other code than that of the run: numpy was 1.0, is {np.__version__}" in notes


def test_a_repetition_that_differs_from_the_recording_is_a_failed_check(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A strategy of the same name and version that does something else: the source was not kept in this recording."""

    class Other(Handmade):
        name = "handmade"

        @staticmethod
        def decide(now):  # type: ignore[no-untyped-def]
            if now.position.qty == 0:
                buy(now, qty=1.0)

    monkeypatch.setattr("framework.backtest.run.source_key", lambda value: "")
    document = json.loads((run / "run.json").read_text())
    for item in document["plugins"]:
        item["source"] = ""
    copy = run.parent / "copy"
    copy.mkdir()
    for file in run.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "run.json").write_text(json.dumps(document))
    plugins.registry().add("strategy", Other)
    try:
        assert main(["explain", str(copy), "--symbol", "HAND", "--at", "2024-01-06"]) == 1
        assert "the repetition is not what was recorded: its orders differ" in capsys.readouterr().out
    finally:
        plugins.registry().add("strategy", Handmade)


def test_the_text_says_each_step_on_a_line_of_its_own(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a person reads of the stop-out."""
    assert main(["explain", str(run), "--symbol", "HAND", "--at", "2024-01-07"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "HAND, bar 7 of 12 (1d), 2024-01-07 00:00:00Z to 2024-01-08 00:00:00Z"
    assert "worked   order 2: sell stop 98, the whole position; filled" in lines
    assert any(line.startswith("filled   order 2, range: sold 10 at 98 (stop)") for line in lines)


def test_a_run_of_a_table_in_memory_cannot_be_found_again() -> None:
    """A folder does not keep its data; Python still has it."""
    from framework.backtest.recorded import load_recorded, of_result

    prices = np.linspace(100.0, 120.0, 10)
    times = np.datetime64("2024-01-01", "ns") + np.arange(10) * np.timedelta64(1, "D")
    frame = {"open_time": times, "open": prices, "high": prices + 1, "low": prices - 1, "close": prices,
             "volume": np.full(10, 1e6)}
    result = framework.backtest(data=frame, strategy=Handmade)
    run = of_result(result)
    with pytest.raises(ConfigError, match="made of a table in memory"):
        load_recorded(run, run.config())


def test_a_run_without_a_decision_leaves_a_folder_that_explain_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The averages do not cross within two days of the window; the run is finished, and says whom to ask."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quiet.toml").write_text("""
[run]
start = 2020-03-01
end = 2020-03-02
[data]
source = "synthetic"
bars = 100
symbols = ["A"]
timeframe = "1d"
[strategy]
name = "ema_cross"
""")
    assert main(["backtest", "quiet.toml", "--out", "quiet", "--no-report"]) == 0
    shown = capsys.readouterr().out
    assert "no decision in the whole run: ema_cross never bought or sold" in shown
    assert "framework explain RUN --symbol A --at TIME" in shown
    recorded = json.loads((tmp_path / "quiet" / "run.json").read_text())
    assert recorded["status"] == "done"
    assert any("no decision" in note for note in recorded["notes"])
    assert main(["explain", "quiet", "--symbol", "A", "--at", "2020-03-01"]) == 0
    assert "is not true at this bar; it is asked next at" in capsys.readouterr().out
