"""What the trials behind a result say of it: their number, and how much of it is luck."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from marketsim.arguments import check_name
from marketsim.errors import ArgumentError, UnsupportedTypeError
from marketsim.metrics import (
    Evidence,
    deflated_sharpe_ratio,
    effective_trials,
    probability_of_backtest_overfitting,
)
from marketsim.replay import ReplayResult
from marketsim.search.identity import has_digest
from marketsim.search.ledger import Ledger, LedgerLike, opened
from marketsim.search.objectives import ReplayObjective, WalkForwardObjective
from marketsim.search.statistics import sharpe_scores
from marketsim.search.trial import BY_HAND, Kept, Question, Trial, canonical

if TYPE_CHECKING:
    from marketsim.walkforward import WalkForwardResult

Floats = npt.NDArray[np.float64]
Result = TypeVar("Result", bound="ReplayResult | WalkForwardResult")
# Figures that must be equal, to the bit, where a trial kept no returns.
_TELLING = ("total_return", "sharpe", "max_drawdown")


def evidence(
    ledger: LedgerLike,
    study: str,
    params: Mapping[str, Any] | None = None,
    *,
    trial: Trial | None = None,
) -> Evidence:
    """Deflated Sharpe ratio and probability of backtest overfitting of a study.

    Every different run of the study on the same bars with the same settings counts: each parameter
    set with each version of the code, whatever its score is of. Runs on other bars or with other
    settings are counted apart (`elsewhere`).

    Args:
        ledger: a ledger, or the path of one, with the net returns of its trials (`Trial.net`).
        study: the name of the search.
        params: the set to judge, its newest trial; None: of the trials on the newest bars the one
            with the largest Sharpe ratio.
        trial: the very trial to judge, such as `Ledger.best(study, 1)[0]`, in place of `params`.

    Raises:
        ArgumentError: no trial kept its returns, or the set is none.
    """
    if trial is not None and not isinstance(trial, Trial):
        raise ArgumentError(f"trial must be a Trial of the ledger: got {trial!r:.80}")
    with opened(ledger, "r") as book:
        kept = book.kept(study)
        if not kept:
            raise ArgumentError(
                f"no complete trial of {study!r} kept its returns: search with keep_net=True, or "
                "record Trial(..., net=returns)"
            )
        if trial is not None:
            chosen = [one for one in kept if same_run(one, trial)]
        else:
            asked = None if params is None else canonical(params)
            chosen = [one for one in kept if asked in (None, canonical(one.params))]
        if not chosen:
            named = dict((params or {}) if trial is None else trial.params)
            raise ArgumentError(f"no complete trial {named} of {study!r} kept its returns")
        best = params is None and trial is None
        return judge(book, study, chosen[-1], kept, best=best)


def same_run(kept: Kept, trial: Trial) -> bool:
    """Whether returns are those of a trial, though its score may be of another metric."""
    return (kept.data, kept.code, kept.settings, canonical(kept.params)) == (
        trial.data,
        trial.code,
        trial.settings,
        canonical(trial.params),
    )


def judge(
    ledger: Ledger, study: str, judged: Kept, kept: Sequence[Kept], *, best: bool = False
) -> Evidence:
    """The evidence for a trial among those of its study that kept their returns.

    Args:
        best: judge the one with the largest Sharpe ratio of those it is compared with instead.
    """
    data = judged.data.partition(" ")[0]  # the bars' fingerprint; the rest says what was run there
    runs = {
        (canonical(one.params), one.code): one
        for one in kept
        if len(one.net) == len(judged.net)
        and one.data.partition(" ")[0] in (data, "")
        and (one.settings == judged.settings or BY_HAND in (one.settings, judged.settings))
    }
    own = (canonical(judged.params), judged.code)
    same = list(({own: judged} | runs if own not in runs else runs).values())
    row = list({own: judged} | runs if own not in runs else runs).index(own)
    returns = np.stack([one.net for one in same])
    trials, elsewhere = ledger.behind(study, judged.data, judged.settings)
    several = len(same) > 1
    deflated = deflated_sharpe_ratio(
        returns,
        strategy=None if best else row,
        trials=max(trials, len(same)),
        variance=None if several else 0.0,
    )
    return Evidence(
        study,
        max(trials, len(same)),
        effective_trials(returns).number,
        same[deflated.strategy].params,
        deflated,
        probability_of_backtest_overfitting(returns)
        if several and returns.shape[1] >= 32
        else None,
        elsewhere,
    )


def _evidence_of(run: _RunOf, ledger: Ledger, study: str, bars: str, own: TrialOf) -> Evidence:
    """What the trials of a study say of these very returns, whether or not they kept theirs."""
    kept = ledger.kept(study)
    mine = next((one for one in reversed(kept) if one.net.tobytes() == run.net.tobytes()), None)
    if mine is None and not _comparable(kept, run, bars, own):
        trials, elsewhere = ledger.behind(study, bars, own.settings)
        variance = _variance(run, ledger, study, own) if trials > 1 else 0.0
        deflated = deflated_sharpe_ratio(run.net, trials=max(trials, 1), variance=variance)
        return Evidence(study, max(trials, 1), None, own.params, deflated, None, elsewhere)
    if mine is None:
        mine = Kept(b"", own.params, bars, run.net, own.code, own.settings)
    elif own.settings not in (mine.settings, BY_HAND):  # another one with the same returns
        mine = mine._replace(params=own.params, code=own.code, settings=own.settings)
    return judge(ledger, study, mine, kept)


def _comparable(kept: Sequence[Kept], run: _RunOf, bars: str, own: TrialOf) -> bool:
    return any(
        len(one.net) == len(run.net)
        and one.data.partition(" ")[0] in (bars, "")
        and (one.settings == own.settings or BY_HAND in (one.settings, own.settings))
        for one in kept
    )


def _variance(run: _RunOf, ledger: Ledger, study: str, own: TrialOf) -> float:
    """Variance of the trials' Sharpe ratios per bar, from their annual ones.

    The run's ratio, known in both units, says how they differ.
    """
    frame = ledger.trials(study)
    frame = frame[frame["settings"].isin([own.settings, BY_HAND]) | (own.settings == BY_HAND)]
    bar, annual = float(sharpe_scores(run.net[None, :])[0]), run.figures.get("sharpe", math.nan)
    if "metric_sharpe" in frame and math.isfinite(bar) and math.isfinite(annual) and annual != 0.0:
        frame = frame[frame["status"] == "complete"]
        names = [name for name in frame.columns if name.startswith("param_")]
        known = frame.drop_duplicates([*names, "code", "data"])["metric_sharpe"].dropna()
        ratios = known.to_numpy(dtype=np.float64) * (bar / annual)
        return float(ratios.var(ddof=1)) if len(ratios) > 1 else 0.0
    raise ArgumentError(
        f"the trials of {study!r} kept neither returns nor Sharpe ratios that can be compared: "
        "search with keep_net=True, or record Trial(..., net=returns)"
    )


def best_result(
    objective: ReplayObjective | WalkForwardObjective,
    ledger: LedgerLike,
    study: str | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    direction: str | None = None,
) -> Any:
    """Return the whole result of a study's best set, with the evidence of its trials.

    The best is chosen among the trials of the objective's own question alone: on its bars, with its
    code, settings and metric.

    Its `summary()` and report say the deflated Sharpe ratio and the probability of backtest
    overfitting as soon as more than one trial stands behind it.

    Args:
        objective: what was searched.
        ledger: where its trials are; with their net returns (`keep_net=True`) the probability of
            overfitting is known too.
        study: the name of the search; None: that of the objective.
        params: another set than the best by its score.
        direction: of the score; None: that of the newest search of this question.

    Raises:
        ArgumentError: no complete trial of the objective's question; says which questions the
            study has.

    Example:
        >>> import tempfile
        >>> import marketsim as ms
        >>> objective = ms.search.replay_objective(ms.demo_bars(), "sma_cross", keep_net=True)
        >>> space = {"fast": [10, 20], "slow": [50, 100, 200]}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Ledger(f"{folder}/t.sqlite") as ledger:
        ...         _ = ms.search.grid(objective, space, ledger=ledger, study="sma_cross",
        ...                            progress=False)
        ...         result = best_result(objective, ledger)
        >>> result.evidence.trials, "6 trials" in result.summary()
        (6, True)
    """
    if not hasattr(objective, "filed") or not hasattr(objective, "result"):
        raise ArgumentError(
            "objective must be what replay_objective or walk_forward_objective returns: got "
            f"{objective!r:.80}"
        )
    if params is not None:
        canonical(params)
    name = objective.name if study is None else check_name("study", study)
    with opened(ledger, "r") as book:
        asked = _asked(book, name, objective)
        if params is None:
            best = book.best(name, 1, direction=direction, question=asked) if asked else []
            if not best:
                raise ArgumentError(_none_of(book, name))
            params = best[0].params
        filed = objective.filed
        own = TrialOf(name, dict(params), filed["code"] if asked is None else asked.code,
                      filed["settings"])  # fmt: skip
        result = objective.result(params)
        [run] = _runs(result)
        bars = result.bars.fingerprint
        return _judged(result, _evidence_of(run, book, name, bars, own))


def _asked(
    ledger: Ledger, study: str, objective: ReplayObjective | WalkForwardObjective
) -> Question | None:
    """The newest question of a study that is the objective's; a stated version of code counts."""
    filed = objective.filed
    found = [
        question
        for question in ledger.questions(study)
        if (question.data, question.settings, question.metric)
        == (filed["data"], filed["settings"], filed["metric"])
    ]
    same = [question for question in found if question.code == filed["code"]]
    stated = [question for question in found if not has_digest(question.code)]
    return next(iter([*same, *stated]), None)


