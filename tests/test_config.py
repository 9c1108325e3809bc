"""The configuration: what it accepts, what each wrong value is answered with, and that nothing is lost on the way."""

from __future__ import annotations

import doctest
import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.backtest import config as config_module
from framework.backtest import fields, overrides, strategy_section
from framework.backtest.config import Config, Data, Fees, Run, StrategyUse, Use, config_from_dict, load_config
from framework.backtest.overrides import apply_overrides, parse_override
from framework.errors import ConfigError

MINIMAL = {"data": {"source": "sample", "symbols": ["AAPL", "MSFT"]}, "strategy": {"name": "ema_cross"}}


def with_section(**sections: Any) -> dict[str, Any]:
    """Return the smallest configuration with some sections set."""
    return {**MINIMAL, **sections}


def refused(document: dict[str, Any]) -> str:
    """Return the message with which a configuration is refused."""
    with pytest.raises(ConfigError) as caught:
        config_from_dict(document)
    return str(caught.value)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write a file of a configuration and return its path."""

    def write_file(text: str, name: str = "my_run.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


# --- what is accepted -------------------------------------------------------------------------------------------------


def test_the_smallest_configuration_has_the_documented_defaults() -> None:
    config = config_from_dict(MINIMAL)
    assert config.run == Run(capital=100_000.0, start=None, end=None, seed=1, strict=False)
    assert config.data == Data("sample", ("AAPL", "MSFT"), None, {})
    assert config.strategies == (StrategyUse("ema_cross", {}, None),)
    assert (config.fills.intrabar, config.fills.participation, config.fills.limit_through) == ("worst", None, 0.0)
    assert config.fills.volume_window == 20
    assert config.slippage is None
    assert config.fees == Fees(0.0, None, 0.0, 0.0, 0.0, "quote")
    assert (config.account.calendar, config.account.leverage, config.account.shorts) == (None, 1.0, True)
    assert (config.account.cash_buffer, config.account.risk_free_rate, config.account.currency) == (0.0025, 0.0, "USD")
    assert (config.sizing, config.risk, config.broker) == (Use("percent_of_equity"), (), Use("paper"))
    assert config.instruments == {}
    assert config.strict is False


def test_one_strategy_or_several_may_be_named() -> None:
    several = with_section(strategy=[{"name": "ema_cross"}, {"name": "ma_cross", "symbols": ["MSFT"]}])
    assert [use.name for use in config_from_dict(MINIMAL).strategies] == ["ema_cross"]
    assert [(use.name, use.symbols) for use in config_from_dict(several).strategies] == [
        ("ema_cross", None), ("ma_cross", ("MSFT",)),
    ]  # fmt: skip


def test_risk_sections_of_a_seed_become_rules_in_the_order_of_the_file(write: Any) -> None:
    path = write("""
        [data]
        source = "sample"
        [strategy]
        name = "ema_cross"
        [risk.position_limits]
        max_shares = 1000
        max_open_positions = 5
        [risk.portfolio_heat]
        enabled = false
        max_heat = 0.1
        [risk.drawdown]
        enabled = true
        max_drawdown = 0.20
    """)
    assert load_config(path).risk == (
        Use("position_limits", {"max_shares": 1000, "max_open_positions": 5}),
        Use("drawdown", {"max_drawdown": 0.20}),
    )


def test_parameters_of_a_plugin_are_keys_of_its_section_or_a_table() -> None:
    as_keys = with_section(slippage={"name": "fixed", "bps": 3})
    as_table = with_section(slippage={"name": "fixed", "params": {"bps": 3}})
    assert config_from_dict(as_keys).slippage == config_from_dict(as_table).slippage == Use("fixed", {"bps": 3})


def test_other_keys_of_data_are_options_of_the_source() -> None:
    document = with_section(data={"source": "csv", "path": "x.csv", "timestamp": "close_time"})
    assert config_from_dict(document).data.options == {"path": "x.csv", "timestamp": "close_time"}


def test_fields_of_instruments_are_kept_as_given() -> None:
    document = with_section(instruments={"AAPL": {"exchange": "XNYS", "lot": 1.0}})
    assert config_from_dict(document).instruments == {"AAPL": {"exchange": "XNYS", "lot": 1.0}}


@pytest.mark.parametrize(
    ("given_start", "expected"),
    [
        (date(2010, 1, 4), datetime(2010, 1, 4, tzinfo=UTC)),
        ("2010-01-04", datetime(2010, 1, 4, tzinfo=UTC)),
        ("2010-01-04T14:30:00", datetime(2010, 1, 4, 14, 30, tzinfo=UTC)),
        ("2010-01-04T14:30:00+02:00", datetime(2010, 1, 4, 12, 30, tzinfo=UTC)),
        (datetime(2010, 1, 4, 14, 30), datetime(2010, 1, 4, 14, 30, tzinfo=UTC)),
    ],
)
def test_start_is_a_date_or_a_time_and_utc_without_a_zone(given_start: Any, expected: datetime) -> None:
    assert config_from_dict(with_section(run={"start": given_start})).run.start == expected


def test_an_end_without_a_time_of_day_includes_that_day() -> None:
    run = config_from_dict(with_section(run={"start": date(1970, 1, 1), "end": date(1970, 1, 1)})).run
    assert (run.start_ns, run.end_ns) == (0, 86_400 * 10**9)


def test_an_end_with_a_time_of_day_is_that_time() -> None:
    run = config_from_dict(with_section(run={"end": "1970-01-01T00:00:01"})).run
    assert (run.start_ns, run.end_ns) == (None, 10**9)


def test_a_run_is_named_by_itself_else_by_its_file_else_by_its_strategies(write: Any) -> None:
    text = '[data]\nsource = "sample"\n[strategy]\nname = "ema_cross"\n'
    assert config_from_dict(MINIMAL).name == "ema_cross"
    assert load_config(write(text)).name == "my_run"
    assert load_config(write(text + '[run]\nname = "mine"\n')).name == "mine"


def test_relative_paths_start_from_the_files_folder(write: Any) -> None:
    path = write('[data]\nsource = "sample"\n[strategy]\nname = "ema_cross"\n')
    assert load_config(path).folder == path.parent


# --- nothing is lost --------------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
FINITE = st.floats(0, 1e6, allow_nan=False)
PARAMS = st.dictionaries(NAMES, st.one_of(st.integers(-1000, 1000), st.booleans(), FINITE, NAMES), max_size=3)
TIMES = st.datetimes(datetime(1901, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))
USES = st.builds(Use, name=NAMES, params=PARAMS)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Any configuration that can be said in a file."""
    symbols = draw(st.lists(st.sampled_from(["AAPL", "BRK.B", "BTC/USDT", "X"]), min_size=1, unique=True))
    start, end = draw(st.none() | TIMES), draw(st.none() | TIMES)
    if start is not None and end is not None and start >= end:
        start, end = (end, start) if start > end else (start, None)
    risk = {use.name: use for use in draw(st.lists(USES, max_size=3))}
    return Config(
        run=Run(name=draw(st.none() | NAMES), capital=draw(st.floats(1, 1e9)), start=start, end=end,
                seed=draw(st.integers(0, 2**63 - 1)), strict=draw(st.booleans())),
        data=Data(draw(NAMES), symbols, draw(st.sampled_from([None, "1d", "5m"]))),
        strategies=draw(st.lists(st.builds(StrategyUse, name=NAMES, params=PARAMS,
                                           symbols=st.none() | st.just(symbols[:1])), min_size=1, max_size=3)),
        fees=Fees(taker_bps=draw(st.floats(0, 100)), maker_bps=draw(st.none() | st.floats(0, 100))),
        slippage=draw(st.none() | USES),
        sizing=draw(USES),
        risk=tuple(attrs.evolve(use, params={k: v for k, v in use.params.items() if k != "enabled"})
                   for use in risk.values()),
        instruments=draw(st.dictionaries(st.sampled_from(symbols), st.just({"lot": 0.5}))),
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(configs())
def test_a_configuration_survives_being_written_as_plain_values(config: Config) -> None:
    again = config_from_dict(config.to_dict())
    assert again.to_dict() == config.to_dict()
    assert again == config


def test_plain_values_are_what_json_can_carry() -> None:
    import json

    document = with_section(run={"start": date(2010, 1, 4)}, data={"source": "csv", "when": date(2010, 1, 1)})
    text = json.dumps(config_from_dict(document).to_dict(), allow_nan=False)
    assert json.loads(text)["run"]["start"] == "2010-01-04T00:00:00+00:00"
    assert json.loads(text)["data"] == {"source": "csv", "symbols": [], "when": "2010-01-01"}


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (with_section(runs={}), "unknown section [runs]; did you mean 'run'?"),
        (with_section(run={"capitol": 1}), "[run]: unknown key 'capitol'; did you mean 'capital'?"),
        (with_section(fees={"taker": 1}), "[fees]: unknown key 'taker'; did you mean 'taker_bps'?"),
        (with_section(account={"levrage": 2}), "did you mean 'leverage'?"),
        (with_section(fills={"participaton": 0.1}), "did you mean 'participation'?"),
        (with_section(plugins={"alow": []}), "did you mean 'allow'?"),
        (with_section(data={"sourse": "sample"}), "[data]: unknown key 'sourse'; did you mean 'source'?"),
        (with_section(data={"source": "csv", "symbol": "A"}), "unknown key 'symbol'; did you mean 'symbols'?"),
        (with_section(strategy={"nam": "x"}), "[strategy]: unknown key 'nam'; did you mean 'name'?"),
        (with_section(strategy={"name": "x", "fast": 5}), "go under params, as in params = { fast"),
        (with_section(instruments={"AAPL": {"lots": 1}}), "unknown field 'lots'; did you mean 'lot'?"),
        (with_section(instruments={"APPL": {"lot": 1}}), "'APPL' is not one of [data] symbols; did you mean 'AAPL'?"),
        (with_section(strategy={"name": "x", "symbols": ["MSFTT"]}), "'MSFTT' is not one of [data] symbols; did you"),
    ],
)
def test_what_is_misspelt_is_refused_with_what_was_meant(document: dict[str, Any], message: str) -> None:
    assert message in refused(document)


