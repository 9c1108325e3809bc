"""Bars without volume: read from any table, run wherever no volume is needed, refused where one is."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import framework
from framework import ConfigError, DataError, Param, RiskRule, SlippageModel, Strategy, buy, plugins
from framework.cli import main
from framework.data import Catalogue, from_frame, load_tape, resample, tape_from_frames
from framework.indicators import Bars, ema, evaluate, sma, vwma
from framework.risk import refuse

PRICES = ("open", "high", "low", "close")


def table(count: int = 48, **columns: Any) -> dict[str, Any]:
    """Return hourly bars without volume, with some columns replaced or added."""
    times = (np.datetime64("2024-01-01T00:00") + 60 * np.arange(count)).astype(str).tolist()
    return {"time": times, **{name: [10.0 + hour % 5 for hour in range(count)] for name in PRICES}, **columns}


class Buying(Strategy):
    """Buys at every bar; its indicator is called volume and is none."""

    name = "buying_without_volume"

    def indicators(self, bars):  # type: ignore[no-untyped-def]
        return {"volume": sma(bars.close, 2)}

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.ind.volume > 0.0:
            buy(now, qty=1.0)


class Reading(Strategy):
    """Reads the volume of the bar in its decision."""

    name = "reading_volume"

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.bar.volume > 0.0:
            buy(now, qty=1.0)


class Averaging(Strategy):
    """Reads the volume through an indicator."""

    name = "averaging_volume"

    def indicators(self, bars):  # type: ignore[no-untyped-def]
        return {"mean": vwma(bars.close, bars.volume, 3)}


class Crossing(Buying):
    """Buys above its average of closes."""

    name = "crossing_without_volume"
    length = Param(2, low=2, high=5)

    def indicators(self, bars):  # type: ignore[no-untyped-def]
        return {"volume": bars.close - sma(bars.close, self.length)}


class Thinned(SlippageModel):
    """A thousandth of the mean volume, in currency a unit; reads that of a longer timeframe too."""

    name = "thinned"

    def indicators(self, bars):  # type: ignore[no-untyped-def]
        return {"mean": sma(bars.volume, 2), "longer": bars.timeframe("4h").volume}

    @staticmethod
    def price(fill):  # type: ignore[no-untyped-def]
        return fill.reference + math.copysign(0.001 * fill.ind.mean, fill.qty)


class Watchful(RiskRule):
    """Reads the volume through an indicator."""

    name = "watchful"

    def indicators(self, bars):  # type: ignore[no-untyped-def]
        return {"mean": sma(bars.volume, 2)}

    @staticmethod
    def check(order):  # type: ignore[no-untyped-def]
        if order.ind.mean < 100.0:
            refuse(order, order.ind.mean, 100.0)


def on(strategy: type[Strategy], *symbols: str) -> dict[str, Any]:
    """Return the use of a strategy on some symbols only."""
    plugins.registry().add("strategy", strategy)
    return {"name": strategy.name, "symbols": list(symbols)}


def run(strategy: Any = Buying, data: Any = None, **settings: Any) -> Any:
    """Run a strategy on bars without volume."""
    data = {"EUR": table()} if data is None else data
    return framework.backtest(data=data, stamp="open", strategy=strategy, **settings)


@pytest.mark.parametrize("given", [
    table(), table(volume=[None] * 48), pl.DataFrame(table()), pl.DataFrame(table()).to_pandas(),
], ids=["dict", "empty column", "polars", "pandas"])
def test_a_table_without_volume_is_read_and_says_so(given: Any) -> None:
    tape = tape_from_frames({"EUR": given}, stamp="open")
    assert (tape.without_volume, tape.has_volume(0)) == (("EUR",), False)
    assert np.isnan(tape.volume).all()


def test_files_and_the_catalogue_are_read_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One tape from a CSV file, a Parquet file and the catalogue; the check tells that there is none."""
    pl.DataFrame(table()).write_csv(tmp_path / "EUR.csv")
    pl.DataFrame(table()).write_parquet(tmp_path / "EUR.parquet")
    tapes = [load_tape(kind, {"path": f"EUR.{kind}", "stamp": "open"}, folder=tmp_path) for kind in ("csv", "parquet")]
    Catalogue(tmp_path / "kept").add([(from_frame(table(), "EUR", stamp="open"), "here")])
    tapes.append(load_tape("catalogue", {"path": "kept"}, folder=tmp_path))
    assert {tape.fingerprint for tape in tapes} == {tapes[0].fingerprint}
    assert tapes[0].without_volume == ("EUR",)
    assert main(["data", "check", str(tmp_path / "EUR.csv"), "--stamp", "open"]) == 0
    assert "EUR 1h, 48 bars (no volume)" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path / "EUR.csv"), "--stamp", "open", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["series"][0]["has_volume"] is False


