"""Dividends and funding from files: which rows, which instants, and what is refused; a run that pays them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_cases import HOUR, ns, series_at

import framework
from framework.backtest.write import write_run
from framework.data import build_tape, load_tape
from framework.data.cash_flows import nights_after, read_cash_flows, with_cash_flows
from framework.errors import ConfigError, DataError
from framework.model.enums import CashKind
from framework.strategy import Strategy, buy, sell

DIVIDEND, FUNDING = CashKind.DIVIDEND, CashKind.FUNDING


class Hold(Strategy):
    """Long AAA, short BBB, from the first close on."""

    name = "hold"
    shared = {"seen": 0}  # noqa: RUF012

    @staticmethod
    def decide(now):  # type: ignore[no-untyped-def]
        if now.position.qty == 0.0 and now.position.pending == 0.0:
            if now.shared.seen == 0:
                buy(now, qty=10.0)
            else:
                sell(now, qty=10.0)
            now.shared.seen += 1


def hours(*exchanges: str):
    """Return a tape of two days of hourly bars, one symbol (AAA, BBB ...) for each exchange."""
    opens = ns("2024-03-04") + HOUR * np.arange(48)
    return build_tape([series_at(opens, "1h", 3 * "ABCD"[i], exchange) for i, exchange in enumerate(exchanges)])


def written(folder: Path, text: str, name: str = "flows.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_rows_become_instants_places_and_rates(tmp_path):
    tape = hours("24/7", "24/7")
    text = "symbol,time,amount\nBBB,2024-03-05,0.5\nAAA,2024-03-04T12:00:00Z,0.25\n"
    found = read_cash_flows(written(tmp_path, text), DIVIDEND, tape)
    assert found.time.tolist() == [ns("2024-03-05"), ns("2024-03-04T12:00")]
    assert (found.symbol.tolist(), found.rate.tolist()) == ([1, 0], [0.5, 0.25])
    with_both = with_cash_flows(tape, [found])
    assert with_both.flow_time.tolist() == [ns("2024-03-04T12:00"), ns("2024-03-05")]
    assert with_both.flow_symbol.tolist() == [0, 1]
    assert with_both.fingerprint != tape.fingerprint
    assert not with_both.flow_rate.flags.writeable


def test_a_date_is_the_ex_date_on_the_clock_of_the_exchange(tmp_path):
    """In New York 2024-03-05 begins at 05:00 UTC, before that day's open at 14:30."""
    tape = load_tape("sample", {}, ("AAPL",), None)
    found = read_cash_flows(written(tmp_path, "date,dividend\n2024-03-05,0.24\n"), DIVIDEND, tape)
    assert found.time.tolist() == [ns("2024-03-05T05:00")]


def test_exports_of_exchanges_are_read_as_they_are(tmp_path):
    text = "timestamp,symbol,fundingRate\n1709539200000,AAA,-0.0001\n1709568000000,AAA,0.0001\n"
    found = read_cash_flows(written(tmp_path, text), FUNDING, hours("24/7"))
    assert found.time.tolist() == [ns("2024-03-04T08:00"), ns("2024-03-04T16:00")]
    assert found.rate.tolist() == [-0.0001, 0.0001]


def test_rows_of_other_symbols_are_left_out_and_a_file_without_any_is_refused(tmp_path):
    text = "symbol,time,amount\nZZZ,2024-03-05,x\nAAA,2024-03-05,1\n"
    assert read_cash_flows(written(tmp_path, text), DIVIDEND, hours("24/7")).rate.tolist() == [1.0]
    with pytest.raises(DataError, match=r"flows.csv: no row is of a symbol of this run \(AAA\)"):
        read_cash_flows(written(tmp_path, "symbol,time,amount\nZZZ,2024-03-05,1\n"), DIVIDEND, hours("24/7"))


