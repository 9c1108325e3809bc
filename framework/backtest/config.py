"""The configuration of a run: one TOML file, checked key by key before anything is loaded.

An unknown section, key or type is a ConfigError that names the value, the rule and the nearest known name.  Names of
plug-ins and their parameters are checked by the plug-ins themselves when the run is put together.  `Config.to_dict`
gives back plain values, and ``config_from_dict(config.to_dict()) == config``.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, ClassVar

import attrs

from framework.backtest.benchmark import Benchmark
from framework.backtest.duration import optional_ns
from framework.backtest.fields import (
    checked_table,
    choice,
    flag,
    moment,
    number,
    plugin_name,
    refuse_no_symbols,
    shown,
    table,
    text,
    texts,
    whole,
    wrong,
)
from framework.backtest.monte_carlo_section import MonteCarlo
from framework.backtest.overrides import apply_overrides
from framework.backtest.sections import Optimize, WalkForward
from framework.backtest.strategy_section import (
    StrategyUse,
    begun_after_training,
    check_training,
    different_labels,
    strategies_of,
)
from framework.backtest.tax import TAX_DEFAULTS, Tax
from framework.data.details import check_detail
from framework.data.source import SECTION_KEYS, make_instrument
from framework.errors import ConfigError, did_you_mean

_SECRET = re.compile(r"(^|_)(api_?key|secret|password|passphrase|private_?key|token)(_|$)", re.IGNORECASE)


@attrs.frozen
class Run:
    """What is simulated.  A decision at time t is taken when start <= t < end; None leaves that side open.

    name: names the run folder.  capital: account currency, > 0.  end: a date without a time of day includes that day.
    strict: an order with a stop or target on the wrong side stops the run instead of being refused.
    close_at_end: close what is still open at the last close, with costs; otherwise it is marked and listed as open.
    """

    SECTION: ClassVar[str] = "run"
    name: str | None = text(None, optional=True)
    capital: float = number(100_000.0, above=0.0)
    start: datetime | None = moment(day_is_over=False)
    end: datetime | None = moment(day_is_over=True)
    seed: int = whole(1, low=0, high=2**63 - 1)
    strict: bool = flag(False)
    close_at_end: bool = flag(False)

    def __attrs_post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ConfigError(
                f"[run] start = {self.start.isoformat()} is not before end = {self.end.isoformat()}; exchange them"
            )

    @property
    def start_ns(self) -> int | None:
        """Start in ns UTC."""
        return optional_ns(self.start)

    @property
    def end_ns(self) -> int | None:
        """End in ns UTC, exclusive."""
        return optional_ns(self.end)


@attrs.frozen
class Data:
    """Where the bars come from.

    timeframe: of the bars; None leaves it to the source.  detail_timeframe: of finer bars inside them, which settle in
    which order things happened within a bar; the source then holds bars of this timeframe or finer.
    dividends, funding: files of cash flows.  options: every other key of the section, checked by the source.
    """

    SECTION: ClassVar[str] = "data"
    source: str = plugin_name()
    symbols: tuple[str, ...] = texts(())
    timeframe: str | None = text(None, optional=True)
    options: dict[str, Any] = table(attrs.Factory(dict))
    dividends: str | None = text(None, optional=True)
    funding: str | None = text(None, optional=True)
    detail_timeframe: str | None = text(None, optional=True)

    def __attrs_post_init__(self) -> None:
        if self.detail_timeframe is not None:
            check_detail(self.timeframe, self.detail_timeframe)


@attrs.frozen
class Use:
    """A plug-in by name, with parameters that its class checks."""

    SECTION: ClassVar[str] = "plug-in"
    name: str = plugin_name()
    params: dict[str, Any] = table(attrs.Factory(dict))


@attrs.frozen
class Fills:
    """How orders meet the market.

    participation: the share of mean volume that a bar may fill, a fraction; None sets no cap.
    limit_through: ticks by which the price must trade through a limit, 0 for a touch.
    volume_window: closed bars in the trailing means of volume and volatility.
    volume_basis: the volume that participation and slippage of a fill are reckoned with: "mean" of the closed bars, or
        that of the "bar" in which it fills, which nobody knew then and which is there for comparison only.
    delisted_after: days by which the data of a symbol end before those of the others for it to be closed at its last
        close; 0 for never.
    """

    SECTION: ClassVar[str] = "fills"
    intrabar: str = choice("worst", ["worst"])
    participation: float | None = number(None, above=0.0, high=1.0, optional=True)
    limit_through: float = number(0.0, low=0.0)
    volume_window: int = whole(20, low=1, high=1_000_000)
    delisted_after: float = number(7.0, low=0.0, high=36_525.0)
    volume_basis: str = choice("mean", ["mean", "bar"])


@attrs.frozen
class Fees:
    """What a fill is charged: basis points of its value, an amount per unit and per order, at least `minimum`.

    maker_bps: of limit fills; None takes taker_bps.  Amounts are in the account currency.
    """

    SECTION: ClassVar[str] = "fees"
    taker_bps: float = number(0.0, low=0.0, high=10_000.0)
    maker_bps: float | None = number(None, low=0.0, high=10_000.0, optional=True)
    per_share: float = number(0.0, low=0.0)
    per_order: float = number(0.0, low=0.0)
    minimum: float = number(0.0, low=0.0)
    asset: str = choice("quote", ["quote"], later=["base"])


@attrs.frozen
class Account:
    """Whose money it is.

    calendar: whose days equity is measured on: an exchange such as XNYS, "24/7" for UTC days, None by the symbols.
    leverage: buying power over equity, > 0.  maintenance: the least equity over exposure, below which all positions
    are liquidated at the next open; 0 for none.  cash_buffer: the fraction of available money that sizing leaves alone.
    risk_free_rate: per year, a fraction (0.05 is 5 %).  borrow_percent, interest_percent, loan_percent: per year, of
    short positions, of cash above and below 0.
    """

    SECTION: ClassVar[str] = "account"
    calendar: str | None = text(None, optional=True)
    leverage: float = number(1.0, above=0.0, high=1_000.0)
    maintenance: float = number(0.0, low=0.0, below=1.0)
    shorts: bool = flag(True)
    cash_buffer: float = number(0.0025, low=0.0, below=1.0)
    risk_free_rate: float = number(0.0, above=-1.0, below=1.0)
    borrow_percent: float = number(0.0, low=0.0, high=10_000.0)
    interest_percent: float = number(0.0, above=-100.0, high=100.0)
    loan_percent: float = number(0.0, low=0.0, high=10_000.0)
    currency: str = text("USD")


@attrs.frozen
class Plugins:
    """allow: the distributions whose plug-ins may be imported; None allows all."""

    SECTION: ClassVar[str] = "plugins"
    allow: tuple[str, ...] | None = texts(None, optional=True)


def _as_tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(values)


@attrs.frozen(kw_only=True)
class Config:
    """Everything that decides a run, but for the data itself and the versions of the code.

    folder: what relative paths in ``[data]`` start from; it is not part of what `to_dict` gives.
    """

    data: Data
    strategies: tuple[StrategyUse, ...] = attrs.field(converter=_as_tuple)
    run: Run = attrs.field(factory=Run)
    fills: Fills = attrs.field(factory=Fills)
    slippage: Use | None = None
    fees: Fees = attrs.field(factory=Fees)
    account: Account = attrs.field(factory=Account)
    sizing: Use = attrs.field(factory=lambda: Use("percent_of_equity"))
    risk: tuple[Use, ...] = attrs.field(default=(), converter=_as_tuple)
    broker: Use = attrs.field(factory=lambda: Use("paper"))
    instruments: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    plugins: Plugins = attrs.field(factory=Plugins)
    monte_carlo: MonteCarlo | None = None
    benchmark: Benchmark = attrs.field(factory=Benchmark)
    tax: Tax | None = None
    optimize: Optimize | None = None
    walk_forward: WalkForward | None = None
    folder: Path = attrs.field(factory=Path, eq=False)

    def __attrs_post_init__(self) -> None:
        if not self.strategies:
            raise ConfigError("no strategy is named; add a section [strategy] with name = \"...\"")
        labels = different_labels(self.strategies)
        if self.data.symbols:
            for use, label in zip(self.strategies, labels, strict=True):
                _known_symbols(f"[strategy] {label}: symbols", use.symbols or (), self.data.symbols)
            _known_symbols("[instruments]", self.instruments, self.data.symbols)
            _known_symbols("[benchmark] symbol", filter(None, [self.benchmark.symbol]), self.data.symbols)
        check_training(self.strategies, self.run.start)

    @property
    def name(self) -> str:
        """The run's name: [run] name, else the names of its strategies."""
        return self.run.name or "-".join(dict.fromkeys(use.name for use in self.strategies))

    @property
    def labels(self) -> tuple[str, ...]:
        """What each use of a strategy is called: its label, else its name, numbered where it comes again."""
        return different_labels(self.strategies)

    @property
    def strict(self) -> bool:
        """Whether a protective price on the wrong side stops the run."""
        return self.run.strict

    def to_dict(self) -> dict[str, Any]:
        """Return the whole configuration, defaults included, as plain values in the form of the file."""
        result: dict[str, Any] = {"run": _plain(self.run)}
        data = _plain(self.data)
        result["data"] = data.pop("options") | data
        result["strategy"] = [_plain(use) for use in self.strategies]
        result["fills"] = _plain(self.fills)
        if self.slippage is not None:
            result["slippage"] = _plain(self.slippage)
        result["fees"] = _plain(self.fees)
        result["account"] = _plain(self.account)
        result["sizing"] = _plain(self.sizing)
        result["risk"] = {use.name: _plain_value(use.params) for use in self.risk}
        result["broker"] = _plain(self.broker)
        result["instruments"] = _plain_value(self.instruments)
        result["plugins"] = _plain(self.plugins)
        if self.monte_carlo is not None:
            result["monte_carlo"] = _plain(self.monte_carlo)
        result["benchmark"] = _plain(self.benchmark)
        if self.tax is not None:
            result["tax"] = _plain(self.tax)
        if self.optimize is not None:
            result["optimize"] = _plain(self.optimize)
        if self.walk_forward is not None:
            result["walk_forward"] = _plain(self.walk_forward)
        return result


