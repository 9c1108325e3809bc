"""What a search writes can be run without the folder that its configuration stands in."""

from __future__ import annotations

from pathlib import Path

import pytest

import framework
from framework.backtest.config import config_from_dict
from framework.cli.app import run
from framework.research.search import write_config

BARS = "\n".join(["time,open,high,low,close,volume",
                  *(f"2024-01-{day:02},10,12,9,{9 + day % 3},5" for day in range(1, 31))])


@pytest.mark.parametrize("data", ['source = "catalogue"', 'source = "catalogue"\npath = "catalogue"',
                                  'source = "csv"\npath = "bars/{symbol}.csv"'],
                         ids=["a catalogue that is not named", "a named one", "a pattern"])
def test_a_written_configuration_finds_its_data_from_another_folder(data: str, tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars and funding lie beside the configuration; what is written of it lies elsewhere and gives the same run."""
    home, away = tmp_path / "home", tmp_path / "away"
    (home / "bars").mkdir(parents=True)
    away.mkdir()
    (home / "bars" / "A.csv").write_text(BARS + "\n")
    assert run(["data", "import", str(home / "bars" / "A.csv"), "--catalogue", str(home / "catalogue")]) == 0
    (home / "funding.csv").write_text("time,rate\n" + "\n".join(f"2024-01-{day},0.01" for day in range(10, 30)))
    (home / "own.toml").write_text(f'[data]\nsymbols = ["A"]\ntimeframe = "1d"\nfunding = "funding.csv"\n{data}\n'
                                   '[strategy]\nname = "ema_cross"\nparams = { fast = 2, slow = 4 }\n')
    config = framework.load_config(home / "own.toml")
    write_config(config, away / "written.toml", "the same")
    monkeypatch.chdir(away)
    again, expected = framework.backtest("written.toml"), framework.backtest(config)
    assert again.orders.equals(expected.orders)
    assert again.cash_flows.equals(expected.cash_flows)
    assert len(again.cash_flows) > 0


def test_a_written_configuration_names_its_dividends_whole(tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    config = config_from_dict({"data": {"source": "synthetic", "dividends": "paid/of all.csv"},
                               "strategy": {"name": "ema_cross"}}, tmp_path)
    write_config(config, tmp_path / "away" / "written.toml", "the same")
    written = framework.load_config(tmp_path / "away" / "written.toml")
    assert written.data.dividends == str(tmp_path / "paid" / "of all.csv")
    assert (written.data.funding, written.data.options) == (None, {})
