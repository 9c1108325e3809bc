"""Trials on Ray: actors on one machine or on many, and one shared copy of the data on each.  The only importer of Ray.

The driver puts the tape and every indicator column once into Ray's object store; a worker maps them read-only into its
memory, nothing is copied.  The driver computes columns itself, each once, keeps them within the budget, and hands a
worker references to those that its trials need.  A worker that dies, with its node or alone, loses nothing: its trials
are given to another one.

Without an address the processes belong to this one, listen on loopback only and end with it.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import attrs
import numpy as np

from framework.backtest.run import versions
from framework.errors import ConfigError, FrameworkError
from framework.indicators import ColumnCache
from framework.research.executors import chunked, cores
from framework.research.trial import FAILED, Outcome, Setup, Stage, Trial

T = TypeVar("T")

IN_FLIGHT = 2
"""Chunks that a worker is given at a time, so that it need not wait for the driver."""

TRIES = 3
"""Workers that a trial may take down with it before it counts as failed."""

CHUNK_SECONDS = 0.2
START_SECONDS = 120.0
"""How long the first worker may take to come up, and the next one when all are lost."""

RETURN_MEMORY = "MALLOC_MMAP_THRESHOLD_", str(1 << 20)
"""Makes glibc give freed arrays beyond 1 MiB back to the system in workers, instead of keeping them for later."""

CONNECT_SECONDS = 5.0
STORE_FLOOR = 128 << 20
"""Bytes of object store beyond tape and columns."""


def import_ray() -> Any:
    """Return Ray; ConfigError says how to install it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigError("executor 'ray' needs Ray: pip install \"trading-framework[ray]\"; executor 'local' needs "
                          "nothing") from error
    return ray


class GivenColumns(ColumnCache):
    """The cache of a worker: columns that the driver has handed over; `missed` counts those that it had not."""

    def __init__(self) -> None:
        super().__init__(0)
        self.given: dict[Hashable, Any] = {}
        self.missed = 0

    def get(self, key: Hashable, compute: Callable[[], T], size: Callable[[T], int]) -> T:
        """Return what was handed over under the key, else compute it for this once."""
        if key in self.given:
            return self.given[key]  # type: ignore[no-any-return]
        self.missed += 1
        return compute()


class StoredColumns(ColumnCache):
    """The cache of the driver: every column lives in the object store, and here are views of it and references.

    What was asked for by a caller, and not on the way to it, is noted in `asked` with its reference.
    """

    def __init__(self, budget_bytes: int, ray: Any) -> None:
        super().__init__(budget_bytes)
        self._ray = ray
        self._stored: OrderedDict[Hashable, tuple[Any, Any, int]] = OrderedDict()
        self._depth = 0
        self.asked: dict[Hashable, Any] = {}

    def get(self, key: Hashable, compute: Callable[[], T], size: Callable[[T], int]) -> T:
        """Return the value under the key as the object store holds it, computing it when it is not there."""
        found = self._stored.get(key)
        if found is None:
            self._depth += 1
            try:
                value = compute()
            finally:
                self._depth -= 1
            reference = self._ray.put(value)
            found = self._stored[key] = (self._ray.get(reference), reference, size(value))
            self.bytes += found[2]
            self.computed += 1
            self._evict()
        else:
            self._stored.move_to_end(key)
            self.reused += 1
        if self._depth == 0:
            self.asked[key] = found[1]
        return found[0]  # type: ignore[no-any-return]

    def _evict(self) -> None:
        while self.bytes > self.budget_bytes and self._stored:
            _, (_, _, freed) = self._stored.popitem(last=False)
            self.bytes -= freed

    def references(self, stage: Stage, trials: Sequence[Trial]) -> list[tuple[Hashable, Any]]:
        """Return the columns that some trials need: their keys and references."""
        self.asked = {}
        for trial in trials:
            with suppress(FrameworkError):
                stage.touch_columns(trial)
        found, self.asked = list(self.asked.items()), {}
        return found


