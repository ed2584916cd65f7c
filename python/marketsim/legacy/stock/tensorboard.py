"""Scalars for TensorBoard under the old tags, where a writer for them is installed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from marketsim.bars.symbol import check_symbol
from marketsim.legacy.stock.result_rows import STRATEGIES
from marketsim.legacy.stock.settings import setting
from marketsim.text import get_logger

if TYPE_CHECKING:
    import pandas as pd

logger = get_logger(__name__)

LOG_FOLDER = Path("logs")
# Package that must be there, and the module whose SummaryWriter is used; the first that is counts.
_WRITERS = (("tensorboardX", "tensorboardX"), ("tensorboard", "torch.utils.tensorboard"))
_AVERAGED = (
    "simple",
    "all_signals",
    "buy_hold",
    "unprofit_shutdown",
    "entry_takeprofit",
    "highlow",
)
_AVERAGES = {
    "avg_return": "avg_daily_return",
    "annual_return": "annual_return",
    "avg_sharpe": "sharpe",
}


class Writer(Protocol):
    """What takes scalars."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Note a number under a tag at a step."""
        ...

    def close(self) -> None:
        """Write all that has been noted."""
        ...


class NoWriter:
    """A writer that does nothing."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class FolderWriter:
    """Writes scalars to a folder, which is made by the first one.

    Args:
        folder: where the event file goes.
        module: whose SummaryWriter writes it.
    """

    def __init__(self, folder: Path, module: str) -> None:
        self.folder = folder
        self._module = module
        self._writer: Any = None

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Note a number under a tag at a step."""
        if self._writer is None:
            self._writer = import_module(self._module).SummaryWriter(str(self.folder))
            logger.info("scalars for TensorBoard: %s", self.folder)
        self._writer.add_scalar(tag, scalar_value, global_step)

    def close(self) -> None:
        """Write all that has been noted; a scalar after that opens another file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def open_writer(run_name: str) -> Writer:
    """A writer to the folder logs/<run name>, as the old program had it.

    It does nothing where neither tensorboardX nor tensorboard is installed, with TESTING, and with
    MARKETSIM_TENSORBOARD=0.

    Raises:
        InvalidNameError: the run's name must not become a path.

    Example:
        >>> open_writer("2026-01-31").close()
    """
    folder = LOG_FOLDER / check_symbol(run_name)
    if setting("testing") or not setting("tensorboard"):
        return NoWriter()
    for package, module in _WRITERS:
        if find_spec(package) is not None:
            return FolderWriter(folder, module)
    return NoWriter()


def log_simulation(
    writer: Writer,
    symbol: str,
    simulation: int,
    row: Mapping[str, Any],
    *,
    losses: Mapping[str, float] | None = None,
    returns: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Note a simulation under the old tags.

    Args:
        writer: from `open_writer`.
        symbol: the first part of each tag.
        simulation: its number, the step.
        row: the columns of its result.
        losses: mean absolute error by target: Close, Low, High, Open.
        returns: daily returns by strategy: simple, all_signals, ..., maxdiffalwayson; their step is
            the day, so later simulations add to the curves of earlier ones, as they did.
    """
    if isinstance(writer, NoWriter):
        return
    for target, loss in (losses or {}).items():
        writer.add_scalar(f"{symbol}/{target}/val_loss", float(loss), simulation)
    for name, (start, final) in STRATEGIES.items():
        columns = {
            "total_return": f"{start}_return",
            "sharpe": f"{start}_sharpe",
            "finalday": final,
        }
        for tag, column in columns.items():
            if column in row:
                value = float(row[column])
                writer.add_scalar(f"{symbol}/strategies/{name}/{tag}", value, simulation)
    for name, days in (returns or {}).items():
        for day, value in enumerate(days):
            writer.add_scalar(f"{symbol}/returns_over_time/{name}", float(value), day)


def log_averages(writer: Writer, symbol: str, results: pd.DataFrame) -> None:
    """Note the averages over all simulations under the old tags; a missing column is left out."""
    if isinstance(writer, NoWriter):
        return
    for name in _AVERAGED:
        start = STRATEGIES[name][0]
        for tag, ending in _AVERAGES.items():
            column = f"{start}_{ending}"
            if column in results:
                value = float(results[column].mean())
                if not math.isnan(value):
                    writer.add_scalar(f"{symbol}/final_metrics/{name}_{tag}", value, 0)
