"""Searches that begin at once in one storage and one ledger: nothing is lost, nothing doubled."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marketsim.search import Float, Ledger, Trial, grid, one_by_one, optuna

package = pytest.importorskip("optuna")
package.logging.set_verbosity(package.logging.ERROR)
pytestmark = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="processes are not forked here"
)
SPACE = {"x": Float(0.0, 1.0)}
CELLS = list(range(12))
OPTIONS: dict[str, Any] = {"without_effect": "keep", "progress": False}


@pytest.fixture(params=["journal", "database"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "database":
        pytest.importorskip("sqlalchemy")
        return f"sqlite:///{tmp_path}/optuna.db"
    return str(tmp_path / "journal.log")


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)


def slow(x: float) -> float:
    time.sleep(0.01)
    return x


def at_once(count: int, run: Callable[[int], Any]) -> list[Any]:
    """What `run` returns in processes that begin together, errors as text."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(count), context.Queue()

    def work(number: int) -> None:
        barrier.wait()
        try:
            results.put(run(number))
        except Exception as error:
            results.put(f"{type(error).__name__}: {error}")

    processes = [context.Process(target=work, args=(number,)) for number in range(count)]
    for process in processes:
        process.start()
    found = [results.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    return found


def test_a_new_ledger_is_made_once_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"

    def write(number: int) -> int:
        with Ledger(path) as ledger:
            for i in range(20):
                ledger.record(Trial("s", {"i": i, "writer": number}, 1.0))
        return 20

    assert at_once(6, write) == [20] * 6
    with Ledger(path) as ledger:
        assert (ledger.summary("s").attempts, ledger.summary("s").trials) == (120, 120)


def test_a_grid_of_two_processes_is_recorded_once(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"

    def search(number: int) -> list[float]:
        found = grid(one_by_one(slow), {"x": CELLS}, batch=2, ledger=path, progress=False)
        return found.scores.tolist()

    assert at_once(3, search) == [[float(cell) for cell in CELLS]] * 3
    with Ledger(path) as ledger:
        assert ledger.summary("grid").attempts == len(CELLS)


@pytest.mark.parametrize("jobs", [1, 2])
def test_two_searches_share_their_trials(tmp_path: Path, storage: str, jobs: int) -> None:
    path = tmp_path / "t.sqlite"

    def search(number: int) -> int:
        found = optuna(slow, SPACE, trials=24, jobs=jobs, sampler="random", storage=storage,
                       ledger=path, **OPTIONS)  # fmt: skip
        return len(found)

    found = at_once(2, search)
    assert set(found) <= set(range(24, 25 + jobs)), found  # one may have been running
    with Ledger(path) as ledger:
        frame = ledger.trials("optuna")
    assert 24 <= len(frame) <= 24 + jobs
    assert frame.param_x.is_unique  # two searches with one seed do not propose the same


def test_every_cell_of_a_grid_is_tried(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "t.sqlite"

    def search(number: int) -> float:
        found = optuna(slow, {"x": CELLS}, trials=len(CELLS), sampler="grid", storage=storage,
                       ledger=path, **OPTIONS)  # fmt: skip
        return found.best_score

    assert at_once(3, search) == [11.0] * 3
    with Ledger(path) as ledger:
        assert sorted(ledger.trials("optuna").param_x) == CELLS


def test_a_grid_that_goes_on_tries_the_cells_that_are_left(tmp_path: Path, storage: str) -> None:
    tried: list[int] = []

    def note(x: int) -> float:
        tried.append(x)
        return float(x)

    for trials, seed in ((5, 0), (8, 0), (12, 3)):  # another seed orders the cells anew
        found = optuna(note, {"x": CELLS}, trials=trials, sampler="grid", seed=seed,
                       storage=storage, code="1", **OPTIONS)  # fmt: skip
    assert set(tried) == set(CELLS) and found.best_score == 11.0
    assert len(tried[:8]) == len(set(tried[:8]))


def test_searches_of_different_questions_do_not_mix(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "t.sqlite"

    def search(number: int) -> int:
        found = optuna(slow, SPACE, trials=6, sampler="random", storage=storage, ledger=path,
                       data=f"data {number}", **OPTIONS)  # fmt: skip
        return len(found)

    found = at_once(3, search)
    assert sum(one == 6 for one in found) <= 1
    assert all(one == 6 or "StorageError" in one for one in found), found
    with Ledger(path) as ledger:
        assert ledger.studies() in ([], ["optuna"])
        assert len(ledger.questions("optuna")) <= 1


def many(sets: dict[str, Any]) -> list[float]:
    with Path("calls").open("a") as file:
        file.write(f"{len(sets['x'])}\n")
    time.sleep(0.1)
    return [float(x) for x in sets["x"]]


def whole_grid(path: str) -> None:
    found = grid(many, {"x": list(range(60))}, batch=10, ledger=path, code="1", progress=False)
    assert found.scores.tolist() == list(map(float, range(60)))


def test_equal_grids_that_begin_at_once_share_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fork = multiprocessing.get_context("fork")
    runs = [fork.Process(target=whole_grid, args=("t.sqlite",)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0, 0, 0]
    assert Path("calls").read_text().split() == ["10"] * 6  # each set once
    with Ledger("t.sqlite", mode="r") as ledger:
        assert ledger.summary("grid").attempts == 60
    assert not list(tmp_path.glob("*.lock"))


def test_a_file_of_returns_of_processes_that_begin_together_is_of_one(tmp_path: Path) -> None:
    """One writes it, whole; the others are told so, and may go on with it afterwards."""
    path, ledger = tmp_path / "net.npy", tmp_path / "t.sqlite"

    def rows(sets):
        time.sleep(0.05)
        return {"score": sets["x"] * 1.0, "net": sets["x"][:, None] * np.ones(5)}

    def search(number: int) -> str:
        found = grid(rows, {"x": CELLS}, ledger=ledger, returns=path, batch=3, **OPTIONS)
        assert (found.returns[:, 4] == np.arange(12)).all()
        return "written"

    for _ in range(2):
        found = at_once(4, search)
        assert "written" in found
        assert all(one == "written" or "another grid is writing" in one for one in found)
    with Ledger(ledger) as book:
        assert book.summary("grid").attempts == 12


def test_files_of_returns_of_processes_with_one_ledger_are_whole(tmp_path: Path) -> None:
    def rows(sets):
        time.sleep(0.01)
        return {"score": sets["x"] * 1.0, "net": sets["x"][:, None] * np.ones(5)}

    def search(number: int) -> int:
        path, ledger = tmp_path / f"net{number}.npy", tmp_path / "t.sqlite"
        found = grid(rows, {"x": CELLS}, ledger=ledger, returns=path, batch=3, **OPTIONS)
        return int((found.returns[:, 4] == np.arange(12)).sum())

    assert at_once(3, search) == [12, 12, 12]
    with Ledger(tmp_path / "t.sqlite") as book:
        assert book.summary("grid").attempts == 12
