"""`framework diff`: runs that differ in one thing, and what it names as the cause and as the first difference."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest
from told_runs import make_run, write_bars

import framework
from framework.backtest.compare import compare
from framework.backtest.write import write_run
from framework.cli import main
from framework.strategy import BUY, DAY, GTC, Param, Strategy, cancel, place_limit, place_stop_limit

Differ = Callable[[Path, Path], dict[str, Any]]


@pytest.fixture
def differ(capsys: pytest.CaptureFixture[str]) -> Differ:
    """Compare two runs by the command line, check the exit code against the answer, and return it."""

    def compare(one: Path, other: Path) -> dict[str, Any]:
        capsys.readouterr()
        code = main(["diff", str(one), str(other), "--json"])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert code == (0 if found["is_same"] else 1)
        return found

    return compare


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The run of told_runs."""
    write_bars(tmp_path)
    return make_run(tmp_path, "run")


def test_equal_runs_are_the_same(run: Path, differ: Differ) -> None:
    """The same configuration again."""
    found = differ(run, make_run(run.parent, "again"))
    assert found["causes"] == []
    assert (found["is_same"], found["first_difference"], found["statistics"]) == (True, None, {})
    assert found["verdict"] == "the runs did the same"


def test_one_parameter_is_named_and_the_first_other_order_explained_on_both_sides(run: Path, differ: Differ) -> None:
    """Twice the quantity: heat 20 * 5 = 100 of at most 60, so that bar 5 already orders 12 instead of 10."""
    found = differ(run, make_run(run.parent, "more", "strategy.params.qty=20.0"))
    (cause,) = found["causes"]
    assert (cause["kind"], cause["what"], cause["values"]) == ("config", "strategy.handmade.params.qty",
                                                               ["not set", 20.0])
    assert found["verdict"].startswith("the one thing that differs is the cause: strategy.handmade.params.qty is not")
    first = found["first_difference"]
    assert (first["table"], first["time"], first["symbol"]) == ("refusals", "2024-01-06 00:00:00Z", "HAND")
    refused, reduced = first["rows"]
    assert refused["rule"] == "wrong_side"
    assert (reduced["rule"], reduced["asked"], reduced["allowed"]) == ("portfolio_heat", 20.0, 12.0)
    one, other = found["explained"]
    assert one["bar"]["number"] == other["bar"]["number"] == 5
    assert "intended buy 10, stop 98" in one["verdict"]
    assert "reduced from 20 to 12 by the rule portfolio_heat" in other["verdict"]


def test_a_parameter_that_changes_nothing_is_named_all_the_same(run: Path, differ: Differ) -> None:
    """What is written out is the default."""
    found = differ(run, make_run(run.parent, "spelt", "strategy.params.qty=10.0"))
    assert found["is_same"]
    assert found["verdict"].startswith("the runs did the same, although 1 thing differs: strategy.handmade.params.qty")


def test_one_row_of_data_is_named_with_bar_and_values(run: Path, differ: Differ) -> None:
    """Another low of bar 7 that still reaches the stop: only the open of bar 6, 103.5, moves a fill."""
    other = run.parent / "data"
    other.mkdir()
    write_bars(other, {6: (103.5, 105, 102, 104)})
    found = differ(run, make_run(other, "run"))
    (cause,) = found["causes"]
    assert (cause["kind"], cause["what"]) == ("data", "HAND")
    assert cause["told"].endswith("first HAND, bar 6, which closes at 2024-01-07 00:00:00Z: open 103.0 and 103.5")
    first = found["first_difference"]
    assert (first["table"], first["time"]) == ("fills", "2024-01-06 00:00:00Z")
    assert [row["price"] for row in first["rows"]] == [103.0, 103.5]
    assert ["bought 10 at 103 " in found["explained"][0]["verdict"],
            "bought 10 at 103.5 " in found["explained"][1]["verdict"]] == [True, True]


def test_data_that_is_gone_is_still_named_by_symbol(run: Path, differ: Differ) -> None:
    """The same file, changed between the runs: the bars of the first run are no more."""
    write_bars(run.parent, {6: (103.5, 105, 102, 104)})
    found = differ(run, make_run(run.parent, "later"))
    (cause,) = found["causes"]
    assert cause["what"] == "HAND"
    assert "which bar cannot be said" in cause["told"]
    assert "the data is not what it was" in found["explained"][0]["error"]
    assert "bought 10 at 103.5 " in found["explained"][1]["verdict"]


def test_one_version_is_named(run: Path, differ: Differ) -> None:
    """A recording that says another version of numpy; both did the same."""
    copy = run.parent / "copy"
    shutil.copytree(run, copy)
    document = json.loads((copy / "run.json").read_text())
    document["versions"]["numpy"] = "1.0"
    (copy / "run.json").write_text(json.dumps(document))
    found = differ(run, copy)
    (cause,) = found["causes"]
    assert (cause["kind"], cause["what"], cause["values"][1]) == ("version", "numpy", "1.0")
    assert found["is_same"]