class Worker:
    """What runs in an actor: one stage on the shared tape."""

    def __init__(self, tape: Any, common: dict[str, Any], classes: bytes) -> None:
        from framework import plugins

        setup = Setup(tape=tape, **common)
        plugins.use(setup.config.plugins.allow)
        for kind, one in pickle.loads(classes):
            plugins.registry().add(kind, one)
        self.columns = GivenColumns()
        self.stage = Stage(setup, self.columns)
        self.name = f"{socket.gethostname()}/{os.getpid()}"
        self.handed_over = self.could_write = 0

    def hello(self) -> dict[str, str]:
        """Return the versions that this worker would compute with."""
        return versions()

    def run(self, trials: Sequence[Trial], columns: Sequence[tuple[Hashable, Any]]) -> list[Outcome]:
        """Run trials with the columns whose references were handed over."""
        import ray

        values = ray.get([reference for _, reference in columns])
        self.columns.given = {key: value for (key, _), value in zip(columns, values, strict=True)}
        self.handed_over += len(values)
        self.could_write += sum(isinstance(one, np.ndarray) and one.flags.writeable for one in values)
        try:
            return [self.stage.run(trial, self.name) for trial in trials]
        finally:
            self.columns.given = {}

    def about(self) -> dict[str, Any]:
        """Return what a test of memory wants to know: the process, columns that were computed here and that were
        handed over, and which of those and of the tape's arrays can be written.
        """
        tape = self.stage.setup.tape
        return {"pid": os.getpid(), "missed": self.columns.missed, "host": socket.gethostname(),
                "columns": self.handed_over, "writeable_columns": self.could_write,
                "writeable": [name for name in TAPE_ARRAYS if getattr(tape, name).flags.writeable]}


@attrs.define(eq=False)
class _Member:
    """An actor and what it was given: reference of the answer -> chunk. hello: awaited before its first chunk."""

    actor: Any
    hello: Any
    chunks: dict[Any, list[Trial]] = attrs.field(factory=dict)
    is_ready: bool = False


