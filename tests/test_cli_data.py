"""`framework data`: what is imported is what a run reads, what is refused names its rows, nothing is half-written."""

from __future__ import annotations

import doctest
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from framework.cli import main, options
from framework.data import Catalogue, load_tape
from framework.data.series import bars_fingerprint
from framework.errors import DataError

Call = Callable[..., tuple[int, Any, str]]

HEADER = "time,open,high,low,close,volume"
GOOD = ["2024-01-01 00:00,10,12,9,11,5", "2024-01-01 01:00,11,13,10,12,6", "2024-01-01 02:00,12,14,11,13,7"]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run `framework data ... --json` in an empty folder; return exit code, document and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = main(["data", *arguments, "--json"])
        captured = capsys.readouterr()
        return code, json.loads(captured.out), captured.err

    return run


def write(name: str, *rows: str, header: str = HEADER) -> None:
    """Write a CSV file into the present folder."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text("\n".join([header, *rows]) + "\n")


def test_what_is_imported_is_read_by_the_source_bit_for_bit(call: Call) -> None:
    """The tape of the CSV file and that of the catalogue have one fingerprint."""
    write("BTC.csv", *GOOD)
    code, answer, _ = call("import", "BTC.csv", "--stamp", "open", "--instrument", "tick=0.5")
    assert code == 0
    (entry,) = answer["series"]
    assert (entry["symbol"], entry["timeframe"], entry["bars"], entry["missing"]) == ("BTC", "1h", 3, 0)
    assert (entry["first"], entry["last"]) == ("2024-01-01 00:00:00Z", "2024-01-01 03:00:00Z")
    assert entry["instrument"]["tick"] == 0.5
    direct = load_tape("csv", {"path": "BTC.csv", "stamp": "open"}, instruments={"BTC": {"tick": 0.5}})
    kept = load_tape("catalogue", {"path": "catalogue"})
    assert kept.fingerprint == direct.fingerprint
    assert kept.instruments == direct.instruments


def test_a_parquet_file_with_names_of_another_vendor_is_imported(call: Call) -> None:
    """Columns are named, the zone is told, and one file holds two symbols."""
    rows = {"Begin": ["2024-01-01 00:00", "2024-01-01 01:00"] * 2, "ticker": ["A", "A", "B", "B"],
            "O": [1.0, 2.0, 3.0, 4.0], "H": [2.0, 3.0, 4.0, 5.0], "L": [0.5, 1.5, 2.5, 3.5], "C": [2.0, 3.0, 4.0, 5.0],
            "Turnover": [9.0, 9.0, 9.0, 9.0]}
    pl.DataFrame(rows).write_parquet("both.parquet")
    named = [f"--column={meaning}={name}" for meaning, name in (
        ("time", "Begin"), ("open", "O"), ("high", "H"), ("low", "L"), ("close", "C"), ("volume", "Turnover"))]
    code, answer, _ = call("import", "both.parquet", "--stamp", "open", "--timezone", "Asia/Kolkata", *named)
    assert code == 0
    assert [entry["symbol"] for entry in answer["series"]] == ["A", "B"]
    assert answer["series"][0]["first"] == "2023-12-31 18:30:00Z"


def test_repairs_and_gaps_are_the_sources_and_stay_with_the_series(call: Call) -> None:
    """A double row, and one hour missing between 02:00 and 04:00."""
    write("BTC.csv", *GOOD, "2024-01-01 02:00,12,14,11,13.5,7", "2024-01-01 04:00,13,14,12,13,1")
    code, refused, _ = call("import", "BTC.csv", "--stamp", "open")
    assert (code, Path("catalogue").exists()) == (2, False)
    assert "rule: one row a time" in refused["error"]
    code, answer, _ = call("import", "BTC.csv", "--stamp", "open", "--repair", "duplicates", "--gaps", "allow")
    assert code == 0
    (entry,) = answer["series"]
    assert (entry["repairs"], entry["missing"], entry["gaps"]) == ({"duplicates": 1}, 1, 1)
    assert entry["largest_gap"] == ["2024-01-01 03:00:00Z", "2024-01-01 04:00:00Z"]
    tape = load_tape("catalogue")
    assert tape.close.tolist() == [11.0, 12.0, 13.5, 13.0]
    assert (tape.repairs[0].duplicates, tape.repairs[0].missing) == (1, 1)


def test_check_looks_at_every_file_and_names_the_rows(call: Call) -> None:
    """The second file has its high below its low in row 2; nothing is written, and the exit code is 1."""
    write("bars/A.csv", *GOOD)
    write("bars/B.csv", GOOD[0], "2024-01-01 01:00,11,9,10,12,6", GOOD[2])
    write("bars/C.csv", GOOD[1], GOOD[0])
    code, answer, _ = call("check", "bars", "--stamp", "open")
    assert (code, answer["passed"]) == (1, False)
    told = {Path(one["file"]).name: one for one in answer["files"]}
    assert told["A.csv"]["passed"]
    assert told["A.csv"]["series"][0]["bars"] == 3
    assert "1 of 3 rows refused; rule: high is not below low" in told["B.csv"]["error"]
    assert "row 2: 2024-01-01 01:00:00Z" in told["B.csv"]["error"]
    assert "rule: rows are in order of time" in told["C.csv"]["error"]
    assert not Path("catalogue").exists()
    assert call("check", "bars/A.csv", "--stamp", "open")[0] == 0


def test_check_tells_every_rule_that_a_file_breaks(call: Call) -> None:
    """A double row and a negative volume: both are told, each with its count and its rows."""
    write("A.csv", *GOOD[:2], GOOD[1], "2024-01-01 02:00,12,14,11,13,-7")
    code, answer, _ = call("check", "A.csv", "--stamp", "open")
    assert code == 1
    (one,) = answer["files"]
    first, second = one["faults"]
    assert "2 of 4 rows refused; rule: one row a time\n  row 2:" in first
    assert "1 of 3 rows refused; rule: volume is not negative\n  row 4:" in second
    assert first in one["error"]
    assert second in one["error"]


def test_mends_name_the_flags_of_the_command_line(call: Call) -> None:
    """The file of a run and the command line say the same thing in two ways; both stand there."""
    write("A.csv", *GOOD)
    (one,) = call("check", "A.csv")[1]["files"]
    assert 'stamp = "open" (--stamp open) or stamp = "close" (--stamp close)' in one["error"]
    assert one["faults"] == [one["error"]]
    code, refused, _ = call("import", "A.csv", "--stamp", "open", "--exchange", "XNYS")
    assert code == 2
    assert 'timezone = "exchange" (--timezone exchange) for local times' in refused["error"]
    write("B.csv", GOOD[0].replace("2024-", "24."), header="time,open,high,low,last,volume")
    (one,) = call("check", "B.csv", "--stamp", "open")[1]["files"]
    assert 'say columns = { close = "..." } (--column close=...)' in one["error"]
    write("C.csv", *(f"2024-01-01 00:{minute:02d},10,12,9,11,5" for minute in range(30)))
    (one,) = call("check", "C.csv", "--stamp", "open", "--timeframe", "1h")[1]["files"]
    assert 'timeframe = "1m" (--timeframe 1m) for bars as they are' in one["error"]
    assert "--detail" not in one["error"]


def test_one_refused_file_keeps_the_others_out(call: Call) -> None:
    """Nothing is written unless all of it is accepted."""
    write("bars/A.csv", *GOOD)
    write("bars/B.csv", GOOD[0], GOOD[0], GOOD[1])
    code, _, err = call("import", "bars", "--stamp", "open")
    assert (code, Path("catalogue").exists()) == (2, False)
    assert "B.csv" in err
    assert call("import", "bars", "--stamp", "open", "--symbol", "A")[0] == 0


def test_a_series_that_is_there_is_replaced_only_when_asked(call: Call) -> None:
    """The answer names it and the flag."""
    write("BTC.csv", *GOOD)
    assert call("import", "BTC.csv", "--stamp", "open")[0] == 0
    code, answer, _ = call("import", "BTC.csv", "--stamp", "open")
    assert code == 2
    assert "has BTC 1h already; replace it with --replace" in answer["error"]
    write("BTC.csv", *GOOD[:2])
    assert call("import", "BTC.csv", "--stamp", "open", "--replace")[0] == 0
    assert load_tape("catalogue").n_bars == 2
    assert not list(Path("catalogue").rglob(".*"))


def test_list_says_ranges_gaps_and_fingerprints_and_verify_finds_damage(call: Call) -> None:
    """The fingerprint is that of the bars, and a changed file is found."""
    write("BTC.csv", *GOOD)
    call("import", "BTC.csv", "--stamp", "open")
    code, answer, _ = call("list", "--verify")
    assert (code, answer["damaged"]) == (0, [])
    tape = load_tape("catalogue")
    columns = ("open_time", "close_time", "open", "high", "low", "close", "volume")
    assert answer["series"][0]["fingerprint"] == bars_fingerprint({name: getattr(tape, name) for name in columns})
    file = Path("catalogue/1h/BTC.parquet")
    pl.read_parquet(file).with_columns(pl.col("close") + 0.5).write_parquet(file)
    code, answer, _ = call("list", "--verify")
    assert code == 1
    assert "its bars are not those that were imported" in answer["damaged"][0]
    with pytest.raises(DataError, match="not those that were imported"):
        load_tape("catalogue")
    assert call("list", "--catalogue", "nowhere")[0] == 2


def test_the_sample_is_written_and_comes_back_as_the_same_bars(call: Call) -> None:
    """As CSV by the date of each session, through the catalogue, on the sessions of XNYS: equal to the last bit."""
    code, answer, _ = call("sample", "--symbol", "AAPL", "--symbol", "IBM")
    assert code == 0
    assert answer["files"] == ["sample/AAPL.csv", "sample/IBM.csv"]
    assert call("import", "sample", "--exchange", "XNYS", "--instrument", "is_adjusted=true")[0] == 0
    kept = load_tape("catalogue", symbols=["AAPL", "IBM"])
    assert kept.fingerprint == load_tape("sample", symbols=["AAPL", "IBM"]).fingerprint
    assert call("sample", "--symbol", "IBM")[0] == 2


def test_several_timeframes_of_a_symbol_ask_for_one(call: Call) -> None:
    """And a symbol that is not there is told with the nearest."""
    write("BTC.csv", *GOOD)
    call("import", "BTC.csv", "--stamp", "open")
    write("BTC.csv", "2024-01-01,10,12,9,11,5", "2024-01-02,11,13,10,12,6")
    call("import", "BTC.csv")
    assert [entry.timeframe for entry in Catalogue(Path("catalogue")).entries()] == ["1h", "1d"]
    with pytest.raises(DataError, match=r'not there in 4h; there is: 1h, 1d; mend: detail_timeframe = "1h" beside'):
        load_tape("catalogue", timeframe="4h")
    with pytest.raises(DataError, match=r"not there in 30m; there is: 1h, 1d$"):
        load_tape("catalogue", timeframe="30m")
    with pytest.raises(DataError, match="BTC is there in 1h, 1d"):
        load_tape("catalogue", symbols=["BTC"])
    assert load_tape("catalogue", symbols=["BTC"], timeframe="24h").n_bars == 2
    with pytest.raises(DataError, match="did you mean 'BTC'"):
        load_tape("catalogue", symbols=["BTD"])


def test_symbols_that_are_no_file_names_are_kept_apart(call: Call) -> None:
    """BTC/USDT and BTC%2FUSDT are two symbols and two files."""
    write("one.csv", *GOOD)
    for symbol in ("BTC/USDT", "BTC%2FUSDT", "../BTC"):
        assert call("import", "one.csv", "--stamp", "open", "--symbol", symbol)[0] == 0
    assert sorted(entry.symbol for entry in Catalogue(Path("catalogue")).entries()) == ["../BTC", "BTC%2FUSDT",
                                                                                        "BTC/USDT"]
    assert np.array_equal(load_tape("catalogue", symbols=["BTC/USDT"]).close, [11.0, 12.0, 13.0])


@pytest.mark.parametrize(("arguments", "told"), [
    (("import", "BCT.csv"), "did you mean 'BTC.csv'?"),
    (("check", "BTC.csv", "--stamp", "middle"), "rule: one of open, close"),
    (("import", "BTC.csv", "--repair", "srot"), "did you mean 'sort'?"),
    (("import", "BTC.csv", "--column", "open"), "write KEY=VALUE"),
    (("import", "BTC.csv", "--instrument", "tik=1"), "did you mean 'tick'?"),
    (("import", "empty"), "no files *.csv"),
    (("import", "bars/{symbol}.csv"), "needs symbols"),
    (("import", "BTC.dat"), "name one with --format"),
    (("impotr", "BTC.csv"), "did you mean 'import'?"),
])
def test_bad_input_is_told_with_the_mend(call: Call, arguments: tuple[str, ...], told: str) -> None:
    """Exit code 2, one message, and no catalogue."""
    write("BTC.csv", *GOOD)
    write("BTC.dat", *GOOD)
    Path("empty").mkdir()
    flags = () if "--stamp" in arguments else ("--stamp", "open")
    code, answer, _ = call(*arguments, *flags)
    assert code == 2
    assert told in answer["error"]
    assert not Path("catalogue").exists()


def test_the_text_of_each_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a person reads."""
    monkeypatch.chdir(tmp_path)
    write("BTC.csv", *GOOD)
    assert main(["data", "check", "BTC.csv", "--stamp", "open"]) == 0
    assert capsys.readouterr().out == "ok       BTC.csv: BTC 1h, 3 bars\n"
    assert main(["data", "import", "BTC.csv", "--stamp", "open"]) == 0
    header, row, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["symbol", "timeframe", "exchange", "bars", "first", "last", "missing", "repaired",
                              "fingerprint", "from"]
    assert row.startswith("BTC     1h         24/7      3     2024-01-01 00:00:00Z  2024-01-01 03:00:00Z  0")
    assert last == 'catalogue  catalogue; [data] source = "catalogue", path = "catalogue" reads it'
    assert main(["data", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [header, row]


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(options).attempted == 1
    assert doctest.testmod(options).failed == 0
