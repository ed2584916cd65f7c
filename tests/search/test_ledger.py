from __future__ import annotations

import json
import math
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import blake3
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim import metrics
from marketsim.errors import StoreError
from marketsim.search import Ledger, Trial, ledger_grid, trial_key


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "trials.sqlite") as opened:
        yield opened


def test_a_trial_comes_back_as_it_was(ledger: Ledger) -> None:
    trial = Trial(
        "study", {"b": np.int64(2), "a": 1.5, "kind": "x", "on": True, "none": None},
        score=1.25, metrics={"sharpe": 2.0, "calmar": math.inf}, seed=7, split="fold 1",
        data="d1", code="c1", seconds=0.5, net=np.array([0.1, -0.2]),
    )  # fmt: skip
    ledger.record(trial)
    found = ledger.find(trial.key)
    assert found is not None
    assert dict(found.params) == {"a": 1.5, "b": 2, "kind": "x", "none": None, "on": True}
    assert (found.score, found.seed, found.split) == (1.25, 7, "fold 1")
    assert (found.data, found.code, found.seconds) == ("d1", "c1", 0.5)
    assert found.metrics["sharpe"] == 2.0 and math.isnan(found.metrics["calmar"])
    assert found.key == trial.key
    params, returns = ledger.returns("study")
    assert params[0]["b"] == 2
    np.testing.assert_array_equal(returns, [[0.1, -0.2]])
    assert ledger.find(trial_key("study", {"a": 1.5})) is None


def test_the_key_is_what_was_tried_and_not_what_came_of_it() -> None:
    base = trial_key("s", {"a": 1, "b": 2})
    assert base == Trial("s", {"b": 2, "a": np.int32(1)}, score=9, status="failed").key
    others = [
        trial_key("t", {"a": 1, "b": 2}),
        trial_key("s", {"a": 1, "b": 3}),
        trial_key("s", {"a": 1, "b": 2.0}),
        trial_key("s", {"a": 1, "b": "2"}),
        trial_key("s", {"a": 1, "b": 2}, seed=1),
        trial_key("s", {"a": 1, "b": 2}, split="x"),
        trial_key("s", {"a": 1, "b": 2}, data="x"),
        trial_key("s", {"a": 1, "b": 2}, code="x"),
    ]
    assert len({base, *others}) == 9


def test_neither_nan_nor_infinity_can_win(ledger: Ledger) -> None:
    for i, score in enumerate([math.nan, math.inf, -math.inf, 1.0, 3.0, 2.0, 3.0]):
        ledger.record(Trial("s", {"i": i}, score=score))
    ledger.record(Trial("s", {"i": 10}, score=99.0, status="failed", error="no"))
    ledger.record(Trial("s", {"i": 11}, score=98.0, status="pruned"))
    found = ledger.summary("s")
    assert (found.attempts, found.trials) == (9, 9)
    assert (found.complete, found.failed, found.pruned, found.without_score) == (7, 1, 1, 3)
    assert found.best is not None and dict(found.best.params) == {"i": 4}
    assert [t.score for t in ledger.best("s")] == [3.0, 3.0, 2.0, 1.0]
    least = ledger.summary("s", direction="minimize").best
    assert least is not None and least.score == 1.0
    assert ledger.summary("nothing") == (0, 0, 0, 0, 0, 0, None)
    assert ledger.studies() == ["s"]
    with pytest.raises(ValueError, match="maximize"):
        ledger.best("s", direction="up")


def test_the_newest_attempt_counts(ledger: Ledger) -> None:
    ledger.record(Trial("s", {"i": 1}, status="failed", error="disk full"))
    ledger.record(Trial("s", {"i": 1}, score=2.0, net=np.zeros(3)))
    found = ledger.summary("s")
    assert (found.attempts, found.trials, found.failed, found.complete) == (2, 1, 1, 1)
    key = trial_key("s", {"i": 1})
    assert ledger.known([key, b"x" * 16]) == {key: ("complete", 2.0, {}, True)}
    ledger.record(Trial("s", {"i": 1}, score=2.5, net=np.ones(3)))
    assert ledger.returns("s")[1].tolist() == [[1.0, 1.0, 1.0]]
    frame = ledger.trials("s")
    assert frame.score.isna().tolist() == [True, False, False]
    assert frame.param_i.tolist() == [1, 1, 1] and frame.error[0] == "disk full"


