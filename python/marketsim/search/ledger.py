"""What was tried: an append-only ledger of trials in one SQLite file.

A trial is found by a digest of what it was: study, parameters, seed, split, data and code. Failed
and pruned trials are kept too, because whoever judges the best has to know how many there were.
Rows are never changed or deleted (the file refuses it); what has to be done again is recorded
again, and the newest attempt counts. Decisions on champions (champion.py) stand beside them.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import blake3
import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.errors import ArgumentError, FileFormatError, StoreNotFoundError, StoreWriteError

Floats = npt.NDArray[np.float64]

APPLICATION_ID = 0x6D736C67  # "mslg"
VERSION = 2
STATUSES = ("complete", "failed", "pruned")
_WAIT = 60.0  # seconds for another writer

_SCHEMA = f"""
CREATE TABLE trials (
  attempt INTEGER PRIMARY KEY,
  key BLOB NOT NULL,
  study TEXT NOT NULL,
  params TEXT NOT NULL,
  seed INTEGER NOT NULL,
  split TEXT NOT NULL,
  data TEXT NOT NULL,
  code TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('complete', 'failed', 'pruned')),
  score REAL,
  metrics TEXT NOT NULL,
  error TEXT NOT NULL,
  seconds REAL NOT NULL,
  recorded REAL NOT NULL
);
CREATE INDEX trials_by_key ON trials (key);
CREATE INDEX trials_by_study ON trials (study, key);
CREATE INDEX trials_by_score ON trials (study, status, score);
CREATE TABLE net (
  attempt INTEGER PRIMARY KEY REFERENCES trials (attempt),
  bars INTEGER NOT NULL,
  returns BLOB NOT NULL
);
CREATE TABLE promotions (
  id INTEGER PRIMARY KEY,
  study TEXT NOT NULL,
  attempt INTEGER NOT NULL REFERENCES trials (attempt),
  accepted INTEGER NOT NULL,
  rule TEXT NOT NULL,
  evidence TEXT NOT NULL,
  reasons TEXT NOT NULL,
  recorded REAL NOT NULL
);
CREATE INDEX promotions_by_study ON promotions (study, accepted);
CREATE TRIGGER trials_stay BEFORE UPDATE ON trials
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER trials_remain BEFORE DELETE ON trials
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER net_stays BEFORE UPDATE ON net
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER net_remains BEFORE DELETE ON net
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER promotions_stay BEFORE UPDATE ON promotions
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER promotions_remain BEFORE DELETE ON promotions
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""


@dataclass(frozen=True)
class Trial:
    """One attempt at one parameter set.

    Attributes:
        study: the search it belongs to.
        params: name to value; numbers, text, booleans or None.
        score: what is maximised or minimised; NaN where it failed or has none.
        status: "complete", "failed" or "pruned".
        metrics: further figures by name.
        seed, split, data, code: what else it depends on: a split's name, fingerprints of bars and
            of code.
        error: what went wrong, of a failed one.
        seconds: how long it took.
        net: [bar], its net returns, for the statistics of overfitting; None where not kept.
    """

    study: str
    params: Mapping[str, Any]
    score: float = math.nan
    status: str = "complete"
    metrics: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    split: str = ""
    data: str = ""
    code: str = ""
    error: str = ""
    seconds: float = 0.0
    net: Floats | None = None

    @cached_property
    def key(self) -> bytes:
        """Digest of what was tried, 16 bytes: not of what came of it."""
        return trial_key(
            self.study,
            self.params,
            seed=self.seed,
            split=self.split,
            data=self.data,
            code=self.code,
        )


class Known(NamedTuple):
    """What came of a trial: its status, score and figures."""

    status: str
    score: float
    metrics: dict[str, float]


class LedgerSummary(NamedTuple):
    """What stands in a ledger about a study.

    Attributes:
        attempts: records, repeated ones included.
        trials: different parameter sets (with seed, split, data and code).
        complete, failed, pruned: attempts by status.
        without_score: complete attempts whose score is NaN or infinite; none of them can be best.
        best: the complete trial with the best finite score; None without one.
    """

    attempts: int
    trials: int
    complete: int
    failed: int
    pruned: int
    without_score: int
    best: Trial | None


class Decision(NamedTuple):
    """Whether a trial became the champion of its study, and why: see `promote`.

    Attributes:
        study: the search.
        attempt: of the trial, see `Ledger.trial_of`.
        accepted: whether it became the champion.
        rule: the rule that decided, by name of its parts.
        evidence: the figures that it decided by.
        reasons: what spoke against it; empty where it was accepted.
        recorded: seconds since 1970.
    """

    study: str
    attempt: int
    accepted: bool
    rule: dict[str, Any]
    evidence: dict[str, Any]
    reasons: tuple[str, ...]
    recorded: float = 0.0