@pytest.mark.parametrize(("key", "value", "told"), [
    ("version", "0.0.1", "strategy handmade: version is none in the first and 0.0.1 in the second"),
    ("source", "0", "strategy handmade: its source differs under the same version"),
])
def test_a_plug_in_of_another_version_or_source_is_named(
    run: Path, differ: Differ, key: str, value: str, told: str
) -> None:
    """An edit of a strategy without a new version is the commonest cause of all."""
    copy = run.parent / "copy"
    shutil.copytree(run, copy)
    document = json.loads((copy / "run.json").read_text())
    document["plugins"][0][key] = value
    (copy / "run.json").write_text(json.dumps(document))
    (cause,) = differ(run, copy)["causes"]
    assert (cause["kind"], cause["told"]) == ("plugin", told)


def test_fees_move_a_fill_and_not_its_order(run: Path, differ: Differ) -> None:
    """The first difference is the fee of the first fill, and both are explained where its order was placed."""
    found = differ(run, make_run(run.parent, "dear", "fees.taker_bps=20"))
    assert [cause["what"] for cause in found["causes"]] == ["fees.taker_bps"]
    first = found["first_difference"]
    assert (first["table"], first["columns"]) == ("fills", ["fee"])
    assert [side["bar"]["number"] for side in found["explained"]] == [5, 5]


def test_a_fill_at_the_open_of_a_session_is_explained_at_the_close_that_ordered_it(
    tmp_path: Path, differ: Differ
) -> None:
    """On an exchange the night lies between: the bar that is explained is the one in which the order was placed."""
    runs = []
    for bps in (10, 20):
        config = tmp_path / f"{bps}.toml"
        config.write_text('[data]\nsource = "sample"\nsymbols = ["AAPL"]\n[strategy]\nname = "ema_cross"\n'
                          f"[fees]\ntaker_bps = {bps}\n")
        runs.append(tmp_path / str(bps))
        flags = ["--no-report", "--set", "run.end=2000-12-31"]
        assert main(["backtest", str(config), "--out", str(runs[-1]), *flags]) == 0
    first, second = runs
    found = differ(first, second)
    placed = pl.read_parquet(first / "orders.parquet")["placed_time"][0].strftime("%Y-%m-%d %H:%M:%SZ")
    assert [side["at"] for side in found["explained"]] == [placed, placed]
    assert found["first_difference"]["time"] > placed
    assert all(side["slots"][0]["orders"] for side in found["explained"])


def test_a_key_without_part_in_trading_is_told_apart(run: Path, differ: Differ) -> None:
    """The risk-free rate moves ratios and no trade."""
    found = differ(run, make_run(run.parent, "rate", "account.risk_free_rate=0.03", 'run.name="other"'))
    assert {cause["what"]: cause["has_part"] for cause in found["causes"]} == {"run.name": False,
                                                                              "account.risk_free_rate": False}
    assert found["first_difference"] is None
    assert not found["is_same"]
    assert found["verdict"].startswith("the runs traded alike, and their statistics differ")


def test_a_tax_has_a_part_in_trading_when_it_is_paid_inside_the_run(run: Path, differ: Differ) -> None:
    after = make_run(run.parent, "after", "tax.rate=0.3")
    within = make_run(run.parent, "within", "tax.rate=0.3", "tax.in_equity=true")
    parts = [{cause["what"]: cause["has_part"] for cause in differ(*two)["causes"]}
             for two in ((run, after), (after, within), (run, within))]
    assert (parts[0]["tax.rate"], parts[1]["tax.in_equity"], parts[2]["tax.rate"]) == (False, True, True)


def test_a_difference_without_a_cause_says_so(run: Path, differ: Differ) -> None:
    """A table that was changed by hand."""
    copy = run.parent / "copy"
    shutil.copytree(run, copy)
    fills = pl.read_parquet(copy / "fills.parquet")
    fills.with_columns(pl.col("price") + 1.0).write_parquet(copy / "fills.parquet")
    found = differ(run, copy)
    assert found["causes"] == []
    assert "a plug-in depends on something beside its inputs" in found["verdict"]


def test_a_shorter_run_is_a_prefix_that_ends(run: Path, differ: Differ) -> None:
    """The first mark that one has and the other has not."""
    found = differ(run, make_run(run.parent, "short", 'run.end="2024-01-09"'))
    first = found["first_difference"]
    assert first["rows"][1] is None
    assert (first["table"], first["time"]) == ("refusals", "2024-01-10 00:00:00Z")
    assert "past the end of the run" in found["explained"][1]["verdict"]


