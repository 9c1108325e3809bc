"""Change data in place for a moment, to see whether somebody reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def change_values(values: Sequence[Any]) -> Iterator[None]:
    """Hold other values in arrays, lists and dicts inside the `with`; what cannot be changed in place stays."""
    kept: list[tuple[Any, Any]] = []
    for value in values:
        if isinstance(value, np.ndarray) and value.flags.writeable and value.dtype.kind in "bif":
            kept.append((value, value.copy()))
            value[...] = ~value if value.dtype.kind == "b" else value[::-1].copy() + 1
        elif isinstance(value, list):
            kept.append((value, list(value)))
            value[:] = [_other(part) for part in reversed(value)]
        elif isinstance(value, dict):
            kept.append((value, dict(value)))
            value.update({key: _other(part) for key, part in value.items()})
    try:
        yield
    finally:
        for value, before in kept:
            if isinstance(value, dict):
                value.clear()
                value.update(before)
            else:
                value[... if isinstance(value, np.ndarray) else slice(None)] = before


def _other(part: Any) -> Any:
    if isinstance(part, bool):
        return not part
    return part + 1 if isinstance(part, (int, float)) else part
