"""The folder of a walk-forward is that of a run: shown again, simulated from, and honest where it is many runs."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tomli_w

from framework.backtest.api import settle
from framework.backtest.config import config_from_dict
from framework.backtest.explain import explain
from framework.backtest.metrics import daily_returns
from framework.backtest.recorded import again, open_run
from framework.backtest.run import load
from framework.cli.app import run
from framework.errors import ConfigError
from framework.research.history import history_of_run
from framework.research.walk_forward import forward, forward_again
from tests.test_fit import DOCUMENT as FITTED
from tests.test_fit import Mean

DOCUMENT: dict[str, Any] = {
    "data": {"source": "synthetic", "symbols": ["A"], "timeframe": "4h", "bars": 900, "seed": 4},
    "strategy": {"name": "ma_cross"},
    "fees": {"taker_bps": 5},
    "optimize": {"space": {"fast": [4, 8], "slow": [20, 30]}, "executor": "local", "workers": 1},
    "walk_forward": {"train": "40d", "test": "30d"},
    "monte_carlo": {"horizon": 30},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a walk-forward."""
    folder = tmp_path_factory.mktemp("forward")
    (folder / "forward.toml").write_text(tomli_w.dumps(DOCUMENT), encoding="utf-8")
    assert run(["walk-forward", str(folder / "forward.toml"), "--out", str(folder / "whole")]) == 0
    return folder / "whole"


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return Path(shutil.copytree(whole, tmp_path / "whole"))


def legs_of(folder: Path) -> list[dict[str, Any]]:
    """Return what run.json says of the legs."""
    legs: list[dict[str, Any]] = json.loads((folder / "run.json").read_text(encoding="utf-8"))["legs"]
    return legs


