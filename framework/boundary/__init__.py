"""The compiled boundary: how Python functions of plug-ins are compiled and called by address.

jit      compiles kernels and keeps them in a disk cache keyed by content
address  calls a function and reads a column at a raw address, inside compiled code
view     shows the bytes of a record to interpreted Python, by attribute
fused    a product and a sum, rounded once
adapter  turns an author's function into such an address, compiled or interpreted, guarded either way

Everything above this package sees plain functions and integers.  With numba's JIT off the same
names bind Python callables, so that the same loop can be stepped through and measured for coverage.
"""
