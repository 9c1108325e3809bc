"""What is traded: its exchange, the grid of its prices and quantities, and its currency."""

from __future__ import annotations

import math

import attrs

from framework.errors import ConfigError

ALWAYS_OPEN = "24/7"
"""The exchange without sessions: it never closes, and its days are UTC days."""


def _text(instrument: Instrument, attribute: attrs.Attribute[str], value: str) -> None:
    if not isinstance(value, str) or not value.strip() or value != value.strip():
        raise ConfigError(
            f"instrument: {attribute.name} = {value!r}; rule: a text that is not empty, without spaces around it"
        )


def _number(instrument: Instrument, attribute: attrs.Attribute[float], value: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    strictly_positive = attribute.name in ("lot", "multiplier")
    if not is_number or value < 0 or (strictly_positive and value == 0):
        rule = "a finite number > 0" if strictly_positive else "a finite number >= 0"
        raise ConfigError(f"instrument {instrument.symbol}: {attribute.name} = {value!r}; rule: {rule}")


def _flag(instrument: Instrument, attribute: attrs.Attribute[bool], value: bool) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"instrument {instrument.symbol}: {attribute.name} = {value!r}; rule: true or false")


def _default_lot(instrument: Instrument) -> float:
    return 1e-8 if instrument.exchange == ALWAYS_OPEN else 1.0


@attrs.frozen
class Instrument:
    """One tradable symbol.  Raises ConfigError for a value that breaks a rule.

    symbol: the name by which data, strategies and tables call it.
    exchange: "24/7", or a name of the package exchange_calendars such as XNYS.
    lot: smallest step of a quantity, > 0; 1e-8 on "24/7" and 1 elsewhere unless given.
    tick: smallest step of a price; 0 means no tick.  An adjusted tape has none.
    min_qty, min_notional: smallest quantity and smallest quantity * price * multiplier of an order; 0 means none.
    multiplier: account currency per unit of price and quantity, > 0; 1 for shares and coins.
    currency: the currency of prices.
    is_adjusted: True when prices are divided, and volume multiplied, by the factors of splits and dividends.
    borrow_percent: what a short position costs, percent of its value a year, >= 0; None leaves it to the account.

    >>> Instrument("AAPL", exchange="XNYS").lot
    1.0
    """

    symbol: str = attrs.field(validator=_text)
    exchange: str = attrs.field(default=ALWAYS_OPEN, validator=_text)
    lot: float = attrs.field(default=attrs.Factory(_default_lot, takes_self=True), validator=_number)
    tick: float = attrs.field(default=0.0, validator=_number)
    min_qty: float = attrs.field(default=0.0, validator=_number)
    min_notional: float = attrs.field(default=0.0, validator=_number)
    multiplier: float = attrs.field(default=1.0, validator=_number)
    currency: str = attrs.field(default="USD", validator=_text)
    is_adjusted: bool = attrs.field(default=False, validator=_flag)
    borrow_percent: float | None = attrs.field(default=None, validator=attrs.validators.optional(_number))

    def __attrs_post_init__(self) -> None:
        """Refuse what two fields together forbid."""
        if self.is_adjusted and self.tick:
            raise ConfigError(
                f"instrument {self.symbol}: tick = {self.tick!r} with is_adjusted = true; rule: adjusted prices lie on "
                "no grid; mend: leave tick out, or use unadjusted prices"
            )
