"""Training: only bars before its end are seen, decisions and statistics begin there, every leg trains anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
import pytest

import framework
from framework import ConfigError, Now, Param, Strategy, StrategyError, Train, buy, close_position, target
from framework.backtest.config import config_from_dict
from framework.backtest.duration import nanoseconds, utc
from framework.backtest.fitting import fitted
from framework.backtest.run import load
from framework.data import Tape
from framework.indicators import Bars, ColumnCache, Expression, evaluate, roc
from framework.research.folds import cross_validate
from framework.research.walk_forward import Forward, walk_forward
from framework.testing import check_plugin, decide_all_once, decide_once, synthetic_market

DAY = 86_400_000_000_000
BEGIN = 1_577_836_800_000_000_000  # 2020-01-01


class Mean(Strategy):
    """Hold what has risen more over five bars than it did on average in training."""

    name = "mean_of_training"
    above = Param(0.0, low=-10.0, high=10.0)
    scale = Param(1.0, low=0.1, high=10.0)
    seen: ClassVar[list[Train]] = []

    def indicators(self, bars: Bars) -> Mapping[str, Expression]:
        """Return the change of the close."""
        return {"change": roc(bars.close, 5)}

    def fit(self, train: Train) -> dict[str, Any]:
        """Return the mean change of all symbols, and the last price seen."""
        Mean.seen.append(train)
        changes = np.concatenate([train.columns(symbol)["change"] for symbol in train.symbols])
        return {"mean": self.scale * float(np.nanmean(changes)), "last": float(train.tape.close[-1])}

    @staticmethod
    def decide(now: Now) -> None:
        """Compare with the mean."""
        if now.position.qty == 0.0 and now.ind.change > now.model["mean"] + now.p.above:
            buy(now)
        elif now.position.qty > 0.0 and now.ind.change < now.model["mean"]:
            close_position(now)


class Ranked(Strategy):
    """Hold the symbol that the model names."""

    name = "ranked_by_training"

    def fit(self, train: Train) -> int:
        """Return the place of the symbol that rose most."""
        rows = [train.rows(symbol) for symbol in train.symbols]
        return int(np.argmax([train.tape.close[row.stop - 1] / train.tape.close[row.start] for row in rows]))

    @staticmethod
    def decide_all(nows: Any) -> None:
        """Hold one."""
        for i in range(len(nows)):
            target(nows[i], weight=0.5 if i == nows[0].model else 0.0)


DOCUMENT: dict[str, Any] = {
    "data": {"source": "synthetic", "symbols": ["A", "B"], "timeframe": "4h", "bars": 1_100, "seed": 4},
    "fees": {"taker_bps": 5},
    "optimize": {"space": {"above": [0.0, 1.0], "scale": [1.0, 2.0]}, "executor": "local", "workers": 1},
    "walk_forward": {"train": "60d", "test": "30d"},
}


@pytest.fixture(scope="module")
def tape() -> Tape:
    """The bars of DOCUMENT."""
    return load(config_from_dict({**DOCUMENT, "strategy": {"name": "any"}}))


@pytest.fixture(scope="module")
def found(tape: Tape) -> Forward:
    """The walk-forward of DOCUMENT."""
    return walk_forward(DOCUMENT, data=tape, strategy=Mean)


def poisoned(tape: Tape, from_ns: int) -> Tape:
    """Return the tape with every bar that closes at a time or later changed beyond recognition."""
    bad = tape.close_time >= from_ns
    wave = 50.0 + 40.0 * np.sin(np.arange(tape.n_bars))
    prices = {name: np.where(bad, wave, getattr(tape, name)) for name in ("open", "close")}
    return attrs.evolve(tape, **prices, high=np.where(bad, 100.0, tape.high), low=np.where(bad, 1.0, tape.low))


def until_of(fit: Mapping[str, Any]) -> int:
    """Return the end of a recorded training, ns."""
    return int(np.datetime64(str(fit["trained_until"]).removesuffix("Z"), "ns").astype(np.int64))


def test_a_backtest_trains_on_the_bars_before_trained_until_and_decides_on_those_after(tape: Tape) -> None:
    """100 days of four-hour bars are 600 a symbol: 599 close before the end, and the 600th is the first to decide."""
    Mean.seen.clear()
    result = framework.backtest(data=tape, strategy=Mean, trained_until="2020-04-10")
    (train,), until = Mean.seen, BEGIN + 100 * DAY
    assert train.until == until
    assert int(train.tape.close_time.max()) == until - DAY // 6
    assert [train.rows(symbol) for symbol in ("A", "B")] == [slice(0, 599), slice(599, 1198)]
    assert result.records.orders["placed_time"].min() >= until
    assert result.stats["Start"] == utc(until)
    (fit,) = result.fits
    assert (fit["bars"], fit["trained_until"]) == (1198, "2020-04-10 00:00:00Z")
    changes = [evaluate(roc(Bars().close, 5), tape, symbol)[:599] for symbol in (0, 1)]
    expected = {"mean": float(np.nanmean(np.concatenate(changes))), "last": float(tape.close[1100 + 598])}
    assert fit["model"] == repr(expected)


def test_no_bar_after_training_reaches_the_model(tape: Tape) -> None:
    """All bars from its end on are replaced: the model is the same to the last byte of its pickle."""
    until = BEGIN + 100 * DAY
    one, other = (fitted(Mean(), data, None, None, until, 1) for data in (tape, poisoned(tape, until)))
    assert one.fingerprint == other.fingerprint
    seen = fitted(Mean(), poisoned(tape, until - DAY // 6), None, None, until, 1)
    assert seen.fingerprint != one.fingerprint, "the poison is one that a model can taste"


def test_statistics_leave_the_bars_of_training_out(tape: Tape) -> None:
    """Whatever [run] start says, the run is that which starts where training ended."""
    late = framework.backtest(data=tape, strategy=Mean, trained_until="2020-04-10", start="2020-04-10")
    early = framework.backtest(data=tape, strategy=Mean, trained_until="2020-04-10", start="2020-02-01")
    assert repr(early.stats) == repr(late.stats)
    assert early.config["run"] == late.config["run"]
    after = framework.backtest(data=tape, strategy=Mean, trained_until="2020-04-10", start="2020-05-01")
    assert after.stats["Start"] == utc(BEGIN + 121 * DAY)


def test_every_leg_trains_on_its_window_and_sees_no_test_bar(tape: Tape, found: Forward) -> None:
    """All bars from a leg's test on are replaced: its choice, the values of its trials and its model stay."""
    assert len(found.legs) >= 3
    ends = [until_of(fit) for fit in found.out.fits]
    assert ends == [nanoseconds(leg.window.test_start) for leg in found.legs]
    changed = 0
    for leg in found.legs:
        bad = poisoned(tape, nanoseconds(leg.window.test_start))
        other = walk_forward(DOCUMENT, data=bad, strategy=Mean)
        mine, number = other.legs[leg.window.number - 1], leg.window.number - 1
        assert (mine.params, mine.value, repr(mine.inside)) == (leg.params, leg.value, repr(leg.inside))
        assert other.out.fits[number]["fingerprint"] == found.out.fits[number]["fingerprint"]
        changed += repr(mine.outside) != repr(leg.outside)
    assert changed == len(found.legs), "the poison reached the tests"


