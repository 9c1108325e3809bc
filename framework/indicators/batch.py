"""Indicators that are functions of whole arrays: anybody's batch function, and those of TA-Lib.

    @batch_indicator(inputs=("x",), parameters={"length": length(3)}, lookback=lambda p: p.length - 1, source="pandas")
    def skew(x, length):
        \"\"\"Skewness of the last `length` values.\"\"\"
        return pandas.Series(x).rolling(length).skew().to_numpy()

    hilbert = talib_indicator("HT_TRENDLINE")

Such a function could read the future, so it is checked before its first answer: over the beginning of the data it must
give the beginning of what it gives over more of them. It has no step: one live bar computes all bars again.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from framework.errors import ConfigError, StrategyError, did_you_mean
from framework.indicators.definition import Declaration, History, Live, Parameter, frozen, length, number, register
from framework.indicators.expression import BAR_FIELDS

Batch = Callable[..., Any]

CHECKED_BARS = 1024
"""How many values of the first data an indicator's causality is checked on."""

CUTS = (0.0, 0.03, 0.1, 0.25, 0.5, 0.75, 0.97)
"""Where those data are cut off: shares of what follows the lookback."""


class BatchIndicator(Declaration[Any]):
    """An indicator that is a function of whole arrays, with a declared lookback and checked causality.

    The function takes float64 arrays without missing values, in the order of the inputs, and the parameters by name. It
    returns one array as long as they are, or as many as it has outputs. What it says before the lookback is not read.
    """

    def __init__(self, step: Batch, *, tolerance: float = 0.0, **declared: Any) -> None:
        super().__init__(step, **declared)
        self.tolerance = tolerance
        self._checked: set[tuple[int | float, ...]] = set()

    @property
    def is_compiled(self) -> bool:
        """A batch function is called as it is."""
        return False

    def columns(self, parameters: tuple[int | float, ...], inputs: tuple[np.ndarray, ...],
                bounds: np.ndarray | None = None) -> np.ndarray:
        """Return float64[outputs, n]; StrategyError when the function raises, or answers what its lookback forbids.

        Bars with a missing input are left out before the function is called and have no value. With each new set of
        parameters the first data that are longer than the lookback serve to check the causality.
        """
        if bounds is not None and len(bounds) > 2:
            parts = [tuple(frozen(x[i:j]) for x in inputs) for i, j in itertools.pairwise(bounds)]
            return np.concatenate([self.columns(parameters, part) for part in parts], axis=1)
        known = np.isfinite(np.array(inputs)).all(axis=0)
        given = inputs if known.all() else tuple(frozen(x[known]) for x in inputs)
        if parameters not in self._checked and len(given[0]) > min(self.lookbacks(parameters)) + 1:
            self._check_causality(parameters, tuple(frozen(x[:self._checked_bars(parameters)]) for x in given))
            self._checked.add(parameters)
        out = np.full((len(self.outputs), len(known)), np.nan)
        out[:, known] = self._call(parameters, given)
        return out

    def live(self, parameters: tuple[int | float, ...], inputs: tuple[np.ndarray, ...], out: np.ndarray) -> Live:
        """Return a fresh indicator that keeps all bars and computes all of them again at each."""
        history = History(len(inputs))

        def operate() -> None:
            values = [float(x[0]) for x in inputs]
            out[:, 0] = np.nan
            if np.isfinite(values).all():
                history.append(values)
                out[:, 0] = self._call(parameters, history.columns)[:, -1]

        return Live(operate, history=history)

    def _checked_bars(self, parameters: tuple[int | float, ...]) -> int:
        return CHECKED_BARS + 2 * max(self.lookbacks(parameters))

    def _call(self, parameters: tuple[int | float, ...], inputs: tuple[np.ndarray, ...]) -> np.ndarray:
        """Return float64[outputs, n] of inputs without missing values, NaN before the lookback."""
        n, lookbacks = len(inputs[0]), self.lookbacks(parameters)
        out = np.full((len(self.outputs), n), np.nan)
        if n <= min(lookbacks):
            return out
        try:
            answer = self.step(*inputs, **vars(self.named(parameters)))
        except Exception as fault:
            raise StrategyError(f"indicator {self.name} raised {type(fault).__name__}: {fault}, on {n} bars",
                                function=self.name) from fault
        answers = answer if len(self.outputs) > 1 else (answer,)
        shapes = [np.shape(one) for one in answers]
        if shapes != [(n,)] * len(self.outputs):
            raise StrategyError(f"indicator {self.name} answered arrays of the shapes {shapes} on {n} bars; "
                                f"rule: {len(self.outputs)} of ({n},)", function=self.name)
        for row, one, lookback in zip(out, answers, lookbacks, strict=True):
            row[lookback:] = np.asarray(one, np.float64)[lookback:]
        return out

    def _check_causality(self, parameters: tuple[int | float, ...], inputs: tuple[np.ndarray, ...]) -> None:
        """Raise StrategyError when the function needs the future, or more bars than its lookback says."""
        whole, n = self._call(parameters, inputs), len(inputs[0])
        for name, row, lookback in zip(self.outputs, whole, self.lookbacks(parameters), strict=True):
            first = np.flatnonzero(~np.isnan(row))
            if first.size and first[0] > lookback:
                raise StrategyError(f"indicator {self.name}: its output {name} is first known after {first[0]} bars; "
                                    f"it declares a lookback of {lookback}", function=self.name)
        start = min(self.lookbacks(parameters)) + 1
        for cut in sorted({start + int(share * (n - 1 - start)) for share in CUTS} | {n - 1}):
            part = self._call(parameters, tuple(frozen(x[:cut]) for x in inputs))
            at = self._first_difference(whole[:, :cut], part)
            if at is not None:
                raise StrategyError(
                    f"indicator {self.name} sees the future: its output {self.outputs[at[0]]} at bar {at[1]} is "
                    f"{float(whole[at])!r} over {n} bars and {float(part[at])!r} over the first {cut}; "
                    "a value may depend on its own bar and those before", function=self.name)

    def _first_difference(self, whole: np.ndarray, part: np.ndarray) -> tuple[int, int] | None:
        allowed = self.tolerance * np.maximum(np.abs(whole), np.abs(part))
        with np.errstate(invalid="ignore"):
            same = (whole == part) | (np.isnan(whole) & np.isnan(part)) | (np.abs(whole - part) <= allowed)
        differing = np.argwhere(~same.T)
        return (int(differing[0][1]), int(differing[0][0])) if differing.size else None