def test_the_text_leads_from_the_cause_to_the_difference(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a person reads."""
    other = make_run(run.parent, "dear", "fees.taker_bps=20")
    capsys.readouterr()
    assert main(["diff", str(run), str(other)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "differs  fees.taker_bps is 10.0 in the first and 20.0 in the second"
    assert lines[3] == "since    2024-01-06 00:00:00Z, fills of handmade HAND"
    assert lines[4:6] == ["  first  fee 1.03", "  second fee 2.06"]
    assert lines[-1].startswith("why      the one thing that differs is the cause: fees.taker_bps")


class Waiting(Strategy):
    """Leaves one order that no bar reaches, of the kind and life that its parameters say."""

    name = "waiting"
    lasts = Param(10.0, low=1.0, high=10.0)
    price = Param(50.0, low=1.0, high=1000.0)
    life = Param(float(GTC), low=0.0, high=4.0)
    trigger = Param(0.0, low=0.0, high=1000.0)
    tags = ("rest",)

    @staticmethod
    def decide(now: Any) -> None:
        if now.state.bar == 0.0:
            if now.p.trigger > 0.0:
                place_stop_limit(now, BUY, now.p.trigger, now.p.price, qty=1.0, tag=now.tag.rest)
            else:
                place_limit(now, BUY, now.p.price, qty=1.0, tag=now.tag.rest, tif=int(now.p.life))
        elif now.state.bar == now.p.lasts:
            cancel(now, now.tag.rest)
        now.state.bar += 1.0

    state: ClassVar[dict[str, float]] = {"bar": 0.0}


def waited(folder: Path, account: dict[str, Any] | None = None, **params: float) -> Path:
    """Run `waiting` on six bars around 100 and write the run below a new folder."""
    rows = [f"2024-01-{number:02}T00:00:00Z,100,105,99,100,1000" for number in range(1, 7)]
    folder.mkdir()
    (folder / "A.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n")
    data = {"source": "csv", "path": str(folder / "{symbol}.csv"), "symbols": ["A"], "stamp": "open"}
    result = framework.backtest(data=data, strategy=Waiting(**params), capital=10_000, account=account or {})
    return write_run(result, folder / "run", report=False)


@pytest.mark.parametrize(("one", "other", "table", "time", "columns", "values"), [
    ({"lasts": 2}, {"lasts": 3}, "order ends", "2024-01-04", ["ended_time"], None),
    ({"lasts": 3}, {}, "order ends", "2024-01-05", ["status", "ended_time"], None),
    ({}, {"life": DAY}, "orders", "2024-01-02", ["time_in_force", "until"], ["gtc", "day"]),
    ({}, {"price": 51}, "orders", "2024-01-02", ["price"], [50.0, 51.0]),
    ({"trigger": 110}, {}, "orders", "2024-01-02", ["limit", "kind", "price"], [50.0, None]),
    ({"trigger": 104}, {"trigger": 108}, "order ends", "2024-01-07", ["kind", "price"], ["limit", "stop_limit"]),
])
def test_orders_that_were_never_filled_differ_in_their_terms_and_their_ends(
    tmp_path: Path, one: dict[str, float], other: dict[str, float], table: str, time: str, columns: list[str],
    values: list[Any] | None,
) -> None:
    """No fill, no refusal, the same equity throughout."""
    found = compare(waited(tmp_path / "one", **one), waited(tmp_path / "other", **other))
    first = found["first_difference"]
    assert not found["is_same"]
    assert (first["table"], first["time"][:10], first["columns"]) == (table, time, columns)
    if values is not None:
        assert [row[columns[0]] for row in first["rows"]] == values
    assert all("order 1" in side["verdict"] for side in found["explained"])


def test_interest_is_found_where_it_was_paid(tmp_path: Path) -> None:
    """1 % on 10,000 from the first night on; no symbol explains it."""
    found = compare(waited(tmp_path / "one"), waited(tmp_path / "other", {"interest_percent": 1.0}))
    assert found["first_difference"]["table"] == "cash_flows"
    assert "whole account" in found["explained"][0]["error"]


def test_a_backtest_does_not_look_at_walk_forward(run: Path, differ: Differ) -> None:
    """The section is listed, and said to have no part."""
    found = differ(run, make_run(run.parent, "walked", 'walk_forward.train="3m"', 'walk_forward.test="1m"'))
    assert found["causes"]
    assert not any(cause["has_part"] for cause in found["causes"])
    assert found["verdict"] == "the runs did the same"


def test_a_run_that_is_not_there_is_bad_input(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the nearest name."""
    assert main(["diff", str(run), str(run.parent / "rum")]) == 2
    assert "did you mean 'run'?" in capsys.readouterr().err
