"""Words that rules use to tell how a run went."""

from __future__ import annotations

import numpy as np


def moment(time_ns: int) -> str:
    """Return a time as text, to the minute, in UTC.

    >>> moment(0)
    '1970-01-01T00:00Z'
    """
    return f"{np.datetime_as_string(np.datetime64(int(time_ns), 'ns'), unit='m')}Z"


def times(count: int) -> str:
    """Return how often something happened in words.

    >>> times(1), times(3)
    ('once', '3 times')
    """
    return "once" if count == 1 else f"{count} times"