@pytest.mark.parametrize("name", ["Volume BTC", "tickvolume2", "vol_usd"])
def test_a_column_that_looks_like_volume_is_not_passed_over(name: str) -> None:
    told = (r'no column for volume; there are: .*columns = \{ volume = "\.\.\." \}; '
            rf"'{name}' looks like volume: rename or drop it if it is not the volume$")
    with pytest.raises(DataError, match=told):
        from_frame(table(**{name: [1.0] * 48}), stamp="open")
    series = from_frame(table(**{name: [1.0] * 48}), stamp="open", columns={"volume": name})
    assert series.has_volume


@pytest.mark.parametrize("name", ["volatility", "Implied_Vola", "evolution", "involved", "realvol20"])
def test_a_column_of_another_thing_does_not_look_like_volume(name: str) -> None:
    assert not from_frame(table(**{name: [1.0] * 48}), stamp="open").has_volume


def test_a_single_missing_volume_is_still_refused() -> None:
    with pytest.raises(DataError, match="1 of 48 rows refused; rule: prices and volume are finite numbers"):
        from_frame(table(volume=[None, *[1.0] * 47]), stamp="open")


def test_longer_bars_filled_holes_and_finer_bars_have_none_either() -> None:
    data = table()
    holed = {name: values[:10] + values[12:] for name, values in data.items()}
    filled = from_frame(holed, "EUR", stamp="open", gaps="fill")
    assert (len(filled), filled.report.filled, filled.has_volume) == (48, 2, False)
    assert not resample(filled, "4h").has_volume
    tape = tape_from_frames({"EUR": data}, timeframe="4h", detail_timeframe="1h", stamp="open")
    assert tape.without_volume == ("EUR",)
    assert np.isfinite(evaluate(ema(Bars().timeframe("8h").close, 2), tape, 0)[-1])


def test_a_run_that_needs_no_volume_is_that_of_bars_with_volume() -> None:
    """Fills and equity are the same; only the note is new."""
    bare, full = run(), run(data={"EUR": table(volume=[5.0] * 48)})
    assert len(bare.fills) > 10
    assert bare.fills.equals(full.fills)
    assert bare.equity.equals(full.equity)
    assert set(bare.notes) - set(full.notes) == {"the data of EUR have no volume: fills are not limited by any"}
    assert framework.explain(bare, "EUR", "2024-01-01 10:00")["bar"]["volume"] is None


