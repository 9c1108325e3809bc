"""The memory of logs: a block serves again when nothing refers to it, and never before."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.boundary.pool import Pool

ROW = np.dtype([("id", "i8"), ("price", "f8")])


def address(array):
    return array.ctypes.data


def test_a_block_serves_again_when_its_arrays_are_gone():
    pool = Pool()
    first = pool.empty(100, ROW)
    where = address(first)
    del first
    assert address(pool.empty(90, ROW)) == where


def test_a_block_in_use_is_never_handed_out_even_when_only_a_column_of_it_is_left():
    pool = Pool()
    first = pool.empty(100, ROW)
    first["id"] = 7
    column = first["id"][10:20]
    del first
    second = pool.empty(100, ROW)
    second["id"] = 8
    assert (column == 7).all()


def test_a_much_larger_block_is_left_for_those_who_need_it():
    pool = Pool()
    where = address(pool.empty(1000, ROW))
    assert address(pool.empty(10, ROW)) != where


def test_what_is_beyond_its_bound_is_ordinary_memory():
    pool = Pool(most_bytes=200 * ROW.itemsize)
    held = [pool.empty(100, ROW) for _ in range(5)]
    assert pool.bytes == 200 * ROW.itemsize
    del held
    large = pool.empty(150, ROW)
    assert pool.bytes == large.nbytes == 150 * ROW.itemsize


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=30))
def test_arrays_that_live_never_share_memory(wishes):
    pool, alive = Pool(most_bytes=2000), []
    for number, (rows, keeps) in enumerate(wishes):
        array = pool.empty(rows, ROW)
        array["id"] = number
        if keeps:
            alive.append((number, array))
    assert all((array["id"] == number).all() for number, array in alive)
