"""What of a run needs the volume of bars, refused where the data have none."""

from __future__ import annotations

from collections.abc import Sequence

from framework.backtest.config import Fills
from framework.boundary.adapter import names_used
from framework.data.tape import Tape
from framework.engine.simulation import Plug
from framework.errors import ConfigError

WORDS = ("volume", "mean_volume")
"""What a function that reads a volume mentions."""


def refuse_missing_volume(tape: Tape, fills: Fills, plugs: Sequence[Plug]) -> None:
    """Raise ConfigError when fills are limited by volume, or a function reads one, that a symbol does not have.

    A function reads it that mentions one of WORDS, unless an indicator of its own is called so.
    """
    lacking = tape.without_volume
    if not lacking:
        return
    has_none = (f"which the data of {', '.join(lacking)} do not have; mend: name its column, as in columns = "
                '{ volume = "..." } of [data], or ')
    if fills.participation is not None:
        raise ConfigError(f"[fills] participation = {fills.participation:g} limits fills by the volume of bars, "
                          f"{has_none}leave participation out")
    for plug in plugs:
        names = names_used(getattr(plug.function, "asks", None) or plug.function)
        own = (plug.dtype["ind"].names or ()) if "ind" in (plug.dtype.names or ()) else ()
        read = [word for word in WORDS if word in names and word not in own]
        if read:
            raise ConfigError(f"{plug.owner} reads {read[0].replace('_', ' ')}, {has_none}use what needs none")
