"""What Kronos forecasts for simulations: whole bars after their rows, each once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.errors import ArgumentError
from marketsim.legacy.stock.forecasting import Forecasts
from marketsim.legacy.stock.price_frame import KEYS, column_of
from marketsim.legacy.stock.quirks import Quirks
from marketsim.text import get_logger

logger = get_logger(__name__)

Floats = npt.NDArray[np.float32]
Loader = Callable[[], tuple[Any, Mapping[str, Any]]]

TIMESTAMP = "timestamp"
_SAMPLING: dict[str, type] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "sample_count": int,
}


class KronosForecast(NamedTuple):
    """Forecasts of one price.

    Attributes:
        percent: float32 [simulation, forecast], moves from step to step.
        last: the last price forecast, [simulation].
    """

    percent: Floats
    last: list[float]


def as_forecasts(made: Mapping[str, KronosForecast]) -> Forecasts:
    """Those of all four prices as forecasts that strategies follow; without bands."""
    points = np.stack([made[key].percent for key in KEYS])
    return Forecasts(points, np.zeros_like(points))


def kronos_forecasts(
    frame: pd.DataFrame,
    parts: Sequence[tuple[Sequence[int], int]],
    keys: Sequence[str],
    load: Loader,
    quirks: Quirks,
    *,
    required: bool,
) -> list[dict[str, KronosForecast] | None]:
    """Forecasts of some prices for groups of simulations.

    Args:
        frame: the data of all simulations.
        parts: (rows that each simulation sees, forecasts of each) of each group.
        keys: which prices.
        load: gives the wrapper and its parameters.
        quirks: with `kronos_of_other_days` the days after each simulation's rows are forecast.
        required: whether there is no other model. Else what goes wrong is logged, and there are no
            forecasts.

    Raises:
        MarketsimError: what the wrapper raises, if required.
    """
    try:
        wrapper, params = load()
        return [_part(frame, rows, steps, keys, wrapper, params, quirks) for rows, steps in parts]
    except Exception as error:
        if required:
            raise
        logger.warning("no forecasts of Kronos beside Toto's: %s", error)
        return [None for _ in parts]


def _part(
    frame: pd.DataFrame,
    rows: Sequence[int],
    steps: int,
    keys: Sequence[str],
    wrapper: Any,
    params: Mapping[str, Any],
    quirks: Quirks,
) -> dict[str, KronosForecast] | None:
    if steps == 0:
        return None
    back = 0 if quirks.kronos_of_other_days else steps if quirks.stale_forecasts else steps - 1
    stamped = prepare_kronos_dataframe(frame)
    frames = [stamped.iloc[: count - back] for count in rows]
    labels = [column_of(frame, key) for key in keys]
    made = _predicted(wrapper, frames, labels, steps, params)
    found = {}
    for key, label in zip(keys, labels, strict=True):
        percent = np.array([one[label].percent for one in made], dtype=np.float32)
        if percent.shape != (len(rows), steps):
            raise ArgumentError(
                f"Kronos must forecast {steps} steps of {label}: got shape {percent.shape[1:]}"
            )
        found[key] = KronosForecast(percent, [float(one[label].absolute[-1]) for one in made])
    return found


def _predicted(
    wrapper: Any,
    frames: list[pd.DataFrame],
    labels: list[Any],
    steps: int,
    params: Mapping[str, Any],
) -> list[Mapping[Any, Any]]:
    """Forecasts by column of each frame; a wrapper without batches is asked column by column."""
    options: dict[str, Any] = {
        "timestamp_col": TIMESTAMP,
        "pred_len": steps,
        "lookback": int(params["max_context"]),
        **{name: kind(params[name]) for name, kind in _SAMPLING.items()},
    }
    if hasattr(wrapper, "predict_series_batch"):
        found: list[Mapping[Any, Any]] = wrapper.predict_series_batch(
            data_frames=frames, columns=labels, **options
        )
        return found
    return [
        {
            label: wrapper.predict_series(data=frame, columns=[label], **options)[label]
            for label in labels
        }
        for frame in frames
    ]


def prepare_kronos_dataframe(df: pd.DataFrame) -> pd.DataFrame:
    """A copy with a column "timestamp": of the index, if it holds dates, else of such a column.

    Raises:
        ArgumentError: neither the index nor a column timestamp or date holds dates.
    """
    made = df.copy()
    if isinstance(df.index, pd.DatetimeIndex):
        made[TIMESTAMP] = df.index
        return made
    for label in df.columns:
        if str(label).lower() in (TIMESTAMP, "date"):
            made[TIMESTAMP] = pd.to_datetime(df[label])
            return made
    raise ArgumentError(
        "Kronos needs dates: expected a DatetimeIndex, or a column timestamp or date; "
        f"got an index of dtype {df.index.dtype} and columns {', '.join(map(str, df.columns))}"
    )
