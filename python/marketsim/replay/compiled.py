"""A user's `on_bar` compiled into the engine's loop, or called in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.replay.records import BAR, REQUEST, REQUEST_ROOM, STATE

OnBar = Callable[[Any, Any, Any, Any], None]


class Buffers:
    """The memory that a strategy and the engine share: account, bar, requests."""

    def __init__(self) -> None:
        self.state = np.zeros(1, STATE)
        self.bar = np.zeros(1, BAR)
        self.requests = np.zeros(REQUEST_ROOM + 1, REQUEST)

    def raw(self, name: str) -> npt.NDArray[np.uint8]:
        """One of them as bytes, which the engine fills."""
        values: npt.NDArray[np.uint8] = getattr(self, name).view(np.uint8)
        return values


class Compiled:
    """The machine code of a strategy, by its address; keeps the code alive.

    Args:
        on_bar: `on_bar(state, bar, features, orders)`, a function or one that Numba has compiled.
        features: dtype of a row of features.
    """

    def __init__(self, on_bar: OnBar, features: np.dtype[Any]) -> None:
        import numba as nb

        numba: Any = nb  # its stubs lack what is used here
        types = numba.types
        inner = on_bar if hasattr(on_bar, "py_func") else numba.njit(on_bar)
        signature = types.void(
            types.CPointer(numba.from_dtype(STATE)),
            types.CPointer(numba.from_dtype(BAR)),
            types.CPointer(numba.from_dtype(features)),
            types.CPointer(numba.from_dtype(REQUEST)),
            types.CPointer(types.int64),
        )
        room = REQUEST_ROOM + 1

        def called(state: Any, bar: Any, row: Any, requests: Any, failed: Any) -> None:
            try:
                inner(
                    numba.carray(state, 1)[0],
                    numba.carray(bar, 1)[0],
                    numba.carray(row, 1)[0],
                    numba.carray(requests, room),
                )
            except Exception:
                numba.carray(failed, 1)[0] = 1

        self._code = numba.cfunc(signature)(called)
        self.address = int(self._code.address)


def plain(on_bar: OnBar) -> OnBar:
    """The strategy as Python, whether Numba has compiled it or not."""
    return getattr(on_bar, "py_func", on_bar)


def callback(on_bar: OnBar, features: npt.NDArray[Any], buffers: Buffers) -> Callable[[int], None]:
    """What the engine calls after each bar: shows the strategy views of the shared memory."""
    state = buffers.state.view(np.recarray)[0]
    bar = buffers.bar.view(np.recarray)[0]
    requests = buffers.requests.view(np.recarray)
    rows = features.view(np.recarray)
    function = plain(on_bar)

    def called(t: int) -> None:
        function(state, bar, rows[t], requests)

    return called
