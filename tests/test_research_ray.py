"""Searches on Ray: the same ledger as with threads, whatever becomes of workers and nodes, on one copy of the data."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import framework
from framework import Param, Strategy, buy, close_position
from framework.data import load_tape
from framework.errors import ConfigError
from framework.indicators import sma
from framework.research.journal import NAME, Journal
from framework.research.optimize import search
from framework.research.study import Driver, Progress, Study
from framework.research.trial import FAILED, Trial
from framework.research.walk_forward import forward
from tests.search_cases import config_of, ledger_of, study_of

ray = pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")

from framework.research import ray_cluster  # noqa: E402
from framework.research.ray_cluster import RayExecutor, check_reachable  # noqa: E402

RANGES = {"fast": {"low": 2, "high": 15}, "slow": {"low": 5, "high": 60}}
GRID = {"sampler": "grid", "space": {"fast": [3, 5, 8, 13, 20], "slow": [10, 20, 40, 60]},
        "constraints": ["fast < slow"]}
STUDIES = {"grid": GRID, "random": {"sampler": "random", "trials": 40, "space": RANGES},
           "tpe": {"sampler": "tpe", "trials": 32, "batch": 8, "space": RANGES}}


@pytest.fixture
def own_ray() -> Iterator[Any]:
    """Ray's processes for one test, two processors, loopback only."""
    ray_cluster.import_ray()
    ray_cluster.start_local_cluster(ray, num_cpus=4, object_store_memory=700 << 20, include_dashboard=False,
                                    log_to_driver=False, logging_level="error")
    yield ray
    ray.shutdown()


def run_on(study: Study, executor: RayExecutor, path: Path, watch: Any = None) -> list[tuple[Any, ...]]:
    """Run a study with an executor, close it, and return the ledger."""
    journal = Journal.create(path, study.document())
    try:
        Driver(study, journal, executor, watch).run()
        return journal.ledger()
    finally:
        executor.close()
        journal.close()


def abouts(executor: RayExecutor) -> list[dict[str, Any]]:
    """Return what the workers tell of themselves."""
    return ray.get([member.actor.about.remote() for member in executor._members])


def test_a_search_on_ray_gives_the_ledger_of_threads(tmp_path: Path) -> None:
    """The smoke test: own processes, loopback, arrays read-only, no column computed by a worker."""
    study = study_of(STUDIES["tpe"])
    executor = RayExecutor(study.setup, 1 << 28, 2)
    told: list[dict[str, Any]] = []

    def watch(progress: Progress) -> None:
        if progress.done == progress.total:
            told.extend(abouts(executor))

    assert run_on(study, executor, tmp_path / "ray.sqlite", watch) == ledger_of(study_of(STUDIES["tpe"]),
                                                                               tmp_path / "local.sqlite")
    assert [(one["writeable"], one["writeable_columns"], one["missed"]) for one in told] == [([], 0, 0)] * 2
    assert sum(one["columns"] for one in told) > 0
    assert not ray.is_initialized()