def _none_of(ledger: Ledger, study: str) -> str:
    known = ledger.questions(study)
    has = "; ".join(question.words() for question in list(known)[:5])
    return f"no complete trial of {study!r} has a finite score" + (
        f" that answers this objective's question (its bars, code, settings and metric): the study "
        f"has {len(known)}: {has}"
        if known
        else ""
    )


class TrialOf(NamedTuple):
    """Trial behind a result: its search and its parameters."""

    study: str
    params: dict[str, Any]
    code: str = ""
    settings: str = BY_HAND


def trials_of(result: ReplayResult | WalkForwardResult, ledger: LedgerLike) -> list[TrialOf]:
    """Find the searches of a ledger that made a result, each with its parameters.

    A trial made a result whose net returns are its own, bit for bit. Where a trial kept no returns
    it is the one on the same bars whose total return, Sharpe ratio and largest drawdown are equal,
    bit for bit. A result that never traded cannot be told from another: it has no trial.

    Raises:
        UnsupportedTypeError: a result of several symbols.
    """
    found: dict[str, TrialOf] = {}
    with opened(ledger, "r") as book:
        for run in _runs(result):
            for trial in _made(run, result.bars.fingerprint, book):
                found.setdefault(trial.study, trial)
    return list(found.values())


def with_ledger(
    result: Result,
    ledger: LedgerLike,
    study: str | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    metric: str = "sharpe",
) -> Result:
    """Attach the evidence of a ledger to a result: shown in its summary, report and `to_dict`.

    The search that made the result is found by its returns: see `trials_of`. A result that no
    search of the ledger made is refused, unless `study` names the search in which it is to count:
    then it is recorded there as one more trial, so that what is tried by hand counts too. Of a
    walk-forward result each strategy is a trial, and the one with the largest Sharpe ratio is
    judged.

    Args:
        result: of `replay` or `walk_forward`; it stays as it is.
        ledger: a ledger, or the path of one; a path is made where `study` is stated.
        study: the name of the search; None: the one that made the result.
        params: what a result that is recorded was made with, of a single strategy.
        metric: the score of a result that is recorded, a figure by name.

    Raises:
        ArgumentError: no search of the ledger made the result, or several did, and `study` does not
            say which; parameters of several strategies; an unknown metric.
        StoreNotFoundError: no ledger at this path.
        UnsupportedTypeError: a result of several symbols.

    Example:
        >>> import tempfile
        >>> import marketsim as ms
        >>> from marketsim.replay.rules import sma_cross
        >>> bars = ms.demo_bars()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for fast in (10, 20, 30):  # by hand, one after the other
        ...         result = ms.replay(bars, *sma_cross(bars, fast, 100))
        ...         result = with_ledger(result, f"{folder}/t.sqlite", "by hand",
        ...                              params={"fast": fast})
        >>> result.evidence.trials
        3
    """
    if study is not None:
        check_name("study", study)
    check_name("metric", metric)
    if params is not None:
        canonical(params)
    runs = _runs(result)
    if params is not None and len(runs) > 1:
        raise ArgumentError(
            f"params= is of one strategy: the result has {', '.join(run.name for run in runs)}"
        )
    with opened(ledger, "r" if study is None else "a") as book:
        bars = result.bars.fingerprint
        made = {run.name: _made(run, bars, book) for run in runs}
        names = list(dict.fromkeys(trial.study for trials in made.values() for trial in trials))
        if study is None:
            if len(names) != 1:
                raise ArgumentError(_which(book, names))
            [study] = names
            runs = [run for run in runs if _of(made[run.name], study)]
        else:
            new = [run for run in runs if not _of(made[run.name], study)]
            book.record(*(_trial(run, study, bars, params, metric) for run in new))
        ratios = [float(sharpe_scores(run.net[None, :])[0]) for run in runs]
        judged = runs[int(np.argmax(np.nan_to_num(ratios, nan=-np.inf)))]
        own = _of(made[judged.name], study) or TrialOf(study, dict(params or _named(judged)))
        return _judged(result, _evidence_of(judged, book, study, bars, own))