@pytest.mark.parametrize(
    ("section", "key", "value", "rule"),
    [
        ("run", "capital", 0, "a number > 0"),
        ("run", "capital", -5.0, "a number > 0"),
        ("run", "capital", "lots", "a number > 0"),
        ("run", "capital", True, "a number > 0"),
        ("run", "capital", math.nan, "a number > 0"),
        ("run", "capital", math.inf, "a number > 0"),
        ("run", "capital", 10**400, "a number > 0"),
        ("run", "seed", -1, "a whole number from 0 to"),
        ("run", "seed", 2**63, "a whole number from 0 to"),
        ("run", "seed", 1.5, "a whole number from 0 to"),
        ("run", "strict", "yes", "true or false"),
        ("run", "strict", 1, "true or false"),
        ("run", "close_at_end", "yes", "true or false"),
        ("run", "start", "soon", "a date or time in ISO 8601"),
        ("run", "start", 20100104, "a date or time in ISO 8601"),
        ("run", "name", "", "a text that is not empty"),
        ("data", "source", 3, "the name of a plug-in"),
        ("data", "symbols", "AAPL", "a list of texts"),
        ("data", "symbols", [["AAPL"]], "a text that is not empty"),
        ("data", "timeframe", 5, "a text that is not empty"),
        ("fills", "participation", 0, "a number > 0 and <= 1"),
        ("fills", "participation", 1.01, "a number > 0 and <= 1"),
        ("fills", "limit_through", -1, "a number >= 0"),
        ("fills", "volume_window", 0, "a whole number from 1 to"),
        ("fills", "delisted_after", -1, "a number >= 0"),
        ("fills", "intrabar", "best", "'worst'"),
        ("fees", "taker_bps", -1, "a number >= 0 and <= 10000"),
        ("fees", "taker_bps", "5", "a number >= 0"),
        ("fees", "asset", "gold", "'quote'"),
        ("account", "leverage", 0, "a number > 0"),
        ("account", "maintenance", 1.0, "a number >= 0 and < 1"),
        ("account", "shorts", "no", "true or false"),
        ("account", "cash_buffer", 1.0, "a number >= 0 and < 1"),
        ("account", "risk_free_rate", 5, "a number > -1 and < 1"),
        ("account", "currency", " USD", "without spaces around it"),
        ("plugins", "allow", "all", "a list of texts"),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused_with_value_and_rule(
    section: str, key: str, value: Any, rule: str
) -> None:
    base = dict(MINIMAL["data"]) if section == "data" else {}
    message = refused(with_section(**{section: {**base, key: value}}))
    assert f"[{section}] {key}" in message
    assert rule in message
    assert repr(value).strip("[]")[:20] in message


@pytest.mark.parametrize("section", ["run", "data", "strategy", "fills", "fees", "account", "sizing", "risk",
                                     "instruments", "plugins", "slippage", "broker"])
def test_a_section_that_is_no_table_is_refused(section: str) -> None:
    assert "it must be a table" in refused(with_section(**{section: 3}))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"strategy": {"name": "x"}}, "the section [data] is missing"),
        ({"data": {"source": "sample"}}, "no strategy is named"),
        ({"data": {}, "strategy": {"name": "x"}}, "[data]: source is missing"),
        (with_section(strategy={}), "[strategy]: name is missing"),
        (with_section(slippage={"bps": 2}), "[slippage]: name is missing"),
        (with_section(strategy=[]), "no strategy is named"),
        (with_section(strategy={"name": "no good"}), "it must be the name of a plug-in"),
        (with_section(strategy={"name": "x", "params": 3}), "params = 3 (a whole number); it must be a table"),
        (with_section(slippage={"name": "fixed", "bps": 1, "params": {"bps": 2}}), "bps is given both as a key and"),
        (with_section(risk={"drawdown": 0.2}), "a rule is a section of its own"),
        (with_section(risk={"drawdown": {"enabled": "yes"}}), "[risk.drawdown] enabled = 'yes'"),
        (with_section(risk={"no rule": {}}), "it must be the name of a plug-in"),
        (with_section(data={"source": "sample", "symbols": ["A", "A"]}), "[data] symbols names 'A' twice"),
        (with_section(instruments={"AAPL": {"lot": -1}}), "lot = -1"),
        (with_section(run={"start": "2011-01-01", "end": "2010-01-01"}), "is not before end"),
        (with_section(run={"start": "1066-10-14"}), "the year must be from 1900 to 2200"),
        ({**MINIMAL, 3: {}}, "every key must be a text"),
    ],
)
def test_what_is_missing_or_contradicts_itself_is_refused(document: dict[str, Any], message: str) -> None:
    assert message in refused(document)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("fees", "asset", "base")],
)
def test_a_key_of_a_later_version_is_refused_and_said_to_be_one(section: str, key: str, value: Any) -> None:
    assert "is not available in this version" in refused(with_section(**{section: {key: value}}))


