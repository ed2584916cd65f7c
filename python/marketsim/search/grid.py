"""Every combination of some values, in batches: of a replayed strategy in compiled code."""

from __future__ import annotations

import inspect
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from marketsim.arguments import (
    check_function,
    check_name,
    check_new_file,
    check_one_of,
    check_whole,
    is_whole,
)
from marketsim.errors import ArgumentError, MarketsimError, NoEffectError, StrategyError
from marketsim.progress import Progress, ProgressBar
from marketsim.search.claims import claim
from marketsim.search.grid_result import Floats, GridResult, Sets, column_of, plain
from marketsim.search.identity import filed_as, is_known, warn_of_unknown
from marketsim.search.ledger import Ledger, LedgerLike, opened
from marketsim.search.objectives import Objective, best_direction, replay_objective
from marketsim.search.returns_file import ReturnsFile
from marketsim.search.space_file import failure
from marketsim.search.trial import Trial, trial_key

Space: TypeAlias = Mapping[str, Sequence[Any]]
Where: TypeAlias = Callable[[Sets], npt.ArrayLike]
MOST_SETS = 50_000_000  # some GB of parameters and figures


def grid(
    what: Any,
    *rest: Any,
    where: Where | None = None,
    direction: str | None = None,
    batch: int = 16_384,
    returns: str | os.PathLike[str] | None = None,
    ledger: LedgerLike | None = None,
    study: str | None = None,
    seed: int = 0,
    data: str | None = None,
    code: str | None = None,
    without_effect: str = "refuse",
    progress: Progress = True,
    **replay_options: Any,
) -> GridResult:
    """Evaluate every combination of the values of a space.

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
        where: which sets to try: a function of the sets, or of some parameters by name, that
            returns booleans [set]: `lambda s: s["fast"] < s["slow"]` or
            `lambda fast, slow: fast < slow`.
        direction: "maximize" or "minimize"; None: by the metric, "minimize" for drawdown, cost,
            turnover and volatility.
        batch: sets a call of the objective.
        returns: a file for the net returns [set, bar], .npy, written batch by batch through a
            memory map; without it, those that the objective gives go to the ledger.
        ledger: a ledger, or the path of one: records every set. Results that it has are reused, so
            that a run that was stopped continues.
        study, seed, data, code: what the ledger's trials are filed under, besides metric, direction
            and settings. None: the bars' fingerprint where the objective knows it, and a digest of
            the code with all that it uses; where no digest covers that, nothing is reused unless
            `code` states a version.
        without_effect: "refuse" parameters that change nothing, or "keep" them.
        progress: draw a bar on a terminal.
        replay_options: of `replay_objective`.

    Raises:
        ArgumentError: an empty space or one without a set left, values twice, an objective that
            does not return a number for each set, an option that does not exist.
        StrategyError: the objective raised something; says with which set, which is recorded as
            failed, while the others of its batch are computed.
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
    if isinstance(direction, str) and direction in ("long", "short", "both"):
        raise ArgumentError(
            f"direction must be 'maximize' or 'minimize': got {direction!r}; state sides in "
            "replay_objective(bars, strategy, direction=...)"
        )
    if direction is not None:
        check_one_of("direction", direction, ("maximize", "minimize"))
    check_one_of("without_effect", without_effect, ("refuse", "keep"))
    check_name("study", "" if study is None else study)
    if not is_whole(seed):
        raise ArgumentError(f"seed must be a whole number: got {seed!r:.80}")
    if returns is not None:
        check_new_file("returns", returns)
    batch = check_whole("batch", batch, 1)
    objective, given, name = _what_to_do(what, rest, replay_options, returns is not None)
    space = {key: _listed(key, values) for key, values in _checked(given).items()}
    direction = direction or best_direction(objective)
    with ExitStack() as stack:
        book = None if ledger is None else stack.enter_context(opened(ledger))
        filed = filed_as(objective, data, code)
        if book is not None:
            warn_of_unknown(filed)
        run = _Run(
            objective,
            space,
            grid_sets(space, where),
            direction=direction,
            batch=batch,
            ledger=book,
            study=name if study is None else study,
            filed={"seed": seed, "direction": direction, **filed},
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
) -> tuple[Objective, Space, str]:
    """(objective, space, name of the study)."""
    if len(rest) not in (1, 2):
        raise ArgumentError(
            "expected grid(strategy, bars, space) or grid(objective, space): "
            f"got {1 + len(rest)} arguments"
        )
    if len(rest) == 1:
        if not callable(what):
            raise ArgumentError(
                f"the objective must be a function of many sets: got {type(what).__name__}; a "
                "strategy is searched by grid(strategy, bars, space)"
            )
        if options:
            raise ArgumentError(f"unknown options {', '.join(options)}: there are no bars")
        name = getattr(what, "name", None)
        return what, rest[0], name if isinstance(name, str) else "grid"
    known = list(inspect.signature(replay_objective).parameters)[2:]
    if unknown := [name for name in options if name not in known]:
        raise ArgumentError(
            f"unknown options {', '.join(unknown)}: expected {', '.join(known)}, "
            "or an option of grid"
        )
    if hasattr(rest[0], "evaluate"):
        raise ArgumentError(
            "a prepared run is searched by grid(walk_forward_objective(prepared, strategy), space)"
        )
    objective = replay_objective(rest[0], what, **options)
    objective.keep_net |= keep_net
    return objective, rest[1], objective.name


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
    filed: dict[str, Any]
    progress: Progress

    def __post_init__(self) -> None:
        self.count = len(next(iter(self.sets.values())))
        self.scores = np.full(self.count, np.nan)
        self.figures: dict[str, Floats] = {}
        self.file: ReturnsFile | None = None
        self.answers = is_known(*(self.filed[name] for name in ("code", "settings", "metric")))

    def set(self, at: int) -> dict[str, Any]:
        return {name: plain(values[at]) for name, values in self.sets.items()}

    def compute(self, returns: str | os.PathLike[str] | None) -> GridResult:
        """Take from the ledger what it has, and compute the rest."""
        keys: list[bytes] = []
        if self.ledger is not None or returns is not None:
            keys = [trial_key(self.study, self.set(i), **self.filed) for i in range(self.count)]
        if returns is not None:
            self.file = ReturnsFile(returns, keys, resume=self.ledger is not None)
        try:
            reused = self.compute_left(keys)
            kept = None if self.file is None else self.file.close()
        finally:
            if self.file is not None:
                self.file.release()
        self.scores[np.isinf(self.scores)] = np.nan
        return GridResult(
            dict(self.space), self.sets, self.scores, self.figures, self.direction, reused, kept,
            tuple(keys),
        )  # fmt: skip

    def compute_left(self, keys: Sequence[bytes]) -> int:
        """Compute what the ledger does not have; returns how many sets it has."""
        left = np.flatnonzero(~self.recall(keys))
        reused = self.count - len(left)
        label = f"grid of {self.study}"
        with ProgressBar(self.count, label, enabled=self.progress, unit="sets") as bar:
            bar.skip(reused)
            size = self.batch_size()
            parts = [left[first : first + size] for first in range(0, len(left), size)]
            if self.ledger is None or not self.answers or self.file is not None:
                for rows in parts:
                    self.compute_rows(rows)
                    bar.advance(len(rows))
                return reused
            # What another process computes at this time is left to it, and read in the end. Not
            # where returns go to a file: it needs the rows of all sets, and has one writer.
            for wait in (False, True):
                others = []
                for rows in parts:
                    with claim(self.ledger.path, (keys[i] for i in rows), wait=wait) as ours:
                        if ours:
                            reused += self.compute_unknown(rows, keys)
                            bar.advance(len(rows))
                        else:
                            others.append(rows)
                parts = others
        return reused

    def compute_unknown(self, rows: npt.NDArray[np.int64], keys: Sequence[bytes]) -> int:
        """Compute those of some sets that the ledger does not have by now; how many it has."""
        done = self.recall([keys[i] for i in rows], rows)
        if not done.all():
            self.compute_rows(rows[~done])
        return int(done.sum())

    def recall(
        self, keys: Sequence[bytes], rows: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.bool_]:
        """The sets [key] that the ledger has, whose figures are taken from it.

        Where returns are kept in a file, only if that is there to go on with.

        Args:
            keys: of the sets.
            rows: the number of each; None: all sets.
        """
        rows = np.arange(self.count) if rows is None else rows
        done = np.zeros(len(rows), dtype=np.bool_)
        if self.ledger is None or (self.file is not None and not self.file.resumed):
            return done
        if not self.answers:
            return done
        known = self.ledger.known(keys)
        # A record without net returns is no answer where the ledger is to keep them.
        needs_net = self.file is None and getattr(self.objective, "keep_net", False)
        # Nor is one whose returns went to another file.
        kept = np.ones(len(rows), np.bool_) if self.file is None else self.file.written(rows)
        for at, (row, key) in enumerate(zip(rows.tolist(), keys, strict=False)):
            found = known.get(key)
            if found is None or (needs_net and not found.has_net) or not kept[at]:
                continue
            if found.status == "complete":
                done[at], self.scores[row] = True, found.score
                for name, value in found.metrics.items():
                    self.put(name, np.array([row]), value)
        return done

    def put(self, name: str, rows: npt.NDArray[np.int64], values: Any) -> None:
        self.figures.setdefault(name, np.full(self.count, np.nan))[rows] = values

    def compute_one_by_one(self, rows: npt.NDArray[np.int64], error: Exception) -> NoReturn:
        """Compute the sets of a batch that raised, each alone, so that one takes no other with it.

        Raises:
            StrategyError: always; says which sets failed.
        """
        if len(rows) == 1:
            params = self.set(int(rows[0]))
            told = f"{type(error).__name__}: {error}"
            if self.ledger is not None:
                self.ledger.record(
                    Trial(self.study, params, status="failed", error=told, **self.filed)
                )
            raise StrategyError(failure(error, params)) from error
        failed: list[StrategyError] = []
        for row in rows:
            try:
                self.compute_rows(np.array([row]))
            except StrategyError as one:
                if one.__cause__ is None:  # ours, of the objective itself
                    raise
                failed.append(one)
        if not failed:  # alone they all ran: it is no set's fault
            raise error
        count = len(failed) - 1
        more = f"; {count:,} other set{'s' * (count > 1)} failed too" if count else ""
        kept = "the ledger has the others" if self.ledger is not None else "the others ran"
        raise StrategyError(
            f"{failed[0]}{more}; {kept} of this batch: mend the strategy, or leave sets out (where)"
        ) from failed[0].__cause__

    def batch_size(self) -> int:
        """Fewer sets at once where each has a row of returns: some 32 MB of them."""
        if not getattr(self.objective, "keep_net", False):
            return self.batch
        bars = len(getattr(self.objective, "bars", ()))
        return max(1, min(self.batch, (1 << 22) // max(bars, 1)))

    def compute_rows(self, rows: npt.NDArray[np.int64]) -> None:
        start = time.perf_counter()
        named = {name: values[rows] for name, values in self.sets.items()}
        try:
            part, net = _scores_of(self.objective, named)
        except MarketsimError:
            raise
        except Exception as error:
            self.compute_one_by_one(rows, error)
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
                ),
                once=self.answers,
            )


def grid_sets(space: Space, where: Where | None = None) -> Sets:
    """Return every combination of a space's values: arrays [set] by name, the last name fastest.

    Raises:
        ArgumentError: an empty space, a parameter without values or with one twice, a condition
            that does not give a boolean for each set or leaves none.

    Example:
        >>> sets = grid_sets({"a": [1, 2], "b": [1, 2]}, lambda s: s["a"] < s["b"])
        >>> {name: values.tolist() for name, values in sets.items()}
        {'a': [1], 'b': [2]}
    """
    listed = {name: _listed(name, values) for name, values in _checked(space).items()}
    count = math.prod(map(len, listed.values()))
    if count > MOST_SETS:
        raise ArgumentError(
            f"the space has {count:,} sets, and a grid at most {MOST_SETS:,}: give fewer values, "
            "or let search.optuna choose some"
        )
    sets: Sets = {}
    before, after = 1, count
    for name, values in listed.items():
        after //= len(values)
        sets[name] = np.tile(np.repeat(column_of(values), after), before)
        before *= len(values)
    if where is None:
        return sets
    found = _chosen(where, sets)
    try:
        chosen = np.asarray(found)
    except ValueError:  # rows of different lengths
        chosen = np.asarray(None)
    if chosen.dtype != np.bool_ or chosen.shape != (count,):
        raise ArgumentError(
            f"where must give a boolean for each of the {count} sets: got "
            f"{chosen.dtype} of shape {chosen.shape}"
        )
    if not chosen.any():
        raise ArgumentError(f"where leaves none of the {count} sets")
    return {name: values[chosen] for name, values in sets.items()}


def _chosen(where: Any, sets: Sets) -> Any:
    """Call a condition with the sets, or with the parameters that its arguments name."""
    if not callable(where):
        raise ArgumentError(
            'where must be a function, such as lambda s: s["fast"] < s["slow"]: '
            f"got {where!r:.80}; conditions as text belong into a space file"
        )
    try:
        arguments = inspect.signature(where).parameters.values()
    except (TypeError, ValueError):  # a compiled function does not say
        arguments = {}.values()
    free = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    named = [one for one in arguments if one.kind not in free]
    needed = [one.name for one in named if one.default is one.empty]
    given = [one.name for one in named if one.name in sets]
    whole = not given and len(needed) <= 1  # of the sets, as lambda s, least=3: ...
    if not whole and (unknown := [name for name in needed if name not in sets]):
        raise ArgumentError(
            f"where takes the sets, or parameters by name out of {', '.join(sets)}: "
            f"got an argument {unknown[0]!r}"
        )
    try:
        return where(sets) if whole else where(**{name: sets[name] for name in given})
    except MarketsimError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"where raised {type(error).__name__}: {error}; it is called once with the values of "
            "all sets, arrays [set] by name: compare arrays, with & and | in place of and and or"
        ) from error


def _checked(space: Space) -> Space:
    if not isinstance(space, Mapping):
        raise ArgumentError(f"space must give each parameter a list of values: got {space!r:.80}")
    if not space:
        raise ArgumentError("the space is empty: give each parameter a list of values")
    return space


def _listed(name: str, values: Any) -> list[Any]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ArgumentError(f"parameter {name!r} must be a list of values: got {values!r:.80}")
    if not isinstance(name, str):
        raise ArgumentError(f"a parameter's name must be text: got {name!r:.80}")
    listed = [plain(value) for value in values]
    if not listed:
        raise ArgumentError(f"parameter {name!r} has no values")
    for value in listed:
        if not (value is None or isinstance(value, (bool, int, float, str))):
            raise ArgumentError(
                f"parameter {name!r} takes numbers, text, booleans and None: got {value!r:.80}"
            )
    if any(isinstance(value, float) and not math.isfinite(value) for value in listed):
        raise ArgumentError(
            f"parameter {name!r} has a value that is NaN or infinite: state None where none is "
            "meant"
        )
    if len(set(listed)) < len(listed):
        twice = next(value for value in listed if listed.count(value) > 1)
        raise ArgumentError(f"parameter {name!r} has the value {twice!r} twice")
    return listed


def one_by_one(function: Callable[..., float | Mapping[str, float]]) -> Objective:
    """Make an objective of many sets from a function of one set.

    Example:
        >>> found = grid(one_by_one(lambda x, y: x * y), {"x": [1, 2], "y": [3, 4]}, progress=False)
        >>> found.best_params
        {'x': 2, 'y': 4}
    """
    check_function("function", function, "lambda x, y: x * y")

    def objective(sets: Sets) -> Any:
        count = len(next(iter(sets.values())))
        found: list[Any] = [
            function(**{name: plain(values[i]) for name, values in sets.items()})
            for i in range(count)
        ]
        if not isinstance(found[0], Mapping):
            return found
        if any(not isinstance(one, Mapping) or set(one) != set(found[0]) for one in found):
            raise ArgumentError(
                "the objective must return the same figures for each set: got "
                f"{', '.join(map(str, found[0]))} for one and not for another"
            )
        return {name: [one[name] for one in found] for name in found[0]}

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
            if any(value is None for value in np.asarray(values, dtype=object).flat):
                raise TypeError
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