def test_rows_cannot_be_changed_or_deleted(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record(Trial("s", {"i": 1}, score=1.0, net=np.zeros(2)))
    other = sqlite3.connect(tmp_path / "trials.sqlite")
    for statement in ("UPDATE trials SET score = 9", "DELETE FROM trials", "DELETE FROM net"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(statement)
    other.close()


def test_all_or_none_of_a_call_is_recorded(ledger: Ledger) -> None:
    good = Trial("s", {"i": 1}, score=1.0)
    for bad, message in (
        (Trial("s", {"i": [1]}), "parameter 'i' must be"),
        (Trial("s", {"i": math.nan}), "finite"),
        (Trial("s", {}, status="running"), "status must be 'complete', 'failed' or 'pruned'"),
        (Trial("s", {}, net=np.array([np.nan])), "net returns of a trial"),
    ):
        with pytest.raises(ValueError, match=message):
            ledger.record(good, bad)
    assert ledger.summary("s").attempts == 0


def test_statistics_of_overfitting_take_its_returns(ledger: Ledger) -> None:
    rng = np.random.default_rng(0)
    nets = rng.normal(0, 0.01, (20, 200))
    ledger.record(*(Trial("s", {"i": i}, score=0.0, net=net) for i, net in enumerate(nets)))
    params, returns = ledger.returns("s")
    np.testing.assert_array_equal(returns, nets)
    assert [p["i"] for p in params] == list(range(20))
    deflated = metrics.deflated_sharpe_ratio(returns, trials=ledger.summary("s").trials)
    assert 0 < deflated.probability < 1
    ledger.record(Trial("s", {"i": 99}, net=np.zeros(7)))
    with pytest.raises(ValueError, match="7, 200 bars"):
        ledger.returns("s")


WRITER = """
import sys
from marketsim.search import Ledger, Trial
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Ledger(path) as ledger:
    for i in range(count):
        ledger.record(Trial("s", {"writer": name, "i": i}, score=float(i)))
        print(i, flush=True)
"""


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, path, f"w{n}", "40"], stdout=subprocess.DEVNULL
        )
        for n in range(3)
    ]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    with Ledger(path, mode="r") as ledger:
        assert ledger.summary("s").trials == 120