class _RunOf(NamedTuple):
    """One strategy of a result."""

    name: str
    net: Floats
    figures: dict[str, float]


def _runs(result: Any) -> list[_RunOf]:
    if isinstance(result, ReplayResult):
        return [_RunOf("", np.asarray(result.returns, dtype=np.float64), result.metrics)]
    if not hasattr(result, "outcomes"):
        raise UnsupportedTypeError(
            "a ledger stands behind the result of one symbol, of replay or walk_forward: got "
            f"{type(result).__name__}"
        )
    return [
        _RunOf(
            name,
            np.asarray(days.net, dtype=np.float64),
            {figure: float(values[at]) for figure, values in result.figures.items()},
        )
        for at, (name, days) in enumerate(result.outcomes.items())
    ]


def _made(run: _RunOf, bars: str, ledger: Ledger) -> list[TrialOf]:
    if not (run.net != run.net[:1]).any():
        return []
    telling = {name: run.figures[name] for name in _TELLING}
    return [TrialOf(*found) for found in ledger.made(run.net, bars, telling)]


def _named(run: _RunOf) -> dict[str, Any]:
    return {"strategy": run.name} if run.name else {}


def _of(trials: list[TrialOf], study: str) -> TrialOf | None:
    return next((trial for trial in trials if trial.study == study), None)


def _which(ledger: Ledger, names: list[str]) -> str:
    if names:
        return (
            f"{len(names)} searches of {ledger.path} made this result: state study=, one of "
            f"{', '.join(map(repr, names))}"
        )
    known = ", ".join(map(repr, ledger.studies())) or "none"
    return (
        f"no search of {ledger.path} made this result, which has {known}: state study= to record "
        "it there as one more trial"
    )


def _trial(
    run: _RunOf, study: str, bars: str, params: Mapping[str, Any] | None, metric: str
) -> Trial:
    if metric not in run.figures:
        raise ArgumentError(
            f"unknown metric {metric!r}: expected one of {', '.join(sorted(run.figures))}"
        )
    digest = hashlib.sha256(run.net.tobytes()).hexdigest()[:16]
    return Trial(
        study, params or _named(run), run.figures[metric], metrics=run.figures,
        data=bars, code=f"returns {digest}", net=run.net, settings=BY_HAND, metric=metric,
    )  # fmt: skip


def _judged(result: Result, found: Evidence) -> Result:
    if isinstance(result, ReplayResult):
        judged = copy.copy(result)
        judged.evidence = found
        return judged
    return cast("Result", replace(result, evidence=found))
