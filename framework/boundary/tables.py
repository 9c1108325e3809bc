"""Pass many arrays into compiled code as one pointer, and borrow them there.

A tuple of forty arrays costs numba four hundred arguments per call, and every use of one a counted reference. Here
the arrays are described once in a block of words (address, extents, strides); kernels receive the block's address,
and `s.slots[i]` is an address computation. The arrays are borrowed: whoever holds the block keeps them alive. With
the JIT off kernels receive the named tuple itself.

A borrowed array knows `[i]`, `[i, j]` with indices >= 0, assignment to them, `.size` and `.shape`. NUMBA_BOUNDSCHECK
checks its indices as it does those of numba's own arrays.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config, typeof, types
from numba.core import cgutils
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_builtin,
    lower_getattr,
    lower_getattr_generic,
    models,
    register_model,
)

from framework.boundary.address import emit_prefetch
from framework.boundary.jit import JIT

WORDS = 8
"""Words of one array in the block: its address, up to three extents, up to three strides in bytes, one spare."""

INT64 = ir.IntType(64)


class Tables(types.Type):
    """numba's type of a block: which arrays it describes, by name."""

    def __init__(self, name: str, fields: dict[str, Any], examples: dict[str, np.ndarray]) -> None:
        self.examples = examples
        self.fields = {field: Borrowed(f"{name}.{field}", array) for field, array in fields.items()}
        self.places = {field: place for place, field in enumerate(fields)}
        super().__init__(name=name)


class Borrowed(types.Type):
    """numba's type of one array of a block; its name is short, numba spells it out in every symbol."""

    def __init__(self, name: str, array: Any) -> None:
        self.array = array
        super().__init__(name=name)


@register_model(Tables)
@register_model(Borrowed)
class _WordsModel(models.PrimitiveModel):  # type: ignore[misc]
    """In compiled code a block, and an array of it, is a pointer to its words."""

    def __init__(self, manager: Any, frontend: Any) -> None:
        super().__init__(manager, frontend, INT64.as_pointer())


@infer_getattr
class _TablesAttributes(AttributeTemplate):  # type: ignore[misc]
    """The attributes of a block are its arrays."""

    key = Tables

    def generic_resolve(self, tables: Tables, name: str) -> Any:
        return tables.fields.get(name)


@lower_getattr_generic(Tables)  # type: ignore[untyped-decorator]
def _lower_array(context: Any, builder: Any, tables: Tables, block: Any, name: str) -> Any:
    return builder.gep(block, [ir.Constant(INT64, tables.places[name] * WORDS)])


@infer_getattr
class _BorrowedAttributes(AttributeTemplate):  # type: ignore[misc]
    """`size` and `shape`, as numpy has them."""

    key = Borrowed

    def resolve_size(self, borrowed: Borrowed) -> Any:
        return types.int64

    def resolve_shape(self, borrowed: Borrowed) -> Any:
        return types.UniTuple(types.int64, borrowed.array.ndim)


def _word(builder: Any, words: Any, number: int) -> Any:
    """Load a word; blocks do not change while compiled code runs, which lets LLVM load each only once."""
    value = builder.load(builder.gep(words, [ir.Constant(INT64, number)]))
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


@lower_getattr(Borrowed, "size")  # type: ignore[untyped-decorator]
def _lower_size(context: Any, builder: Any, borrowed: Borrowed, words: Any) -> Any:
    size = _word(builder, words, 1)
    for dimension in range(1, borrowed.array.ndim):
        size = builder.mul(size, _word(builder, words, 1 + dimension))
    return size


@lower_getattr(Borrowed, "shape")  # type: ignore[untyped-decorator]
def _lower_shape(context: Any, builder: Any, borrowed: Borrowed, words: Any) -> Any:
    extents = [_word(builder, words, 1 + dimension) for dimension in range(borrowed.array.ndim)]
    return context.make_tuple(builder, types.UniTuple(types.int64, len(extents)), extents)


def _index_type(borrowed: Borrowed, index: Any) -> Any:
    """Return the type that an index is taken as, or None when it is not one."""
    if borrowed.array.ndim == 1 and isinstance(index, types.Integer):
        return types.int64
    if isinstance(index, types.BaseTuple) and len(index) == borrowed.array.ndim:
        return types.UniTuple(types.int64, len(index))
    return None


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):  # type: ignore[misc]
    """`[i]` and `[i, j]`."""

    def generic(self, args: Any, kws: Any) -> Any:
        if not isinstance(args[0], Borrowed):
            return None
        index = _index_type(*args)
        return index and signature(args[0].array.dtype, args[0], index)


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):  # type: ignore[misc]
    """`[i] = value` and `[i, j] = value`; a record is copied."""

    def generic(self, args: Any, kws: Any) -> Any:
        if not isinstance(args[0], Borrowed):
            return None
        index = _index_type(*args[:2])
        return index and signature(types.none, args[0], index, args[0].array.dtype)


