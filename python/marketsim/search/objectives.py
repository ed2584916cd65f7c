"""Objectives of a search: replayed signal rules, and prepared walk-forward runs."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from statistics import mean
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from marketsim.arguments import as_finite, as_flag, as_number, check_function, check_one_of, is_list
from marketsim.bars import Bars, read_bars
from marketsim.errors import ArgumentError
from marketsim.metrics import Evidence
from marketsim.replay.account import Account
from marketsim.replay.arrays import BarsLike
from marketsim.replay.checks import SIZE_UNITS, Unit
from marketsim.replay.entry import replay
from marketsim.replay.grid import EXITS, Rule, named_rule, replay_grid
from marketsim.replay.result import ReplayResult
from marketsim.replay.rules import RULES
from marketsim.search.grid_result import Floats, Sets, plain
from marketsim.search.identity import identity
from marketsim.search.statistics import Statistic, checked_scores

if TYPE_CHECKING:  # forecasts and models are loaded by who prepares a run
    from marketsim.strategies import Strategy
    from marketsim.walkforward import Prepared, WalkForwardResult

# Sets to scores [set], or to figures by name with "score" among them; "net" [set, bar] besides.
Objective: TypeAlias = Callable[[Sets], npt.ArrayLike | Mapping[str, npt.ArrayLike]]


class ReplayObjective:
    """Replays a signal rule with many parameter sets; see `replay_objective`.

    Attributes:
        bars: what is replayed.
        name: of the rule.
        data: fingerprint of the bars, and their calendar and time zone where these are stated.
        code: identity of the rule.
        keep_net: give the net returns [set, bar] too.
    """

    def __init__(
        self, bars: Bars, rule: Rule, metric: str | Statistic, options: dict[str, Any]
    ) -> None:
        self.bars, self.rule, self.metric, self.options = bars, rule, metric, options
        self.keep_net = False
        self.name = getattr(rule, "__name__", "rule")
        self.data = _data_of(bars)

    @property
    def code(self) -> str:
        """Identity of the rule, as it is now."""
        return _identity(self.rule)

    @property
    def filed(self) -> dict[str, str]:
        """What a trial's score depends on besides its parameters, by name; see `Trial`."""
        settings = {**self.options, "account": asdict(self.options["account"])}
        text = json.dumps(settings, sort_keys=True, default=_as_json)
        return {
            "data": self.data, "code": self.code, "settings": text,
            "metric": _metric_name(self.metric),
        }  # fmt: skip

    def __call__(self, sets: Sets) -> dict[str, npt.ArrayLike]:
        """Figures by name, "score" among them."""
        count = len(next(iter(sets.values())))
        wants_net = self.keep_net or not isinstance(self.metric, str)
        net = np.empty((count, len(self.bars))) if wants_net else None
        figures: dict[str, npt.ArrayLike] = {
            **replay_grid(self.bars, self.rule, sets, net=net, **self.options)
        }
        score = _score(self.metric, figures, net)
        kept = {"net": net} if self.keep_net and net is not None else {}
        return {"score": score, **figures, **kept}

    def one(self, **params: Any) -> dict[str, Any]:
        """Figures of a single set, given by name; "net" is its row [bar]."""
        found = self({name: np.array([value]) for name, value in params.items()})
        return {name: np.asarray(values)[0] for name, values in found.items()}

    def result(self, params: Mapping[str, Any], evidence: Evidence | None = None) -> ReplayResult:
        """The whole replay of a set, with the evidence of its search."""
        protection = {name: params[name] for name in EXITS if name in params}
        own = {name: value for name, value in params.items() if name not in protection}
        given = {n: v for n, v in protection.items() if v is not None and v == v}
        entries, exits = self.rule(self.bars, **own)
        found = replay(self.bars, entries, exits, **{**self.options, **given})
        found.evidence = evidence
        return found


