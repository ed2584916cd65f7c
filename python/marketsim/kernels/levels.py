"""Check limit prices on the host, before a kernel runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim import _core
from marketsim.arguments import as_argument_error
from marketsim.kernels.rules import FILLS, RuleCodes


def require_prices(
    days: dict[str, Any], rules: RuleCodes, high_offset: npt.ArrayLike, low_offset: npt.ArrayLike
) -> None:
    """Raise ArgumentError if a limit of a traded bar is at or below -1, a price of 0 or less.

    Args:
        days: the seven arrays by name, [bar] or [problem, bar].
        rules: rules of the call; legacy formulas clamp their levels and are not checked.
        high_offset, low_offset: lowest offsets, a number or [problem].
    """
    if rules.fill >= len(FILLS):
        return
    rows = {name: np.atleast_2d(np.asarray(v, np.float32)) for name, v in days.items()}
    lowest = [
        np.broadcast_to(np.asarray(v, np.float32), len(rows["close"]))
        for v in (high_offset, low_offset)
    ]
    with np.errstate(all="ignore"):  # extreme input overflows as it does in the kernels
        suspect = (rows["high_pred"] + lowest[0][:, None] <= -1.0).any(axis=-1)
        suspect |= (rows["low_pred"] + lowest[1][:, None] <= -1.0).any(axis=-1)
    for i in np.flatnonzero(suspect):
        one: list[Any] = [row[i] for row in rows.values()]
        try:  # the kernel finds the bars that trade
            one[3:5] = one[3] + lowest[0][i], one[4] + lowest[1][i]
            _core.fills(*one, **rules._asdict())
        except ValueError as error:
            raise as_argument_error(error) from None