_SECTIONS: dict[str, type[Any]] = {"run": Run, "fills": Fills, "fees": Fees, "account": Account, "plugins": Plugins,
                                   "monte_carlo": MonteCarlo, "benchmark": Benchmark, "optimize": Optimize,
                                   "walk_forward": WalkForward}

_OWN_DATA_KEYS = ("source", *SECTION_KEYS)

KNOWN = ("run", "data", "strategy", "fills", "slippage", "fees", "account", "sizing", "risk", "broker", "instruments",
         "plugins", "monte_carlo", "benchmark", "tax", "optimize", "walk_forward")
"""Every section that a configuration may have."""


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file, apply ``key=value`` overrides in order and return the checked configuration.

    The run is named after the file unless it names itself; relative paths in ``[data]`` start from the file's folder.
    Raises ConfigError for a file that cannot be read and for anything in it that is not understood.
    """
    path = Path(path)
    document = apply_overrides(read_document(path), overrides)
    try:
        refuse_no_symbols(document.get("data"))
        config = config_from_dict(document, path.parent)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return config if config.run.name else attrs.evolve(config, run=attrs.evolve(config.run, name=path.stem))


def read_document(path: Path) -> dict[str, Any]:
    """Return a TOML file as nested dicts; raises ConfigError saying what is wrong and where."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = did_you_mean(path.name, _neighbours(path))
        raise ConfigError(f"no configuration file at {str(path)!r}{near}") from None
    except IsADirectoryError:
        raise ConfigError(f"{str(path)!r} is a folder; name the TOML file in it") from None
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; a configuration is a text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def config_from_dict(document: Mapping[str, Any], folder: str | Path = ".") -> Config:
    """Return the checked configuration of nested plain values in the form of the file; raises ConfigError.

    folder: what relative paths in ``[data]`` start from.
    """
    document = checked_table("configuration", document)
    for name in document:
        if name not in KNOWN:
            raise ConfigError(f"unknown section [{name}]{did_you_mean(name, KNOWN)}; known: {', '.join(KNOWN)}")
    if "data" not in document:
        raise ConfigError('the section [data] is missing; add one with source = "sample", "csv", ...')
    sections = {name: section_of(kind, document[name]) for name, kind in _SECTIONS.items() if name in document}
    for name in ("slippage", "sizing", "broker"):
        if name in document:
            sections[name] = use_of(name, document[name])
    if "tax" in document:
        sections["tax"] = _tax(document["tax"])
    strategies = strategies_of(document.get("strategy", []))
    run: Run = sections.pop("run", Run())
    return Config(
        data=_data(document["data"]),
        strategies=strategies,
        run=attrs.evolve(run, start=begun_after_training(strategies, run.start, run.end)),
        risk=_risk(document.get("risk", {})),
        instruments=_instruments(document.get("instruments", {})),
        folder=Path(folder),
        **sections,
    )