@pytest.mark.parametrize("key", ["api_key", "API_SECRET", "password", "access_token", "private_key", "apikey"])
def test_a_secret_in_a_configuration_is_refused(key: str) -> None:
    message = refused(with_section(broker={"name": "paper", key: "s3cr3t"}))
    assert "secrets come from the environment only" in message
    assert "s3cr3t" not in message


def test_a_secret_in_a_nested_table_is_refused() -> None:
    document = with_section(data={"source": "vendor", "login": {"password": "s3cr3t"}})
    assert "[data.login] password looks like a secret" in refused(document)


def test_values_given_from_python_are_checked_like_those_of_a_file() -> None:
    with pytest.raises(ConfigError, match=r"\[run\] capital = -1"):
        Run(capital=-1)
    with pytest.raises(ConfigError, match=r"\[fees\] taker_bps"):
        Fees(taker_bps="5")


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_proposes_its_neighbour(write: Any, tmp_path: Path) -> None:
    write("", "demo.toml")
    with pytest.raises(ConfigError, match=r"no configuration file at '.*demos\.toml'; did you mean 'demo\.toml'"):
        load_config(tmp_path / "demos.toml")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        load_config(tmp_path)


def test_a_file_that_is_no_toml_is_refused_with_line_and_column(write: Any) -> None:
    with pytest.raises(ConfigError, match=r"my_run\.toml: not valid TOML: .*line 2, column"):
        load_config(write("[run]\ncapital = \n"))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"name = '\xff\xfe'")
    with pytest.raises(ConfigError, match="byte 8 is not UTF-8"):
        load_config(path)


