from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from marketsim.search import Float, Ledger, optuna

package = pytest.importorskip("optuna")
package.logging.set_verbosity(package.logging.ERROR)

SPACE = {"x": Float(0.0, 1.0)}
OPTIONS = {"trials": 4, "sampler": "random", "without_effect": "keep", "progress": False}


def line(x: float) -> float:
    return x


KILLED = """
import sys, time
from marketsim.search import Float, Ledger, optuna

def slow(x):
    time.sleep(0.02)
    print(x, flush=True)
    return x

with Ledger(sys.argv[2]) as ledger:
    optuna(slow, {"x": Float(0, 1)}, trials=10_000, sampler="random", storage=sys.argv[1],
           ledger=ledger, code="line", progress=False)
"""


@pytest.fixture(params=["journal", "database"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "database":
        pytest.importorskip("sqlalchemy")
        return f"sqlite:///{tmp_path}/optuna.db"
    return str(tmp_path / "journal.log")


def test_a_killed_search_loses_at_most_its_running_trial(tmp_path: Path, storage: str) -> None:
    trials = tmp_path / "t.sqlite"
    command = [sys.executable, "-c", KILLED, storage, str(trials)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGKILL)
        computed = 1 + process.stdout.read().count(b"\n")
    with Ledger(trials) as ledger:
        recorded = ledger.summary("optuna").complete
        assert computed - 1 <= recorded <= computed
        found = optuna(
            lambda x: x, {"x": Float(0, 1)}, trials=computed + 5, sampler="random",
            storage=storage, ledger=ledger, code="line", progress=False,
        )  # fmt: skip
        finished = [trial for trial in found.study.trials if trial.state.is_finished()]
        assert len(finished) == computed + 5


def test_a_database_goes_on_with_the_parameters_of_a_journal(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    found = {}
    for name in ("journal.log", f"sqlite:///{tmp_path}/o.db"):
        where = name if "://" in name else tmp_path / name
        for trials in (4, 7):
            result = optuna(line, SPACE, storage=where, **OPTIONS | {"trials": trials})
        found[name] = [trial.params for trial in result.study.trials]
    one, other = found.values()
    assert one == other and len({str(params) for params in one}) == 7


def test_a_database_of_another_version_is_refused_and_stays(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    path = tmp_path / "o.db"
    optuna(line, SPACE, storage=f"sqlite:///{path}", **OPTIONS)
    database = sqlite3.connect(path)
    database.execute("UPDATE alembic_version SET version_num = 'v9.0.0.a'")
    database.execute("UPDATE version_info SET library_version = '9.0.0'")
    database.commit()
    database.close()
    written = path.read_bytes()
    cut = tmp_path / "cut.db"
    cut.write_bytes(written[: len(written) // 2])
    with Ledger(tmp_path / "t.sqlite") as ledger:
        for file, why in ((path, "9.0.0"), (cut, "malformed")):
            with pytest.raises(ValueError, match=f"cannot be read: (?s:.*){why}(?s:.*) another"):
                optuna(line, SPACE, storage=f"sqlite:///{file}", ledger=ledger, **OPTIONS)
        assert ledger.studies() == []
    assert path.read_bytes() == written and cut.read_bytes() == written[: len(written) // 2]
    with pytest.raises(ValueError, match="cannot be read: NoSuchModuleError"):
        optuna(line, SPACE, storage="oracles://x", **OPTIONS)


def test_a_storage_that_is_none(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    journal.write_text("this is no journal\n")
    with pytest.raises(ValueError, match=r"storage .*journal.log cannot be read: .* another file"):
        optuna(line, SPACE, storage=journal, **OPTIONS)
    assert journal.read_text() == "this is no journal\n"  # nothing is lost
    good = tmp_path / "good.log"
    optuna(line, SPACE, storage=good, **OPTIONS)
    with pytest.raises(ValueError, match="has directions maximize: got minimize"):
        optuna(line, SPACE, storage=good, direction="minimize", **OPTIONS)


def test_a_torn_journal_goes_on_and_keeps_what_was_torn(tmp_path: Path) -> None:
    whole = tmp_path / "journal.log"
    before = optuna(line, SPACE, storage=whole, **OPTIONS).study.trials
    content = whole.read_bytes()
    last = len(content) - content.rindex(b"\n", 0, -1) - 1
    for cut in (1, last // 2, last - 1, last):
        torn = tmp_path / f"torn{cut}.log"
        torn.write_bytes(content[:-cut])
        if cut == last:  # between two entries
            found = optuna(line, SPACE, storage=torn, **OPTIONS)
        else:
            with pytest.warns(UserWarning, match="unfinished entry"):
                found = optuna(line, SPACE, storage=torn, **OPTIONS)
            aside = torn.with_name(torn.name + ".torn").read_bytes()
            assert aside == content[-last:-cut] + b"\n"
        states = [trial.state.name for trial in found.study.trials]
        assert states.count("COMPLETE") == 4 and states.count("RUNNING") == 1
        assert [t.params for t in found.study.trials[:4]] == [t.params for t in before]
        optuna(line, SPACE, storage=torn, **OPTIONS | {"trials": 6})
    middle = tmp_path / "middle.log"
    lines = content.splitlines(keepends=True)
    middle.write_bytes(b"".join([*lines[:3], lines[3][:9] + b"\n", *lines[4:]]))
    with pytest.raises(ValueError, match="cannot be read: JSONDecodeError.* it is damaged"):
        optuna(line, SPACE, storage=middle, **OPTIONS)


def test_a_storage_of_other_conditions_is_refused(tmp_path: Path) -> None:
    from marketsim.errors import StorageError
    from marketsim.search.space_file import Condition, Restricted

    def search(*conditions: Condition):
        return optuna(
            Restricted(lambda fast, slow: fast - slow, conditions),
            {"fast": range(1, 9), "slow": range(1, 9)}, trials=5, study="s",
            storage=tmp_path / "journal.log", progress=False,
        )  # fmt: skip

    search(Condition("fast", "<", "slow"))
    search(Condition("fast", "<", "slow"))
    with pytest.raises(StorageError, match="where"):
        search(Condition("fast", ">", 3.0))