class RayExecutor:
    """Ray's actors, one trial at a time each.

    workers: how many; by default the processors of this machine, or of the cluster. address: a cluster that is there
    already: "auto", HOST:PORT, ray://HOST:PORT. Raises ConfigError when it cannot be reached or its versions differ.
    """

    name = "ray"

    def __init__(self, setup: Setup, budget_bytes: int, workers: int | None = None, address: str | None = None,
                 classes: Sequence[tuple[str, type]] = (), trial_seconds: float = 0.0) -> None:
        self.ray = import_ray()
        self.setup, self._classes = setup, pickled_by_value(classes)
        self.chunk = max(1, min(64, int(CHUNK_SECONDS / trial_seconds))) if trial_seconds > 0.0 else 1
        self._owns = not self.ray.is_initialized()
        if self._owns:
            connect(self.ray, setup.tape, budget_bytes, workers, address)
        self.workers = workers or max(1, int(self.ray.cluster_resources().get("CPU", 1)))
        self.columns = StoredColumns(budget_bytes, self.ray)
        self._stage = Stage(setup, self.columns)
        self._tape = self.ray.put(setup.tape)
        self._kind = self.ray.remote(num_cpus=1, max_restarts=0)(Worker)
        self._members: list[_Member] = []
        self._again: deque[list[Trial]] = deque()
        self._left: list[Outcome] = []
        self._losses: dict[int, int] = {}
        self.lost = 0
        try:
            self._members = [self._recruit() for _ in range(self.workers)]
            self._await_first()
        except BaseException:
            self.close()
            raise

    @property
    def computed(self) -> int:
        """The columns that were computed, all of them by the driver."""
        return self.columns.computed

    # --- workers ------------------------------------------------------------------------------------------------------

    def _recruit(self) -> _Member:
        common = attrs.asdict(self.setup, recurse=False, filter=lambda field, _: field.name != "tape")
        actor = self._kind.remote(self._tape, common, self._classes)
        return _Member(actor, actor.hello.remote())

    def _await_first(self) -> None:
        """Wait until one worker is there, and check the versions of those that are."""
        hellos = [member.hello for member in self._members]
        ready, _ = self.ray.wait(hellos, num_returns=1, timeout=START_SECONDS)
        if not ready:
            raise ConfigError(f"no Ray worker came up within {START_SECONDS:.0f} s: the cluster has "
                              f"{self.ray.cluster_resources().get('CPU', 0):g} processors and "
                              f"{self.ray.available_resources().get('CPU', 0):g} of them free; a worker takes one")
        for member in self._members:
            if member.hello in ready:
                self._welcome(member)

    def _welcome(self, member: _Member) -> None:
        """Take a worker that is there into the ranks; ConfigError when it computes with other versions."""
        try:
            theirs = self.ray.get(member.hello)
        except self.ray.exceptions.RayTaskError as error:
            raise ConfigError(f"a Ray worker cannot run the study: {cause_of(error)}; framework and plug-ins have to "
                              "be installed on every node, or shipped by a runtime_env") from error
        except self.ray.exceptions.RayActorError as error:
            told = str(error)
            if "__init__" in told:
                lines = [line for line in told.splitlines() if line.strip()]
                raise ConfigError(f"a Ray worker cannot run the study: {lines[-1].strip()}; framework and plug-ins "
                                  "have to be installed on every node, or shipped by a runtime_env") from error
            raise
        ours = versions()
        if theirs != ours:
            apart = ", ".join(f"{name} is {theirs.get(name)} there and {ours.get(name)} here"
                              for name in {**ours, **theirs} if theirs.get(name) != ours.get(name))
            raise ConfigError(f"a Ray worker has other versions than the driver: {apart}; results would differ. "
                              "Install the same on every node, as with pip install -c constraints.txt")
        member.is_ready = True

    # --- running ------------------------------------------------------------------------------------------------------

    def outcomes(self, trials: Iterable[Trial]) -> Iterator[Outcome]:
        """Yield the outcome of every trial as they are finished; trials of lost workers are run again by others."""
        chunks = chunked(trials, self.chunk, self.workers * IN_FLIGHT)
        while True:
            self._hand_out(chunks)
            waiting = [reference for member in self._members for reference in member.chunks]
            hellos = [member.hello for member in self._members if not member.is_ready]
            if not waiting and not self._again and not self._left:
                chunk = next(chunks, None)
                if chunk is None:
                    return
                self._again.append(chunk)
            if waiting or hellos:
                ready, _ = self.ray.wait([*waiting, *hellos], num_returns=1,
                                         timeout=None if waiting else START_SECONDS)
                if not ready:
                    raise ConfigError(f"every Ray worker was lost and no other came up within {START_SECONDS:.0f} s; "
                                      "the finished trials are saved, continue with --resume")
                self._collect(ready)
            while self._left:
                yield self._left.pop(0)

    def _hand_out(self, chunks: Iterator[list[Trial]]) -> None:
        """Give every worker that is ready something to do, trials of lost workers first."""
        for _ in range(IN_FLIGHT):
            for member in self._members:
                if member.is_ready and len(member.chunks) < IN_FLIGHT:
                    chunk = self._again.popleft() if self._again else next(chunks, None)
                    if chunk is None:
                        return
                    columns = self.columns.references(self._stage, chunk)
                    member.chunks[member.actor.run.remote(chunk, columns)] = chunk

    def _collect(self, ready: Sequence[Any]) -> None:
        """Take answers, and replace the workers that died."""
        for member in list(self._members):
            try:
                if not member.is_ready and member.hello in ready:
                    self._welcome(member)
                for reference in [one for one in member.chunks if one in ready]:
                    done = self.ray.get(reference)
                    del member.chunks[reference]
                    self._left += done
            except self.ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, self.ray.exceptions.RayError):
                    raise ConfigError(f"a Ray worker failed: {cause_of(error)}") from error
                self._replace(member)
            except self.ray.exceptions.RayError:
                self._replace(member)

    def _replace(self, member: _Member) -> None:
        """Put another worker in the place of one that is lost, and its trials back in the queue.

        The trial that was under way may be what killed it: after TRIES workers it counts as failed.
        """
        self.lost += 1
        with suppress(Exception):
            self.ray.kill(member.actor)
        for position, chunk in enumerate(member.chunks.values()):
            if position == 0:
                chunk = self._without_killers(chunk)
            self._again += [[trial] for trial in chunk]
        self._members[self._members.index(member)] = self._recruit()

    def _without_killers(self, chunk: Sequence[Trial]) -> list[Trial]:
        """Count a loss against each trial that may have caused it; give up those that have TRIES of them."""
        kept = []
        for trial in chunk:
            losses = self._losses[trial.number] = self._losses.get(trial.number, 0) + 1
            if losses < TRIES or len(chunk) > 1:
                kept.append(trial)
            else:
                self._left.append(Outcome(trial.number, trial.params, FAILED, None, {},
                                          f"its worker process died {losses} times"))
        return kept

    def stop(self) -> list[Outcome]:
        """Take what is finished and leave the rest."""
        references = [reference for member in self._members for reference in member.chunks]
        if references:
            ready, _ = self.ray.wait(references, num_returns=len(references), timeout=0.5)
            with suppress(FrameworkError):
                self._collect(ready)
        left, self._left = self._left, []
        return left

    def close(self) -> None:
        """End the workers and give back the memory; a cluster that was there before stays."""
        for member in self._members:
            with suppress(Exception):
                self.ray.kill(member.actor)
        self._members = []
        self.columns = StoredColumns(0, self.ray) if not hasattr(self, "columns") else self.columns
        self.columns._stored.clear()
        self._tape = None
        if self._owns:
            self.ray.shutdown()


