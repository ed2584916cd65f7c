"""Every combination of some values, in batches: of a replayed strategy in compiled code."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from marketsim.errors import ArgumentError, NoEffectError
from marketsim.progress import ProgressBar
from marketsim.search.grid_result import Floats, GridResult, Sets, plain
from marketsim.search.ledger import Ledger, Trial, trial_key
from marketsim.search.objectives import Objective, replay_objective
from marketsim.search.returns_file import ReturnsFile

Space: TypeAlias = Mapping[str, Sequence[Any]]
Where: TypeAlias = Callable[[Sets], npt.ArrayLike]


def grid(
    what: Any,
    *rest: Any,
    where: Where | None = None,
    direction: str = "maximize",
    batch: int = 4096,
    returns: str | os.PathLike[str] | None = None,
    ledger: Ledger | None = None,
    study: str | None = None,
    seed: int = 0,
    data: str | None = None,
    code: str | None = None,
    without_effect: str = "refuse",
    progress: bool = True,
    **replay_options: Any,
) -> GridResult:
    """Try every combination of the values of a space.

    `grid(strategy, bars, space)` replays a signal rule, a built-in one by name or a function of
    bars and parameters that returns (entries, exits): see `replay_objective`, whose options
    (`metric=`, `fee_bps=`, `fill=`, ...) it takes too. All cores share the sets.

    `grid(objective, space)` calls any function of many sets, arrays [set] by name, that returns
    scores [set], or figures [set] by name with "score" among them and perhaps "net", the net
    returns [set, bar]; `one_by_one` makes one of a function of a single set.

    Memory grows with the sets alone.

    Args:
        what: the strategy or the objective.
        rest: bars and space, or the space: name to the values to try, each once.
        where: sets to booleans [set]: which to try, such as `lambda s: s["fast"] < s["slow"]`.
        direction: "maximize" or "minimize".
        batch: sets a call of the objective.
        returns: a file for the net returns [set, bar], .npy, written batch by batch through a
            memory map; without it, those that the objective gives go to the ledger.
        ledger: records every set, and answers those that it has: a run that was stopped goes on.
        study, seed, data, code: what the ledger's trials are filed under. Of a replayed strategy
            `data` and `code` are known; else state the fingerprint of the bars and the version of
            the strategy.
        without_effect: "refuse" parameters that change nothing, or "keep" them.
        progress: draw a bar on a terminal.
        replay_options: of `replay_objective`.

    Raises:
        ArgumentError: an empty space or one without a set left, values twice, an objective that
            does not return a number for each set, an option that does not exist.
        NoEffectError: a parameter changes neither score nor figure of any set, so that its name or
            its use is wrong; `.result` holds what was computed.

    Example:
        >>> found = grid(lambda s: -((s["x"] - 2) ** 2), {"x": [0, 1, 2, 3, 4]}, progress=False)
        >>> found.best_params, found.plateau().params
        ({'x': 2}, {'x': 2})
        >>> import marketsim as ms
        >>> space = {"fast": [5, 10, 20], "slow": [50, 100]}
        >>> found = grid("sma_cross", ms.demo_bars(), space, fee_bps=10, progress=False)
        >>> found.best_params, int(found.figures["trades"][found.best])
        ({'fast': 10, 'slow': 100}, 36)
    """
    for name, value, words in (
        ("direction", direction, ("maximize", "minimize")),
        ("without_effect", without_effect, ("refuse", "keep")),
    ):
        if value not in words:
            raise ArgumentError(f"{name} must be {words[0]!r} or {words[1]!r}: got {value!r}")
    if batch < 1:
        raise ArgumentError(f"batch must be at least 1: got {batch!r}")
    objective, space, known = _what_to_do(what, rest, replay_options, returns is not None)
    run = _Run(
        objective,
        space,
        grid_sets(space, where),
        direction=direction,
        batch=batch,
        ledger=ledger,
        study=known.get("study", "grid") if study is None else study,
        seed=seed,
        data=known.get("data", "") if data is None else data,
        code=known.get("code", "") if code is None else code,
        progress=progress,
    )
    result = run.compute(returns)
    if without_effect == "refuse" and (names := result.without_effect):
        raise NoEffectError(
            f"{', '.join(map(repr, names))} changed neither score nor figure of any of the "
            f"{len(result)} sets: check the name and its use, or leave it out; "
            'without_effect="keep" returns the grid all the same',
            result,
        )
    return result


def _what_to_do(
    what: Any, rest: tuple[Any, ...], options: dict[str, Any], keep_net: bool
) -> tuple[Objective, Space, dict[str, str]]:
    """(objective, space, what the objective is filed under)."""
    if len(rest) not in (1, 2):
        raise ArgumentError(
            "expected grid(strategy, bars, space) or grid(objective, space): "
            f"got {1 + len(rest)} arguments"
        )
    if len(rest) == 1:
        if options:
            raise ArgumentError(f"unknown options {', '.join(options)}: there are no bars")
        return what, rest[0], {}
    objective = replay_objective(rest[0], what, **options)
    objective.keep_net |= keep_net
    filed = {"study": objective.name, "data": objective.data, "code": objective.code}
    return objective, rest[1], filed


@dataclass(kw_only=True)
class _Run:
    """The state of a grid while it is computed."""

    objective: Objective = field(kw_only=False)
    space: Space = field(kw_only=False)
    sets: Sets = field(kw_only=False)
    direction: str
    batch: int
    ledger: Ledger | None
    study: str
    seed: int
    data: str
    code: str
    progress: bool

    def __post_init__(self) -> None:
        self.count = len(next(iter(self.sets.values())))
        self.scores = np.full(self.count, np.nan)
        self.figures: dict[str, Floats] = {}
        self.filed: dict[str, Any] = {n: getattr(self, n) for n in ("seed", "data", "code")}
        self.file: ReturnsFile | None = None

    def set(self, at: int) -> dict[str, Any]:
        return {name: plain(values[at]) for name, values in self.sets.items()}

    def compute(self, returns: str | os.PathLike[str] | None) -> GridResult:
        """Take from the ledger what it has, and compute the rest."""
        keys: list[bytes] = []
        if self.ledger is not None or returns is not None:
            keys = [trial_key(self.study, self.set(i), **self.filed) for i in range(self.count)]
        if returns is not None:
            self.file = ReturnsFile(returns, keys, resume=self.ledger is not None)
        done = self.recall(keys)
        left = np.flatnonzero(~done)
        reused = self.count - len(left)
        label = f"grid of {self.study}"
        with ProgressBar(self.count, label, enabled=self.progress, unit="sets") as bar:
            bar.skip(reused)
            for first in range(0, len(left), size := self.batch_size()):
                rows = left[first : first + size]
                self.compute_rows(rows)
                bar.advance(len(rows))
        self.scores[np.isinf(self.scores)] = np.nan
        kept = None if self.file is None else self.file.close()
        return GridResult(
            dict(self.space), self.sets, self.scores, self.figures, self.direction, reused, kept
        )

    def recall(self, keys: Sequence[bytes]) -> npt.NDArray[np.bool_]:
        """The sets [set] that the ledger has, whose figures are taken from it.

        Where returns are kept in a file, only if that is there to go on with.
        """
        done = np.zeros(self.count, dtype=np.bool_)
        if self.ledger is None or (self.file is not None and not self.file.resumed):
            return done
        known = self.ledger.known(keys)
        for i, key in enumerate(keys):
            if key in known and known[key].status == "complete":
                done[i], self.scores[i] = True, known[key].score
                for name, value in known[key].metrics.items():
                    self.put(name, np.array([i]), value)
        return done

    def put(self, name: str, rows: npt.NDArray[np.int64], values: Any) -> None:
        self.figures.setdefault(name, np.full(self.count, np.nan))[rows] = values

    def batch_size(self) -> int:
        """Fewer sets at once where each has a row of returns: some 32 MB of them."""
        if not getattr(self.objective, "keep_net", False):
            return self.batch
        bars = len(getattr(self.objective, "bars", ()))
        return max(1, min(self.batch, (1 << 22) // max(bars, 1)))

    def compute_rows(self, rows: npt.NDArray[np.int64]) -> None:
        start = time.perf_counter()
        named = {name: values[rows] for name, values in self.sets.items()}
        part, net = _scores_of(self.objective, named)
        seconds = (time.perf_counter() - start) / len(rows)
        self.scores[rows] = part.pop("score")
        for name, values in part.items():
            self.put(name, rows, values)
        if self.file is not None:
            if net is None:
                raise ArgumentError(
                    "returns= names a file, but the objective gives no net returns: "
                    'return them as "net" [set, bar]'
                )
            self.file.write(rows, net)  # before the ledger says that these sets are done
            net = None
        if self.ledger is not None:
            self.ledger.record(
                *(
                    Trial(
                        self.study,
                        self.set(row),
                        float(self.scores[row]),
                        metrics={name: float(values[at]) for name, values in part.items()},
                        seconds=seconds,
                        net=None if net is None else net[at],
                        **self.filed,
                    )
                    for at, row in enumerate(rows.tolist())
                )
            )


def grid_sets(space: Space, where: Where | None = None) -> Sets:
    """Every combination of the values of a space, arrays [set] by name; the last name fastest.

    Raises:
        ArgumentError: an empty space, a parameter without values or with one twice, a condition
            that does not give a boolean for each set or leaves none.

    Example:
        >>> sets = grid_sets({"a": [1, 2], "b": [1, 2]}, lambda s: s["a"] < s["b"])
        >>> {name: values.tolist() for name, values in sets.items()}
        {'a': [1], 'b': [2]}
    """
    if not isinstance(space, Mapping):
        raise ArgumentError(f"space must give each parameter a list of values: got {space!r:.80}")
    if not space:
        raise ArgumentError("the space is empty: give each parameter a list of values")
    for name, values in space.items():
        listed = [plain(value) for value in values]
        if not listed:
            raise ArgumentError(f"parameter {name!r} has no values")
        if len(set(listed)) < len(listed):
            twice = next(value for value in listed if listed.count(value) > 1)
            raise ArgumentError(f"parameter {name!r} has the value {twice!r} twice")
    columns = list(zip(*itertools.product(*space.values()), strict=True))
    sets: Sets = {name: np.array(column) for name, column in zip(space, columns, strict=True)}
    if where is None:
        return sets
    chosen = np.asarray(where(sets))
    if chosen.dtype != np.bool_ or chosen.shape != (len(columns[0]),):
        raise ArgumentError(
            f"where must give a boolean for each of the {len(columns[0])} sets: got "
            f"{chosen.dtype} of shape {chosen.shape}"
        )
    if not chosen.any():
        raise ArgumentError(f"where leaves none of the {len(columns[0])} sets")
    return {name: values[chosen] for name, values in sets.items()}


def one_by_one(function: Callable[..., float | Mapping[str, float]]) -> Objective:
    """An objective of many sets from a function of one, called with the parameters by name.

    Example:
        >>> found = grid(one_by_one(lambda x, y: x * y), {"x": [1, 2], "y": [3, 4]}, progress=False)
        >>> found.best_params
        {'x': 2, 'y': 4}
    """

    def objective(sets: Sets) -> Any:
        count = len(next(iter(sets.values())))
        found: list[Any] = [
            function(**{name: plain(values[i]) for name, values in sets.items()})
            for i in range(count)
        ]
        if isinstance(found[0], Mapping):
            return {name: [one[name] for one in found] for name in found[0]}
        return found

    return objective


def _scores_of(objective: Objective, sets: Sets) -> tuple[dict[str, Floats], Floats | None]:
    """(figures of some sets, checked to be a number each; net returns)."""
    count = len(next(iter(sets.values())))
    found = objective(sets)
    named = dict(found) if isinstance(found, Mapping) else {"score": found}
    if "score" not in named:
        raise ArgumentError(f"the objective's figures need 'score': got {', '.join(named)}")
    net = named.pop("net", None)
    if net is not None:
        net = np.asarray(net, dtype=np.float64)
        if net.ndim != 2 or len(net) != count:
            raise ArgumentError(
                f"net returns must be [set, bar] for {count} sets: got shape {net.shape}"
            )
    parts: dict[str, Floats] = {}
    for name, values in named.items():
        try:
            array = np.array(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"the objective must return numbers: {name!r} is {values!r:.80}"
            ) from error
        if array.shape != (count,):
            raise ArgumentError(
                f"the objective must return a number for each of {count} sets: {name!r} has shape "
                f"{array.shape}"
            )
        parts[name] = array
    return parts, net
