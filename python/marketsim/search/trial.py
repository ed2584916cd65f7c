"""Trials: what was tried, what came of it, and the digest by which a ledger finds it.

The digest is of study, parameters and seed, and of the question that was asked: split, data, code,
settings, metric and direction. Scores of one question can be compared, and no others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import blake3
import numpy as np
import numpy.typing as npt

from marketsim.arguments import is_named, is_whole
from marketsim.errors import ArgumentError

Floats = npt.NDArray[np.float64]

STATUSES = ("complete", "failed", "pruned")
# Settings of a result that was recorded by hand: nothing says what they were.
BY_HAND = "by hand"

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_quoted = json.JSONEncoder().encode


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
        settings: fees, fills and the like, as text.
        metric: what the score is: a figure's name, or the identity of a function.
        direction: "maximize" or "minimize"; of several objectives with commas between them.
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
    settings: str = ""
    metric: str = ""
    direction: str = "maximize"

    @cached_property
    def key(self) -> bytes:
        """Digest of what was tried, 16 bytes: not of what came of it."""
        return _key(self.study, self.text, self.seed, self.question)

    @cached_property
    def text(self) -> str:
        """Its parameters as JSON, see `canonical`."""
        return canonical(self.params)

    @cached_property
    def question(self) -> Question:
        """What its score answers."""
        return Question(
            self.data, self.code, self.settings, self.metric, self.split, self.direction
        )


class Question(NamedTuple):
    """What the score of a trial answers, its parameters and its seed aside.

    Attributes:
        data, code, settings, metric, split, direction: as of `Trial`.
    """

    data: str = ""
    code: str = ""
    settings: str = ""
    metric: str = ""
    split: str = ""
    direction: str = "maximize"

    @property
    def digest(self) -> bytes:
        """16 bytes; results that were recorded by hand are one question, whatever made them."""
        return _question_digest(self._replace(code="") if self.settings == BY_HAND else self)

    def words(self, beside: Question | None = None) -> str:
        """The same in words, fingerprints cut short; `beside`: what differs from that one alone."""
        data = self.data.partition(" ")[0]
        parts = {
            "metric": f"metric {self.metric or 'not stated'}",
            "direction": self.direction,
            "settings": self.settings,
            "data": f"data {data[:12] or 'not stated'}",
            "code": f"code {self.code or 'not stated'}",
            "split": f"split {self.split or 'none'}",
        }
        if beside is None:
            return ", ".join(parts[name] for name in ("metric", "direction", "data", "split"))
        parts["settings"] = settings_beside(self.settings, beside.settings)
        differ = [name for name in parts if getattr(self, name) != getattr(beside, name)]
        return ", ".join(parts[name] for name in differ)


@lru_cache(maxsize=64)
def _question_digest(question: Question) -> bytes:
    digest: bytes = blake3.blake3(json.dumps(question).encode()).digest(16)
    return digest


class Known(NamedTuple):
    """Outcome of a trial: status, score, figures, and whether its net returns are kept."""

    status: str
    score: float
    metrics: dict[str, float]
    has_net: bool


class Kept(NamedTuple):
    """A trial with its net returns.

    Attributes:
        key: see `trial_key`.
        params, data, code, settings: of the trial.
        net: [bar], its net returns.
    """

    key: bytes
    params: dict[str, Any]
    data: str
    net: Floats
    code: str = ""
    settings: str = ""


class LedgerSummary(NamedTuple):
    """Summary of a study in a ledger.

    Attributes:
        attempts: records, repeated ones included.
        trials: different parameter sets (with seed and question).
        complete, failed, pruned: attempts by status.
        without_score: complete attempts whose score is NaN or infinite; none of them can be best.
        best: of the newest question the complete trial with the best finite score, see
            `Ledger.best`; None without one.
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


def settings_beside(settings: str, others: str) -> str:
    """Those settings that differ from other ones, by name.

    Example:
        >>> settings_beside('{"fee_bps": 5.0, "size": 1.0}', '{"fee_bps": 0.0, "size": 1.0}')
        'fee_bps 5.0'
    """
    own, other = _flat(settings), _flat(others)
    names = [name for name in own if own[name] != other.get(name)] if other else list(own)
    missing = [name for name in other if name not in own]
    found = [f"{name} {own[name]}" for name in names] + [f"no {name}" for name in missing]
    return ", ".join(found) if own else settings or "no settings"


def _flat(settings: str) -> dict[str, Any]:
    """Settings by name, those of the account among them; empty where they are no JSON."""
    try:
        found = json.loads(settings)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    account = found.pop("account", None)
    return found | (account if isinstance(account, dict) else {})


def trial_key(
    study: str,
    params: Mapping[str, Any],
    *,
    seed: int = 0,
    split: str = "",
    data: str = "",
    code: str = "",
    settings: str = "",
    metric: str = "",
    direction: str = "maximize",
) -> bytes:
    """Return the digest (BLAKE3, 16 bytes) that identifies a trial, in any order of names.

    Raises:
        ArgumentError: a parameter that is no number, text, boolean or None, or is NaN or infinite;
            a seed that is no whole number; other names that are no text.

    Example:
        >>> trial_key("s", {"a": 1, "b": 2}) == trial_key("s", {"b": 2, "a": 1})
        True
    """
    question = Question(data, code, settings, metric, split, direction)
    return _key(study, canonical(params), seed, question)


def _key(study: str, params: str, seed: int, question: Question) -> bytes:
    """`trial_key` of parameters that are text already."""
    if not is_whole(seed) or not -(1 << 63) <= seed < 1 << 63:
        raise ArgumentError(f"seed must be a whole number of 64 bits: got {seed!r}")
    for text in (study, *question):
        if type(text) is not str:
            _check_texts(study, question)
    head, tail = _around(study, int(seed), question)
    digest: bytes = blake3.blake3(f"{head}{_quoted(params)}{tail}".encode()).digest(16)
    return digest


@lru_cache(maxsize=64)
def _around(study: str, seed: int, question: Question) -> tuple[str, str]:
    """What stands before and after the parameters in the JSON list that a key is the digest of."""
    _check_texts(study, question)
    return f"[{_quoted(study)}, ", f", {json.dumps([seed, *question])[1:]}"


def _check_texts(study: str, question: Question) -> None:
    for name, text in (("study", study), *question._asdict().items()):
        _check_text(name, text)


def canonical(params: Mapping[str, Any]) -> str:
    """Parameters as JSON text, names in order; NumPy numbers as Python's.

    Raises:
        ArgumentError: a value that JSON has no number, text, boolean or null for.
    """
    if not is_named(params):
        raise ArgumentError(f"parameters must be values by name (text): got {params!r:.80}")
    plain: dict[str, Any] = {}
    for name in sorted(params):
        _check_text("the name of a parameter", name)
        value = params[name]
        value = value.item() if isinstance(value, np.generic) else value
        known = value is None or isinstance(value, (bool, int, str, float))
        if not known or (isinstance(value, float) and not math.isfinite(value)):
            raise ArgumentError(
                f"parameter {name!r} must be a finite number, text, boolean or None: got {value!r}"
            )
        if isinstance(value, str):
            _check_text(f"parameter {name!r}", value)
        plain[name] = value
    return _compact(plain)


def _check_text(name: str, text: object) -> None:
    """Refuse what a file cannot hold: other types, and halves of characters."""
    if isinstance(text, str) and text.isascii():
        return
    if not isinstance(text, str) or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ArgumentError(f"{name} of a trial must be text: got {text!r:.80}")
