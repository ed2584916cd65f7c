"""
Compiled kernels of marketsim. Private: call them through marketsim.
"""

from __future__ import annotations

import typing

import numpy
import numpy.typing

__all__: list[str] = [
    "best_offsets",
    "compiler",
    "ewma_forecasts",
    "fills",
    "isa",
    "persistence_forecasts",
    "profit",
    "set_isa",
    "set_thread_limit",
    "supported_isas",
    "thread_limit",
]

def best_offsets(
    close: numpy.typing.NDArray[numpy.float32],
    high: numpy.typing.NDArray[numpy.float32],
    low: numpy.typing.NDArray[numpy.float32],
    high_pred: numpy.typing.NDArray[numpy.float32],
    low_pred: numpy.typing.NDArray[numpy.float32],
    position: numpy.typing.NDArray[numpy.float32],
    open: numpy.typing.NDArray[numpy.float32] | None,
    high_min: typing.SupportsFloat | typing.SupportsIndex,
    high_max: typing.SupportsFloat | typing.SupportsIndex,
    low_min: typing.SupportsFloat | typing.SupportsIndex,
    low_max: typing.SupportsFloat | typing.SupportsIndex,
    fill: typing.SupportsInt | typing.SupportsIndex,
    fee_rule: typing.SupportsInt | typing.SupportsIndex,
    fee: typing.SupportsFloat | typing.SupportsIndex,
    margin: typing.SupportsFloat | typing.SupportsIndex,
    always_on: bool,
    long_only: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    Best offsets and their profit for each row: (high, low, profit).
    """

def compiler() -> str:
    """
    Compiler of this build.
    """

def ewma_forecasts(
    series: numpy.typing.NDArray[numpy.float64],
    start: typing.SupportsInt | typing.SupportsIndex,
    decay: typing.SupportsFloat | typing.SupportsIndex,
    window: typing.SupportsInt | typing.SupportsIndex,
    least: typing.SupportsInt | typing.SupportsIndex,
    levels: numpy.typing.NDArray[numpy.float64],
    normal: numpy.typing.NDArray[numpy.float64],
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    (mean, std, quantile) of the forecasts for start .. len(series).
    """

def fills(
    close: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high_pred: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low_pred: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    position: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    open: typing.Annotated[numpy.typing.ArrayLike, numpy.float32] | None,
    fill: typing.SupportsInt | typing.SupportsIndex,
    fee_rule: typing.SupportsInt | typing.SupportsIndex,
    fee: typing.SupportsFloat | typing.SupportsIndex,
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.uint8],
]:
    """
    Gross profit, fee and FillFlag bits of each day.
    """

def isa() -> str:
    """
    Instruction set the kernels run on.
    """

def persistence_forecasts(
    series: numpy.typing.NDArray[numpy.float64],
    start: typing.SupportsInt | typing.SupportsIndex,
    window: typing.SupportsInt | typing.SupportsIndex,
    levels: numpy.typing.NDArray[numpy.float64],
    normal: numpy.typing.NDArray[numpy.float64],
) -> tuple[
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
    numpy.typing.NDArray[numpy.float64],
]:
    """
    (mean, std, quantile) of the forecasts for start .. len(series).
    """

def profit(
    close: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    high_pred: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low_pred: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    position: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    open: typing.Annotated[numpy.typing.ArrayLike, numpy.float32] | None,
    high_offset: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    low_offset: typing.Annotated[numpy.typing.ArrayLike, numpy.float32],
    fill: typing.SupportsInt | typing.SupportsIndex,
    fee_rule: typing.SupportsInt | typing.SupportsIndex,
    fee: typing.SupportsFloat | typing.SupportsIndex,
) -> numpy.typing.NDArray[numpy.float32]:
    """
    Profit of each candidate and day, float32 [candidate, day].
    """

def set_isa(name: str) -> None:
    """
    Run the kernels on another supported instruction set (for tests).
    """

def set_thread_limit(threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Set that number; 0 returns to MARKETSIM_NUM_THREADS or the cores available.
    """

def supported_isas() -> list[str]:
    """
    Instruction sets of this processor.
    """

def thread_limit() -> int:
    """
    Threads that one call may use.
    """