def _pointer(context: Any, builder: Any, borrowed: Borrowed, words: Any, index_type: Any, index: Any) -> Any:
    """Return the address of an element."""
    array = borrowed.array
    indices = cgutils.unpack_tuple(builder, index) if isinstance(index_type, types.BaseTuple) else [index]
    itemsize = context.get_abi_sizeof(context.get_data_type(array.dtype))
    address = _word(builder, words, 0)
    for dimension, one in enumerate(indices):
        if config.BOUNDSCHECK:
            _check_bounds(context, builder, one, _word(builder, words, 1 + dimension))
        is_last = array.layout == "C" and dimension == array.ndim - 1
        stride = ir.Constant(INT64, itemsize) if is_last else _word(builder, words, 4 + dimension)
        address = builder.add(address, builder.mul(one, stride))
    return builder.inttoptr(address, context.get_data_type(array.dtype).as_pointer())


def _check_bounds(context: Any, builder: Any, index: Any, extent: Any) -> None:
    with cgutils.if_unlikely(builder, builder.icmp_unsigned(">=", index, extent)):
        context.call_conv.return_user_exc(builder, IndexError, ("index is out of bounds",))


@lower_builtin(operator.getitem, Borrowed, types.Any)  # type: ignore[untyped-decorator]
def _lower_getitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    borrowed, index_type = sig.args
    pointer = _pointer(context, builder, borrowed, args[0], index_type, args[1])
    if isinstance(borrowed.array.dtype, types.Record):
        return pointer
    return context.unpack_value(builder, borrowed.array.dtype, pointer)


@lower_builtin(operator.setitem, Borrowed, types.Any, types.Any)  # type: ignore[untyped-decorator]
def _lower_setitem(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    borrowed, index_type, _ = sig.args
    pointer = _pointer(context, builder, borrowed, args[0], index_type, args[1])
    if isinstance(borrowed.array.dtype, types.Record):
        itemsize = context.get_abi_sizeof(context.get_data_type(borrowed.array.dtype))
        cgutils.raw_memcpy(builder, pointer, args[2], ir.Constant(INT64, itemsize), 1)
    else:
        context.pack_value(builder, borrowed.array.dtype, args[2], pointer)
    return context.get_dummy_value()


@intrinsic
def _compiled_prefetch(typingctx: Any, borrowed: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        itemsize = context.get_abi_sizeof(context.get_data_type(borrowed.array.dtype))
        place = builder.add(_word(builder, args[0], 0), builder.mul(args[1], ir.Constant(INT64, itemsize)))
        emit_prefetch(builder, builder.inttoptr(place, cgutils.voidptr_t))
        return context.get_dummy_value()

    return types.none(borrowed, types.int64), codegen


prefetch = _compiled_prefetch if JIT else lambda array, index: None
"""prefetch(array, i): ask for element i of a borrowed vector that will be read a little later; i may lie beyond it."""


def tables_type(name: str, example: NamedTuple) -> Tables:
    """Return the type of a block that describes arrays like those of the example."""
    arrays = example._asdict()
    return Tables(name, {field: typeof(array) for field, array in arrays.items()}, arrays)


def opener(tables: Tables) -> Any:
    """Return the function by which an entry turns the argument that Python passes into the arrays."""
    if not JIT:
        return lambda argument: argument

    @intrinsic
    def open_tables(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], INT64.as_pointer())

        return tables(types.int64), codegen

    return open_tables


class Block:
    """The words that describe a tuple of arrays; `argument` is what an entry takes."""

    def __init__(self, tables: Tables, arrays: NamedTuple) -> None:
        self.arrays = arrays
        self.words = np.zeros(len(arrays) * WORDS, np.int64)
        for place, (field, array) in enumerate(zip(arrays._fields, arrays, strict=True)):
            expected = tables.examples[field]
            if array.dtype != expected.dtype or array.ndim != expected.ndim or (
                    expected.flags.c_contiguous and not array.flags.c_contiguous):
                raise TypeError(f"{field} is {array.dtype} {array.shape}, the kernels take {expected.dtype} "
                                f"with {expected.ndim} dimensions")
            words = self.words[place * WORDS : (place + 1) * WORDS]
            words[0] = array.ctypes.data
            words[1 : 1 + array.ndim] = array.shape
            words[4 : 4 + array.ndim] = array.strides
        self.argument: Any = self.words.ctypes.data if JIT else arrays
