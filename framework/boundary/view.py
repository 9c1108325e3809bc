"""Show the bytes of a record to interpreted Python, by attribute.

`now.ind.fast` must be quick without a compiler: ctypes reads a field in C, and the nested views are
made once per record and kept as plain attributes.  numpy's own records look fields up in Python code
and cost ten times as much.
"""

from __future__ import annotations

import ctypes
import math
from functools import cache
from typing import Any

import numpy as np

SCALARS = {"f8": ctypes.c_double, "i8": ctypes.c_int64, "i4": ctypes.c_int32, "i2": ctypes.c_int16,
           "i1": ctypes.c_int8, "u4": ctypes.c_uint32, "u1": ctypes.c_uint8, "b1": ctypes.c_bool}


def view_at(address: int, dtype: np.dtype) -> Any:
    """Return an object whose attributes are the fields of the record at `address`.

    Nested records are views, arrays of numbers are numpy arrays over the same bytes and arrays of
    records are tuples of views.  The caller keeps the memory alive.
    """
    record_class, nested = view_class(dtype)
    record = record_class.from_address(address)
    for name, part, offset in nested:
        setattr(record, name, nested_view(address + offset, part))
    return record


def nested_view(address: int, part: np.dtype) -> Any:
    """Return the view of one non-scalar field: a record, an array of records or an array of numbers."""
    if part.subdtype is None:
        return view_at(address, part)
    base, shape = part.subdtype
    if base.names is not None:
        return tuple(view_at(address + i * base.itemsize, base) for i in range(math.prod(shape)))
    memory: Any = (ctypes.c_uint8 * part.itemsize).from_address(address)
    return np.frombuffer(memory, dtype=base).reshape(shape)


@cache
def view_class(dtype: np.dtype) -> tuple[type[ctypes.Structure], tuple[tuple[str, np.dtype, int], ...]]:
    """Return a ctypes structure of the scalar fields, laid out as numpy has them, and the other fields."""
    if dtype.names is None:
        raise TypeError(f"a view needs a structured dtype, not {dtype}")
    layout: list[tuple[str, Any]] = []
    nested: list[tuple[str, np.dtype, int]] = []
    position = 0
    fields: Any = dtype.fields
    for name in sorted(dtype.names, key=lambda n: int(fields[n][1])):
        part, offset = fields[name][:2]
        layout.append((f"_before_{name}", ctypes.c_uint8 * (offset - position)))
        if part.names is None and part.subdtype is None:
            layout.append((name, SCALARS[part.str[1:]]))
        else:
            nested.append((name, part, offset))
            layout.append((f"_bytes_of_{name}", ctypes.c_uint8 * part.itemsize))
        position = offset + part.itemsize
    layout.append(("_after", ctypes.c_uint8 * (dtype.itemsize - position)))
    return type("Record", (ctypes.Structure,), {"_pack_": 1, "_fields_": layout}), tuple(nested)