@pytest.mark.parametrize("overrides", [(), ("data.symbols=[]",)])
def test_an_empty_list_of_symbols_is_refused_with_the_mend(write: Any, overrides: tuple[str, ...]) -> None:
    """It used to mean everything; a recorded configuration, which has one where none were named, still loads."""
    symbols = '["A"]' if overrides else "[]"
    path = write(f'[data]\nsource = "csv"\nsymbols = {symbols}\n[strategy]\nname = "x"\n')
    with pytest.raises(ConfigError, match=r"symbols = \[\] names no symbol; leave the key out for all"):
        load_config(path, overrides)
    config = config_from_dict({"data": {"source": "csv"}, "strategy": {"name": "x"}})
    assert config_from_dict(config.to_dict()) == config


def test_a_strategy_on_no_symbols_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[strategy\] x: symbols = \[\] names no symbol; leave the key out"):
        config_from_dict({"data": {"source": "csv"}, "strategy": {"name": "x", "symbols": []}})


@pytest.mark.parametrize("name", ["mine.py", "strategies/mine.py:Mine", "mine:Mine", "mine.strategies.Mine"])
def test_a_strategy_named_by_its_file_is_refused_with_the_ways_to_run_it(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_dict({"data": {"source": "csv"}, "strategy": {"name": name}})
    for way in ("framework new strategy NAME", "framework.backtest(..., strategy=MyStrategy)"):
        assert way in str(caught.value)


def test_an_empty_file_is_refused_for_what_it_lacks(write: Any) -> None:
    with pytest.raises(ConfigError, match=r"my_run\.toml: the section \[data\] is missing"):
        load_config(write(""))


def test_a_wrong_value_in_a_file_is_refused_with_the_files_name(write: Any) -> None:
    path = write('[run]\ncapital = "lots"\n[data]\nsource = "sample"\n[strategy]\nname = "x"\n')
    with pytest.raises(ConfigError, match=r"my_run\.toml: \[run\] capital = 'lots' \(a text\); it must be a number"):
        load_config(path)


# --- overrides --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run.seed=7", {"run": {"seed": 7}}),
        ("run.capital = 50_000", {"run": {"capital": 50_000}}),
        ("run.strict=true", {"run": {"strict": True}}),
        ("run.start=2010-01-04", {"run": {"start": date(2010, 1, 4)}}),
        ("data.source=csv", {"data": {"source": "csv"}}),
        ("data.timeframe=1w", {"data": {"timeframe": "1w"}}),
        ("data.path=./bars/x.csv", {"data": {"path": "./bars/x.csv"}}),
        ('data.symbols=["A", "B"]', {"data": {"symbols": ["A", "B"]}}),
        ('instruments."BRK.B".lot=1', {"instruments": {"BRK.B": {"lot": 1}}}),
        ("slippage={name = 'fixed', bps = 3}", {"slippage": {"name": "fixed", "bps": 3}}),
        ("run.name='a=b'", {"run": {"name": "a=b"}}),
    ],
)
def test_an_override_is_a_dotted_key_and_a_toml_value_or_a_bare_word(text: str, expected: dict[str, Any]) -> None:
    assert parse_override(text) == expected


