"""What of a run needs the volume of bars, refused where the data have none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from framework.backtest.config import Fills
from framework.boundary.adapter import names_used
from framework.data.tape import Tape
from framework.engine.layout import FAULT_DECIDE
from framework.engine.simulation import Simulation
from framework.errors import ConfigError

WORDS = ("volume", "mean_volume")
"""What a function that reads a volume mentions."""


def refuse_missing_volume(tape: Tape, fills: Fills, simulation: Simulation) -> None:
    """Raise ConfigError when fills are limited by volume, or a function reads one, that a symbol does not have.

    A function reads it that mentions one of WORDS, unless an indicator of its own is called so; a strategy's on the
    symbols of its slots, any other on all that are traded.
    """
    symbols = simulation.state.slots["symbol"]
    if not lacking_volume(tape, symbols):
        return
    if fills.participation is not None:
        raise ConfigError(f"[fills] participation = {fills.participation:g} limits fills by the volume of bars, "
                          f"{has_none(lacking_volume(tape, symbols))}leave participation out")
    for plug in simulation.plugs:
        lacking = lacking_volume(tape, symbols[sorted(plug.at)] if plug.kind == FAULT_DECIDE and plug.at else symbols)
        names = names_used(getattr(plug.function, "asks", None) or plug.function)
        own = (plug.dtype["ind"].names or ()) if "ind" in (plug.dtype.names or ()) else ()
        read = [word for word in WORDS if word in names and word not in own]
        if lacking and read:
            raise ConfigError(f"{plug.owner} reads {read[0].replace('_', ' ')}, {has_none(lacking)}use what needs none")


def lacking_volume(tape: Tape, symbols: Iterable[int]) -> list[str]:
    """Return which symbols' data say no volume, each once and in the order of the tape; symbols: their numbers."""
    return [tape.symbols[number] for number in sorted({int(one) for one in symbols}) if not tape.has_volume(number)]


def has_none(symbols: Sequence[str]) -> str:
    """Return the middle of a message: that symbols have no volume, and the mend."""
    return (f"which the data of {', '.join(symbols)} do not have; mend: name its column, as in columns = "
            '{ volume = "..." } of [data], or ')
