"""The order book beside bars: the best levels as they stood at each close, as columns with names of their own.

    bid_1, bid_size_1, ask_1, ask_size_1, bid_2, ...   prices in currency, sizes in units; level 1 is the best

Quotes without sizes (bid_1 and ask_1 alone) are a book as well.  A level that is not there has no price and a size of
0; a close at which nothing is known of the book has neither.  A tape without a book has no such columns and pays
nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from framework.data.series import BOOK, LEVELS_MAX, Fault, Floats, Mask, book_names
from framework.errors import DataError

BOOK_FIELDS = book_names(LEVELS_MAX)
"""The name of every column that a book may have."""

SIDES = ("bid", "ask")


def levels_of(names: Iterable[str]) -> int:
    """Return the number of levels that some columns of a book have."""
    return max((int(name.rpartition("_")[2]) for name in names), default=0)


def check_book_names(names: Sequence[str], where: str) -> None:
    """Raise DataError unless columns make a book: levels from 1 on without a hole, both sides, sizes of all or none."""
    if not names:
        return
    levels = levels_of(names)
    prices = [f"{side}_{level}" for level in range(1, levels + 1) for side in SIDES]
    sizes = [f"{side}_size_{level}" for level in range(1, levels + 1) for side in SIDES]
    wanted = prices + (sizes if any(name in names for name in sizes) else [])
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(f"{where}: an order book without {', '.join(missing)}; there are: {', '.join(sorted(names))}; "
                        "rule: every level from 1 on has a bid and an ask, and all of them sizes or none; mend: name "
                        'the columns, as in columns = { bid_1 = "..." }, or leave the others out')


def normal_book(book: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return a book in which a level that is not there has the size 0, unless nothing is known of the whole book."""
    if not book:
        return {}
    known = ~(np.isnan(book["bid_1"]) & np.isnan(book["ask_1"]))
    made = {}
    for name in book_names(levels_of(book)):
        if name in book:
            column = book[name]
            is_size = "_size_" in name
            made[name] = np.where(known & np.isnan(column), 0.0, column) if is_size else column
    return made


def book_faults(book: Mapping[str, Floats]) -> Iterator[Fault]:
    """Yield, one after the other, the rules on a normal book with the rows that break them."""
    if not book:
        return
    levels, has_sizes, rows = levels_of(book), "bid_size_1" in book, len(book["bid_1"])
    infinite, unpriced, sizeless, hole = (np.zeros(rows, np.bool_) for _ in range(4))
    for column in book.values():
        infinite |= np.isinf(column) | (column < 0.0)
    for side, level in itertools.product(SIDES, range(1, levels + 1)):
        price = book[f"{side}_{level}"]
        unpriced |= price == 0.0
        if has_sizes:
            size = book[f"{side}_size_{level}"]
            sizeless |= np.isnan(price) != ~(size > 0.0)
        if level > 1:
            hole |= ~np.isnan(price) & np.isnan(book[f"{side}_{level - 1}"])
    yield Fault(infinite, "prices and sizes of the book are finite and not negative", BOOK)
    yield Fault(unpriced, "prices of the book are above zero", BOOK)
    yield Fault(sizeless, "a level of the book has a price and a size above zero, or neither", BOOK)
    yield Fault(hole, "levels of the book follow each other without a hole", BOOK)
    yield Fault(_unsorted(book, levels), "bids fall and asks rise from level to level", BOOK)
    yield Fault(book["bid_1"] >= book["ask_1"], "the best bid is below the best ask", BOOK)


def _unsorted(book: Mapping[str, Floats], levels: int) -> Mask:
    mask = np.zeros(len(book["bid_1"]), np.bool_)
    for level in range(2, levels + 1):
        mask |= book[f"bid_{level}"] >= book[f"bid_{level - 1}"]
        mask |= book[f"ask_{level}"] <= book[f"ask_{level - 1}"]
    return mask


def join_books(books: Sequence[Mapping[str, Floats]], lengths: Sequence[int]) -> dict[str, Floats]:
    """Return the columns that any of several symbols has, one after the other; NaN for a symbol without one."""
    names = [name for name in BOOK_FIELDS if any(name in book for book in books)]
    return {name: np.concatenate([book.get(name, np.full(length, np.nan))
                                  for book, length in zip(books, lengths, strict=True)]) for name in names}


def random_book(close: Floats, told: Floats, rng: np.random.Generator, levels: int, spread_bps: float,
                size: float) -> dict[str, Floats]:
    """Return a book around each close: equally distant levels, sizes that fall with depth and lean to one side.

    close: the middle.  told: which way and how far the book leans.  spread_bps: of the best level, basis points of the
    close.  size: median of the first level's, units.  The shares of the two sides are 1 / (1 + exp(-+2 told)): the
    imbalance of any number of levels is tanh(told) but for the noise of single levels.
    """
    half = close * spread_bps / 20_000.0
    noise = np.exp(0.3 * rng.standard_normal((len(close), 2, levels)))
    book = {}
    for level in range(1, levels + 1):
        for place, (side, sign) in enumerate(zip(SIDES, (-1.0, 1.0), strict=True)):
            book[f"{side}_{level}"] = close + sign * level * half
            share = 2.0 / (1.0 + np.exp(2.0 * sign * told))
            book[f"{side}_size_{level}"] = size / level * share * noise[:, place, level - 1]
    return normal_book(book)
