"""What was tried: an append-only ledger of trials in one SQLite file.

Failed and pruned trials are kept too, because whoever judges the best has to know how many there
were. Rows are never changed or deleted (the file refuses it); what has to be done again is recorded
again, and the newest attempt counts. Decisions on champions (champion.py) stand beside them.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import blake3
import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.arguments import (
    as_flag,
    as_number,
    as_numbers,
    check_name,
    check_one_of,
    check_path,
    check_several,
    check_whole,
    is_named,
)
from marketsim.errors import (
    ArgumentError,
    FileFormatError,
    StoreError,
    StoreNotFoundError,
    StoreWarning,
    StoreWriteError,
)
from marketsim.search.trial import (
    BY_HAND,
    STATUSES,
    Decision,
    Kept,
    Known,
    LedgerSummary,
    Question,
    Trial,
)

Floats = npt.NDArray[np.float64]

APPLICATION_ID = 0x6D736C67  # "mslg"
VERSION = 3
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
  settings TEXT NOT NULL,
  metric TEXT NOT NULL,
  direction TEXT NOT NULL,
  question BLOB NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('complete', 'failed', 'pruned')),
  score REAL,
  metrics TEXT NOT NULL,
  error TEXT NOT NULL,
  seconds REAL NOT NULL,
  recorded REAL NOT NULL
);
CREATE INDEX trials_by_key ON trials (key);
CREATE INDEX trials_by_study ON trials (study, key);
CREATE INDEX trials_by_question ON trials (study, question, status, score);
CREATE INDEX trials_in_order ON trials (study);
CREATE TABLE net (
  attempt INTEGER PRIMARY KEY REFERENCES trials (attempt),
  bars INTEGER NOT NULL,
  digest BLOB NOT NULL,
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
        self.path, self.mode = check_path("path", path), check_one_of("mode", mode, ("a", "r"))
        if mode == "r" and not self.path.is_file():
            raise StoreNotFoundError(f"there is no ledger {self.path}")
        if mode == "a" and (self.path.is_dir() or not self.path.parent.is_dir()):
            raise StoreWriteError(
                f"the ledger {self.path} is a folder: give the path of a file"
                if self.path.is_dir()
                else f"ledger {self.path}: there is no folder {self.path.parent}; make it first"
            )
        self._check_empty()
        with self._explained("opened"):
            self._connection = self._open_in_time()

    def _check_empty(self) -> None:
        """Say that a file has nothing in it: whoever cut it may have a copy."""
        if not self.path.is_file() or self.path.stat().st_size:
            return
        if self.mode == "r":
            raise FileFormatError(
                f"{self.path} is empty (0 bytes), and no ledger: restore it, or give another path"
            )
        time.sleep(0.1)  # another writer may be making it
        if not self.path.stat().st_size and not Path(f"{self.path}-wal").exists():
            warnings.warn(
                f"{self.path} was empty (0 bytes) and begins as a new ledger: if it had trials, "
                "restore it",
                StoreWarning,
                stacklevel=4,
            )

    def _open_in_time(self) -> sqlite3.Connection:
        """The opened file: SQLite does not wait for who is about to make it."""
        end = time.monotonic() + _WAIT
        while True:
            try:
                return self._open()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > end:
                    raise
            time.sleep(0.02)

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
        except sqlite3.ProgrammingError as error:
            raise StoreError(f"ledger {self.path} could not be {what}: {error}") from error
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

    def record(self, *trials: Trial, once: bool = False) -> None:
        """Append trials, all of them or none.

        Args:
            trials: what was tried.
            once: leave out those that have a score (and net returns, where the trial has) in the
                file by now: another process that searches the same has recorded them.

        Raises:
            ArgumentError: a status that is none, parameters that cannot be written, or net returns
                that are not [bar] in finite numbers.
            StoreWriteError: the file cannot be written, or another writer does not let go of it.
        """
        rows = [(trial, _row(trial), _net(trial)) for trial in trials]
        with self._explained("written"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for trial, row, net in rows:
                    if once and self._has_score(trial.key, with_net=net is not None):
                        continue
                    cursor = self._connection.execute(_INSERT, row)
                    if net is not None:
                        self._connection.execute(
                            "INSERT INTO net VALUES (?, ?, ?, ?)",
                            (cursor.lastrowid, len(net) // 8, _digest(net), net),
                        )
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _has_score(self, key: bytes, *, with_net: bool) -> bool:
        """Whether the newest attempt has a score, and net returns if these are to be kept."""
        row = self._connection.execute(
            "SELECT status = 'complete' AND score IS NOT NULL AND (NOT ? OR EXISTS "
            "(SELECT 1 FROM net WHERE net.attempt = trials.attempt)) FROM trials WHERE key = ? "
            "ORDER BY attempt DESC LIMIT 1",
            (with_net, key),
        ).fetchone()
        return row is not None and bool(row[0])

    def find(self, key: bytes) -> Trial | None:
        """The newest attempt at a trial; see `trial_key`. None where it was never tried."""
        where = "WHERE key = ? ORDER BY attempt DESC LIMIT 1"
        return next(self._trials(where, (_checked_key(key),)), None)

    def known(self, keys: Iterable[bytes]) -> dict[bytes, Known]:
        """The newest attempt at each of these trials that was tried."""
        found: dict[bytes, Known] = {}
        check_several("keys", keys, "digests of trials (trial_key)")
        wanted = [_checked_key(key) for key in keys]
        with self._explained("read"):
            for first in range(0, len(wanted), 500):
                part = wanted[first : first + 500]
                marks = ",".join("?" * len(part))
                for key, status, score, metrics, net in self._connection.execute(
                    "SELECT key, status, score, metrics, EXISTS (SELECT 1 FROM net WHERE "
                    f"net.attempt = trials.attempt) FROM trials WHERE key IN ({marks}) "
                    "ORDER BY attempt",
                    part,
                ):
                    found[key] = Known(status, _number(score), _numbers(metrics), bool(net))
        return found

    def keys(self, study: str) -> set[bytes]:
        """The digests of all trials of a study."""
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT DISTINCT key FROM trials WHERE study = ?", (check_name("study", study),)
            )
            return {row[0] for row in rows}

    def studies(self) -> list[str]:
        """The names of the studies, in order."""
        with self._explained("read"):
            rows = self._connection.execute("SELECT DISTINCT study FROM trials ORDER BY study")
            return [row[0] for row in rows]

    def questions(self, study: str) -> dict[Question, int]:
        """The questions that a study's trials answer, the newest first, with their attempts.

        Scores of one question can be compared. Results that were recorded by hand are one
        question, and the last.
        """
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT data, code, settings, metric, split, direction, n FROM trials JOIN "
                "(SELECT max(attempt) AS newest, count(*) AS n FROM trials WHERE study = ? "
                "GROUP BY question) ON attempt = newest ORDER BY settings = ?, attempt DESC",
                (check_name("study", study), BY_HAND),
            ).fetchall()
            return {Question(*row[:6]): row[6] for row in rows}

    def question(self, study: str) -> Question | None:
        """The newest question of a study; None without a trial. See `questions`."""
        with self._explained("read"):
            for by_hand in ("settings != ?", "settings = ?"):
                row = self._connection.execute(
                    "SELECT data, code, settings, metric, split, direction FROM trials INDEXED BY "
                    f"trials_in_order WHERE study = ? AND {by_hand} ORDER BY attempt DESC LIMIT 1",
                    (check_name("study", study), BY_HAND),
                ).fetchone()
                if row is not None:
                    return Question(*row)
        return None

    def behind(self, study: str, data: str, settings: str) -> tuple[int, int]:
        """(different runs on these data with these settings, other runs) of a study.

        A run is a parameter set with a version of the code, whatever its score is of. Trials that
        do not say on which data, and results that were recorded by hand, count with any.
        """
        with self._explained("read"):
            [same] = self._connection.execute(
                f"SELECT count(DISTINCT params || char(0) || code) FROM trials WHERE {_COMPARABLE}",
                _comparable(study, data, settings),
            ).fetchone()
            [other] = self._connection.execute(
                "SELECT count(*) FROM (SELECT DISTINCT params, code, data, settings FROM trials "
                f"WHERE study = ?1 AND NOT ({_COMPARABLE}))",
                _comparable(study, data, settings),
            ).fetchone()
        return same, other

    def summary(
        self, study: str, *, direction: str | None = None, question: Question | None = None
    ) -> LedgerSummary:
        """Counts of a study, and its best trial; of the file as it is now.

        Args:
            study: the name of the search.
            direction, question: of the best, as for `best`.

        Raises:
            ArgumentError: another direction than "maximize" or "minimize".
        """
        with self._explained("read"):
            rows = self._connection.execute(
                f"SELECT status, count(*), count(CASE WHEN {_FINITE} THEN 1 END) FROM trials "
                "WHERE study = ? GROUP BY question, status",  # as the index has them
                (check_name("study", study),),
            ).fetchall()
            different = self._connection.execute(
                "SELECT count(DISTINCT key) FROM trials WHERE study = ?",
                (check_name("study", study),),
            ).fetchone()[0]
        best = self.best(study, 1, direction=direction, question=question)
        counts = {status: sum(row[1] for row in rows if row[0] == status) for status in STATUSES}
        return LedgerSummary(
            sum(counts.values()),
            different,
            counts["complete"],
            counts["failed"],
            counts["pruned"],
            sum(count - finite for status, count, finite in rows if status == "complete"),
            best[0] if best else None,
        )

    def best(
        self,
        study: str,
        count: int = 10,
        *,
        direction: str | None = None,
        question: Question | None = None,
    ) -> list[Trial]:
        """The complete trials with the best finite scores; of equals the first recorded.

        Args:
            study: the name of the search.
            count: how many at most.
            direction: None: that of the question; of several objectives the first.
            question: whose scores are compared; None: the newest, see `questions`.

        Raises:
            ArgumentError: another direction than "maximize" or "minimize", a count below 1.
        """
        check_whole("count", count, 1)
        asked = self.question(study) if question is None else _checked_question(question)
        if direction is None:
            direction = "maximize" if asked is None else asked.direction.partition(",")[0]
        check_one_of("direction", direction, ("maximize", "minimize"))
        order = "DESC" if direction == "maximize" else "ASC"
        if asked is None:
            return []
        where = (
            f"WHERE study = ? AND question = ? AND status = 'complete' AND {_FINITE} "
            f"ORDER BY score {order}, attempt LIMIT ?"
        )
        return list(self._trials(where, (study, asked.digest, count)))

    def complete(self, study: str, question: Question | None = None) -> list[Trial]:
        """The complete trials of a question, in the order they were recorded.

        Args:
            study: the name of the search.
            question: None: the newest, see `questions`.
        """
        asked = self.question(study) if question is None else _checked_question(question)
        if asked is None:
            return []
        where = "WHERE study = ? AND question = ? AND status = 'complete' ORDER BY attempt"
        return list(self._trials(where, (check_name("study", study), asked.digest)))

    def trials(self, study: str) -> pd.DataFrame:
        """One row an attempt, in the order they were recorded.

        Columns: status, score, seconds, error, seed, split, data, code, settings, metric,
        direction, recorded (UTC), then one for each parameter, `param_...`, and for each figure,
        `metric_...`.
        """
        names = ["status", "score", "seconds", "error", "seed", "split", "data", "code",
                 "settings", "metric", "direction", "recorded"]  # fmt: skip
        with self._explained("read"):
            rows = self._connection.execute(
                f"SELECT {', '.join(names)}, params, metrics FROM trials WHERE study = ? "
                "ORDER BY attempt",
                (check_name("study", study),),
            ).fetchall()
            objects = [(_object(row[-2]), _object(row[-1])) for row in rows]
        frame = pd.DataFrame([row[:-2] for row in rows], columns=names)
        frame["score"] = [_number(row[1]) for row in rows]
        frame["recorded"] = pd.to_datetime(frame["recorded"], unit="s", utc=True)
        for at, prefix in enumerate(("param_", "metric_")):
            found = [pair[at] for pair in objects]
            for name in sorted({name for one in found for name in one}):
                frame[prefix + name] = [one.get(name) for one in found]
        return frame

    def returns(self, study: str) -> tuple[list[dict[str, Any]], Floats]:
        """(parameters, net returns [trial, bar]) of the complete trials that kept their returns.

        The newest attempt of each trial, in the order they were recorded: what
        `marketsim.metrics.deflated_sharpe_ratio` and `probability_of_backtest_overfitting` take.

        Raises:
            ArgumentError: trials of different numbers of bars (which); see `kept`.
        """
        kept = self.kept(study)
        lengths = sorted({len(one.net) for one in kept})
        if len(lengths) > 1:
            raise ArgumentError(
                f"trials of {study!r} have {', '.join(map(str, lengths))} bars: statistics over "
                "trials need the same bars; use a study a data set"
            )
        matrix = np.empty((len(kept), lengths[0] if lengths else 0))
        for row, one in zip(matrix, kept, strict=True):
            row[:] = one.net
        return [one.params for one in kept], matrix

    def kept(self, study: str) -> list[Kept]:
        """The complete trials that kept their net returns, on whatever bars.

        The newest attempt of each trial, in the order they were recorded.
        """
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT key, params, data, code, settings, attempt, digest, returns "
                "FROM net JOIN trials USING (attempt) WHERE attempt IN "
                "(SELECT max(attempt) FROM trials WHERE study = ? AND status = 'complete' "
                "GROUP BY key) ORDER BY attempt",
                (check_name("study", study),),
            ).fetchall()
            return [
                Kept(key, _object(params), data, _returns(net, digest, attempt), code, settings)
                for key, params, data, code, settings, attempt, digest, net in rows
            ]

    def made(
        self, net: Floats, data: str, figures: Mapping[str, float]
    ) -> list[tuple[str, dict[str, Any], str, str]]:
        """(study, parameters, code, settings) of trials with these net returns [bar], to the bit.

        Of trials that kept none: those on data whose fingerprint begins with `data` and whose
        figures are these, to the bit.
        """
        returns = np.asarray(net, dtype="<f8").tobytes()
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT study, params, code, settings FROM net JOIN trials USING (attempt) "
                "WHERE bars = ? AND returns = ? AND status = 'complete' ORDER BY attempt DESC",
                (len(returns) // 8, returns),
            ).fetchall()
            others = self._connection.execute(
                "SELECT study, params, code, settings, metrics FROM trials "
                "LEFT JOIN net USING (attempt) WHERE bars IS NULL AND status = 'complete' "
                "AND substr(data, 1, ?) = ? "
                "ORDER BY attempt DESC",
                (len(data), data),
            ).fetchall()
            for *trial, text in others:
                found = _numbers(text)
                if all(found.get(name) == value for name, value in figures.items()):
                    rows.append(tuple(trial))
            return [(study, _object(params), *rest) for study, params, *rest in rows]

    def attempt(self, key: bytes) -> int | None:
        """The number of the newest attempt at a trial; None where it was never tried."""
        with self._explained("read"):
            row = self._connection.execute(
                "SELECT max(attempt) FROM trials WHERE key = ?", (_checked_key(key),)
            ).fetchone()
        return None if row[0] is None else int(row[0])

    def record_decision(self, decision: Decision) -> None:
        """Append a decision on a champion.

        Raises:
            StoreWriteError: the file cannot be written.
        """
        if not isinstance(decision, Decision):
            raise ArgumentError(f"a decision is what promote returns: got {decision!r:.80}")
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
        if accepted is not None:
            as_flag("accepted", accepted)
        chosen = "" if accepted is None else f"AND accepted = {int(accepted)} "
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT study, attempt, accepted, rule, evidence, reasons, recorded "
                f"FROM promotions WHERE study = ? {chosen}ORDER BY id",
                (check_name("study", study),),
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
        check_whole("attempt", attempt, 1)
        found = next(self._trials("WHERE attempt = ?", (attempt,)), None)
        if found is None:
            raise ArgumentError(f"ledger {self.path} has no attempt {attempt}")
        return found

    def _trials(self, where: str, values: tuple[Any, ...]) -> Iterator[Trial]:
        with self._explained("read"):
            rows = self._connection.execute(
                "SELECT attempt, key, question, study, params, score, status, metrics, seed, "
                "split, data, code, error, seconds, NULL, settings, metric, direction "
                f"FROM trials {where}",
                values,
            ).fetchall()
            trials = []
            for attempt, key, question, study, params, score, status, metrics, *rest in rows:
                of = _object(params), _number(score), status, _numbers(metrics), *rest
                trials.append(Trial(study, *of))
                if trials[-1].key != key or trials[-1].question.digest != question:
                    raise sqlite3.DatabaseError(
                        f"attempt {attempt} was changed after it was recorded: its digest is that "
                        "of another study, parameters, seed or question"
                    )
        yield from trials


LedgerLike: TypeAlias = Ledger | str | os.PathLike[str]


@contextmanager
def opened(ledger: LedgerLike, mode: str = "a") -> Iterator[Ledger]:
    """A ledger, or the one of a path, which is closed in the end."""
    if isinstance(ledger, Ledger):
        yield ledger
        return
    if not isinstance(ledger, (str, os.PathLike)):
        raise ArgumentError(f"ledger must be a Ledger or a path: got {ledger!r:.80}")
    with Ledger(ledger, mode=mode) as own:
        yield own


# Neither NaN (NULL), infinity nor text, which somebody may have written into the file.
_FINITE = f"score BETWEEN {-sys.float_info.max!r} AND {sys.float_info.max!r}"
_in_order = json.JSONEncoder(sort_keys=True).encode
_INSERT = (
    "INSERT INTO trials (key, study, params, seed, split, data, code, settings, metric, direction, "
    "question, status, score, metrics, error, seconds, recorded) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
# Trials of a study (?1) on the same bars (?2, and with a space after them ?3) and settings (?4).
_COMPARABLE = (
    "study = ?1 AND (?2 = '' OR data IN ('', ?2) OR substr(data, 1, length(?3)) = ?3) "
    f"AND (settings = ?4 OR ?4 = '{BY_HAND}' OR settings = '{BY_HAND}')"
)


def _comparable(study: str, data: str, settings: str) -> tuple[str, ...]:
    bars = data.partition(" ")[0]  # the rest says what was run there
    return study, bars, f"{bars} ", settings


def _row(trial: Trial) -> tuple[Any, ...]:
    if not isinstance(trial, Trial):
        raise ArgumentError(f"a ledger records Trial(study, params, score, ...): got {trial!r:.80}")
    check_one_of("status", trial.status, STATUSES)
    if not is_named(trial.metrics):
        raise ArgumentError(f"metrics must be numbers by name (text): got {trial.metrics!r:.80}")
    score = as_number("score", trial.score, "a number, NaN for none")
    metrics = {
        name: value if math.isfinite(value) else None
        for name, figure in trial.metrics.items()
        for value in (figure if type(figure) is float else as_number(name, figure),)
    }
    return (
        trial.key,
        trial.study,
        trial.text,
        int(trial.seed),
        trial.split,
        trial.data,
        trial.code,
        trial.settings,
        trial.metric,
        trial.direction,
        trial.question.digest,
        trial.status,
        score if math.isfinite(score) else None,  # neither NaN nor infinity can be best
        _in_order(metrics),
        str(trial.error).encode("utf-8", "backslashreplace").decode(),
        as_number("seconds", trial.seconds),
        time.time(),
    )


def _checked_key(key: object) -> bytes:
    if not isinstance(key, bytes):
        raise ArgumentError(f"a key is the digest of a trial (trial_key), bytes: got {key!r:.80}")
    return key


def _checked_question(question: object) -> Question:
    if not isinstance(question, Question):
        raise ArgumentError(f"question must be one of Ledger.questions: got {question!r:.80}")
    return question


def _number(value: object) -> float:
    """NaN of what is no number."""
    return float(value) if isinstance(value, (int, float)) else math.nan


def _object(text: str) -> dict[str, Any]:
    found: Any = None
    with suppress(ValueError, TypeError):
        found = json.loads(text)
    if not isinstance(found, dict):
        raise sqlite3.DatabaseError(
            f"a record was changed: it has no JSON object, but {text!r:.40}"
        )
    return found


def _numbers(text: str) -> dict[str, float]:
    return {name: _number(value) for name, value in _object(text).items()}


def _digest(net: bytes) -> bytes:
    digest: bytes = blake3.blake3(net).digest(16)
    return digest


def _returns(stored: object, digest: object, attempt: int) -> Floats:
    if not isinstance(stored, bytes) or len(stored) % 8:
        raise sqlite3.DatabaseError("a record was changed: its returns are no float64 numbers")
    if _digest(stored) != digest:
        raise sqlite3.DatabaseError(
            f"the net returns of attempt {attempt} are damaged, or were changed after they were "
            "recorded: their digest is another"
        )
    return np.frombuffer(stored, dtype="<f8")


def _net(trial: Trial) -> bytes | None:
    if trial.net is None:
        return None
    returns = as_numbers("net", trial.net, np.float64)
    if returns.ndim != 1:
        raise ArgumentError(f"net returns of a trial must be [bar]: got shape {returns.shape}")
    wrong = np.flatnonzero(~np.isfinite(returns))
    if len(wrong):
        raise ArgumentError(
            f"net returns of a trial must be finite: got {returns[wrong[0]]} at bar {wrong[0]} "
            f"({len(wrong):,} in all); a bar without a position has a return of 0"
        )
    return returns.astype("<f8").tobytes()


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit on the way."""
    part = ""
    for line in script.splitlines():
        part += line + "\n"
        if sqlite3.complete_statement(part):
            yield part
            part = ""