def test_trials_of_a_leg_are_measured_behind_what_their_models_were_trained_on(tape: Tape) -> None:
    """Seven tenths of the time from the begin to the last close, four hours before the test; statistics begin there."""
    Mean.seen.clear()
    found = walk_forward(DOCUMENT, data=tape, strategy=Mean)
    for leg in found.legs:
        begin, end = nanoseconds(leg.window.train_start), nanoseconds(leg.window.test_start)
        split = begin + (end - DAY // 6 - begin) * 7 // 10
        in_leg = [train for train in Mean.seen if train.start == begin]
        assert {train.until for train in in_leg} == {split, end}
        assert leg.inside is not None
        assert leg.inside["Start"] == utc(split)


def test_trials_that_differ_in_what_training_does_not_read_share_a_model(tape: Tape) -> None:
    """Two thresholds and two scales are four trials and two models; the same columns are trained on once."""
    Mean.seen.clear()
    search = framework.optimize({key: DOCUMENT[key] for key in ("data", "fees", "optimize")}, data=tape, strategy=Mean)
    assert len(search.outcomes) == 4
    assert sorted(train.strategy.scale for train in Mean.seen) == [1.0, 2.0]  # type: ignore[attr-defined]
    assert search.config.strategies[0].trained_until == search.config.run.start
    best = framework.backtest(search.config, data=tape)
    assert best.stats["Sharpe Ratio"] == pytest.approx(search.best.values[0])  # type: ignore[index]
    cache, until = ColumnCache(), BEGIN + 100 * DAY
    one = fitted(Mean(above=1.0), tape, None, None, until, 1, cache)
    assert fitted(Mean(above=2.0), tape, None, None, until, 1, cache) is one
    assert one.params == {"scale": 1.0}
    assert fitted(Mean(scale=3.0), tape, None, None, until, 1, cache) is not one


@pytest.mark.parametrize("method", ["cpcv", "purged_kfold"])
def test_folds_do_not_train_and_say_what_does(method: str, tape: Tape, tmp_path: Path) -> None:
    """The days that train a split lie around the tested ones; `fit` is given bars that end before decisions begin."""
    from framework.backtest.api import settle

    config, _ = settle({**DOCUMENT, "walk_forward": {"method": method, "folds": 4}}, tape, Mean, {})
    Mean.seen.clear()
    with pytest.raises(ConfigError, match='mean_of_training has a fit.*"walk_forward", which trains.*trained_until'):
        cross_validate(config, tmp_path / "folds", tape, write=False)
    assert Mean.seen == []
    assert not (tmp_path / "folds").exists()


def test_folds_test_days_of_which_no_bar_reaches_the_model(tape: Tape, tmp_path: Path) -> None:
    """One model of the bars before `trained_until` serves all splits; all later bars are replaced: `fit` sees the same.
    """
    from framework.backtest.api import settle

    until = BEGIN + 100 * DAY
    section = {**DOCUMENT, "walk_forward": {"method": "cpcv", "folds": 4, "test_folds": 2}}
    seen: list[set[bytes]] = []
    for data in (tape, poisoned(tape, until), poisoned(tape, until - DAY)):
        config, _ = settle(section, data, Mean, {"trained_until": "2020-04-10"})
        Mean.seen.clear()
        found = cross_validate(config, tmp_path / f"folds-{len(seen)}", data, write=False)
        assert Mean.seen
        assert {train.until for train in Mean.seen} == {until}
        assert max(int(train.tape.close_time.max()) for train in Mean.seen) < until <= found.time[0]
        seen.append({getattr(train.tape, name).tobytes() for train in Mean.seen for name in ("open", "high", "close")})
    assert seen[0] == seen[1] != seen[2], "the poison is one that a model can taste"


def test_a_decision_over_all_symbols_is_shown_the_model(tape: Tape) -> None:
    """`nows[i].model` is the same object for all."""
    result = framework.backtest(data=tape, strategy=Ranked, trained_until="2020-04-10")
    assert set(result.records.orders["symbol"].tolist()) == {int(str(result.fits[0]["model"]))}
    first, second = decide_all_once(Ranked, {"model": 1}, {})
    assert [intent.weight for intent in (*first, *second)] == [0.0, 0.5]


def test_one_decision_can_be_asked_with_a_model_made_by_hand() -> None:
    """3 is above the mean of 2, 1 is below."""
    (intent,) = decide_once(Mean, model={"mean": 2.0}, ind={"change": 3.0})
    assert intent.side is not None
    assert decide_once(Mean, model={"mean": 2.0}, ind={"change": 1.0}) == ()


def test_the_state_of_a_fit_is_recorded_in_the_run_folder(tape: Tape, tmp_path: Path) -> None:
    """What it was trained on, which parameters it read, the fingerprint of the model; a run says it in its notes."""
    from framework.backtest.write import write_run

    result = framework.backtest(data=tape, strategy=Mean(scale=2.0), trained_from="2020-02-01",
                                trained_until="2020-04-10")
    document = json.loads((write_run(result, tmp_path / "run", report=False) / "run.json").read_text())
    (fit,) = document["fits"]
    assert fit["params"] == {"scale": 2.0}
    assert (fit["trained_from"], fit["trained_until"]) == ("2020-02-01 00:00:00Z", "2020-04-10 00:00:00Z")
    assert fit["bars"] == 2 * 69 * 6  # 69 days of six bars that close from 1 February, 0:00 on
    assert len(fit["fingerprint"]) == 64
    assert "trained on 828 bars" in " ".join(document["notes"])
    plain = framework.backtest(data=tape, strategy="ma_cross")
    assert plain.fits == ()


def test_the_conformance_kit_passes_a_strategy_with_a_fit_and_finds_chance_in_training() -> None:
    """One that draws numbers without the seed trains differently each time."""

    class Chance(Mean):
        """Draw."""

        name = "chance_in_training"

        def fit(self, train: Train) -> dict[str, Any]:
            return {"mean": float(np.random.default_rng().random())}

    passed = check_plugin(Mean)
    assert passed.passed, str(passed)
    failed = check_plugin(Chance)
    assert not failed.passed
    assert "two trainings on the same bars" in str(failed)


@pytest.mark.parametrize(("settings", "told"), [
    ({}, "has to be trained before it decides"),
    ({"trained_until": "2019-12-01"}, "no bar of A closes in the time that it is trained on"),
    ({"trained_until": "2020-03-01", "trained_from": "2020-04-01"}, "exchange them"),
    ({"trained_from": "2020-03-01"}, "trained_from needs trained_until"),
    ({"trained_until": "2020-03-01", "end": "2020-02-01"}, "nothing is left to run on"),
    ({"trained_untill": "2020-03-01"}, "did you mean 'trained_until'"),
    ({"trained_until": "soon"}, "a date or time in ISO 8601"),
])
def test_a_leg_that_cannot_be_is_refused(settings: dict[str, Any], told: str) -> None:
    """With the values and the mend."""
    market = synthetic_market(200, ("A",))
    with pytest.raises(ConfigError, match=told):
        framework.backtest(data=market, strategy=Mean, **settings)


def test_what_cannot_be_trained_is_refused() -> None:
    """A strategy without a fit, a fit that returns nothing, one that raises, legs of a walk-forward named by hand."""
    market = synthetic_market(200, ("A",))

    class Forgets(Mean):
        """Return nothing."""

        name = "forgets_its_model"

        def fit(self, train: Train) -> Any:
            return None

    class Breaks(Mean):
        """Raise."""

        name = "breaks_in_training"

        def fit(self, train: Train) -> Any:
            raise ZeroDivisionError("no variance")

    with pytest.raises(ConfigError, match="ma_cross has no fit"):
        framework.backtest(data=market, strategy="ma_cross", trained_until="2020-03-01")
    with pytest.raises(ConfigError, match="returned nothing"):
        framework.backtest(data=market, strategy=Forgets, trained_until="2020-03-01")
    with pytest.raises(StrategyError, match="ZeroDivisionError: no variance") as caught:
        framework.backtest(data=market, strategy=Breaks, trained_until="2020-03-01")
    assert "in fit" in caught.value.details
    with pytest.raises(ConfigError, match="the legs of a walk-forward say when to train"):
        walk_forward(DOCUMENT, data=market, strategy=Mean, trained_until="2020-03-01")


def test_a_misspelt_name_beside_the_model_is_found_before_the_run() -> None:
    """`now.modle` is none of its parts."""

    class Typo(Mean):
        """Misspell the model."""

        name = "typo_of_model"

        @staticmethod
        def decide(now: Now) -> None:
            if now.modle["mean"] > 0.0:  # type: ignore[attr-defined]
                buy(now)

    with pytest.raises(ConfigError, match="did you mean 'model'"):
        decide_once(Typo)
