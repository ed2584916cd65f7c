"""Result of a universe run: tensors on its device, and tidy frames of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.kernels.cuda.arrays import download
from marketsim.kernels.cuda.place import Place
from marketsim.kernels.types import ProfitSums
from marketsim.walkforward.universe.days import SymbolRun
from marketsim.walkforward.windows import Windows

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False, repr=False)
class UniverseResult:
    """Result of `walk_forward_universe`.

    Symbols with fewer bars or simulations than others are padded in front: NaN, or 0 for integers.

    Attributes:
        runs: bars, windows and costs of each symbol.
        strategies, fills: names along the first axes of the tensors.
        days_at, simulations_at: int64 [symbol, place], -1 in empty places.
        place: the device in the kernels' terms; None for the CPU.
        high_offset, low_offset: float32 tensors [fill, strategy, symbol, bar].
        in_sample: float64 likewise, total net of the offsets on their fit window.
        net: float32 likewise, profit of the bar as a fraction of the capital.
        sums: tensors [fill, strategy, symbol, simulation] over its bars: total, mean, variance,
            wins, and trades, the number of bars with an entry.
        entries: int32 likewise, positions opened; a long and a short of one bar count as two.
    """

    runs: tuple[SymbolRun, ...]
    strategies: tuple[str, ...]
    fills: tuple[str, ...]
    days_at: npt.NDArray[np.int64]
    simulations_at: npt.NDArray[np.int64]
    place: Place | None
    high_offset: torch.Tensor
    low_offset: torch.Tensor
    in_sample: torch.Tensor
    net: torch.Tensor
    sums: ProfitSums
    entries: torch.Tensor

    def __repr__(self) -> str:
        return (
            f"UniverseResult({len(self.runs)} symbols, strategies {', '.join(self.strategies)}, "
            f"fills {', '.join(self.fills)}; .simulations() and .days() for frames)"
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbol names along the third axis of the tensors."""
        return tuple(run.bars.symbol for run in self.runs)

    @property
    def windows(self) -> tuple[Windows, ...]:
        """Windows of each symbol's simulations."""
        return tuple(run.windows for run in self.runs)

    def simulations(self) -> pd.DataFrame:
        """Copy figures to the host: one row per fill policy, strategy, symbol and simulation.

        Columns: fill, strategy, symbol, simulation, as_of, start, end (UTC), total, mean, variance,
        hit_rate (share of the bars in the market with a profit), wins, trades (positions opened).
        """
        total, squares, wins, active, trades = self._on_host([*self.sums[:4], self.entries])
        sums = ProfitSums(total, squares, wins, active, self.sums.days)
        present = self.simulations_at >= 0
        dated = {
            "as_of": self._dates(lambda windows: windows.as_of),
            "start": self._dates(lambda windows: windows.starts),
            "end": self._dates(lambda windows: windows.as_of),
        }
        numbers = np.concatenate([np.arange(len(windows.as_of)) for windows in self.windows])
        with np.errstate(divide="ignore", invalid="ignore"):
            figures = {
                name: getattr(sums, name)
                for name in ("total", "mean", "variance", "hit_rate", "wins")
            }
            figures["trades"] = trades
        return self._frame(present, {"simulation": numbers, **dated}, figures)

    def days(self) -> pd.DataFrame:
        """Copy figures to the host: one row per fill policy, strategy, symbol and evaluated bar.

        Columns: fill, strategy, symbol, date (UTC), high_offset, low_offset, in_sample (mean net a
        bar of the offsets on their fit window), net.
        """
        names = ("high_offset", "low_offset", "in_sample", "net")
        figures = dict(
            zip(names, self._on_host([getattr(self, name) for name in names]), strict=True)
        )
        figures["in_sample"] = figures["in_sample"] / self.windows[0].offset_window
        dates = self._dates(lambda windows: windows.days)
        return self._frame(self.days_at >= 0, {"date": dates}, figures)

    def _frame(
        self, present: npt.NDArray[np.bool_], own: dict[str, Any], figures: dict[str, Any]
    ) -> pd.DataFrame:
        """Build one row per present [symbol, place]; `own` columns are equal for all strategies."""
        pairs = len(self.fills) * len(self.strategies)
        symbols = np.nonzero(present)[0]
        fill, strategy = (
            of.reshape(-1) for of in np.indices((len(self.fills), len(self.strategies)))
        )
        columns: dict[str, Any] = {
            "fill": _named(self.fills, fill.repeat(len(symbols))),
            "strategy": _named(self.strategies, strategy.repeat(len(symbols))),
            "symbol": _named(self.symbols, np.tile(symbols, pairs)),
        }
        columns |= {name: _tiled(values, pairs) for name, values in own.items()}
        columns |= {name: values[..., present].reshape(-1) for name, values in figures.items()}
        return pd.DataFrame(columns)

    def _dates(self, rows_of: Any) -> pd.DatetimeIndex:
        """Concatenate the dates of some rows of each symbol."""
        parts = [run.bars.timestamps[rows_of(run.windows)] for run in self.runs]
        return pd.DatetimeIndex(np.concatenate(parts), tz="UTC")

    def _on_host(self, tensors: list[torch.Tensor]) -> list[npt.NDArray[Any]]:
        if self.place is None:
            return [tensor.numpy() for tensor in tensors]
        return download(self.place, tensors)


def _named(names: tuple[str, ...], codes: npt.NDArray[Any]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, pd.Index(names))


def _tiled(values: Any, times: int) -> Any:
    if isinstance(values, pd.DatetimeIndex):
        return values.append([values] * (times - 1))
    return np.tile(values, times)