def batch_indicator(*, lookback: Callable[[Any], int | tuple[int, ...]], source: str,
                    parameters: Mapping[str, Parameter] | None = None, inputs: Sequence[str] = (),
                    bar_inputs: Sequence[str] = (), outputs: Sequence[str] = (),
                    check: Callable[[Any], str | None] | None = None, tolerance: float = 0.0,
                    cost: str = "a call") -> Callable[[Batch], BatchIndicator]:
    """Declare the decorated function of whole arrays as an indicator.

    inputs, bar_inputs, parameters, outputs, lookback, check, source, cost: as for `indicator`
    tolerance   how far, relative to a value, it may change when later bars come: 0 unless it sums in another order
    """

    def declare(step: Batch) -> BatchIndicator:
        declared = BatchIndicator(step, inputs=inputs, bar_inputs=bar_inputs, parameters=parameters or {},
                                  outputs=outputs, lookback=lookback, check=check, source=source, cost=cost,
                                  tolerance=tolerance)
        wanted = [*declared.arrays, *declared.parameters]
        if list(inspect.signature(step).parameters) != wanted:
            raise ConfigError(f"indicator {declared.name}: its function must take ({', '.join(wanted)}), "
                              f"not {inspect.signature(step)}")
        register(declared)
        return declared

    return declare


class TalibIndicator(BatchIndicator):
    """A function of TA-Lib; the same object for the same name."""

    def __reduce__(self) -> Any:
        return talib_indicator, (self.name,)


@functools.cache
def talib_indicator(name: str) -> TalibIndicator:
    """Return a function of TA-Lib as an indicator, with its own parameters, defaults, outputs and lookback.

    It takes `bars` when the function reads prices, else series. ConfigError for an unknown name, and when the package
    TA-Lib is not installed. Differing from TA-Lib, a bar with a missing value is passed over.
    """
    talib = _talib()
    if name not in talib.get_functions():
        raise ConfigError(f"TA-Lib has no function {name!r}{did_you_mean(name, talib.get_functions())}")
    info = talib.abstract.Function(name).info
    bar_inputs, inputs = _inputs_of(name, info["input_names"])
    parameters = {key: length(low=-2**31, default=value) if isinstance(value, int) else number(default=value)
                  for key, value in info["parameters"].items()}
    outputs = info["output_names"]

    def call(*arrays: np.ndarray, **values: int | float) -> Any:
        return getattr(talib, name)(*arrays, **values)

    def lookback(parameters: Any) -> int:
        function = talib.abstract.Function(name)
        function.parameters = vars(parameters)
        return int(function.lookback)

    def check(parameters: Any) -> str | None:
        if lookback(parameters) >= 0:
            return None
        given = ", ".join(f"{key} = {value!r}" for key, value in vars(parameters).items())
        return f"TA-Lib does not accept {given}"

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{info['display_name']} of TA-Lib."
    return TalibIndicator(call, inputs=inputs, bar_inputs=bar_inputs, parameters=parameters,
                          outputs=outputs if len(outputs) > 1 else (), lookback=lookback, check=check,
                          source=f"TA-Lib {name}", cost="a call")


def _talib() -> ModuleType:
    try:
        import talib
        import talib.abstract
    except ImportError as fault:
        raise ConfigError(f"TA-Lib cannot be imported ({fault}); install it: pip install TA-Lib") from None
    return talib


def _inputs_of(name: str, described: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a function of TA-Lib reads of bars, and which series it takes."""
    if "prices" not in described:
        return (), tuple(described)
    fields = [field for value in described.values() for field in ([value] if isinstance(value, str) else value)]
    if not set(fields) <= set(BAR_FIELDS):
        raise ConfigError(f"TA-Lib's {name} reads {', '.join(fields)}, which bars do not have")
    return tuple(fields), ()