@pytest.mark.parametrize("text", ["", "run.seed", "=5", "run.seed=", "run.seed=1\nrun.capital=2", "a b=5", "x=[1",
                                  "run..seed=1", "run.seed=two words", "[run]\nseed=1"])
def test_an_override_of_another_form_is_refused_and_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        parse_override(text)


def test_overrides_merge_tables_and_replace_values_and_the_later_wins() -> None:
    document = {"run": {"seed": 1, "capital": 5}, "data": {"symbols": ["A"]}}
    changed = apply_overrides(document, ["run.seed=2", "run.seed=3", 'data.symbols=["B"]', "fees.taker_bps=1"])
    assert changed == {"run": {"seed": 3, "capital": 5}, "data": {"symbols": ["B"]}, "fees": {"taker_bps": 1}}
    assert document == {"run": {"seed": 1, "capital": 5}, "data": {"symbols": ["A"]}}


def test_an_override_reaches_the_one_strategy_in_either_form() -> None:
    one = apply_overrides({"strategy": {"name": "x", "params": {"a": 1}}}, ["strategy.params.b=2"])
    assert one == {"strategy": {"name": "x", "params": {"a": 1, "b": 2}}}
    listed = apply_overrides({"strategy": [{"name": "x", "params": {"a": 1}}]}, ["strategy.params.b=2"])
    assert listed == {"strategy": [{"name": "x", "params": {"a": 1, "b": 2}}]}


