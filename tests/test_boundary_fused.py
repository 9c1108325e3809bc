"""The fused product and sum has one rounding, compiled and in plain Python."""

from __future__ import annotations

import math
from fractions import Fraction

import numba
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.boundary.fused import fma
from framework.boundary.jit import JIT

prices = st.floats(-1e12, 1e12)


@numba.njit
def compiled(a: float, b: float, c: float) -> float:
    """Call it from compiled code."""
    return fma(a, b, c)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(a=prices, b=prices, c=prices)
def test_it_is_the_exact_value_rounded_once(a: float, b: float, c: float) -> None:
    """Rational arithmetic is the oracle; Python rounds a fraction to the nearest float."""
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assert fma(a, b, c) == float(exact)


@pytest.mark.skipif(not JIT, reason="compares compiled code")
@settings(deadline=None, max_examples=300, derandomize=True)
@given(a=st.floats(), b=st.floats(), c=st.floats())
def test_compiled_and_plain_give_the_same_bits(a: float, b: float, c: float) -> None:
    """Infinities, zeros of both signs and what overflows included."""
    plain, made = fma(a, b, c), compiled(a, b, c)
    assert (math.isnan(plain) and math.isnan(made)) or plain.hex() == made.hex()


def test_a_product_that_rounds_away_is_seen() -> None:
    """(1 + e)(1 - e) is 1 - e^2, which two roundings make 1."""
    e = 2.0**-30
    assert fma(1.0 + e, 1.0 - e, -1.0) == -(e * e)
    assert (1.0 + e) * (1.0 - e) - 1.0 == 0.0