def section_of(kind: type[Any], value: Any) -> Any:
    """Return a section whose keys are the fields of an attrs class; raises ConfigError for any other key or value."""
    section = kind.SECTION
    values = checked_table(f"[{section}]", value)
    known = [field.name for field in attrs.fields(kind)]
    for key in values:
        if key not in known:
            hint = did_you_mean(key, known) or ("; it belongs in [data]" if key in _OWN_DATA_KEYS else "")
            raise ConfigError(f"[{section}]: unknown key {key!r}{hint}; it has: {', '.join(known)}")
    return kind(**values)


def _tax(value: Any) -> Tax:
    """Return [tax] over the defaults of its mode."""
    values = checked_table("[tax]", value)
    mode = values.get("mode", "rate")
    values = {**TAX_DEFAULTS.get(mode if isinstance(mode, str) else "", {}), **values}
    if "rate" not in values and mode == "rate":
        raise ConfigError("[tax]: rate is missing; name a fraction, such as rate = 0.25, or mode = \"india_crypto\"")
    tax: Tax = section_of(Tax, {"rate": 0.0, **values})
    return tax


def _data(value: Any) -> Data:
    """Return [data]; keys that are not the framework's are options of the source, unless they look misspelt."""
    values = checked_table("[data]", value)
    _refuse_secrets("data", values)
    own = {key: values.pop(key) for key in _OWN_DATA_KEYS if key in values}
    for key in values:
        near = difflib.get_close_matches(key, _OWN_DATA_KEYS, n=1, cutoff=0.8)
        if near and near[0] not in own:
            raise ConfigError(f"[data]: unknown key {key!r}; did you mean {near[0]!r}?")
    if "source" not in own:
        raise ConfigError('[data]: source is missing; name one, such as source = "sample"')
    return Data(**own, options=values)


