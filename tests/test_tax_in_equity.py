"""Taxes that are paid inside a run: worked by hand on engine and reference, laws, and what a result says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import framework
from framework.backtest.config import config_from_dict
from framework.backtest.explain_text import number
from framework.backtest.report import report_html
from framework.backtest.tax import TAX_DEFAULTS
from framework.engine.tax import first_day
from framework.model.enums import CashKind, EventKind
from framework.strategy import SELL, buy, close_position, place_limit, sell
from tests.reference import ReferenceStrategy, Settings
from tests.reference.hand import FLAT, simulate
from tests.reference.tapes import PERIOD, instrument, tape_of
from tests.reference.taxes import TaxRules

DAY = 86_400_000_000_000
INDIA = TaxRules(**TAX_DEFAULTS["india_crypto"])


# --- worked by hand, on a bar a quarter -------------------------------------------------------------------------------


def quarter(number: int) -> int:
    """Return when a quarter begins, counted from the first one of 2021."""
    return int(datetime(2021 + number // 4, 1 + 3 * (number % 4), 1, tzinfo=UTC).timestamp()) * 1_000_000_000


def day(time: int) -> str:
    """Return the day of a time."""
    return str(np.datetime64(time, "ns").astype("datetime64[D]"))


def run(*series: list[tuple[float, ...]], scripts: dict[int, dict[int, Any]], tax: TaxRules, **settings: Any) -> Any:
    """Run scripts by symbol, bar -> action, on bars of a quarter of a year each from 2021 on."""
    one = instrument(multiplier=settings.pop("multiplier", 1.0))
    tape = tape_of(*series, instruments=[one for _ in series], flows=settings.pop("flows", ()))
    for name in ("open_time", "close_time", "event_time", "flow_time"):
        setattr(tape, name, [quarter(time // PERIOD) for time in getattr(tape, name)])
    tape.account_day = [time // DAY for time in tape.open_time]

    def follow(script: dict[int, Any]) -> Any:
        places = {quarter(bar): action for bar, action in script.items()}
        return lambda now: places.get(now.bar.open_time, lambda now: None)(now)

    strategies = [ReferenceStrategy([symbol], follow(script)) for symbol, script in scripts.items()]
    return simulate(tape, strategies, Settings(tax=tax, **{"capital": 1_000.0, **settings}))


def taxes(result: Any) -> list[tuple[str, str, float, Any, Any]]:
    """Return (day, kind, quantity, base, amount) of every cash flow."""
    return [(day(flow.time), CashKind(flow.kind).name, flow.qty, pytest.approx(flow.base),
             pytest.approx(flow.amount)) for flow in result.cash_flows]  # fmt: skip


def ten(now: Any) -> None:
    buy(now, qty=10)


def at(*prices: float) -> list[tuple[float, float, float, float]]:
    """Return bars from one price to the next."""
    return [(a, max(a, b), min(a, b), b) for a, b in pairwise(prices)]


both = pytest.mark.usefixtures("both_simulators")
LOSS_THEN_GAIN = at(100, 100, 90, 90, 90, 130, 130, 130, 130, 130)
"""10 bought at 100 in April 2021 and sold at 90 in July; bought at 90 in January 2022 and sold at 130 in April."""
TWICE = {0: ten, 1: close_position, 3: ten, 4: close_position}


@both
def test_a_loss_is_carried_into_the_next_year_and_what_was_withheld_is_credited():
    """2021: -100, so that the 9 withheld come back. 2022: 400 - 100, 25 % of 300 are 75, less 13."""
    result = run(LOSS_THEN_GAIN, scripts={0: TWICE}, tax=TaxRules(0.25, tds=0.01))
    assert taxes(result) == [("2021-07-01", "TDS", 10, 900, -9), ("2022-01-01", "TAX", 0, 0, 9),
                             ("2022-04-01", "TDS", 10, 1_300, -13), ("2023-01-01", "TAX", 0, 300, -62)]
    assert [flow.rate for flow in result.cash_flows] == pytest.approx([0.01, 0.25, 0.01, 0.25])
    assert [flow.slot for flow in result.cash_flows] == [0, -1, 0, -1]
    equity = [1_000, 900, 891, 900, 1_300, 1_287, 1_287, 1_225, 1_225]
    assert [mark.equity for mark in result.marks] == pytest.approx(equity)
    assert [mark.cash for mark in result.marks][-1] == pytest.approx(1_225)
    assert [(trade.pnl, trade.cash_flows) for trade in result.trades] == [(-100, 0), (400, 0)]


@both
def test_losses_that_are_not_offset_help_nobody_and_what_is_not_credited_is_lost():
    tax = TaxRules(0.25, cess=0.04, tds=0.01, offset_losses=False, credit_tds=False)
    result = run(LOSS_THEN_GAIN, scripts={0: TWICE}, tax=tax, capital=2_000.0)
    # 400 * 0.25 * 1.04 = 104; a year of losses has a row of 0
    assert [row for row in taxes(result) if row[1] == "TAX"] == [("2022-01-01", "TAX", 0, 0, 0),
                                                                ("2023-01-01", "TAX", 0, 400, -104)]
    assert result.marks[-1].equity == pytest.approx(2_300 - 9 - 13 - 104)


@both
def test_the_indian_preset_taxes_each_gain_before_fees_and_its_years_end_with_march():
    """1 % of fees: 10, 12, 12, 11. A gain of 200 and a loss of 100; 30 % of 200, less the 12 and 11 withheld."""
    script = {0: ten, 1: close_position, 2: ten, 3: close_position}
    result = run(at(100, 100, 120, 120, 110, 110, 110), scripts={0: script}, tax=INDIA, capital=10_000.0,
                 taker_bps=100.0)
    assert taxes(result) == [("2021-07-01", "TDS", 10, 1_200, -12), ("2022-01-01", "TDS", 10, 1_100, -11),
                             ("2022-04-01", "TAX", 0, 200, -37)]
    assert result.marks[-1].equity == pytest.approx(10_000 + 200 - 100 - 45 - 60)


@both
def test_fees_are_deducted_where_they_count():
    """A fee of 10 and one of 12: 200 - 22 are taxed."""
    result = run(at(100, 100, 120, 120, 120), scripts={0: {0: ten, 1: close_position}}, tax=TaxRules(0.5),
                 capital=10_000.0, taker_bps=100.0)
    assert taxes(result) == [("2022-01-01", "TAX", 0, 178, -89)]


@both
@pytest.mark.parametrize(("counts", "due"), [(True, -120), (False, -100)])
def test_dividends_are_part_of_the_gain_where_they_count(counts, due):
    """200 by prices and 10 * 4 of dividends, half of it."""
    result = run(at(100, 100, 120, 120, 120), scripts={0: {0: ten, 1: close_position}}, capital=10_000.0,
                 tax=TaxRules(0.5, count_cash_flows=counts), flows=[(2 * PERIOD, 0, CashKind.DIVIDEND, 4.0)])
    assert taxes(result) == [("2021-07-01", "DIVIDEND", 10, 10, 40), ("2022-01-01", "TAX", 0, -2 * due, due)]
    assert result.trades[0].pnl == 240


@both
def test_what_is_left_of_a_loss_is_carried_on_and_on():
    """-400, then 100, then 400: taxed on nothing, nothing, and 100."""
    prices = [100, 100, 60, 60, 60, 60, 70, 70, 70, 70, 110, 110, 110]
    script = dict.fromkeys((0, 4, 8), ten) | dict.fromkeys((1, 5, 9), close_position)
    result = run(at(*prices), scripts={0: script}, tax=TaxRules(0.5), capital=10_000.0)
    assert taxes(result) == [("2022-01-01", "TAX", 0, 0, 0), ("2023-01-01", "TAX", 0, 0, 0),
                             ("2024-01-01", "TAX", 0, 100, -50)]


@both
def test_the_year_in_which_the_run_ends_is_settled_at_its_last_mark_after_what_leaves_there():
    """Held to the end: closed at the last close of 150, taxed on 500 there, and nothing is left for later."""
    result = run(at(100, 100, 120, 150), scripts={0: {0: ten}}, tax=TaxRules(0.1, tds=0.01), close_at_end=True)
    assert taxes(result) == [("2021-10-01", "TDS", 10, 1_500, -15), ("2021-10-01", "TAX", 0, 500, -35)]
    assert result.marks[-1].equity == pytest.approx(1_450)


@both
def test_what_is_open_at_the_end_is_not_taxed():
    result = run(at(100, 100, 120, 150), scripts={0: {0: ten}}, tax=TaxRules(0.1, tds=0.01))
    assert (taxes(result), result.marks[-1].equity) == ([], 1_500)


@both
def test_a_fill_at_the_very_end_of_a_year_belongs_to_the_next():
    """Sold at the open of January 1st: taxed with 2022, whose end the run does not see, at its last mark in April."""
    script = {0: ten, 3: close_position}
    result = run(at(100, 100, 120, 120, 120, 120), scripts={0: script}, tax=TaxRules(0.1, tds=0.01))
    assert taxes(result) == [("2022-01-01", "TDS", 10, 1_200, -12), ("2022-04-01", "TAX", 0, 200, -8)]


@both
def test_a_close_at_the_very_end_of_a_year_belongs_to_the_next():
    """At the close of December 31st, midnight: its mark settles 2021, without it, and the last mark settles 2022."""
    script = {0: ten, 2: lambda now: close_position(now, on_close=True)}
    result = run(at(100, 100, 120, 120, 120, 120), scripts={0: script}, tax=TaxRules(0.1, tds=0.01))
    assert taxes(result) == [("2022-01-01", "TDS", 10, 1_200, -12), ("2022-04-01", "TAX", 0, 200, -8)]


@both
def test_what_is_withheld_at_the_very_end_of_a_year_is_credited_to_the_next():
    """Sold short at the close of December 31st: its mark gives nothing back."""
    script = {2: lambda now: sell(now, qty=10, on_close=True)}
    result = run(at(100, 100, 100, 100, 100, 100), scripts={0: script}, tax=TaxRules(0.1, tds=0.01))
    assert taxes(result) == [("2022-01-01", "TDS", 10, 1_000, -10), ("2022-04-01", "TAX", 0, 0, 10)]


@both
def test_what_is_withheld_is_gone_before_the_next_order_is_looked_at():
    """All of 1,000 sold at 100; 10 are withheld, so that 9 of the 10 of another symbol are bought."""
    bars = at(100, 100, 100, 100)
    result = run(bars, bars, scripts={0: {0: ten, 1: close_position}, 1: {1: ten}}, tax=TaxRules(0.0, tds=0.01))
    assert [(fill.symbol, fill.side, fill.qty) for fill in result.fills] == [(0, 1, 10), (0, -1, 10), (1, 1, 9)]


@both
def test_a_short_sale_is_a_sale_and_its_repurchase_none():
    result = run(at(100, 100, 80, 80), scripts={0: {0: lambda now: sell(now, qty=10), 1: close_position}},
                 tax=TaxRules(0.1, tds=0.01), multiplier=0.5)
    assert taxes(result) == [("2021-04-01", "TDS", 10, 500, -5), ("2021-10-01", "TAX", 0, 100, -5)]
    assert result.trades[0].pnl == 100


@both
def test_every_one_of_many_sales_in_a_bar_has_its_row():
    """30 limits at 101 to 130, all of which the second bar reaches: 1 % of each."""
    def ladder(now: Any) -> None:
        for step in range(30):
            place_limit(now, SELL, 101.0 + step, qty=1)

    result = run(at(100, 100, 130, 130), scripts={0: {0: ladder}}, tax=TaxRules(0.1, tds=0.01), capital=10_000.0)
    withheld = [("2021-07-01", "TDS", 1, 101 + step, -(101 + step) / 100) for step in range(30)]
    assert taxes(result) == [*withheld, ("2021-10-01", "TAX", 0, 0, 34.65)]


@both
def test_strategies_see_the_equity_that_is_left():
    seen = {}

    def look(now: Any) -> None:
        seen[day(now.clock.time_ns)] = now.account.equity

    script = {0: ten, 1: close_position, 2: look, 3: look}
    run(at(100, 100, 120, 120, 120, 120), scripts={0: script}, tax=TaxRules(0.5))
    assert seen == pytest.approx({"2021-10-01": 1_200, "2022-01-01": 1_100})


@both
def test_a_cross_between_strategies_has_nothing_withheld():
    """One hands its 10 to the other at the open: no sale in the market."""
    tape = tape_of([FLAT] * 4)
    leaves = ReferenceStrategy([0], lambda now: (ten if now.bar.open_time == 0 else close_position)(now))
    takes = ReferenceStrategy([0], lambda now: ten(now) if now.bar.open_time == PERIOD else None)
    result = simulate(tape, [leaves, takes], Settings(capital=10_000.0, tax=TaxRules(0.1, tds=0.01)))
    assert [fill.is_cross for fill in result.fills] == [False, True, True]
    assert [CashKind(flow.kind) for flow in result.cash_flows] == [CashKind.TAX]


# --- laws -------------------------------------------------------------------------------------------------------------


@given(st.integers(-24_000, 24_000))
def test_months_begin_where_numpy_says(months):
    plain = getattr(first_day, "py_func", first_day)
    assert plain(months) == np.datetime64(months, "M").astype("datetime64[D]").astype(int)


CONFIG: dict[str, Any] = {
    "run": {"capital": 1e7, "close_at_end": True},
    "data": {"source": "synthetic", "symbols": ["BTC", "ETH"], "bars": 1_500, "timeframe": "1d", "seed": 3},
    "strategy": {"name": "ema_cross", "params": {"fast": 10, "slow": 30}},
    "sizing": {"name": "fixed_qty", "qty": 3.0},
    "fees": {"taker_bps": 10},
    "account": {"leverage": 100.0},
}
SECTIONS = [
    {"mode": "india_crypto"},
    {"mode": "india_crypto", "offset_losses": True, "deduct_fees": True, "cess": 0.04},
    {"rate": 0.25},
    {"rate": 0.4, "tds": 0.05, "first_month": 7},
    {"rate": 0.4, "tds": 0.05, "credit_tds": False, "offset_losses": False},
]


def taxed(section: dict[str, Any], **changes: Any) -> framework.Result:
    return framework.backtest({**CONFIG, "tax": section, **changes})


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("end", [None, "2023-09-01"])
def test_with_fixed_quantities_the_final_equity_is_that_without_less_the_tax(section, end):
    run = {"run": {**CONFIG["run"], **({"end": end} if end else {})}}
    after, within = taxed(section, **run), taxed({**section, "in_equity": True}, **run)
    assert after.records.trades.tobytes() == within.records.trades.tobytes()
    assert len(within.tax_years) >= 3
    cost = sum(year.cost for year in after.tax_years)
    left = after.stats["Equity Final"] - cost
    assert cost > 0.0
    assert within.stats["Equity Final"] == pytest.approx(left, rel=1e-12)
    assert within.stats["Tax"] == pytest.approx(cost)
    assert within.stats["Return [%]"] == within.stats["Post-tax Return [%]"] == pytest.approx(
        after.stats["Post-tax Return [%]"])
    flows = within.records.cash_flows
    settled = flows[flows["kind"] == CashKind.TAX]
    assert -settled["amount"] == pytest.approx([year.balance for year in after.tax_years])
    assert settled["base"] == pytest.approx([year.taxable for year in after.tax_years])


def test_every_balance_is_paid_at_the_first_mark_after_its_year():
    result = taxed({"rate": 0.25, "in_equity": True})
    tape, flows = result.prices, result.records.cash_flows
    closes = np.unique(tape.event_time[tape.event_kind == EventKind.CLOSE])
    ends = [np.datetime64(f"{year.year + 1}-01-01", "ns").astype(np.int64) for year in result.tax_years[:-1]]
    assert flows["time"].tolist() == [*closes[np.searchsorted(closes, ends)], closes[-1]]


# --- results ----------------------------------------------------------------------------------------------------------


def test_no_money_moves_without_the_flag():
    assert len(taxed({"rate": 0.25, "tds": 0.01}).records.cash_flows) == 0


def test_sizing_feels_the_tax():
    """A share of equity: less of it after the first tax year than without."""
    share = {"sizing": {"name": "percent_of_equity", "percent": 0.5}, "account": {}}
    after, within = (taxed({"rate": 0.5, "in_equity": flag}, **share) for flag in (False, True))
    paid = within.records.cash_flows["time"][within.records.cash_flows["amount"] < 0.0][0]
    sizes = [result.records.trades["qty"] * result.records.trades["entry_price"] for result in (after, within)]
    times = [result.records.trades["entry_time"] for result in (after, within)]
    assert sizes[0][times[0] < paid].tolist() == sizes[1][times[1] < paid].tolist() != []
    later = [size[time > paid][0] for size, time in zip(sizes, times, strict=True)]
    assert later[1] < later[0]


def test_a_result_says_that_the_tax_was_paid_and_takes_it_once():
    section = {"rate": 0.4, "tds": 0.05, "in_equity": True}
    result = taxed(section)
    stats, flows = result.stats, result.records.cash_flows
    assert stats["Cash flows"] == pytest.approx(0.0, abs=1e-6)
    assert stats["Tax"] == pytest.approx(-flows["amount"].sum())
    profit = result.records.trades["pnl"].sum() - stats["Tax"]
    assert stats["Equity Final"] == pytest.approx(result.capital + profit)
    page, without = report_html(result), report_html(taxed({**section, "in_equity": False}))
    told = "the tax was paid inside the run, so that its equity is what is left after tax"
    assert told in page
    assert "Tax withheld" in page
    assert "After taxes" not in page
    assert told not in without
    assert "After taxes" in without
    assert set(result.cash_flows["kind"]) == {"tds", "tax"}


@pytest.mark.parametrize("is_credited", [True, False])
def test_explain_names_what_was_withheld_and_counts_towards_the_tax(is_credited):
    """The rows of TDS before the first settlement are what it takes off where they count; else nothing is."""
    result = taxed({"rate": 0.4, "tds": 0.05, "credit_tds": is_credited, "in_equity": True})
    flows = result.records.cash_flows
    place = int(np.flatnonzero((flows["kind"] == CashKind.TAX) & (flows["base"] > 0.0))[0])
    earlier = flows[:place]
    since = int(np.max(np.flatnonzero(earlier["kind"] == CashKind.TAX), initial=-1)) + 1
    withheld = -float(earlier["amount"][since:].sum())
    assert withheld > 0.0
    told = framework.explain(result, "BTC", str(np.datetime64(int(flows["time"][place]), "ns").astype("M8[s]")))
    (flow,) = told["account"]["cash_flows"]
    assert flow["kind"] == "tax"
    assert flow["tax"] == pytest.approx(0.4 * flows["base"][place])
    assert flow["credit"] == pytest.approx(withheld if is_credited else 0.0)
    assert flow["amount"] == pytest.approx(flow["credit"] - flow["tax"])
    line = next(line for line in str(told).splitlines() if " of tax at " in line)
    assert line.startswith("account  ")
    assert ("withheld from sales before (TDS)" in line) == is_credited
    if is_credited:
        assert f"is {number(flow['tax'])}, less {number(withheld)} withheld" in line


def test_taxes_are_what_was_paid_also_when_the_last_year_was_not_settled():
    """As in a run that was ruined."""
    result = taxed({"rate": 0.4, "tds": 0.05, "in_equity": True})
    flows = result.records.cash_flows[:-1]
    unsettled = attrs.evolve(result, records=attrs.evolve(result.records, cash_flows=flows))
    assert unsettled.stats["Tax"] == pytest.approx(-flows["amount"].sum()) != result.stats["Tax"]


def test_the_trials_of_a_search_pay_as_their_backtests_do():
    section = {"rate": 0.4, "tds": 0.05, "in_equity": True}
    search = framework.optimize({**CONFIG, "tax": section}, space={"fast": [8, 10, 12]}, objective="Return [%]")
    for trial in search.trials.iter_rows(named=True):
        alone = taxed(section, strategy={"name": "ema_cross", "params": {"fast": trial["fast"], "slow": 30}})
        assert trial["Return [%]"] == pytest.approx(alone.stats["Return [%]"])


def test_the_flag_is_recorded_and_read_back():
    document = {**CONFIG, "tax": {"rate": 0.25, "in_equity": True}}
    config = config_from_dict(document)
    assert config.tax == attrs.evolve(config_from_dict({**CONFIG, "tax": {"rate": 0.25}}).tax, in_equity=True)
    assert config.to_dict()["tax"]["in_equity"] is True
    assert config_from_dict(config.to_dict()) == config
