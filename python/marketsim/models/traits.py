"""Traits of models: inputs, outputs and how they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from marketsim.arguments import is_whole
from marketsim.errors import ArgumentError

# A model that forecasts each target from its own past alone reads this one "column".
OWN = ("own",)
COLUMNS = ("open", "high", "low", "close", "volume", "amount")
TARGET_COLUMNS = COLUMNS[:4]
# What a forecast is of: moves against the close before, or each column's own one-bar returns.
TargetKind: TypeAlias = Literal["close", "own"]
TARGET_KINDS: tuple[TargetKind, ...] = get_args(TargetKind)


@dataclass(frozen=True)
class ModelTraits:
    """Traits of a model: its inputs, its outputs and how it runs.

    Keys, requests, record schemas, the command line and the drop-in follow from these values; a
    model is never probed for methods or attributes. The defaults are those of a model that
    forecasts each target by itself and states quantiles.

    Attributes:
        levels: quantile levels that forecasts are reported at, ascending in (0, 1).
        rows: how many last rows a forecast depends on; None for all before it.
        columns: ("own",) for the series of the one target that is forecast; the four prices for a
            model that sees the moves of all targets; for a model of whole bars the columns of the
            bars that it reads, of open, high, low, close, volume, amount.
        joint: whether the targets of a bar are forecast together.
        bars: whether it reads the bars themselves (prices, volumes) instead of their moves.
        timestamps: whether it sees when the bars were.
        targets: which kinds of moves it can forecast: "close" (log moves against the close before),
            "own" (each column's own returns).
        horizons: the most steps ahead that it forecasts; None for any number.
        draws: how many samples a forecast consists of; 0 if it is none of samples.
        components: of how many Student-t distributions a forecast is mixed; 0 if it is none.
        seeded: whether `predict_each` takes `seeds`, one for each forecast.
        batched: whether it makes batches of its own: it has `predict_batches`.
        costed: whether it foresees what forecasts cost: it has `cost` and `expect`.
        device: where it runs: "cpu", "cuda" or "cuda:<index>".
        dtype: the precision of its matrix products.
        compiled: whether torch.compile translates it.
        path_steps: steps after which a step depends on what was drawn before it, for a model that
            draws whole paths (`sample_paths`); 0 for one that does not.
        stays_on_device: whether its forecasts can stay there: it has `parameters_each_of`.

    Raises:
        ArgumentError: a value that is none of these, or two that exclude one another; the message
            names the trait.

    Example:
        >>> ModelTraits(levels=(0.1, 0.5, 0.9), rows=20).output
        'quantiles'
    """

    levels: tuple[float, ...]
    rows: int | None = None
    columns: tuple[str, ...] = OWN
    joint: bool = False
    bars: bool = False
    timestamps: bool = False
    targets: tuple[str, ...] = TARGET_KINDS
    horizons: int | None = None
    draws: int = 0
    components: int = 0
    seeded: bool = False
    batched: bool = False
    costed: bool = False
    device: str = "cpu"
    dtype: str = "float64"
    compiled: bool = False
    path_steps: int = 0
    stays_on_device: bool = False

    def __post_init__(self) -> None:
        for name, problem in self._problems():
            raise ArgumentError(f"trait {name} of a model {problem}: got {getattr(self, name)!r}")

    def _problems(self) -> Iterator[tuple[str, str]]:
        for name in ("rows", "horizons"):
            value: Any = getattr(self, name)
            if value is not None and (not is_whole(value) or value < 1):
                yield name, "must be a whole number of at least 1, or None"
        for name in ("draws", "components"):
            value = getattr(self, name)
            if not is_whole(value) or value < 0:
                yield name, "must be a whole number of at least 0"
        if self.draws and self.components:
            yield "components", "must be 0 where draws are stated"
        if not set(self.columns) <= {*COLUMNS, *OWN} or not self.columns:
            yield "columns", f"must be ('own',) or some of {', '.join(COLUMNS)}"
        if "own" in self.columns and (self.columns != OWN or self.joint or self.bars):
            yield "columns", "must name the columns of bars where targets are forecast together"
        if not self.bars and self.columns not in (OWN, TARGET_COLUMNS):
            yield "columns", "must be ('own',) or the four prices unless trait bars is True"
        if self.joint != (self.columns != OWN):
            yield "joint", "must be True exactly where it reads more than the target's own past"
        if not self.targets or not set(self.targets) <= set(TARGET_KINDS):
            yield "targets", f"must be some of {', '.join(TARGET_KINDS)}"

    @property
    def output(self) -> str:
        """Form of a forecast: "quantiles", "samples" or "student_t_mixture"."""
        if self.draws:
            return "samples"
        return "student_t_mixture" if self.components else "quantiles"

    @property
    def kind(self) -> str:
        """Kind of moves that a run on bars requests: "close" if the model supports it."""
        return "close" if "close" in self.targets else self.targets[0]

    @property
    def volume(self) -> bool:
        """Whether the model sees volumes."""
        return "volume" in self.columns


def joint_columns(joint: bool) -> tuple[str, ...]:
    """Return the columns of a model of moves: all four prices, or each target's own."""
    return TARGET_COLUMNS if joint else OWN


def traits_of(model: Any) -> ModelTraits:
    """Return the traits of a model.

    A class of one's own may leave them out: then it forecasts each target from its own past, and
    its quantiles at `levels` are kept.

    Raises:
        ArgumentError: `traits` is something else, or contradicts `context_length` or `levels`.
    """
    stated = getattr(model, "traits", None)
    if stated is None:
        return ModelTraits(levels=tuple(model.levels), rows=model.context_length)
    if not isinstance(stated, ModelTraits):
        raise ArgumentError(
            f"traits of {model.name} must be marketsim.ModelTraits: got {type(stated).__name__}"
        )
    for name, own in (("rows", model.context_length), ("levels", tuple(model.levels))):
        if getattr(stated, name) != own:
            other = "context_length" if name == "rows" else "levels"
            raise ArgumentError(
                f"{model.name} contradicts its trait {name}: traits say "
                f"{getattr(stated, name)!r}, its {other} is {own!r}"
            )
    return stated