def trial_key(
    study: str,
    params: Mapping[str, Any],
    *,
    seed: int = 0,
    split: str = "",
    data: str = "",
    code: str = "",
) -> bytes:
    """Digest (BLAKE3, 16 bytes) of what a trial is: the same for the same, in any order of names.

    Raises:
        ArgumentError: a parameter that is no number, text, boolean or None, or is NaN or infinite.

    Example:
        >>> trial_key("s", {"a": 1, "b": 2}) == trial_key("s", {"b": 2, "a": 1})
        True
    """
    identity = json.dumps([study, canonical(params), int(seed), split, data, code])
    digest: bytes = blake3.blake3(identity.encode()).digest(16)
    return digest


def canonical(params: Mapping[str, Any]) -> str:
    """Parameters as JSON text, names in order; NumPy numbers as Python's.

    Raises:
        ArgumentError: a value that JSON has no number, text, boolean or null for.
    """
    plain: dict[str, Any] = {}
    for name in sorted(params):
        value = params[name]
        value = value.item() if isinstance(value, np.generic) else value
        known = value is None or isinstance(value, (bool, int, str, float))
        if not known or (isinstance(value, float) and not math.isfinite(value)):
            raise ArgumentError(
                f"parameter {name!r} must be a finite number, text, boolean or None: got {value!r}"
            )
        plain[name] = value
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False)