@pytest.mark.parametrize(("kind", "text", "message"), [
    (DIVIDEND, "time,amount\n2024-03-05,-1\n", "row 1: amount '-1'"),
    (DIVIDEND, "time,amount\n2024-03-05,nan\n", "a dividend is a finite amount per unit >= 0"),
    (FUNDING, "time,rate\n2024-03-05,1\n", "between -1 and 1"),
    (FUNDING, "time,rate\n2024-03-05,much\n", "row 1: rate 'much'"),
    (DIVIDEND, "time,amount\nyesterday,1\n", "row 1: time 'yesterday'"),
    (DIVIDEND, "when,amount\n2024-03-05,1\n", "no column for time; there are: 'when', 'amount'"),
    (FUNDING, "time,amount\n2024-03-05,1\n", "no column for rate; there are: 'time', 'amount'"),
])  # fmt: skip
def test_rows_that_are_none_are_refused_with_their_number_and_value(tmp_path, kind, text, message):
    with pytest.raises(DataError) as caught:
        read_cash_flows(written(tmp_path, text), kind, hours("24/7"))
    assert message in str(caught.value)


def test_several_symbols_need_a_column_that_tells_them_apart(tmp_path):
    with pytest.raises(DataError, match="no column for symbol"):
        read_cash_flows(written(tmp_path, "time,amount\n2024-03-05,1\n"), DIVIDEND, hours("24/7", "24/7"))


def test_nights_follow_the_last_close_of_a_day(tmp_path):
    """24 closes a UTC day, the last at midnight, which belongs to the day that ends."""
    nights = nights_after(hours("24/7", "24/7"))
    assert np.flatnonzero(nights).tolist() == [23, 48 + 23]
    assert nights[23] == nights[71] == 1
    friday = load_tape("sample", {}, ("AAPL",), None)
    between = np.diff(friday.close_time) / (24 * HOUR)
    assert np.array_equal(nights_after(friday)[:-1], np.round(between))
    assert nights_after(friday).max() >= 3


def config(tmp_path: Path, **account: float) -> dict[str, object]:
    """Return a run over two symbols with two dividends and one payment of funding."""
    written(tmp_path, "symbol,time,amount\nAAA,2021-01-02,0.5\nBBB,2021-01-03,0.25\n", "dividends.csv")
    written(tmp_path, "symbol,time,rate\nBBB,2021-01-02 08:00,0.001\n", "funding.csv")
    data = {"source": "synthetic", "seed": 3, "bars": 100, "timeframe": "1h", "symbols": ["AAA", "BBB"],
            "start": "2021-01-01", "dividends": str(tmp_path / "dividends.csv"),
            "funding": str(tmp_path / "funding.csv")}  # fmt: skip
    return {"data": data, "account": account, "strategy": Hold}


def test_a_run_pays_them_and_its_tables_and_statistics_say_so(tmp_path):
    result = framework.backtest(**config(tmp_path, borrow_percent=36.5, interest_percent=1.0))
    flows = result.cash_flows
    assert flows.filter(flows["kind"] == "dividend")["amount"].to_list() == [5.0, -2.5]
    mark = flows.filter(flows["kind"] == "funding").row(0, named=True)
    assert mark["amount"] == pytest.approx(-mark["base"] * 0.001)
    assert mark["base"] < 0 < mark["amount"]
    assert set(flows["kind"]) == {"dividend", "funding", "borrow", "interest"}
    interest = flows.filter(flows["kind"] == "interest")
    assert interest["symbol"].null_count() == len(interest) == 4
    assert result.stats["Cash flows"] == pytest.approx(flows["amount"].sum())
    profit = result.trades["pnl"].sum() + result.open_trades["pnl"].sum() + interest["amount"].sum()
    assert result.stats["Equity Final"] - result.capital == pytest.approx(profit)
    folder = write_run(result, tmp_path / "run")
    assert (folder / "cash_flows.parquet").is_file()
    page = (folder / "report.html").read_text()
    assert all(word in page for word in ("Dividend", "Funding", "Borrow", "Interest"))


def test_dividends_of_adjusted_prices_would_count_twice(tmp_path):
    settings = config(tmp_path)
    with pytest.raises(ConfigError, match=r"prices of AAA are adjusted .* would count twice; mend: leave the"):
        framework.backtest(**settings, instruments={"AAA": {"is_adjusted": True}})


def test_what_is_named_and_not_there_is_an_error(tmp_path):
    settings = config(tmp_path)
    settings["data"]["dividends"] = "nowhere.csv"
    with pytest.raises((ConfigError, DataError), match=r"no file .*nowhere.csv"):
        framework.backtest(**settings)
    settings["data"].pop("dividends")
    settings["data"]["dividend"] = "dividends.csv"
    with pytest.raises(ConfigError, match="dividends"):
        framework.backtest(**settings)
