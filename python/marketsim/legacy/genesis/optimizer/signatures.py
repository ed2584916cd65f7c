"""`core.utils.{diffing, optuna_helpers}`: parameters as keys, and which have been tried."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

_VOLATILE = frozenset(
    (
        "trial_id",
        "log",
        "log_path",
        "results_path",
        "from_cache",
        "duration_seconds",
        "attempt_durations",
        "attempts",
        "config_path",
        "timestamp",
        "created_at",
        "loaded_at",
    )
)


def canonicalize_config(payload: Any, *, precision: int = 6) -> Any:
    """Floats rounded half up, keys sorted, None and the root's volatile keys left out."""
    if isinstance(payload, Mapping):
        payload = {key: value for key, value in payload.items() if key not in _VOLATILE}
    return _canonical(payload, Decimal(1).scaleb(-precision))


def _canonical(value: Any, unit: Decimal) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(Decimal(str(value)).quantize(unit, rounding=ROUND_HALF_UP))
    if isinstance(value, (list, tuple)):
        return [x for x in (_canonical(one, unit) for one in value) if x is not None]
    if isinstance(value, Mapping):
        pairs = ((key, _canonical(value[key], unit)) for key in sorted(value))
        return {key: one for key, one in pairs if one is not None}
    return str(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def trial_key(parameters: Mapping[str, Any] | None) -> str:
    """Canonical parameters as compact JSON."""
    return _text(canonicalize_config(dict(parameters or {})))


def fingerprint_config(payload: Any, *, precision: int = 6) -> str:
    """SHA-256 of the canonical form."""
    text = _text(canonicalize_config(payload, precision=precision))
    return hashlib.sha256(text.encode()).hexdigest()


def param_signature(params: Mapping[str, Any], precision: int = 10) -> str:
    """SHA-256 of parameters with floats rounded."""
    return hashlib.sha256(_text(_rounded(params, precision)).encode()).hexdigest()


def _rounded(value: Any, precision: int) -> Any:
    if isinstance(value, float):
        return round(value, precision)
    if isinstance(value, (list, tuple)):
        return [_rounded(one, precision) for one in value]
    if isinstance(value, Mapping):
        return {key: _rounded(one, precision) for key, one in value.items()}
    return value


class NoDupeGuard:
    """Signatures that have been tried, in an SQLite file of the old form."""

    def __init__(self, sqlite_path: str = ".optuna_dedup.db") -> None:
        self.sqlite_path = sqlite_path
        with closing(self._open()) as base, base:
            base.execute("CREATE TABLE IF NOT EXISTS seen (sig TEXT PRIMARY KEY, ts REAL)")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.sqlite_path, timeout=30)

    def seen(self, sig: str) -> bool:
        """Whether a signature is there."""
        with closing(self._open()) as base:
            return base.execute("SELECT 1 FROM seen WHERE sig = ?", (sig,)).fetchone() is not None

    def add(self, sig: str) -> bool:
        """Add one; False where it was there."""
        return self.add_batch([sig]) == 1

    def add_batch(self, sigs: Iterable[str]) -> int:
        """Add many in one transaction; how many are new."""
        with closing(self._open()) as base, base:
            before = base.total_changes
            base.executemany(
                "INSERT OR IGNORE INTO seen (sig, ts) VALUES (?, julianday('now'))",
                [(sig,) for sig in sigs],
            )
            return base.total_changes - before

    def remove(self, sig: str) -> None:
        """Take one out."""
        with closing(self._open()) as base, base:
            base.execute("DELETE FROM seen WHERE sig = ?", (sig,))
