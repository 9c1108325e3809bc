"""Random numbers inside compiled loops: the streams of numpy's `Generator(SFC64(seed))`, bit for bit.

A loop that draws by itself needs no buffer and is twice as fast as one that is fed by numpy.  The state of a stream is
four uint64, handed from call to call.  Sources: Doty-Humphrey's SFC64 (PractRand 0.9); Marsaglia & Tsang (2000), "The
Ziggurat Method for Generating Random Variables", in the form and with the tables of numpy.
"""

from __future__ import annotations

import math

import numpy as np
from numba.np.random._constants import fi_double, ki_double, wi_double, ziggurat_nor_inv_r, ziggurat_nor_r
from numpy.typing import NDArray

from framework.boundary.jit import inlined, kernel

FRACTION = 2.0**-53
"""What the upper 53 bits of a draw are counted in."""

U1, U3, U8, U11, U24, U40 = (np.uint64(value) for value in (1, 3, 8, 11, 24, 40))
LAYER, MANTISSA = np.uint64(0xFF), np.uint64(0x000FFFFFFFFFFFFF)

INSIDE = ki_double.astype(np.int64)
"""Below this the draw of a layer lies under the curve."""

WIDTH, HEIGHT = np.array(wi_double), np.array(fi_double)


def stream_state(seed: int, number: int) -> NDArray[np.uint64]:
    """Return the state uint64[4] of stream `number` of a seed; streams are independent (numpy's SeedSequence)."""
    generator = np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(number,)))
    return np.array(generator.state["state"]["state"], np.uint64)


@inlined
def next_bits(a, b, c, count):
    """Return 64 random bits and the next state."""
    bits = a + b + count
    return bits, b ^ (b >> U11), c + (c << U3), ((c << U24) | (c >> U40)) + bits, count + U1


@inlined
def uniform(a, b, c, count):
    """Return a number in [0, 1), a multiple of 2**-53, and the next state."""
    bits, a, b, c, count = next_bits(a, b, c, count)
    return np.int64(bits >> U11) * FRACTION, a, b, c, count


@inlined
def candidate(bits):
    """Return the point that random bits name, its distance from the middle in steps, and its layer."""
    layer = np.int64(bits & LAYER)
    bits >>= U8
    distance = np.int64((bits >> U1) & MANTISSA)
    x = distance * WIDTH[layer]
    return -x if bits & U1 else x, distance, layer


@inlined
def normal(a, b, c, count):
    """Return a standard normal number and the next state."""
    bits, a, b, c, count = next_bits(a, b, c, count)
    x, distance, layer = candidate(bits)
    if distance < INSIDE[layer]:
        return x, a, b, c, count
    return edge(x, distance, layer, a, b, c, count)


@kernel
def edge(x, distance, layer, a, b, c, count):
    """Return what a draw at the edge of its layer becomes: itself, a point of the tail, or another draw."""
    while True:
        if layer == 0:
            while True:
                along, a, b, c, count = uniform(a, b, c, count)
                up, a, b, c, count = uniform(a, b, c, count)
                beyond, height = -ziggurat_nor_inv_r * math.log1p(-along), -math.log1p(-up)
                if height + height > beyond * beyond:
                    x = ziggurat_nor_r + beyond
                    return -x if (distance >> 8) & 1 else x, a, b, c, count
        up, a, b, c, count = uniform(a, b, c, count)
        if (HEIGHT[layer - 1] - HEIGHT[layer]) * up + HEIGHT[layer] < math.exp(-0.5 * x * x):
            return x, a, b, c, count
        bits, a, b, c, count = next_bits(a, b, c, count)
        x, distance, layer = candidate(bits)
        if distance < INSIDE[layer]:
            return x, a, b, c, count
