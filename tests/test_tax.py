"""Taxes: tables worked by hand, laws on random trades, and what a configuration may say."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.backtest.config import config_from_dict
from framework.backtest.tax import Tax, tax_years
from framework.errors import ConfigError
from framework.model.records import FILL, TRADE
from tests.sample_result import sample_result

INDIA = {"mode": "india_crypto"}
ONE = np.ones(1)


def at(year: int, month: int = 6, day: int = 1) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000_000


def tax_of(section: dict[str, Any]) -> Tax:
    document = {"data": {"source": "sample", "symbols": ["A", "B"]}, "strategy": {"name": "x"}, "tax": section}
    return config_from_dict(document).tax


def trades_of(*rows: tuple[int, float], fees: float = 0.0) -> np.ndarray:
    """Return trades given as (exit time, P&L after fees)."""
    table = np.zeros(len(rows), TRADE)
    table["exit_time"], table["pnl"], table["fees"] = [time for time, _ in rows], [pnl for _, pnl in rows], fees
    return table


def sales_of(*rows: tuple[int, float]) -> np.ndarray:
    """Return sales given as (time, value), of one unit each."""
    table = np.zeros(len(rows), FILL)
    table["side"], table["qty"] = -1, 1.0
    table["time"], table["price"] = [time for time, _ in rows], [value for _, value in rows]
    return table


NOTHING = np.empty(0, FILL)


# --- worked by hand ---------------------------------------------------------------------------------------------------


def test_each_winner_is_taxed_and_no_loss_helps():
    trades = trades_of((at(2021, 5), 1_000.0), (at(2021, 6), -5_000.0), (at(2021, 7), 200.0))
    sales = sales_of((at(2021, 5), 11_000.0), (at(2021, 6), 5_000.0), (at(2021, 7), 2_000.0))
    (year,) = tax_years(trades, sales, ONE, tax_of(INDIA))
    # 30 % of 1,200, though the year lost 3,800; 1 % of 18,000 was withheld: 180 more to pay
    assert (year.year, year.gains, year.losses, year.taxable) == (2021, 1_200.0, -5_000.0, 1_200.0)
    assert (year.tax, year.withheld, year.balance, year.cost) == pytest.approx((360.0, 180.0, 180.0, 360.0))


def test_the_indian_tax_year_begins_in_april():
    trades = trades_of((at(2021, 3, 31), 100.0), (at(2021, 4, 1), 10.0))
    assert [(year.year, year.tax) for year in tax_years(trades, NOTHING, ONE, tax_of(INDIA))] == [
        (2020, pytest.approx(30.0)), (2021, pytest.approx(3.0))]


def test_withheld_money_comes_back_when_it_is_more_than_the_tax():
    (year,) = tax_years(trades_of((at(2021), 10.0)), sales_of((at(2021), 1_000.0)), ONE, tax_of(INDIA))
    # tax 3, withheld 10
    assert (year.balance, year.cost) == pytest.approx((-7.0, 3.0))


def test_withheld_money_that_is_not_credited_is_lost():
    section = {**INDIA, "credit_tds": False}
    (year,) = tax_years(trades_of((at(2021), 10.0)), sales_of((at(2021), 1_000.0)), ONE, tax_of(section))
    assert (year.balance, year.cost) == pytest.approx((3.0, 13.0))


def test_a_cess_is_taken_of_the_tax():
    (year,) = tax_years(trades_of((at(2021), 100.0)), NOTHING, ONE, tax_of({**INDIA, "cess": 0.04}))
    assert year.tax == pytest.approx(31.2)  # 30 * 1.04


def test_gains_may_be_counted_before_fees():
    trades = trades_of((at(2021), -1.0), (at(2021), 100.0), fees=5.0)
    (year,) = tax_years(trades, NOTHING, ONE, tax_of({"rate": 0.3, "deduct_fees": False}))
    # -1 + 5 = 4 is a gain, 100 + 5 = 105: 30 % of 109
    assert (year.gains, year.tax) == pytest.approx((109.0, 32.7))


def test_an_indian_gain_is_what_prices_brought():
    """Section 115BBH (2)(a): bought at 100, sold at 110, 3 of fees, 20 of funding paid: 10 are taxed, not -13."""
    trades = trades_of((at(2021), -13.0), fees=3.0)
    trades["cash_flows"] = -20.0
    (year,) = tax_years(trades, NOTHING, ONE, tax_of(INDIA))
    assert (year.gains, year.losses, year.tax) == pytest.approx((10.0, 0.0, 3.0))
    trades["pnl"], trades["cash_flows"] = 27.0, 20.0  # the same with 20 received: they are no gain of the sale
    (year,) = tax_years(trades, NOTHING, ONE, tax_of(INDIA))
    assert (year.gains, year.tax) == pytest.approx((10.0, 3.0))
    (year,) = tax_years(trades, NOTHING, ONE, tax_of({"rate": 0.3}))
    assert (year.gains, year.tax) == pytest.approx((27.0, 8.1))
    (year,) = tax_years(trades, NOTHING, ONE, tax_of({**INDIA, "deduct_fees": True}))
    assert year.gains == pytest.approx(7.0)


def test_losses_lower_gains_of_the_year_and_of_later_years():
    trades = trades_of((at(2020), 300.0), (at(2020), -100.0), (at(2021), -500.0), (at(2022), 200.0), (at(2023), 400.0))
    years = tax_years(trades, NOTHING, ONE, tax_of({"rate": 0.25}))
    # 2020: 200. 2021: -500 carried. 2022: 200 - 200, 300 left. 2023: 400 - 300
    assert [year.taxable for year in years] == pytest.approx([200.0, 0.0, 0.0, 100.0])
    assert [year.carried for year in years] == pytest.approx([0.0, 0.0, -200.0, -300.0])
    assert [year.tax for year in years] == pytest.approx([50.0, 0.0, 0.0, 25.0])
    assert years[0].withheld == 0.0


def test_only_sales_in_the_market_have_tax_withheld():
    fills = sales_of((at(2021), 100.0), (at(2021), 100.0), (at(2021), 100.0))
    fills["side"], fills["is_cross"] = [-1, 1, -1], [False, False, True]
    (year,) = tax_years(trades_of(), fills, np.array([2.0]), tax_of(INDIA))
    assert year.withheld == pytest.approx(2.0)  # 1 % of 100 * multiplier 2


def test_a_run_without_trades_and_sales_has_no_tax_years():
    assert tax_years(trades_of(), NOTHING, ONE, tax_of(INDIA)) == ()


# --- laws -------------------------------------------------------------------------------------------------------------

RESULTS = st.lists(st.tuples(st.integers(2015, 2024), st.integers(-1_000, 1_000)), min_size=1, max_size=30)


@given(RESULTS)
def test_offsetting_never_costs_more_and_taxes_at_least_the_net_gain(rows):
    trades = trades_of(*((at(year), float(pnl)) for year, pnl in rows))
    offset, alone = (sum(year.tax for year in tax_years(trades, NOTHING, ONE, tax_of(section)))
                     for section in ({"rate": 0.3}, {"rate": 0.3, "offset_losses": False}))
    net = 0.3 * sum(pnl for _, pnl in rows)
    assert max(net, 0.0) <= offset + 1e-6
    assert offset <= alone + 1e-6
    assert alone == pytest.approx(0.3 * sum(max(pnl, 0) for _, pnl in rows))


# --- results ----------------------------------------------------------------------------------------------------------


def test_the_return_after_tax_is_what_is_left_of_the_final_equity():
    run = sample_result(bars=300, per_slot=20, tax=tax_of(INDIA))
    gains = run.records.trades["pnl"] + run.records.trades["fees"] - run.records.trades["cash_flows"]
    winners = gains[gains > 0.0].sum()
    assert run.stats["Tax"] == pytest.approx(0.3 * winners)
    left = run.stats["Equity Final"] - 0.3 * winners
    assert run.stats["Post-tax Return [%]"] == pytest.approx(100.0 * (left / run.capital - 1.0))
    assert run.stats["Post-tax Return [%]"] < run.stats["Return [%]"]


def test_a_run_without_taxes_does_not_claim_that_they_are_zero():
    stats = sample_result(bars=60, per_slot=3).stats
    assert math.isnan(stats["Tax"])
    assert math.isnan(stats["Post-tax Return [%]"])


# --- configuration ----------------------------------------------------------------------------------------------------


def test_a_mode_sets_what_the_section_does_not():
    assert tax_of(INDIA) == Tax(mode="india_crypto", rate=0.3, tds=0.01, offset_losses=False, deduct_fees=False,
                                count_cash_flows=False, first_month=4)
    assert tax_of({**INDIA, "rate": 0.1, "offset_losses": True}).rate == 0.1
    assert tax_of({"rate": 0.25}) == Tax(rate=0.25, offset_losses=True, tds=0.0)


def test_a_configuration_with_tax_and_benchmark_is_read_back_from_its_plain_form():
    document = {"data": {"source": "sample", "symbols": ["A", "B"]}, "strategy": {"name": "x"}, "tax": INDIA,
                "benchmark": {"symbol": "B"}}
    config = config_from_dict(document)
    assert config_from_dict(config.to_dict()) == config
    assert config.to_dict()["tax"]["rate"] == 0.3
    assert config.benchmark.symbol == "B"


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"tax": {}}, "[tax]: rate is missing"),
        ({"tax": {"rate": 30}}, "[tax] rate = 30 (a whole number); it must be a number >= 0 and <= 1"),
        ({"tax": {"mode": "india_cripto"}}, "did you mean 'india_crypto'?"),
        ({"tax": {"mode": 3}}, "[tax] mode = 3"),
        ({"tax": {"rate": 0.3, "ofset_losses": True}}, "did you mean 'offset_losses'?"),
        ({"tax": {"rate": 0.3, "first_month": 13}}, "[tax] first_month = 13"),
        ({"tax": {"rate": 0.3, "in_equity": 1}}, "[tax] in_equity = 1"),
        ({"tax": 0.3}, "[tax] = 0.3 (a number); it must be a table"),
        ({"benchmark": {"symbol": "AA"}}, "[benchmark] symbol: 'AA' is not one of [data] symbols; did you mean 'A'?"),
        ({"benchmark": {"symbols": ["A"]}}, "did you mean 'symbol'?"),
        ({"benchmark": {"symbol": 3}}, "[benchmark] symbol = 3"),
    ],
)
def test_bad_sections_are_refused(sections, message):
    document = {"data": {"source": "sample", "symbols": ["A", "B"]}, "strategy": {"name": "x"}, **sections}
    with pytest.raises(ConfigError) as error:
        config_from_dict(document)
    assert message in str(error.value)