def test_a_killed_writer_loses_at_most_the_record_it_was_writing(tmp_path: Path) -> None:
    path = tmp_path / "killed.sqlite"
    rng = random.Random(0)
    acknowledged = 0
    for run in range(4):
        command = [sys.executable, "-c", WRITER, path, f"w{run}", "100000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(rng.uniform(0.01, 0.1))
            os.kill(writer.pid, signal.SIGKILL)
            acknowledged += 1 + writer.stdout.read().count(b"\n")
        with Ledger(path) as ledger:
            found = ledger.summary("s").attempts
            assert acknowledged <= found <= acknowledged + 1
            acknowledged = found


def test_files_that_are_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no ledger"):
        Ledger(tmp_path / "missing.sqlite", mode="r")
    with pytest.raises(ValueError, match="mode"):
        Ledger(tmp_path / "x.sqlite", mode="w")
    text = tmp_path / "text.sqlite"
    text.write_text("hello " * 1000)
    with pytest.raises(ValueError, match="could not be opened: file is not a database"):
        Ledger(text)
    assert text.read_text() == "hello " * 1000
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE a (b)")
    connection.close()
    with pytest.raises(ValueError, match="no ledger of trials"):
        Ledger(other)
    newer = tmp_path / "newer.sqlite"
    Ledger(newer).close()
    connection = sqlite3.connect(newer)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(ValueError, match="version 9, and this marketsim reads version 3"):
        Ledger(newer)


def test_a_ledger_that_was_cut_says_so_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "cut.sqlite"
    with Ledger(path) as ledger:
        for i in range(40):
            ledger.record(Trial("s", {"i": i}, score=1.0, net=np.zeros(500)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    before = path.read_bytes()
    wanted = r"Keep the file; .*\.recover"
    with pytest.raises(ValueError, match=wanted), Ledger(path, mode="r") as cut:
        cut.returns("s")
    assert path.read_bytes() == before


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with Ledger(path) as ledger:
        ledger.record(Trial("s", {"i": 1}, score=1.0))
    with Ledger(path, mode="r") as reader:
        with pytest.raises(OSError, match="could not be written: .*readonly"):
            reader.record(Trial("s", {"i": 2}))
        assert reader.summary("s").trials == 1


def test_params_are_stored_as_json(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record(Trial("s", {"b": 1, "a": "ü"}))
    connection = sqlite3.connect(tmp_path / "trials.sqlite")
    text = connection.execute("SELECT params FROM trials").fetchone()[0]
    connection.close()
    assert json.loads(text) == {"a": "ü", "b": 1}


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        (Trial("s", {"i": 1}, "high"), "score must be a number"),
        (Trial("s", {"i": 1}, None), "score must be a number"),
        (Trial("s", {"i": 1}, metrics={"drawdown": "deep"}), "drawdown must be a number"),
        (Trial("s", {"i": 1}, net=["a"]), "net must be numbers"),
        (Trial("s", {"i": 1}, seed="a"), "seed must be a whole number of 64 bits"),
        (Trial("s", {"i": 1}, seed=1 << 70), "seed must be a whole number of 64 bits"),
        (Trial(None, {"i": 1}), "study of a trial must be text"),
        (Trial("s", {"i": "\ud800"}), "parameter 'i' of a trial must be text"),
        ({"i": 1}, "a ledger records Trial"),
    ],
)
def test_bad_trials(ledger: Ledger, trial: Trial, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ledger.record(Trial("s", {"i": 0}), trial)
    assert ledger.studies() == []


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("UPDATE trials SET params = '{\"i\":9}' WHERE attempt = 5", "attempt 5 was changed"),
        ("UPDATE trials SET params = 'gone' WHERE attempt = 5", "no JSON object, but 'gone'"),
        ("UPDATE trials SET metrics = '[1]' WHERE attempt = 5", "no JSON object"),
        ("UPDATE net SET returns = x'00' WHERE attempt = 5", "no float64 numbers"),
        ("UPDATE trials SET score = 'high' WHERE attempt = 3", ""),
        ("UPDATE trials SET score = 9e999 WHERE attempt = 3", ""),
        ("UPDATE trials SET score = 77 WHERE attempt = 3", ""),
    ],
)
def test_an_edit_in_place_is_seen_at_once(tmp_path: Path, edit: str, message: str) -> None:
    path = tmp_path / "t.sqlite"
    with Ledger(path) as ledger:
        ledger.record(*(Trial("s", {"i": i}, float(i), net=np.ones(9)) for i in range(5)))
        assert ledger.summary("s").best.score == 4.0
        other = sqlite3.connect(path)
        other.execute("DROP TRIGGER trials_stay")
        other.execute("DROP TRIGGER net_stays")
        other.execute(edit)
        other.commit()
        other.close()
        if message:
            with pytest.raises(ValueError, match=message):
                ledger.summary("s"), ledger.trials("s"), ledger.returns("s")
        else:  # what is no finite number can neither win nor block
            finite = edit.split()[5] == "77"
            assert ledger.summary("s").best.score == (77.0 if finite else 4.0)
            assert ledger.summary("s").without_score == (0 if finite else 1)


def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "t.sqlite")
    ledger.close()
    with pytest.raises(StoreError, match="closed database"):
        ledger.summary("s")


def test_a_grid_of_a_ledger_has_its_numbers_in_order(ledger: Ledger) -> None:
    for level in (2, 0.5, 1, 1.5):
        ledger.record(Trial("s", {"level": level, "kind": "a"}, float(level)))
    assert ledger_grid(ledger, "s").space == {"kind": ["a"], "level": [0.5, 1, 1.5, 2]}


@settings(max_examples=50)
@given(
    study=st.text(st.characters(exclude_categories=["Cs"])),
    params=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"])),
        max_size=4,
    ),
    seed=st.integers(-(1 << 63), (1 << 63) - 1),
    settings_=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_the_digest_of_a_trial_is_of_a_json_list(study, params, seed, settings_) -> None:
    """Ledgers that were written before find their trials."""
    plain = {name: params[name] for name in sorted(params)}
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    parts = [study, text, seed, "d", "c", settings_, "sharpe", "", "minimize"]
    given = {"data": "d", "code": "c", "settings": settings_, "metric": "sharpe"}
    expected = blake3.blake3(json.dumps(parts).encode()).digest(16)
    assert trial_key(study, params, seed=seed, direction="minimize", **given) == expected
    assert Trial(study, params, seed=seed, direction="minimize", **given).key == expected


def test_places_and_returns_that_cannot_be_recorded_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder: give the path of a file"):
        Ledger(tmp_path)
    with pytest.raises(StoreError, match="there is no folder .*; make it first"):
        Ledger(tmp_path / "no" / "trials.sqlite")
    with (
        Ledger(tmp_path / "t.sqlite") as ledger,
        pytest.raises(ValueError, match=r"finite: got nan at bar 1 \(2 in all\); a bar without"),
    ):
        ledger.record(Trial("s", {"a": 1}, 1.0, net=np.array([0.0, math.nan, math.inf])))