def use_of(section: str, value: Any) -> Use:
    """Return a plug-in with parameters written as keys of the section, as a table `params`, or as both."""
    values = checked_table(f"[{section}]", value)
    _refuse_secrets(section, values)
    if "name" not in values:
        raise ConfigError(f"[{section}]: name is missing; name an installed plug-in")
    name, nested = values.pop("name"), checked_table(f"[{section}] params", values.pop("params", {}))
    twice = sorted(values.keys() & nested.keys())
    if twice:
        raise ConfigError(f"[{section}]: {', '.join(twice)} is given both as a key and under params; keep one")
    return Use(name, values | nested)


RISK_ALIASES = {"monitoring": "alerts"}
"""Sections of a seed's risk_limits.toml that are called otherwise here."""

RISK_METADATA = ("version", "last_updated", "description")
"""What [risk.metadata] may say of the file that a configuration was pasted from; it decides nothing."""


def _risk(value: Any) -> tuple[Use, ...]:
    """Return the rules named by [risk.NAME], in the order of the file, without those with enabled = false."""
    rules: list[Use] = []
    for name, values in checked_table("[risk]", value).items():
        if not isinstance(values, Mapping):
            raise ConfigError(f"[risk] {name} = {shown(values)}; a rule is a section of its own, like [risk.drawdown]")
        params = checked_table(f"[risk.{name}]", values)
        _refuse_secrets(f"risk.{name}", params)
        if name == "metadata":
            _risk_metadata(params)
            continue
        name = RISK_ALIASES.get(name, name)
        if name in [rule.name for rule in rules]:
            raise ConfigError(f"[risk.{name}] is there twice, once under another name; keep one")
        enabled = params.pop("enabled", True)
        if not isinstance(enabled, bool):
            raise wrong(f"[risk.{name}] enabled", enabled, "true or false")
        if enabled:
            rules.append(Use(name, params))
    return tuple(rules)


def _risk_metadata(values: Mapping[str, Any]) -> None:
    """Check that [risk.metadata] only describes."""
    for key, value in values.items():
        if key not in RISK_METADATA:
            raise ConfigError(f"[risk.metadata]: unknown key {key!r}{did_you_mean(key, RISK_METADATA)}; it has: "
                              f"{', '.join(RISK_METADATA)}")
        if not isinstance(value, str | date):
            raise wrong(f"[risk.metadata] {key}", value, "a text or a date")


def _instruments(value: Any) -> dict[str, dict[str, Any]]:
    """Return the fields of Instrument that [instruments.SYMBOL] sets, each checked."""
    result = {}
    for symbol, values in checked_table("[instruments]", value).items():
        fields = checked_table(f"[instruments.{symbol}]", values)
        make_instrument(symbol, fields)
        result[symbol] = fields
    return result


def _refuse_secrets(section: str, values: Mapping[str, Any]) -> None:
    """Refuse keys that look like credentials: a configuration is shared, copied into runs and committed."""
    for key, value in values.items():
        if _SECRET.search(key):
            raise ConfigError(
                f"[{section}] {key} looks like a secret; secrets come from the environment only: remove it from here"
            )
        if isinstance(value, Mapping):
            _refuse_secrets(f"{section}.{key}", value)


def _known_symbols(where: str, names: Iterable[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: {name!r} is not one of [data] symbols{did_you_mean(name, known)}")


def _plain(section: Any) -> dict[str, Any]:
    """Return a section as plain values; what is None is left out, as TOML has no word for it."""
    result = {}
    for field in attrs.fields(type(section)):
        value = getattr(section, field.name)
        if value is not None:
            result[field.name] = _plain_value(value)
    return result


def _plain_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain_value(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain_value(item) for item in value]
    return value.isoformat() if isinstance(value, date | time) else value


def _neighbours(path: Path) -> list[str]:
    try:
        return [near.name for near in path.parent.glob("*.toml")]
    except OSError:
        return []