@pytest.mark.parametrize(("strategy", "settings", "message"), [
    (Buying, {"fills": {"participation": 0.1}}, r"\[fills\] participation = 0\.1 limits fills by the volume of bars"),
    (Buying, {"slippage": "volume_impact"}, r"volume_impact\.price reads mean volume, which the data of EUR do not"),
    (Reading, {}, r"reading_volume\.decide reads volume, which the data of EUR do not have; mend: name its column"),
    (Averaging, {}, r"averaging_volume: an indicator reads the volume of EUR, which the data do not have; mend: name"),
])
def test_whatever_needs_volume_is_refused_with_the_mend(strategy: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        run(strategy, **settings)
    assert run(strategy, data={"EUR": table(volume=[5.0] * 48)}, **settings).outcome == "done"


def test_one_symbol_without_volume_among_others_is_named() -> None:
    data = {"EUR": table(), "GBP": table(volume=[5.0] * 48)}
    with pytest.raises(ConfigError, match="the data of EUR do not have"):
        run(data=data, fills={"participation": 0.1})
    tape = tape_from_frames(data, stamp="open")
    assert evaluate(Bars().volume, tape, 1)[0] == 5.0
    with pytest.raises(DataError, match="an indicator reads the volume of EUR"):
        evaluate(Bars().volume, tape, 0)


@pytest.mark.parametrize(("settings", "message"), [
    ({"fills": {"participation": 0.1}}, r"\[fills\] participation = 0\.1 .* which the data of VIX do not have"),
    ({"strategy": Reading}, r"reading_volume\.decide reads volume, which the data of VIX do not have"),
    ({"slippage": "volume_impact"}, r"volume_impact\.price reads mean volume, which the data of VIX do not have"),
])
def test_a_symbol_that_nobody_trades_needs_no_volume(settings: dict[str, Any], message: str) -> None:
    data = {"GBP": table(volume=[500.0] * 48), "VIX": table()}
    settings = {"strategy": Buying, **settings}
    found = run(data=data, **{**settings, "strategy": on(settings["strategy"], "GBP")})
    assert len(found.fills) > 10
    assert not [note for note in found.notes if "no volume" in note]
    with pytest.raises(ConfigError, match=message):
        run(data=data, **settings)


def test_a_decision_needs_the_volume_of_its_own_symbols_only() -> None:
    """VIX is traded, by a strategy that reads none."""
    data = {"GBP": table(volume=[500.0] * 48), "VIX": table()}
    found = run([on(Reading, "GBP"), on(Buying, "VIX")], data)
    assert set(found.fills["symbol"]) == {"GBP", "VIX"}
    assert "the data of VIX have no volume: fills are not limited by any" in found.notes
    with pytest.raises(ConfigError, match=r"reading_volume\.decide reads volume, which the data of VIX do not have"):
        run([on(Reading, "VIX"), on(Buying, "GBP")], data)


@pytest.mark.parametrize("settings", [{"slippage": Thinned}, {"risk": Watchful}], ids=["slippage", "rule"])
def test_an_indicator_beside_the_strategies_needs_the_volume_of_traded_symbols_only(settings: dict[str, Any]) -> None:
    """A thousandth of a mean volume of 500 is 0.5 a unit."""
    data = {"GBP": table(volume=[500.0] * 48), "VIX": table()}
    found = run(on(Buying, "GBP"), data, **settings)
    assert set(found.fills["slippage"].tail(5)) == ({0.5} if "slippage" in settings else {0.0})
    with pytest.raises(DataError, match="an indicator reads the volume of VIX, which the data do not have"):
        run([on(Buying, "GBP"), on(Buying, "VIX")], data, **settings)


def test_a_column_of_all_symbols_is_nan_where_volume_is_missing_and_not_needed() -> None:
    tape = tape_from_frames({"GBP": table(volume=[500.0] * 48), "VIX": table()}, stamp="open")
    other = tape.symbol_index("GBP")
    for series in (Bars().volume, Bars().timeframe("4h").volume):
        column = evaluate(series, tape, None, needed=[other])
        assert np.nanmax(column[tape.rows(other)]) in (500.0, 2_000.0)
        assert np.isnan(column[tape.rows(1 - other)]).all()
        with pytest.raises(DataError, match="an indicator reads the volume of VIX"):
            evaluate(series, tape, None)
    with pytest.raises(DataError, match="an indicator reads the volume of VIX"):
        evaluate(sma(Bars().symbol("VIX").volume, 2), tape, None, needed=[other])


def test_a_search_says_why_its_trials_fail() -> None:
    with pytest.raises(ConfigError, match=r"no trial has a value.*participation = 0\.1 limits fills by the volume"):
        framework.optimize(data={"EUR": table()}, stamp="open", strategy="ma_cross", sampler="grid", min_trades=0,
                           space={"fast": [2, 3], "slow": [5]}, fills={"participation": 0.1})


def test_a_search_over_a_symbol_needs_no_volume_of_another() -> None:
    data = {"GBP": table(volume=[500.0] * 48), "VIX": table()}
    found = framework.optimize(data=data, stamp="open", strategy=on(Crossing, "GBP"), sampler="grid", min_trades=0,
                               space={"length": [2, 3]}, fills={"participation": 0.1}, slippage=Thinned, risk=Watchful)
    assert [one.state for one in found.outcomes] == ["complete", "complete"]
