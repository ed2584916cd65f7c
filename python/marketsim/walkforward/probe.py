"""Probe a user's model for look-ahead before its forecasts are used."""

from __future__ import annotations

import numpy as np

from marketsim.bars import Bars
from marketsim.errors import LookaheadError
from marketsim.forecasts import ReturnTable
from marketsim.models import Model
from marketsim.models.traits import traits_of

_FORECASTS = 30  # forecasts compared; the newest, for a model that recomputes from `start` on
_REMOVED = 10
_TOLERANCE = 1e-6  # of the spread of the returns: batches of other sizes may round differently


def probe_model(model: Model, bars: Bars) -> None:
    """Refuse a model whose forecasts of some bars change when later bars are left out.

    Runs `predict_each` on the closes twice, for the last forecasts only. Skips models that read
    whole bars or draw samples; `check_lookahead` and `marketsim.testing` cover these.

    Raises:
        LookaheadError: a forecast differs; the message gives its bar and both values.
    """
    traits = traits_of(model)
    returns = ReturnTable.of(bars, traits.kind).returns[-1]
    start = len(returns) - _FORECASTS
    if traits.joint or traits.bars or traits.draws or traits.timestamps or start < 60:
        return
    count = _FORECASTS - _REMOVED + 1
    levels = list(traits.levels)
    whole, cut = (
        np.asarray(model.predict_each(series, start).quantile(levels), dtype=np.float64)
        for series in (returns, returns[:-_REMOVED])
    )
    whole, cut = whole[:count].reshape(count, -1), cut[:count].reshape(count, -1)
    differs = ~(np.abs(whole - cut) <= _TOLERANCE * np.nanstd(returns)).all(axis=1)
    if differs.any():
        i = int(differs.argmax())
        at = int(np.nanargmax(np.abs(whole[i] - cut[i])))
        raise LookaheadError(
            f"model {model.name!r} looks ahead: its forecast of the bar of "
            f"{bars.frame.index[start + 1 + i]} is {whole[i, at]:.6g}, and {cut[i, at]:.6g} "
            f"without the last {_REMOVED} bars of the series; predict_each(series, start) must "
            "forecast t from series[:t] alone; check=False runs it anyway"
        )
