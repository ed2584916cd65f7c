"""Champions: which parameters of a study are in use, by a rule that is written down.

A champion is an entry of the ledger. Each decision is recorded with the rule that made it, the
figures it rests on and what spoke against it, accepted or not; none is ever changed.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from marketsim.arguments import as_finite, as_share, check_one_of, check_whole
from marketsim.errors import ArgumentError
from marketsim.metrics import DeflatedSharpe, minimum_track_record_length
from marketsim.search.evidence import judge, same_run
from marketsim.search.ledger import Ledger, LedgerLike, opened
from marketsim.search.trial import Decision, Trial


@dataclass(frozen=True, kw_only=True)
class PromotionRule:
    """Conditions that a trial must meet to become the champion.

    Attributes:
        least_deflated: lowest deflated Sharpe ratio, a probability in [0, 1].
        most_overfitting: highest probability of backtest overfitting, in [0, 1].
        least_bars: bars of its net returns.
        least_gain: how far its score must exceed the champion's on the same bars, with the same
            code, settings and metric; only where there is a champion.
        direction: "maximize" or "minimize" the score; None: as the study's newest search.

    Raises:
        ArgumentError: a number out of its range.

    Example:
        >>> PromotionRule(least_deflated=0.9).most_overfitting
        0.2
    """

    least_deflated: float = 0.95
    most_overfitting: float = 0.2
    least_bars: int = 250
    least_gain: float = 0.0
    direction: str | None = None

    def __post_init__(self) -> None:
        for name in ("least_deflated", "most_overfitting"):
            as_share(name, getattr(self, name), "[0, 1]")
        check_whole("least_bars", self.least_bars, 1)
        as_finite("least_gain", self.least_gain)
        if self.direction is not None:
            check_one_of("direction", self.direction, ("maximize", "minimize"))


def promote(
    ledger: LedgerLike,
    study: str,
    rule: PromotionRule | None = None,
    *,
    trial: Trial | None = None,
) -> Decision:
    """Judge a trial by a rule, record the decision, and make it the champion where it passes.

    Args:
        ledger: a ledger, or the path of one, with the net returns of its trials (`Trial.net`): the
            evidence.
        study: the name of the search.
        rule: None: the defaults.
        trial: which; None: of the newest question the best by its score, see `Ledger.best`.

    Raises:
        ArgumentError: no trial with a finite score, or one without net returns.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> with tempfile.TemporaryDirectory() as folder, Ledger(f"{folder}/t.sqlite") as ledger:
        ...     for i, net in enumerate(rng.normal(0.0, 0.01, (20, 500))):  # no skill
        ...         ledger.record(Trial("luck", {"i": i}, net.mean() / net.std(), net=net))
        ...     decision = promote(ledger, "luck")
        >>> decision.accepted, len(decision.reasons) > 0
        (False, True)
    """
    rule = PromotionRule() if rule is None else rule
    for name, value, kind in (("rule", rule, PromotionRule), ("trial", trial, Trial)):
        if value is not None and not isinstance(value, kind):
            raise ArgumentError(f"{name} must be a {kind.__name__} or None: got {value!r:.80}")
    with opened(ledger) as book:
        return _decide(book, study, rule, trial)


def _decide(ledger: Ledger, study: str, rule: PromotionRule, trial: Trial | None) -> Decision:
    if trial is None:
        best = ledger.best(study, 1, direction=rule.direction)
        if not best:
            raise ArgumentError(f"no complete trial of {study!r} has a finite score")
        trial = best[0]
    if rule.direction is None:
        rule = replace(rule, direction=trial.direction.partition(",")[0])
    attempt = ledger.attempt(trial.key)
    if attempt is None or not math.isfinite(trial.score):
        raise ArgumentError(f"trial {dict(trial.params)} has no finite score in this ledger")
    evidence = _evidence(ledger, study, trial)
    present = champion(ledger, study)
    rival = None if present is None else _comparable(ledger, present, trial)
    evidence["champion_score"] = None if rival is None else rival.score
    reasons = tuple(_reasons(rule, trial, evidence, present, rival))
    decision = Decision(study, attempt, not reasons, asdict(rule), evidence, reasons)
    ledger.record_decision(decision)
    return decision


def champion(ledger: LedgerLike, study: str) -> Trial | None:
    """Return the trial promoted last, or None. `Ledger.decisions` has the history."""
    with opened(ledger, "r") as book:
        accepted = book.decisions(study, accepted=True)
        return book.trial_of(accepted[-1].attempt) if accepted else None


def _comparable(ledger: Ledger, present: Trial, trial: Trial) -> Trial | None:
    """The champion's parameters with a score that answers the trial's question; None without."""
    if present.question.digest == trial.question.digest:
        return present
    same = replace(present, **trial.question._asdict(), seed=trial.seed)
    found = ledger.find(same.key)
    return found if found is not None and math.isfinite(found.score) else None


def _evidence(ledger: Ledger, study: str, trial: Trial) -> dict[str, Any]:
    """Figures of a trial among all that were tried."""
    kept = ledger.kept(study)
    judged = next((one for one in reversed(kept) if same_run(one, trial)), None)
    if judged is None:
        raise ArgumentError(
            f"trial {dict(trial.params)} kept no net returns, without which nothing is known of "
            "its luck: search with keep_net=True, or record Trial(..., net=returns)"
        )
    found = judge(ledger, study, judged, kept)
    overfitting = math.nan if found.overfitting is None else found.overfitting.probability
    assert found.effective is not None
    figures = {
        "score": trial.score,
        "trials": found.trials,
        "effective_trials": found.effective,
        "bars": len(judged.net),
        "deflated_sharpe": float(found.deflated.probability),
        "overfitting": float(overfitting),
        "minimum_track_record": _needed_bars(found.deflated),
    }
    return {n: None if not math.isfinite(v) else v for n, v in figures.items()}


def _needed_bars(deflated: DeflatedSharpe) -> float:
    if math.isnan(deflated.sharpe):
        return math.inf
    return minimum_track_record_length(
        deflated.sharpe, skew=deflated.skew, kurtosis=deflated.kurtosis
    )


def _reasons(
    rule: PromotionRule,
    trial: Trial,
    evidence: dict[str, Any],
    present: Trial | None,
    rival: Trial | None,
) -> list[str]:
    """What speaks against a trial; what is not known speaks against it too.

    Args:
        present: the champion.
        rival: the champion with a score that can be compared; None without one.
    """
    found = []
    deflated, overfitting = evidence["deflated_sharpe"], evidence["overfitting"]
    if deflated is None or deflated < rule.least_deflated:
        found.append(f"deflated Sharpe ratio {_text(deflated)} is below {rule.least_deflated:g}")
    if evidence["trials"] > 1 and (overfitting is None or overfitting > rule.most_overfitting):
        found.append(
            f"probability of overfitting {_text(overfitting)} is above {rule.most_overfitting:g}"
        )
    if evidence["bars"] < rule.least_bars:
        found.append(f"{evidence['bars']} bars are fewer than {rule.least_bars}")
    if present is not None and present.key == trial.key:
        found.append("it is the champion already")
    elif present is not None and rival is None:
        found.append(
            f"its score cannot be compared with that of the champion {dict(present.params)}, which "
            f"answers another question ({present.question.words(trial.question)}): evaluate the "
            "champion's parameters in this search too"
        )
    elif rival is not None:
        gain = trial.score - rival.score
        gain = gain if rule.direction == "maximize" else -gain
        if not gain > rule.least_gain:
            found.append(
                f"its score {trial.score:.6g} is not better than the champion's "
                f"{rival.score:.6g} by more than {rule.least_gain:g}"
            )
    return found


def _text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"
