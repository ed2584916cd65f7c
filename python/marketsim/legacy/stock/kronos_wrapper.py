"""KronosForecastingWrapper with the old signatures, on marketsim's Kronos.

Draws follow from the series and a seed, so that a forecast can be made again; the old wrapper's
could not. It computes on a CPU, too, and its precision is float32 unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.arguments import is_whole
from marketsim.errors import (
    ArgumentError,
    UnknownNameError,
    UnsupportedTypeError,
)
from marketsim.legacy.stock.assignments import watch_callee
from marketsim.legacy.stock.toto_wrapper import check_device
from marketsim.models import load_model
from marketsim.text import get_logger

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True)
class KronosInput:
    """A series as Kronos reads it.

    Attributes:
        frame: float32, columns open, high, low, close, volume, amount; no gaps.
        timestamps: of its rows, UTC without a time zone.
        future: of the bars to come.
    """

    frame: pd.DataFrame
    timestamps: pd.DatetimeIndex
    future: pd.DatetimeIndex


def kronos_input(
    data: pd.DataFrame, timestamp_col: str, pred_len: int, lookback: int | None
) -> KronosInput:
    """The series that a frame stands for.

    Rows without a readable timestamp are left out; of rows with one timestamp the last counts.
    Prices that are missing are the close, gaps in them the value before, else the one after.
    Without a volume it is 0; without an amount it is volume times close.

    Raises:
        ArgumentError: fewer than two rows are left, or a number is out of its range.
        UnknownNameError: no column of timestamps, or no close.
    """
    if not is_whole(pred_len) or pred_len < 1:
        raise ArgumentError(f"pred_len must be a whole number of at least 1: got {pred_len!r}")
    if lookback is not None and (not is_whole(lookback) or lookback < 0):
        raise ArgumentError(f"lookback must be a whole number of at least 0: got {lookback!r}")
    if timestamp_col not in data.columns:
        raise UnknownNameError("column", timestamp_col, map(str, data.columns))
    times = pd.to_datetime(data[timestamp_col], utc=True, errors="coerce")
    keep = times.notna() & ~times.duplicated(keep="last")
    rows, stamps = data.loc[keep.to_numpy()], pd.DatetimeIndex(times[keep]).tz_convert(None)
    if lookback:
        rows, stamps = rows.iloc[-lookback:], stamps[-lookback:]
    if len(rows) < 2:
        raise ArgumentError(f"Kronos needs at least 2 rows with timestamps: got {len(rows)}")
    return KronosInput(_features(rows), stamps, _future(stamps, pred_len))


def _features(rows: pd.DataFrame) -> pd.DataFrame:
    """Float32, the six columns."""
    labels = [_label(label).lower() for label in rows.columns]
    first = {label: i for i, label in reversed(list(enumerate(labels)))}
    if "close" not in first:
        raise UnknownNameError("column", "close", labels)

    def column(name: str) -> pd.Series:
        return pd.to_numeric(rows.iloc[:, first[name]], errors="coerce").astype(np.float64)

    made = {name: column(name if name in first else "close") for name in PRICES}
    frame = pd.DataFrame(made, index=rows.index).ffill().bfill()
    frame["volume"] = column("volume").fillna(0.0) if "volume" in first else 0.0
    amount = frame["volume"] * frame["close"]
    frame["amount"] = column("amount").fillna(amount) if "amount" in first else amount
    whole = frame.astype(np.float32).replace([np.inf, -np.inf], np.nan)
    return whole.ffill().bfill().reset_index(drop=True)


def _label(label: object) -> str:
    """A column's name; of a name in several parts the first that says something."""
    if isinstance(label, tuple):
        return next((str(part).strip() for part in label if part and str(part).strip()), "")
    return str(label)


def _future(stamps: pd.DatetimeIndex, pred_len: int) -> pd.DatetimeIndex:
    """The timestamps to come, so far apart as those known are in the median."""
    step = stamps.to_series().diff().median()
    if not step > pd.Timedelta(0):  # also where it is not known
        step = pd.Timedelta(days=1)
    return pd.date_range(stamps[-1] + step, periods=pred_len, freq=step)


__all__ = ["KronosForecastResult", "KronosForecastingWrapper", "setup_kronos_wrapper_imports"]

logger = get_logger(__name__)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KronosForecastResult:
    """The forecast of one column.

    Attributes:
        absolute: float64 [step], prices or volumes.
        percent: float64 [step], each step's move against the step before, the first one against
            the last known value (0.01 is 1 %); 0 where that is 0.
        timestamps: [step], of the bars to come: so far apart as known bars are in the median.
    """

    absolute: Array
    percent: Array
    timestamps: pd.DatetimeIndex