def replay_objective(
    bars: BarsLike,
    rule: str | Rule,
    *,
    metric: str | Statistic = "total_return",
    fee_bps: float = 0.0,
    slippage_bps: float = 0.0,
    fill: Literal["next_open", "same_close"] = "next_open",
    cash: float = 10_000.0,
    account: Account | None = None,
    direction: Literal["long", "short", "both"] = "long",
    size: float = 1.0,
    size_unit: Unit = "equity",
    keep_net: bool = False,
) -> ReplayObjective:
    """Make an objective that replays a signal rule, many parameter sets in one compiled call.

    Parameters are the rule's own and `stop_loss`, `take_profit`, `trailing_stop`, `cooldown` and
    `time_stop` as `replay` takes them. Each set's figures are those of a `replay`, to the bit.

    Args:
        bars: `Bars`, or what `read_bars` takes.
        rule: a built-in rule by name, or a function of bars and parameters by name that returns
            (entries, exits), truth values [bar].
        metric: the score: a name of `ReplayResult.metrics`, or a function of net returns
            [set, bar] to scores [set], such as `median_over_folds()` or `lower_bound()`.
        fee_bps, slippage_bps, fill, cash, direction, size, size_unit: as for `replay`.
        account: cash, costs and rules, in place of those four.
        keep_net: give the net returns too, which a grid records.

    Raises:
        ArgumentError: cash or costs beside an account, a metric that does not exist, a strategy
            that is searched in another way (which).
        UnknownNameError: no such rule.

    Example:
        >>> import marketsim as ms
        >>> objective = replay_objective(ms.demo_bars(), "sma_cross", fee_bps=10)
        >>> int(objective.one(fast=20, slow=100)["trades"])
        31
    """
    if account is None:
        account = Account(cash=cash, fee_bps=fee_bps, slippage_bps=slippage_bps, fill=fill)
    elif (cash, fee_bps, slippage_bps, fill) != (10_000.0, 0.0, 0.0, "next_open"):
        raise ArgumentError("cash, fee_bps, slippage_bps and fill: state them in account= alone")
    _check_metric(metric)
    if not isinstance(account, Account):
        raise ArgumentError(f"account must be a marketsim.Account: got {account!r:.80}")
    check_one_of("direction", direction, ("long", "short", "both"))
    check_one_of("size_unit", size_unit, SIZE_UNITS)
    as_finite("size", size)
    options = {"account": account, "direction": direction, "size": size, "size_unit": size_unit}
    _check_rule(rule)
    known = bars if isinstance(bars, Bars) else read_bars(bars)
    objective = ReplayObjective(known, named_rule(rule), metric, options)
    objective.keep_net = as_flag("keep_net", keep_net)
    return objective


def _check_metric(metric: object) -> None:
    if not isinstance(metric, str) and not callable(metric):
        raise ArgumentError(
            "metric must be the name of a figure, or a function of net returns [set, bar] such as "
            f"median_over_folds(): got {metric!r:.80}"
        )


def _check_rule(rule: Any) -> None:
    """Refuse what is searched in another way, and say how.

    Raises:
        ArgumentError: what it is, and what searches it.
    """
    name = getattr(rule, "__name__", type(rule).__name__)
    if hasattr(rule, "decide"):
        raise ArgumentError(
            f"{name} decides on forecasts: search walk_forward_objective(prepare(bars, model), "
            f"{name}), which makes one of each parameter set"
        )
    if not isinstance(rule, str) and not callable(rule):
        raise ArgumentError(
            "rule must be a built-in rule by name, or a function of bars and parameters that "
            f"returns (entries, exits): got {type(rule).__name__}; signals that stay the same are "
            "lambda bars: (entries, exits)"
        )
    plain_rule = getattr(rule, "py_func", rule)  # of Numba's
    names = [] if isinstance(rule, (str, type)) else _parameter_names(plain_rule)
    if hasattr(rule, "on_bar") or {"state", "orders"} <= set(names):
        raise ArgumentError(
            f"{name} is called after each bar: search one_by_one(lambda **params: "
            "marketsim.replay.replay_strategy(bars, on_bar, features of the params).metrics[...])"
        )


