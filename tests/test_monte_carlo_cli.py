"""`framework monte-carlo RUN` and `backtest --monte-carlo`: from a run's folder to a file, a table or a document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_result import DAY_NS, START, random_prices, sample_result

import framework
from framework.backtest.config import config_from_dict
from framework.backtest.metrics import daily_returns
from framework.backtest.monte_carlo_section import MonteCarlo
from framework.backtest.write import write_run
from framework.cli import main
from framework.errors import ConfigError, DataError
from framework.research.history import daily_equity, history_of_run
from framework.research.monte_carlo import simulate

SECTION = {"method": "bootstrap", "horizon": 20}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run on UTC days, whose configuration has a section [monte_carlo]."""
    monkeypatch.chdir(tmp_path)
    plain = sample_result(bars=400, per_slot=20)
    result = sample_result(bars=400, per_slot=20, data={**plain.data, "account_calendar": "24/7"},
                           config={**plain.config, "monte_carlo": SECTION})
    return write_run(result, tmp_path / "run", report=False).relative_to(tmp_path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command and return its exit code, stdout and stderr."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


# --- the command ------------------------------------------------------------------------------------------------------


def test_a_bare_name_is_that_of_a_run_in_runs(run: Path, call: Any) -> None:
    (run.parent / "runs").mkdir()
    run.rename(run.parent / "runs" / "mine")
    code, out, err = call("monte-carlo", "mine", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["run"] == str(Path("runs") / "mine")
    code, _, err = call("monte-carlo", "mina")
    assert code == 2
    assert "did you mean 'mine'" in err


def test_the_document_is_what_the_file_holds_and_what_python_gives(run: Path, call: Any) -> None:
    code, out, err = call("monte-carlo", str(run), "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told == json.loads((run / "monte_carlo.json").read_text())
    assert (told["run"], told["file"]) == (str(run), str(run / "monte_carlo.json"))
    assert (told["method"], told["horizon"], told["paths"], told["seed"]) == ("bootstrap", 20, 10_000, 1)
    found = simulate(history_of_run(run))
    assert told["estimates"]["Horizon VaR 99 [%]"]["value"] == found.estimates["Horizon VaR 99 [%]"].value
    assert [count for count, _ in told["estimates"]["Horizon VaR 99 [%]"]["trace"]] == [1_250, 2_500, 5_000, 10_000]
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def test_the_table_shows_estimates_their_way_and_the_notes(run: Path, call: Any) -> None:
    code, out, _ = call("monte-carlo", str(run))
    assert code == 0
    assert out.startswith("bootstrap: 10,000 paths of 20 days, seed 1, ruin at 50% of the equity at the start\n")
    assert re.search(r"^estimate +value +95 % interval +at 2,500 +at 5,000", out, re.MULTILINE)
    assert re.search(r"^Horizon CVaR 99 \[%\] +-?[\d.]+ +-?[\d.]+ \.\. -?[\d.]+( +-?[\d.]+){2}", out, re.MULTILINE)
    assert "* paths are made of 400 days of history" in out
    assert out.endswith(f"result  {run / 'monte_carlo.json'}\n")


def test_flags_come_after_overrides_and_those_after_the_configuration(run: Path, call: Any) -> None:
    given = ("--set", "monte_carlo.horizon=30", "--set", "monte_carlo.ruin=0.9", "--horizon", "40", "--method", "gbm",
             "--paths", "12_000".replace("_", ""), "--seed", "5", "--threads", "2", "--json")
    told = json.loads(call("monte-carlo", str(run), *given)[1])
    assert (told["method"], told["horizon"], told["paths"], told["ruin"], told["seed"]) == ("gbm", 40, 12_000, 0.9, 5)


def test_another_folder_is_made_when_it_is_named(run: Path, call: Any) -> None:
    told = json.loads(call("monte-carlo", str(run), "--out", "a/b", "--json")[1])
    assert told["file"] == str(Path("a/b/monte_carlo.json"))
    assert Path(told["file"]).is_file()
    assert not (run / "monte_carlo.json").exists()


def test_a_later_simulation_replaces_the_file(run: Path, call: Any) -> None:
    for method in ("gbm", "trade_reshuffle"):
        assert call("monte-carlo", str(run), "--method", method)[0] == 0
        assert json.loads((run / "monte_carlo.json").read_text())["method"] == method


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "monte_carlo.horizn=3"), "unknown key 'horizn'; did you mean 'horizon'"),
        (("--set", "run.capital=3"), "--set run: a finished run is simulated; only keys of [monte_carlo]"),
        (("--set", "monte-carlo.paths=20000"), "did you mean 'monte_carlo'"),
        (("--method", "gmb"), "did you mean 'gbm'"),
        (("--paths", "500"), "paths = 500"),
        (("--threads", "0"), "--threads"),
        (("--out", "run.toml/x"), "cannot make the folder"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_two(run: Path, call: Any, arguments: tuple[str, ...], message: str
                                                    ) -> None:
    Path("run.toml").write_text("")
    code, out, err = call("monte-carlo", str(run), *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not (run / "monte_carlo.json").exists()


def test_what_is_no_run_folder_is_refused(run: Path, call: Any) -> None:
    code, out, err = call("monte-carlo", "nowhere", "--json")
    assert code == 2
    assert "no run folder at 'nowhere'" in err
    assert json.loads(out)["exit_code"] == 2
    for name in ("trades.parquet", "equity.parquet", "run.json"):
        (run / name).unlink()
        with pytest.raises(ConfigError, match=f"is no run folder: it has no {name}"):
            history_of_run(run)


@pytest.mark.parametrize(("name", "content"), [
    ("run.json", "{"), ("run.json", "[]"), ("run.json", "{}"), ("run.json", '{"data": {"account_calendar": "24/7"}}'),
    ("equity.parquet", "no parquet"), ("trades.parquet", ""),
])
def test_a_broken_file_is_named(run: Path, name: str, content: str) -> None:
    (run / name).write_text(content)
    with pytest.raises(DataError, match=name):
        history_of_run(run)


# --- what a run leaves behind -----------------------------------------------------------------------------------------


def test_the_days_of_a_run_read_back_are_those_of_the_run() -> None:
    """On UTC days with several marks a day, and on days of an exchange, whose sessions end at its close."""
    prices = random_prices(("A",), 30, DAY_NS // 6, 1)
    expected = prices.close[5::6]
    assert np.array_equal(daily_equity(prices.close_time, prices.close, "24/7"), expected)
    assert len(daily_equity(prices.close_time[:0], prices.close[:0], "24/7")) == 0
    friday = START + 2 * DAY_NS
    times = friday + np.array([15, 21, 30, 62, 90]) * 3_600_000_000_000
    assert list(daily_equity(times, np.arange(5.0), "XNYS")) == [1.0, 4.0], "a weekend's marks belong to Monday"


@pytest.mark.parametrize("timeframe", ["1d", "4h"])
def test_a_real_run_is_read_back_and_simulated(tmp_path: Path, timeframe: str) -> None:
    result = framework.backtest(data={"source": "synthetic", "bars": 900}, symbols=["SYNTH"], timeframe=timeframe,
                                strategy="ema_cross", monte_carlo={"horizon": 30})
    read = history_of_run(write_run(result, tmp_path / "run", report=False))
    assert np.array_equal(read.returns, daily_returns(result.records.days["equity"], result.capital))
    assert np.array_equal(read.pnl, result.records.trades["pnl"])
    assert (read.capital, read.seed, read.annualization) == (result.capital, result.seed, result.annualization)
    assert read.equity == result.stats["Equity Final"]
    assert simulate(read).steps == 30


def test_a_backtest_simulates_after_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(
        '[data]\nsource = "synthetic"\nbars = 600\nsymbols = ["SYNTH"]\n[strategy]\nname = "ema_cross"\n'
        '[monte_carlo]\nhorizon = 15\n'
    )
    code, out, _ = call("backtest", "run.toml", "--no-report", "--json", "--monte-carlo", "--out", "made")
    told = json.loads(out)
    assert code == 0
    assert told["run"] == "made"
    assert told["monte_carlo"] == json.loads(Path("made/monte_carlo.json").read_text())
    assert told["monte_carlo"]["horizon"] == 15
    code, out, _ = call("backtest", "run.toml", "--no-report", "--monte-carlo", "--out", "shown")
    assert code == 0
    assert "Sharpe Ratio" in out
    assert "Horizon VaR 95 [%]" in out
    code, out, _ = call("backtest", "run.toml", "--no-report", "--json", "--out", "plain")
    assert "monte_carlo" not in json.loads(out)
    assert not Path("plain/monte_carlo.json").exists()


# --- the section ------------------------------------------------------------------------------------------------------


def test_the_section_is_part_of_a_configuration_and_comes_back() -> None:
    document = {"data": {"source": "synthetic"}, "strategy": {"name": "ema_cross"}, "monte_carlo": SECTION}
    config = config_from_dict(document)
    assert config.monte_carlo == MonteCarlo(method="bootstrap", horizon=20)
    assert config_from_dict(config.to_dict()) == config
    del document["monte_carlo"]
    assert "monte_carlo" not in config_from_dict(document).to_dict()
    with pytest.raises(ConfigError, match=r"\[monte_carlo\]: unknown key 'path'; did you mean 'paths'"):
        config_from_dict({**document, "monte_carlo": {"path": 20_000}})


def test_a_result_its_folder_and_the_command_give_the_same_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """framework.monte_carlo takes the run in memory or on disk, with the settings of its configuration."""
    monkeypatch.chdir(tmp_path)
    result = framework.backtest(data={"source": "synthetic", "bars": 900}, symbols=["SYNTH"], timeframe="1h",
                                strategy="ema_cross", monte_carlo={"horizon": 20}, seed=3)
    write_run(result, tmp_path / "run", report=False)
    assert main(["monte-carlo", "run", "--method", "gbm", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    for given in (result, "run", tmp_path / "run"):
        found = framework.monte_carlo(given, method="gbm")
        assert (found.steps, found.seed, found.settings.method) == (20, 3, "gbm")
        assert {name: one.value for name, one in found.estimates.items()} == {
            name: one["value"] for name, one in told["estimates"].items()}


def test_daily_returns_are_simulated_and_anything_else_is_refused() -> None:
    returns = np.random.default_rng(5).normal(0, 0.01, 300)
    found = framework.monte_carlo(returns, horizon=10, seed=2)
    expected = simulate(returns, MonteCarlo(horizon=10), 2)
    assert {name: one.value for name, one in found.estimates.items()} == {
        name: one.value for name, one in expected.estimates.items()}
    with pytest.raises(ConfigError, match=r"run is dict; it must be a Result, the folder of a run, or daily returns"):
        framework.monte_carlo({})
    with pytest.raises(ConfigError, match=r"unknown key 'path'; did you mean 'paths'"):
        framework.monte_carlo(returns, path=20_000)
    with pytest.raises(ConfigError, match="no run folder at 'nowhere'"):
        framework.monte_carlo("nowhere")