def test_its_report_is_made_again_byte_by_byte(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trials are read from the journals, so that a search which would choose otherwise is not run."""
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert run(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"report  {folder / 'report.html'} (made again)\n"
    assert (folder / "report.html").read_bytes() == before


def test_a_repetition_that_is_not_what_was_recorded_writes_no_report(folder: Path,
                                                                     capsys: pytest.CaptureFixture[str]) -> None:
    """The trades were changed by hand; other versions cannot be asked for."""
    trades = pl.read_parquet(folder / "trades.parquet")
    trades.with_columns(pl.col("pnl") + 1.0).write_parquet(folder / "trades.parquet")
    (folder / "report.html").unlink()
    assert run(["report", str(folder)]) == 1
    assert "differs from the recording in trades" in capsys.readouterr().err
    assert not (folder / "report.html").exists()
    assert run(["report", str(folder), "--any-version"]) == 2
    assert "leave --any-version away" in capsys.readouterr().err


def test_its_days_out_of_sample_are_simulated_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The days of the stitched run, with the section [monte_carlo] of its configuration, into the same report."""
    assert run(["monte-carlo", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 30
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<h2>Monte Carlo</h2>") == 1
    assert page.count("<h2>How far to believe it</h2>") == 1
    assert page.index("<h2>The legs</h2>") < page.index("<h2>Monte Carlo</h2>") < page.index("<h2>To do it again</h2>")
    found = forward_again(open_run(folder))
    history = history_of_run(folder)
    days = daily_returns(found.out.records.days["equity"], found.out.capital)
    np.testing.assert_allclose(history.returns, days, rtol=1e-12)
    assert history.equity == found.out.records.marks["equity"][-1]


def test_a_bar_is_explained_by_the_leg_that_it_lies_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the run that can be asked, and that run answers.

    Its entries are those of the stitched one but for the last two closes, at which the stitched one enters nothing.
    """
    second = legs_of(folder)[1]
    date = second["test_start"][:10]
    assert run(["explain", str(folder), "--symbol", "A", "--at", date]) == 2
    told = capsys.readouterr().err
    test = folder / "legs" / "002" / "test.toml"
    assert f"leg 2, in which {date} lies, framework backtest {test} --out leg-2" in told
    assert run(["backtest", str(test), "--no-report", "--out", str(folder / "leg-2")]) == 0
    assert run(["explain", str(folder / "leg-2"), "--symbol", "A", "--at", date]) == 0
    begin, end = (datetime.fromisoformat(second[name]) for name in ("test_start", "stitch_end"))
    next_to_last = end - 2 * timedelta(hours=4)
    made, mine = (pl.read_parquet(path / "orders.parquet").filter(pl.col("role") == "entry")
                  .select("placed_time", "qty", "average_price") for path in (folder, folder / "leg-2"))
    inside = made.filter((pl.col("placed_time") >= begin) & (pl.col("placed_time") < end))
    assert len(inside) > 0
    assert inside["placed_time"].max() < next_to_last  # type: ignore[operator]
    assert mine.filter(pl.col("placed_time") < next_to_last).equals(inside)
    assert mine.filter(pl.col("placed_time") >= end).is_empty()


def test_what_lies_in_no_leg_or_in_one_that_stayed_flat_is_told(folder: Path) -> None:
    """And a folder of a search is told from that of a run."""
    with pytest.raises(ConfigError, match="no bar of A at 2010-01-01: "):
        open_and_explain(folder, "2010-01-01")
    with pytest.raises(ConfigError, match="no symbol 'B' in the run; it has: A"):
        explain(folder, "B", "2010-01-01")
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    first = datetime.fromisoformat(document["legs"][0]["test_start"])
    with pytest.raises(ConfigError, match=f"no test lies at {first - timedelta(2):%Y-%m-%d}; those of its legs reach"):
        open_and_explain(folder, f"{first - timedelta(2):%Y-%m-%d}")
    document["legs"][1]["params"] = None
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ConfigError, match="leg 2, in which .* lies, stayed flat"):
        open_and_explain(folder, document["legs"][1]["test_start"])
    with pytest.raises(ConfigError, match=r"the folder of a search.*002/best\.toml --out best"):
        open_run(folder / "legs" / "002")


def test_without_a_time_the_first_leg_that_was_traded_is_named(folder: Path) -> None:
    """Whoever asks for the run as a whole asks for no bar, so that none lies anywhere."""
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    document["legs"][0]["params"] = None
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ConfigError, match="run that of leg 2, framework backtest .*/002/test.toml --out leg-2,"):
        again(open_run(folder))


def seams_at(folder: Path, hour: int) -> list[dict[str, Any]]:
    """Move the ends of all legs to another hour of their day; return what run.json says of the legs now."""
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for leg in document["legs"]:
        for name in ("test_start", "stitch_end"):
            leg[name] = leg[name].replace("T00:00", f"T{hour:02}:00")
    (folder / "run.json").write_text(json.dumps(document), encoding="utf-8")
    return legs_of(folder)


def test_a_date_means_the_end_of_its_day_where_legs_begin_within_it(folder: Path) -> None:
    """The first test begins at 16:00: its date lies in it, and so does that of the second in the second."""
    for number, leg in enumerate(seams_at(folder, 16)):
        with pytest.raises(ConfigError, match=f"run that of leg {number + 1}, in which"):
            open_and_explain(folder, leg["test_start"][:10])


def test_the_date_on_which_the_last_leg_ends_lies_in_it(folder: Path) -> None:
    """It ends at 16:00, so that the bars until 12:00 are its own, and those behind are nobody's."""
    legs = seams_at(folder, 16)
    date = legs[-1]["stitch_end"][:10]
    for at in (date, f"{date} 12:00", f"{date} 11:00"):
        with pytest.raises(ConfigError, match=f"run that of leg {len(legs)}, in which {at} lies"):
            open_and_explain(folder, at)
    for at in (f"{date} 12:01", f"{date} 16:00", f"{datetime.fromisoformat(date) + timedelta(1):%Y-%m-%d}"):
        with pytest.raises(ConfigError, match=f"no test lies at {at}"):
            open_and_explain(folder, at)


def test_the_bar_that_closes_at_a_seam_belongs_to_the_leg_behind_it(folder: Path) -> None:
    """At midnight it is the last bar of the day before, whose date means it; a time within it means it as well."""
    seam = datetime.fromisoformat(legs_of(folder)[1]["test_start"])
    assert f"{seam:%H:%M}" == "00:00"
    before = f"{seam - timedelta(1):%Y-%m-%d}"
    for at, leg in ((before, 2), (f"{before} 23:00", 2), (f"{before} 20:00", 1),
                    (f"{seam - timedelta(2):%Y-%m-%d}", 1), (f"{seam:%Y-%m-%d}", 2)):
        with pytest.raises(ConfigError, match=f"run that of leg {leg}, in which {at} lies"):
            open_and_explain(folder, at)


def open_and_explain(folder: Path, at: str) -> None:
    """Ask for an explanation."""
    explain(folder, "A", at)


def test_run_json_has_the_training_of_every_leg(tmp_path: Path) -> None:
    """One a leg, on its whole training window, beside the parameters that it chose."""
    tape = load(config_from_dict({**FITTED, "strategy": {"name": "any"}}))
    config, _ = settle(FITTED, tape, Mean, {})
    found = forward(config, tmp_path / "fitted", tape, report=False)
    document = json.loads((tmp_path / "fitted" / "run.json").read_text(encoding="utf-8"))
    assert [fit["trained_until"][:10] for fit in document["fits"]] == \
        [f"{leg.window.test_start:%Y-%m-%d}" for leg in found.legs]
    assert [leg["params"] for leg in document["legs"]] == [leg.params for leg in found.legs]
    assert all(fit["params"]["scale"] == leg.params["scale"] for fit, leg in
               zip(document["fits"], found.legs, strict=True) if leg.params is not None)