def _parameter_names(function: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a compiled function does not say
        return []


def walk_forward_objective(
    prepared: Prepared,
    make: Callable[..., Strategy],
    metric: str | Statistic = "sharpe",
    *,
    keep_net: bool = False,
    **options: Any,
) -> WalkForwardObjective:
    """Make an objective that runs a strategy with each parameter set on prepared forecasts.

    Forecasts, keys and plans are made once, by `marketsim.prepare`; only the orders are made anew.

    Args:
        prepared: what `marketsim.prepare` returns.
        make: a strategy of the parameters, which are given by name.
        metric: the score: a name of `WalkForwardResult.figures`, such as "sharpe", "total_return"
            or "calmar", or a function of net returns [set, day] to scores [set], such as
            `median_over_folds()`. Every figure is recorded beside it.
        keep_net: give the net returns too, which the ledger then keeps: what deflated Sharpe ratios
            and the probability of overfitting are computed from.
        options: as `Prepared.evaluate` takes them: fill=, fee=, offset_window=, ...

    Raises:
        ArgumentError: a prepared universe; when it is called: a metric that does not exist.

    Example:
        >>> import marketsim as ms
        >>> run = ms.prepare(ms.demo_bars(), "ewma", progress=False)  # doctest: +SKIP
        >>> objective = walk_forward_objective(run, MyStrategy, "sharpe")  # doctest: +SKIP
        >>> ms.search.grid(objective, {"threshold": [0.0, 0.001]}).best_params  # doctest: +SKIP
    """
    return WalkForwardObjective(prepared, make, metric, keep_net, options)


class WalkForwardObjective:
    """Evaluates strategies on a prepared run; see `walk_forward_objective`.

    Attributes:
        name, data, code, keep_net: as of `ReplayObjective`; `data` names the model too.
    """

    def __init__(
        self,
        prepared: Prepared,
        make: Callable[..., Strategy],
        metric: str | Statistic,
        keep_net: bool,
        options: dict[str, Any],
    ) -> None:
        _check_metric(metric)
        check_function("make", make, "MyStrategy")
        as_flag("keep_net", keep_net)
        self.prepared, self.make, self.metric = prepared, make, metric
        self.keep_net, self.options = keep_net, options
        self.name = getattr(make, "__name__", "strategy")
        if not hasattr(prepared, "windows"):
            raise ArgumentError(
                "prepared must be the run of one symbol, as prepare(bars, model) returns: got "
                f"{type(prepared).__name__}"
            )
        windows = prepared.windows
        plan = windows.window, windows.offset_window, windows.purge, windows.embargo
        as_of = hashlib.sha256(repr((plan, windows.as_of.tolist())).encode()).hexdigest()[:16]
        self.data = (
            f"{_data_of(prepared.bars)} {prepared.model.fingerprint} "
            f"{prepared.inputs.forecasts.targets} {len(windows.days)} days from bar "
            f"{windows.days[0]}, windows {as_of}"
        )

    @property
    def code(self) -> str:
        """Identity of the strategy, as it is now."""
        return _identity(self.make)

    @property
    def filed(self) -> dict[str, str]:
        """What a trial's score depends on besides its parameters, by name; see `Trial`."""
        plain_options = {
            name: value
            if value is None or isinstance(value, (bool, int, float, str))
            else identity(value)
            for name, value in self.options.items()
        }
        return {
            "data": self.data, "code": self.code, "metric": _metric_name(self.metric),
            "settings": json.dumps(plain_options, sort_keys=True, default=_as_json),
        }  # fmt: skip

    def __call__(self, sets: Sets) -> dict[str, npt.ArrayLike]:
        """Figures by name [set], "score" among them."""
        count = len(next(iter(sets.values())))
        found = [
            self.one(**{name: plain(values[i]) for name, values in sets.items()})
            for i in range(count)
        ]
        return {
            name: np.stack([one[name] for one in found])
            if name == "net"
            else [one[name] for one in found]
            for name in found[0]
        }

    def one(self, **params: Any) -> dict[str, Any]:
        """Figures of a single set, given by name; "net" is its row [bar]."""
        strategy = self.make(**params)
        result = self.prepared.evaluate([strategy], **self.options)
        figures = {name: float(value[0]) for name, value in result.figures.items()}
        net = np.asarray(result.outcomes[strategy.name].net, dtype=np.float64)
        score = float(np.ravel(_score(self.metric, figures, net[None, :]))[0])
        return {"score": score, **figures, **({"net": net} if self.keep_net else {})}

    def result(
        self, params: Mapping[str, Any], evidence: Evidence | None = None
    ) -> WalkForwardResult:
        """The whole run of a set, with the evidence of its search."""
        found = self.prepared.evaluate([self.make(**params)], **self.options)
        return replace(found, evidence=evidence)


def in_parts(
    parts: Sequence[Callable[..., float]], combine: Callable[[Sequence[float]], float] = mean
) -> Callable[..., float]:
    """Make an objective of several windows or symbols; a trial can be pruned after each.

    Args:
        parts: functions of parameters by name to a score, the cheapest or most telling first.
        combine: their scores to one, such as `statistics.mean` or `statistics.median`.

    Returns:
        An objective for `optuna`: it reports the scores so far after each part, and the pruner
        ends sets without prospects before the rest is run.

    Raises:
        ArgumentError: no part.

    Example:
        >>> objective = in_parts([lambda x: x, lambda x: 2 * x])
        >>> objective(x=2.0)
        3.0
    """
    if not is_list(parts) or not len(parts):
        raise ArgumentError(f"in_parts needs a list of at least one part: got {parts!r:.80}")
    for part in parts:
        check_function("each part", part, "lambda x: x")
    check_function("combine", combine, "statistics.mean")

    def objective(*, report: Callable[[float, int], None] | None = None, **params: Any) -> float:
        scores: list[float] = []
        for step, part in enumerate(parts):
            scores.append(as_number("what a part returns", part(**params)))
            if report is not None:
                report(combined(scores), step)
        return combined(scores)

    def combined(scores: list[float]) -> float:
        return as_number("what combine returns", combine(scores))

    return objective


def _data_of(bars: Bars) -> str:
    """All that bars say: their calendar annualises, and their time zone tells the hours."""
    stated = [f"calendar {bars.calendar}"] if bars.calendar is not None else []
    stated += [f"timezone {bars.timezone}"] if bars.timezone != "UTC" else []
    return " ".join([bars.fingerprint, *stated])


def _score(
    metric: str | Statistic, figures: Mapping[str, npt.ArrayLike], net: Floats | None
) -> npt.ArrayLike:
    if not isinstance(metric, str):
        assert net is not None
        return checked_scores(metric, net)
    if metric not in figures:
        raise ArgumentError(
            f"unknown metric {metric!r}: expected one of {', '.join(sorted(figures))}"
        )
    return figures[metric]


def _as_json(value: Any) -> Any:
    """Return a NumPy number as Python's; raise TypeError for anything else."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r:.80} is no number")


# Metrics of which less is better.
_LESS = {
    "max_drawdown", "longest_drawdown", "recovery", "volatility", "cost", "turnover", "refused",
    "ambiguous_bars", "sharpe_error",
}  # fmt: skip


def best_direction(objective: Any) -> str:
    """Return "minimize" if the objective's metric is one of which less is better, else "maximize".

    Example:
        >>> import marketsim as ms
        >>> best_direction(replay_objective(ms.demo_bars(), "sma_cross", metric="max_drawdown"))
        'minimize'
    """
    metric = getattr(objective, "metric", None)
    return "minimize" if isinstance(metric, str) and metric in _LESS else "maximize"


def _metric_name(metric: str | Statistic) -> str:
    return metric if isinstance(metric, str) else identity(metric)


def _identity(function: Callable[..., Any]) -> str:
    """The name of a built-in rule; of others their identity."""
    if any(function is rule for rule in RULES.values()):
        return f"{function.__module__}.{function.__qualname__}"
    return identity(function)