def test_an_address_where_nobody_listens_is_refused_at_once(tmp_path: Path) -> None:
    """Before a folder is made, for a search and for a walk-forward."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    study = study_of({**GRID, "executor": "ray", "address": f"127.0.0.1:{port}"})
    with pytest.raises(ConfigError, match=f"no Ray cluster answers at '127.0.0.1:{port}'"):
        framework.research.optimize.make_executor(study)  # type: ignore[attr-defined]
    sections = {"walk_forward": {"train": "10d", "test": "5d"}}
    config = config_of({**GRID, "executor": "ray", "address": f"127.0.0.1:{port}"}, **sections)
    for run in (search, forward):
        with pytest.raises(ConfigError, match="no Ray cluster answers"):
            run(config, tmp_path / "out")
        assert not (tmp_path / "out").exists()
    assert not ray.is_initialized()


@pytest.mark.parametrize("address", ["somewhere", "host:", ":", "ray://host"])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address of a Ray cluster"):
        check_reachable(address)


def test_without_a_running_cluster_auto_is_refused() -> None:
    study = study_of(GRID)
    with pytest.raises(ConfigError, match="the Ray cluster at 'auto' cannot be used"):
        RayExecutor(study.setup, 1 << 28, 1, "auto")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_ledger_does_not_depend_on_the_number_of_workers(workers: int, own_ray: Any, tmp_path: Path) -> None:
    for name, section in STUDIES.items():
        study = study_of(section)
        executor = RayExecutor(study.setup, 1 << 28, workers, trial_seconds=0.05)
        ours = run_on(study, executor, tmp_path / f"{name}.sqlite")
        assert ours == ledger_of(study_of(section), tmp_path / f"{name}-local.sqlite"), name
        if name == "grid":
            assert executor.computed == 8, "lengths 3, 5, 8, 13, 20 and 10, 20, 40, 60 share one"


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(own_ray: Any, tmp_path: Path) -> None:
    """Its trials are run by others; the columns are handed over again, not computed again."""
    study = study_of(STUDIES["random"])
    executor = RayExecutor(study.setup, 1 << 28, 2)
    killed: list[int] = []

    def watch(progress: Progress) -> None:
        if progress.done == 5:
            killed.append(abouts(executor)[0]["pid"])
            os.kill(killed[0], signal.SIGKILL)

    ours = run_on(study, executor, tmp_path / "ray.sqlite", watch)
    assert killed
    assert executor.lost == 1
    assert ours == ledger_of(study_of(STUDIES["random"]), tmp_path / "local.sqlite")


class Fatal(Strategy):
    """Ends its process where a parameter says so."""

    name = "fatal_for_search"
    ends = Param(0, low=0, high=3)

    def indicators(self, bars: Any) -> Any:
        """Return one average, or end the process when it is asked in a worker."""
        if self.ends == 2 and os.getpid() != int(os.environ.get("SEARCH_DRIVER", "0")):
            os._exit(9)
        return {"mean": sma(bars.close, 5)}

    @staticmethod
    def decide(now: Any) -> None:
        """Follow the average."""
        if now.position.qty == 0 and now.bar.close > now.ind.mean:
            buy(now)
        elif now.position.qty > 0 and now.bar.close < now.ind.mean:
            close_position(now)


@pytest.mark.slow
def test_a_trial_that_ends_its_process_fails_and_the_others_go_on(tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """Three workers are lost to it; after that it is given up."""
    monkeypatch.setenv("SEARCH_DRIVER", str(os.getpid()))
    framework.plugins.registry().add("strategy", Fatal)
    study = study_of({"space": {"ends": [0, 1, 2, 3]}}, strategy={"name": Fatal.name})
    assert [kind for kind, _ in study.subject.session_classes()] == ["strategy"]
    executor = RayExecutor(study.setup, 1 << 28, 2, classes=study.subject.session_classes())
    ledger = run_on(study, executor, tmp_path / "a.sqlite")
    assert [row[2] for row in ledger] == ["complete", "complete", FAILED, "complete"]
    assert "its worker process died 3 times" in ledger[2][5]


@pytest.mark.slow
def test_other_versions_on_a_node_are_refused(own_ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(GRID)
    ours = ray_cluster.versions()
    monkeypatch.setattr(ray_cluster, "versions", lambda: {**ours, "numpy": "0.1"})
    with pytest.raises(ConfigError, match=f"other versions than the driver: numpy is {ours['numpy']} there and 0.1"):
        RayExecutor(study.setup, 1 << 28, 1)


@pytest.mark.slow
def test_a_plugin_that_a_node_does_not_have_is_said(own_ray: Any) -> None:
    """A class that was handed over in Python is not shipped here."""
    class OnlyHere(Fatal):
        """Not installed."""

        name = "only_here_for_search"

    framework.plugins.registry().add("strategy", OnlyHere)
    study = study_of({"space": {"ends": [0, 1]}}, strategy={"name": OnlyHere.name})
    with pytest.raises(ConfigError, match="cannot run the study: .*only_here_for_search.*installed on every node"):
        RayExecutor(study.setup, 1 << 28, 1)


@pytest.mark.slow
def test_a_node_that_is_lost_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    """Three nodes on this machine; in each study the one with most workers is taken away after a few trials."""
    from ray.cluster_utils import Cluster

    ray_cluster.import_ray()
    options = {"object_store_memory": 100 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **options})
    try:
        cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
        for name, section in STUDIES.items():
            node = cluster.add_node(num_cpus=2, object_store_memory=100 << 20)
            cluster.wait_for_nodes()
            ray.init(address=cluster.address, log_to_driver=False, logging_level="error", ignore_reinit_error=True)
            study = study_of({**section})
            executor = RayExecutor(study.setup, 1 << 28, None)

            def watch(progress: Progress, node: Any = node, executor: RayExecutor = executor) -> None:
                if progress.done == 6:
                    assert sum(member.is_ready for member in executor._members) >= 2
                    cluster.remove_node(node, allow_graceful=False)

            ours = run_on(study, executor, tmp_path / f"{name}.sqlite", watch)
            assert ours == ledger_of(study_of(section), tmp_path / f"{name}-local.sqlite"), name
            assert executor.lost >= 1, name
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.slow
def test_a_worker_adds_almost_nothing_to_the_tape_and_its_columns(own_ray: Any) -> None:
    """Private memory (USS) with a tape of 2,000,000 bars, less that with 2,000, is under 5 % of the tape.

    What grows are the conditions of the strategy's `wake`, two bytes a bar, and the logs, some 0.9 kB a trade.
    """
    used: dict[int, int] = {}
    for bars in (2_000, 2_000_000):
        tape = load_tape("synthetic", {"bars": bars, "seed": 1}, ["A"], "1m")
        section = {"space": {"fast": [80, 100], "slow": [250, 300, 350]}, "min_trades": 0,
                   "objective": "Return [%]"}
        study = study_of(section, tape, strategy={"name": "ma_cross"}, data={"source": "synthetic", "symbols": ["A"]})
        executor = RayExecutor(study.setup, 1 << 28, 1)
        points = list(study.space.grid())
        done = list(executor.outcomes([Trial(i, point) for i, point in enumerate(points)]))
        assert len(done) == 6
        (about,) = abouts(executor)
        used[bars] = psutil.Process(about["pid"]).memory_full_info().uss
        assert (about["writeable"], about["writeable_columns"], about["missed"]) == ([], 0, 0)
        assert about["columns"] >= 5
        executor.close()
    size = sum(getattr(tape, name).nbytes for name in ray_cluster.TAPE_ARRAYS)
    assert size > 200e6
    trades = max(one.statistics["# Trades"] for one in done)
    assert used[2_000_000] - used[2_000] < 0.05 * size, (used, size, trades)


def test_settings_choose_who_runs() -> None:
    study = study_of({**GRID, "executor": "auto"})
    executor = framework.research.optimize.make_executor(study)  # type: ignore[attr-defined]
    assert executor.name == "local"
    assert attrs.evolve(study.settings, workers=3).workers == 3


@pytest.mark.slow
def test_a_walk_forward_on_ray_is_that_of_threads(tmp_path: Path) -> None:
    """Leg by leg the same ledger, and the same run at the end; Ray's processes end with it."""
    sections = {"walk_forward": {"train": "20d", "test": "10d"}}
    space = {"sampler": "grid", "space": {"fast": [3, 5], "slow": [10, 20]}}
    found = {}
    for name in ("local", "ray"):
        config = config_of({**space, "executor": name, "workers": 2}, **sections)
        found[name] = forward(config, tmp_path / name, report=False)
    assert not ray.is_initialized()
    assert len(found["ray"].legs) >= 2
    assert [one.params for one in found["ray"].legs] == [one.params for one in found["local"].legs]
    for leg in found["local"].legs:
        ours, theirs = (Journal.open(tmp_path / name / "legs" / f"{leg.window.number:03d}" / NAME)
                        for name in ("local", "ray"))
        assert ours.ledger() == theirs.ledger()
        ours.close()
        theirs.close()
    for name in ("stats.json", "trades.parquet", "equity.parquet"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
