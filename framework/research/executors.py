"""Who runs the trials: threads of this process, or Ray's actors (`ray_cluster`, the only module that imports Ray).

An executor takes trials in any number and gives back outcomes as they are finished, in any order.  Compiled trials
release Python's lock, so that threads run side by side and share tape and columns as they are.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Protocol

from framework.errors import Interrupted
from framework.indicators import ColumnCache
from framework.research.trial import Outcome, Setup, Stage, Trial

CHUNK_SECONDS = 0.05
"""About how long a worker is busy between two visits to the driver."""

PATIENCE_SECONDS = 5.0
"""How long a trial that was told to stop is waited for; a thread that never looks up is left behind."""


class Executor(Protocol):
    """Runs trials.  name: "local" or "ray". workers: how many run side by side."""

    name: str
    workers: int

    def outcomes(self, trials: Iterable[Trial]) -> Iterator[Outcome]:
        """Yield the outcome of every trial, as they are finished."""

    def stop(self) -> list[Outcome]:
        """End what is under way and return the outcomes that were finished but not yielded."""

    def close(self) -> None:
        """Give back threads, processes and memory."""

    @property
    def computed(self) -> int:
        """The columns that were computed, a column once for each time."""


def cores() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalExecutor:
    """Threads of this process with one `Stage` each; with one worker, this thread itself."""

    name = "local"

    def __init__(self, setup: Setup, cache: ColumnCache, workers: int | None = None,
                 trial_seconds: float = 0.0) -> None:
        self.setup, self.cache = setup, cache
        self.workers = workers or cores()
        self.chunk = chunk_size(trial_seconds)
        self._stop = threading.Event()
        self._finished: queue.SimpleQueue[tuple[list[Outcome], BaseException | None]] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[list[Trial] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._left: list[Outcome] = []
        self._under_way = 0
        self._own: Stage | None = None

    @property
    def computed(self) -> int:
        """The columns that were computed."""
        return self.cache.computed

    def outcomes(self, trials: Iterable[Trial]) -> Iterator[Outcome]:
        """Yield the outcome of every trial, as they are finished; an error that is not a trial's own is raised."""
        if self.workers == 1:
            self._own = self._own or Stage(self.setup, self.cache, stopped=self._stop.is_set)
            for trial in trials:
                yield self._own.run(trial, "thread 0")
            return
        self._start()
        chunks = chunked(trials, self.chunk, self.workers)
        for chunk in islice(chunks, 2 * self.workers):
            self._submit(chunk)
        while self._under_way:
            done, fault = self._finished.get()
            self._under_way -= 1
            for chunk in islice(chunks, 1):
                self._submit(chunk)
            self._left += done
            while self._left:
                yield self._left.pop(0)
            if fault is not None:
                raise fault

    def stop(self) -> list[Outcome]:
        """Tell the threads to stop and return what they had finished."""
        self._stop.set()
        left, self._left = self._left, []
        while self._under_way:
            try:
                done, _ = self._finished.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                break
            self._under_way -= 1
            left += done
        return left

    def close(self) -> None:
        """Let the threads end."""
        self._stop.set()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        self._threads = []

    def _start(self) -> None:
        while len(self._threads) < self.workers:
            number = len(self._threads)
            thread = threading.Thread(target=self._work, args=(f"thread {number}",), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _submit(self, chunk: list[Trial]) -> None:
        self._under_way += 1
        self._waiting.put(chunk)

    def _work(self, name: str) -> None:
        """Run chunks until told to end."""
        stage = Stage(self.setup, self.cache, stopped=self._stop.is_set)
        while (chunk := self._waiting.get()) is not None:
            done: list[Outcome] = []
            fault: BaseException | None = None
            try:
                for trial in chunk:
                    if self._stop.is_set():
                        break
                    done.append(stage.run(trial, name))
            except Interrupted:
                pass
            except BaseException as error:
                fault = error
            self._finished.put((done, fault))


def chunk_size(trial_seconds: float, most: int = 32) -> int:
    """Return how many trials go to a worker at a time."""
    return max(1, min(most, int(CHUNK_SECONDS / trial_seconds))) if trial_seconds > 0.0 else 1


def chunked(trials: Iterable[Trial], size: int, shares: int) -> Iterator[list[Trial]]:
    """Yield trials in chunks of at most `size`; those of a batch are shared out, so that nobody is left without."""
    if isinstance(trials, Sized):
        size = max(1, min(size, -(-len(trials) // max(1, shares))))
    source = iter(trials)
    while chunk := list(islice(source, size)):
        yield chunk
