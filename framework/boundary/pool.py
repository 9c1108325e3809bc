"""Memory for logs and columns, used again by the next run.

Memory that the system hands out fresh costs more to touch for the first time than the step does to write it.  A block
is free as soon as nobody but the pool refers to it: arrays made on it refer to it for as long as they live.
"""

from __future__ import annotations

import sys
import threading

import numpy as np

MOST_BYTES = 1 << 30
"""What the pool keeps at most; whatever goes beyond is ordinary memory."""

def references(blocks: list[np.ndarray], place: int) -> int:
    """Return how many references to a block there are, those of the list and of this question among them."""
    return sys.getrefcount(blocks[place])


HELD_BY_POOL_ALONE = references([np.empty(0, np.uint8)], 0)
"""References to a block that nobody uses, counted on one: interpreters differ in what a question itself adds."""


class Pool:
    """Blocks of bytes that serve one run after another.  Safe to share between threads."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._blocks: list[np.ndarray] = []
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """The memory that the pool keeps, in use or not."""
        return sum(block.nbytes for block in self._blocks)

    def empty(self, rows: int, dtype: np.dtype) -> np.ndarray:
        """Return an array of `rows` rows, its content undefined, on a free block where there is one that fits."""
        size = max(1, rows * dtype.itemsize)
        with self._lock:
            block = self._free_block(size)
            if block is None:
                block = np.empty(size, np.uint8)
                self._keep(block)
        return block[: rows * dtype.itemsize].view(dtype)

    def _free_block(self, size: int) -> np.ndarray | None:
        """Return the smallest free block that fits and is not much too large."""
        best = None
        for place in range(len(self._blocks)):
            is_free = references(self._blocks, place) == HELD_BY_POOL_ALONE
            fits = size <= self._blocks[place].nbytes <= 2 * size
            if is_free and fits and (best is None or self._blocks[place].nbytes < self._blocks[best].nbytes):
                best = place
        return None if best is None else self._blocks[best]

    def _keep(self, block: np.ndarray) -> None:
        if self.bytes + block.nbytes > self.most_bytes:
            used = [place for place in range(len(self._blocks))
                    if references(self._blocks, place) > HELD_BY_POOL_ALONE]
            self._blocks = [self._blocks[place] for place in used]
        if self.bytes + block.nbytes <= self.most_bytes:
            self._blocks.append(block)


MEMORY = Pool()
"""The pool of all runs of this process."""