class Ledger:
    """An append-only SQLite file of trials; writers may run at the same time.

    A record is in the file when `record` returns, and a process that is killed loses none but the
    one it was writing.

    Args:
        path: the file; made where it does not exist (mode "a").
        mode: "a" to read and append, "r" to read.

    Raises:
        ArgumentError: another mode.
        StoreNotFoundError: mode "r" and no such file.
        FileFormatError: a file that is no ledger, is damaged, or that another version wrote.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Ledger(f"{folder}/t.sqlite") as ledger:
        ...     ledger.record(Trial("sma", {"fast": 10, "slow": 50}, score=1.2))
        ...     ledger.record(Trial("sma", {"fast": 20, "slow": 50}, score=float("nan")))
        ...     found = ledger.summary("sma")
        >>> found.trials, found.without_score, found.best.params
        (2, 1, {'fast': 10, 'slow': 50})
    """

    def __init__(self, path: str | os.PathLike[str], *, mode: str = "a") -> None:
        if mode not in ("a", "r"):
            raise ArgumentError(f"mode must be 'a' or 'r': got {mode!r}")
        self.path = Path(path)
        self.mode = mode
        if mode == "r" and not self.path.is_file():
            raise StoreNotFoundError(f"there is no ledger {self.path}")
        with self._explained("opened"):
            self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        target = self.path.absolute().as_uri() + ("?mode=ro" if self.mode == "r" else "")
        connection = sqlite3.connect(
            target, uri=True, timeout=_WAIT, isolation_level=None, check_same_thread=False
        )
        try:
            if self.mode == "a":
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    self._check(connection)  # before anything is changed
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages: seldom copied twice
                self._create(connection)
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        """Make the tables of a new file, once, whoever else is about to."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _statements(_SCHEMA):
                    connection.execute(statement)
        finally:
            connection.execute("COMMIT")

    def _check(self, connection: sqlite3.Connection) -> None:
        kind = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if kind != APPLICATION_ID:
            raise FileFormatError(
                f"{self.path} is a SQLite file but no ledger of trials: give another path"
            )
        if version != VERSION:
            raise FileFormatError(
                f"{self.path} has version {version}, and this marketsim reads version {VERSION}: "
                "use the marketsim that wrote it, or begin a new ledger"
            )

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreWriteError(f"ledger {self.path} could not be {what}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise FileFormatError(
                f"ledger {self.path} could not be {what}: {error}. Keep the file; "
                f"`sqlite3 {self.path} .recover` writes what is whole as SQL for a new one"
            ) from error

    def close(self) -> None:
        """Close the file; a closed ledger cannot be used."""
        self._connection.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def record(self, *trials: Trial) -> None:
        """Append trials, all of them or none.

        Raises:
            ArgumentError: a status that is none, parameters that cannot be written, or net returns
                that are not [bar] in finite numbers.
            StoreWriteError: the file cannot be written, or another writer does not let go of it.
        """
        rows = [(trial, _row(trial), _net(trial)) for trial in trials]
        with self._explained("written"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for _, row, net in rows:
                    cursor = self._connection.execute(_INSERT, row)
                    if net is not None:
                        self._connection.execute(
                            "INSERT INTO net VALUES (?, ?, ?)",
                            (cursor.lastrowid, len(net) // 8, net),
                        )
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def find(self, key: bytes) -> Trial | None:
        """The newest attempt at a trial; see `trial_key`. None where it was never tried."""
        return next(self._trials("WHERE key = ? ORDER BY attempt DESC LIMIT 1", (key,)), None)

    def known(self, keys: Iterable[bytes]) -> dict[bytes, Known]:
        """The newest attempt at each of these trials that was tried."""
        found: dict[bytes, Known] = {}
        wanted = list(keys)
        with self._explained("read"):
            for first in range(0, len(wanted), 500):
                part = wanted[first : first + 500]
                marks = ",".join("?" * len(part))
                for key, status, score, metrics in self._connection.execute(
                    f"SELECT key, status, score, metrics FROM trials WHERE key IN ({marks}) "
                    "ORDER BY attempt",
                    part,
                ):
                    found[key] = Known(status, _number(score), _numbers(metrics))
        return found

    def keys(self, study: str) -> set[bytes]:
        """The digests of all trials of a study."""
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT DISTINCT key FROM trials WHERE study = ?", (study,)
            )
            return {row[0] for row in rows}

    def studies(self) -> list[str]:
        """The names of the studies, in order."""
        with self._explained("read"):
            rows = self._connection.execute("SELECT DISTINCT study FROM trials ORDER BY study")
            return [row[0] for row in rows]

    def summary(self, study: str, *, direction: str = "maximize") -> LedgerSummary:
        """Counts and the best trial of a study; of the file as it is now.

        Raises:
            ArgumentError: another direction than "maximize" or "minimize".
        """
        with self._explained("read"):
            counts = dict(
                self._connection.execute(
                    "SELECT status, count(*) FROM trials WHERE study = ? GROUP BY status", (study,)
                )
            )
            unknown = self._connection.execute(
                "SELECT count(*) FROM trials WHERE study = ? AND status = 'complete' "
                "AND score IS NULL",
                (study,),
            ).fetchone()[0]
            different = self._connection.execute(
                "SELECT count(DISTINCT key) FROM trials WHERE study = ?", (study,)
            ).fetchone()[0]
        best = self.best(study, 1, direction=direction)
        return LedgerSummary(
            sum(counts.values()),
            different,
            counts.get("complete", 0),
            counts.get("failed", 0),
            counts.get("pruned", 0),
            unknown,
            best[0] if best else None,
        )

    def best(self, study: str, count: int = 10, *, direction: str = "maximize") -> list[Trial]:
        """The complete trials with the best finite scores; of equals the first recorded.

        Raises:
            ArgumentError: another direction than "maximize" or "minimize".
        """
        order = {"maximize": "DESC", "minimize": "ASC"}.get(direction)
        if order is None:
            raise ArgumentError(f"direction must be 'maximize' or 'minimize': got {direction!r}")
        where = (
            "WHERE study = ? AND status = 'complete' AND score IS NOT NULL "
            f"ORDER BY score {order}, attempt LIMIT ?"
        )
        return list(self._trials(where, (study, count)))

    def trials(self, study: str) -> pd.DataFrame:
        """One row an attempt, in the order they were recorded.

        Columns: status, score, seconds, error, seed, split, data, code, recorded (UTC), then one
        for each parameter, `param_...`, and for each figure, `metric_...`.
        """
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT status, score, seconds, error, seed, split, data, code, recorded, params, "
                "metrics FROM trials WHERE study = ? ORDER BY attempt",
                (study,),
            ).fetchall()
        names = ["status", "score", "seconds", "error", "seed", "split", "data", "code", "recorded"]
        frame = pd.DataFrame([row[:9] for row in rows], columns=names)
        frame["score"] = frame["score"].astype(np.float64)
        frame["recorded"] = pd.to_datetime(frame["recorded"], unit="s", utc=True)
        for prefix, at in (("param_", 9), ("metric_", 10)):
            found = [json.loads(row[at]) for row in rows]
            for name in sorted({name for one in found for name in one}):
                frame[prefix + name] = [one.get(name) for one in found]
        return frame

    def returns(self, study: str) -> tuple[list[dict[str, Any]], Floats]:
        """(parameters, net returns [trial, bar]) of the complete trials that kept their returns.

        The newest attempt of each trial, in the order they were recorded: what
        `marketsim.metrics.deflated_sharpe_ratio` and `probability_of_backtest_overfitting` take.

        Raises:
            ArgumentError: trials of different numbers of bars (which).
        """
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT params, bars, returns FROM net JOIN trials USING (attempt) "
                "WHERE attempt IN (SELECT max(attempt) FROM trials WHERE study = ? "
                "AND status = 'complete' GROUP BY key) ORDER BY attempt",
                (study,),
            ).fetchall()
        lengths = sorted({row[1] for row in rows})
        if len(lengths) > 1:
            raise ArgumentError(
                f"trials of {study!r} have {', '.join(map(str, lengths))} bars: statistics over "
                "trials need the same bars; use a study a data set"
            )
        matrix = np.empty((len(rows), lengths[0] if lengths else 0))
        for i, row in enumerate(rows):
            matrix[i] = np.frombuffer(row[2], dtype="<f8")
        return [json.loads(row[0]) for row in rows], matrix

    def attempt(self, key: bytes) -> int | None:
        """The number of the newest attempt at a trial; None where it was never tried."""
        with self._explained("read"):
            row = self._connection.execute(
                "SELECT max(attempt) FROM trials WHERE key = ?", (key,)
            ).fetchone()
        return None if row[0] is None else int(row[0])

    def record_decision(self, decision: Decision) -> None:
        """Append a decision on a champion.

        Raises:
            StoreWriteError: the file cannot be written.
        """
        with self._explained("written"):
            self._connection.execute(
                "INSERT INTO promotions (study, attempt, accepted, rule, evidence, reasons, "
                "recorded) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    decision.study,
                    decision.attempt,
                    int(decision.accepted),
                    json.dumps(decision.rule, sort_keys=True),
                    json.dumps(decision.evidence, sort_keys=True),
                    json.dumps(list(decision.reasons)),
                    time.time(),
                ),
            )

    def decisions(self, study: str, *, accepted: bool | None = None) -> list[Decision]:
        """The decisions on champions of a study, the oldest first; `accepted`: those alone."""
        chosen = "" if accepted is None else f"AND accepted = {int(accepted)} "
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT study, attempt, accepted, rule, evidence, reasons, recorded "
                f"FROM promotions WHERE study = ? {chosen}ORDER BY id",
                (study,),
            ).fetchall()
        return [
            Decision(name, attempt, bool(yes), json.loads(rule), json.loads(evidence),
                     tuple(json.loads(reasons)), recorded)
            for name, attempt, yes, rule, evidence, reasons, recorded in rows
        ]  # fmt: skip

    def trial_of(self, attempt: int) -> Trial:
        """The trial of an attempt.

        Raises:
            ArgumentError: there is no such attempt.
        """
        found = next(self._trials("WHERE attempt = ?", (attempt,)), None)
        if found is None:
            raise ArgumentError(f"ledger {self.path} has no attempt {attempt}")
        return found

    def _trials(self, where: str, values: tuple[Any, ...]) -> Iterator[Trial]:
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT study, params, score, status, metrics, seed, split, data, code, error, "
                f"seconds FROM trials {where}",
                values,
            ).fetchall()
        for study, params, score, status, metrics, *rest in rows:
            yield Trial(
                study,
                json.loads(params),
                _number(score),
                status,
                _numbers(metrics),
                *rest,
            )


_INSERT = (
    "INSERT INTO trials (key, study, params, seed, split, data, code, status, score, metrics, "
    "error, seconds, recorded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _row(trial: Trial) -> tuple[Any, ...]:
    if trial.status not in STATUSES:
        raise ArgumentError(f"status must be one of {', '.join(STATUSES)}: got {trial.status!r}")
    score = float(trial.score)
    metrics = {
        name: float(value) if math.isfinite(value) else None
        for name, value in trial.metrics.items()
    }
    return (
        trial.key,
        trial.study,
        canonical(trial.params),
        int(trial.seed),
        trial.split,
        trial.data,
        trial.code,
        trial.status,
        score if math.isfinite(score) else None,  # neither NaN nor infinity can be best
        json.dumps(metrics, sort_keys=True),
        trial.error,
        float(trial.seconds),
        time.time(),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _numbers(text: str) -> dict[str, float]:
    return {name: _number(value) for name, value in json.loads(text).items()}


def _net(trial: Trial) -> bytes | None:
    if trial.net is None:
        return None
    returns = np.asarray(trial.net, dtype="<f8")
    if returns.ndim != 1 or not np.isfinite(returns).all():
        raise ArgumentError(
            f"net returns of a trial must be [bar] in finite numbers: got shape {returns.shape}"
        )
    return returns.tobytes()


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit on the way."""
    part = ""
    for line in script.splitlines():
        part += line + "\n"
        if sqlite3.complete_statement(part):
            yield part
            part = ""
