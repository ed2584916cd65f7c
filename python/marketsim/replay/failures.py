"""What went wrong in a replay, as errors that name the bar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.bars import Bars
from marketsim.errors import OrderError, StrategyError
from marketsim.replay.records import OrderKind

_EXPECTED = {
    1: "a finite quantity above 0 (of reduce(): other than 0)",
    2: "a limit price above 0, for limit orders alone",
    3: "a finite stop price above 0, for stop orders alone",
    4: "one distance above 0 of a trailing stop (a fraction below 1), for trailing stops alone; "
    "without one, trailing_distance= [bar]",
    5: "a stop that the price has not passed yet: below it to sell, above it to buy",
    6: "an entry that is still working or asked for before, for an exit by a factor",
    7: "a number of bars of at least 0",
    8: "the ticket of an order that was asked for before",
    9: "a kind and size that go together (targets are market orders)",
    10: "a change of what the order has, to a price above 0 or a quantity of its own sign",
}


def order_error(
    bars: Bars, refusal: tuple[int, int, int], requests: npt.NDArray[Any], of: str = ""
) -> OrderError:
    """The error of a request that was no order: (bar, request, defect)."""
    bar, index, defect = refusal
    request = requests[index]
    kind = int(request["kind"])
    name = OrderKind(kind).name.lower() if 0 <= kind <= 4 else f"kind {kind}"
    values = ", ".join(
        f"{field}={request[field]:g}"
        for field in ("quantity", "limit", "stop", "trail", "trail_part")
        if field == "quantity" or not np.isnan(request[field])
    )
    return OrderError(
        f"order {index} after {named(bars, bar)}{of} is no order: got {name} with {values}; "
        f"expected {_EXPECTED[defect]}"
    )


def named(bars: Bars, bar: int) -> str:
    """A bar and its time."""
    return f"bar {bar} ({bars.frame.index[bar]})"


def not_compiled(error: Exception, features: Iterable[str]) -> StrategyError:
    """The error of a strategy that Numba does not compile."""
    first = " ".join(str(error).split("\n\n")[0].split())[:500]
    return StrategyError(
        f"on_bar cannot be compiled by Numba: {type(error).__name__}: {first} (features: "
        f"{', '.join(features) or 'none'}); jit=False runs it as plain Python"
    )