class KronosForecastingWrapper:
    """Forecasts of whole bars behind the old wrapper's methods.

    Weights are read with the first forecast.

    Args:
        model_name, tokenizer_name: hub ids or folders.
        device: "cpu", "cuda" or "cuda:<index>".
        max_context: how many bars are seen at most.
        clip: where scaled values end, on both sides.
        temperature, top_p, top_k, sample_count: how tokens are drawn, and how many paths a
            forecast is the mean of; each call may say otherwise.
        cache_dir: where downloads are kept.
        verbose, prefer_fp32, compile, compile_mode, compile_backend: kept as attributes, without
            effect: Kronos is not compiled, since each step of a path has another shape.
        dtype: "float32", "bfloat16", or "float16" on a GPU.
        seed: of the draws.

    Raises:
        CudaUnavailableError: the device cannot be had.
        UnknownNameError: no device of that name.
        MissingDependencyError: torch is not installed.
    """

    def __init__(
        self,
        *,
        model_name: str,
        tokenizer_name: str,
        device: str = "cuda:0",
        max_context: int = 512,
        clip: float = 5.0,
        temperature: float = 0.75,
        top_p: float = 0.9,
        top_k: int = 0,
        sample_count: int = 8,
        cache_dir: str | None = None,
        verbose: bool = False,
        prefer_fp32: bool = False,
        compile: bool = False,
        compile_mode: str = "max-autotune",
        compile_backend: str | None = "inductor",
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
        seed: int = 0,
    ) -> None:
        self.model_name = model_name
        self.tokenizer_name = tokenizer_name
        self.requested_device = device
        self.device = check_device(device)
        self.max_context = max_context
        self.clip = clip
        self.temperature = temperature
        self.top_p = top_p
        self.top_k = top_k
        self.sample_count = sample_count
        self.cache_dir = cache_dir
        self.verbose = verbose
        self.prefer_fp32 = bool(prefer_fp32)
        self.compile = bool(compile)
        self.compile_mode = compile_mode
        self.compile_backend = compile_backend
        self.dtype = dtype
        self.seed = seed
        self._model: Any = None
        if self.compile:
            logger.info("Kronos is not compiled: each step of a path has another shape")

    @property
    def model(self) -> Any:
        """The `marketsim.models.kronos` model; its weights are read with the first forecast."""
        if self._model is None:
            options: dict[str, Any] = (
                {} if self.cache_dir is None else {"cache_dir": self.cache_dir}
            )
            self._model = load_model(
                self.model_name,
                device=self.device,
                dtype=self.dtype,
                tokenizer=self.tokenizer_name,
                max_context=self.max_context,
                clip=self.clip,
                **options,
            )
        return self._model

    def predict_series(
        self,
        *,
        data: pd.DataFrame,
        timestamp_col: str,
        columns: Sequence[str],
        pred_len: int,
        lookback: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        sample_count: int | None = None,
        verbose: bool | None = None,
    ) -> dict[str, KronosForecastResult]:
        """Forecast the bars after a frame; see `predict_series_batch`."""
        return self.predict_series_batch(
            data_frames=[data],
            timestamp_col=timestamp_col,
            columns=columns,
            pred_len=pred_len,
            lookback=lookback,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            sample_count=sample_count,
            verbose=verbose,
        )[0]

    def predict_series_batch(
        self,
        *,
        data_frames: Sequence[pd.DataFrame],
        timestamp_col: str,
        columns: Sequence[str],
        pred_len: int,
        lookback: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        sample_count: int | None = None,
        verbose: bool | None = None,
    ) -> list[dict[str, KronosForecastResult]]:
        """Forecast the bars after each frame; a forecast does not depend on the others.

        Args:
            data_frames: rows of bars, with a column close in any case; see `kronos_input` for what
                is made of those that are missing.
            timestamp_col: the column of timestamps.
            columns: which forecasts are wanted: open, high, low, close, volume or amount.
            pred_len: how many bars, at most `max_context`.
            lookback: only the last so many rows are looked at; None or 0 for all.
            temperature, top_p, top_k, sample_count: in place of the wrapper's own.
            verbose: without effect.

        Returns:
            For each frame the forecasts by the names in `columns`.

        Raises:
            ArgumentError: no frames, columns or rows, or numbers out of their range.
            UnknownNameError: a column that is not there or cannot be forecast.
            UnsupportedTypeError: something else than frames.
        """
        if not data_frames or not columns:
            raise ArgumentError("data_frames and columns must have at least one entry each")
        if not all(isinstance(frame, pd.DataFrame) for frame in data_frames):
            kinds = ", ".join(type(frame).__name__ for frame in data_frames[:5])
            raise UnsupportedTypeError(f"data must be a pandas DataFrame: got {kinds}")
        inputs = [kronos_input(frame, timestamp_col, pred_len, lookback) for frame in data_frames]
        made = self.model.predict_bars(
            [one.frame for one in inputs],
            [one.timestamps for one in inputs],
            [one.future for one in inputs],
            horizon=pred_len,
            temperature=float(self.temperature if temperature is None else temperature),
            top_k=int(self.top_k if top_k is None else top_k),
            top_p=float(self.top_p if top_p is None else top_p),
            samples=int(self.sample_count if sample_count is None else sample_count),
            seed=self.seed,
        )
        return [
            {str(column): _result(one, mean, str(column), made.columns) for column in columns}
            for one, mean in zip(inputs, made.mean, strict=True)
        ]

    def unload(self) -> None:
        """Let go of the weights; the next forecast reads them again."""
        if self._model is not None:
            self._model.release()
            self._model = None


def setup_kronos_wrapper_imports(**_: Any) -> None:
    """Nothing: the old module was handed its libraries by this."""


def _result(
    one: KronosInput, mean: npt.NDArray[np.float32], column: str, known: tuple[str, ...]
) -> KronosForecastResult:
    if column.lower() not in known:
        raise UnknownNameError("column that Kronos forecasts", column, known)
    absolute = mean[:, known.index(column.lower())].astype(np.float64)
    last = float(one.frame[column.lower()].iloc[-1])
    before = np.concatenate([[last], absolute[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        percent = np.where(before == 0.0, 0.0, (absolute - before) / before)
    return KronosForecastResult(absolute, percent, one.future)


watch_callee(__name__, kept=["KronosForecastingWrapper"])