TAPE_ARRAYS = ("open_time", "close_time", "open", "high", "low", "close", "volume", "account_day", "local_minute",
               "weekday", "bars_in_session", "minutes_to_close", "event_time", "event_kind", "event_symbol",
               "event_bar")


@contextmanager
def kept_connection(tape: Any, budget_bytes: int, workers: int | None, address: str | None) -> Iterator[None]:
    """Keep one cluster for all executors that are made inside, whose tapes are no larger than this one."""
    ray = import_ray()
    owns = not ray.is_initialized()
    if owns:
        connect(ray, tape, budget_bytes, workers, address)
    try:
        yield
    finally:
        if owns:
            ray.shutdown()


def connect(ray: Any, tape: Any, budget_bytes: int, workers: int | None, address: str | None) -> None:
    """Join a cluster, or start one of this process's own; ConfigError when that does not succeed."""
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    try:
        if address is None:
            size = sum(getattr(tape, name).nbytes for name in TAPE_ARRAYS)
            size += tape.details.nbytes if tape.details is not None else 0
            store = STORE_FLOOR + int(1.1 * (size + min(budget_bytes, 2 << 30)))
            start_local_cluster(ray, num_cpus=workers or cores(), object_store_memory=store, **quiet)
        else:
            check_reachable(address)
            quiet.pop("include_dashboard")
            ray.init(address=address, **quiet)
    except ConfigError:
        raise
    except (RuntimeError, OSError, ValueError, TimeoutError) as error:
        told = str(error).strip().splitlines()
        where = f"the Ray cluster at {address!r} cannot be used" if address else "Ray does not start"
        raise ConfigError(f"{where}: {' '.join(told[:3]) if told else type(error).__name__}") from error


def start_local_cluster(ray: Any, **options: Any) -> None:
    """Start Ray's processes as children of this one, listening on loopback only.

    Ray binds to loopback where clusters of several machines are not expected; this switch says so.
    """
    from ray._private import ray_constants

    os.environ.setdefault(*RETURN_MEMORY)
    before = ray_constants.ENABLE_RAY_CLUSTER
    variable = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    inherited = os.environ.get(variable)
    os.environ[variable] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        ray.init(address="local", **options)
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        if inherited is None:
            del os.environ[variable]
        else:
            os.environ[variable] = inherited


def pickled_by_value(classes: Sequence[tuple[str, type]]) -> bytes:
    """Return plug-ins that were handed over from Python as bytes that need no module of theirs on the other side.

    Those of an installed package go by their name: the package has to be on every node.
    """
    from importlib.metadata import packages_distributions

    if not classes:
        return pickle.dumps([])
    cloudpickle: Any = import_ray().cloudpickle
    installed = packages_distributions()
    modules = [sys.modules[one.__module__] for _, one in classes
               if one.__module__ != "__main__" and one.__module__.partition(".")[0] not in installed]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(list(classes)))
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def check_reachable(address: str) -> None:
    """Raise ConfigError when nobody listens at HOST:PORT; Ray itself would try for a long time."""
    if address in ("auto", "local") or not address:
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"[optimize] address = {address!r} is no address of a Ray cluster; write \"auto\", "
                          "HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise ConfigError(f"no Ray cluster answers at {address!r} ({error}); start one with `ray start --head`, or "
                          "leave the address away") from error


def cause_of(error: Any) -> str:
    """Return the line of an error of a worker that says what happened."""
    cause = getattr(error, "cause", None) or error
    lines = [line for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[-1].strip() if lines else ''}"