def test_an_override_names_one_of_several_strategies() -> None:
    several = {"strategy": [{"name": "x"}, {"name": "y"}]}
    assert apply_overrides(several, ["strategy.y.params.b=2"]) == {
        "strategy": [{"name": "x"}, {"name": "y", "params": {"b": 2}}]
    }
    with pytest.raises(ConfigError, match=r"'params' is none of the strategies.*strategy\.x\.params\.KEY=VALUE"):
        apply_overrides(several, ["strategy.params.b=2"])


def test_an_override_names_a_use_by_its_label_or_by_the_number_of_its_name() -> None:
    uses = [{"name": "x"}, {"name": "x", "label": "slow"}, {"name": "x"}]
    for key, place in (("x", 0), ("slow", 1), ("x#2", 2), ('"x#2"', 2)):
        changed = apply_overrides({"strategy": uses}, [f"strategy.{key}.params.b=2"])
        expected = [dict(use) for use in uses]
        expected[place]["params"] = {"b": 2}
        assert changed == {"strategy": expected}
    with pytest.raises(ConfigError, match=r"'x#3' is none of the strategies; did you mean 'x#2'"):
        apply_overrides({"strategy": uses}, ["strategy.x#3.params.b=2"])


def test_uses_of_strategies_are_called_by_label_or_numbered_name() -> None:
    def labels(*uses: dict[str, Any]) -> tuple[str, ...]:
        return config_from_dict({"data": {"source": "sample"}, "strategy": list(uses)}).labels

    assert labels({"name": "x"}) == ("x",)
    assert labels({"name": "x"}, {"name": "y"}, {"name": "x"}, {"name": "x"}) == ("x", "y", "x#2", "x#3")
    assert labels({"name": "x", "label": "one"}, {"name": "x"}) == ("one", "x")
    with pytest.raises(ConfigError, match=r"\[\[strategy\]\]: 2 are called 'y', by label or name"):
        labels({"name": "x", "label": "y"}, {"name": "y"})
    for bad, message in (("a b", "letters, digits"), (3, "a whole number"), ("risk", "means something else"),
                         ("x#2", "letters, digits"), ("", "letters, digits")):
        with pytest.raises(ConfigError, match=rf"\[strategy\] label = .*{message}"):
            labels({"name": "x", "label": bad})


def test_an_override_is_checked_like_the_file(write: Any) -> None:
    path = write('[data]\nsource = "sample"\n[strategy]\nname = "x"\n')
    assert load_config(path, ["run.capital=7"]).run.capital == 7.0
    with pytest.raises(ConfigError, match="did you mean 'capital'"):
        load_config(path, ["run.capitol=7"])


# --- documentation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [config_module, fields, overrides, strategy_section])
def test_the_examples_in_the_docstrings_hold(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


def test_every_section_and_key_stands_in_the_documentation() -> None:
    text = (Path(__file__).resolve().parent.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    kinds = [Run, Data, StrategyUse, config_module.Fills, Fees, config_module.Account, config_module.Plugins]
    for kind in kinds:
        assert f"[{kind.SECTION}]" in text
        for field in attrs.fields(kind):
            assert field.name == "options" or f"`{field.name}`" in text, f"{kind.__name__}.{field.name}"
    for section in config_module.KNOWN:
        assert f"[{section}" in text


def test_the_example_in_the_documentation_is_a_configuration(write: Any) -> None:
    text = (Path(__file__).resolve().parent.parent / "docs" / "configuration.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    assert load_config(write(example)).risk == (Use("portfolio_heat", {"max_heat": 0.30}),)
