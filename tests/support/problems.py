"""Days of returns and forecasts for the kernel tests: random, tied, degenerate, inconsistent."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

NAMES = ("close", "high", "low", "high_pred", "low_pred", "position", "open")


def random_days(rng: np.random.Generator, shape: int | tuple[int, ...]) -> dict[str, Any]:
    """A plausible market: high and low enclose open and close; positions of +1 and -1."""
    close, gap = rng.normal(0.0, 0.01, shape), rng.normal(0.0, 0.005, shape)
    high = np.maximum(np.maximum(close, gap), 0.0) + np.abs(rng.normal(0.0, 0.006, shape))
    low = np.minimum(np.minimum(close, gap), 0.0) - np.abs(rng.normal(0.0, 0.006, shape))
    days = {
        "close": close,
        "high": high,
        "low": low,
        "high_pred": np.abs(rng.normal(0.008, 0.004, shape)),
        "low_pred": -np.abs(rng.normal(0.008, 0.004, shape)),
        "position": rng.choice([-1.0, 1.0], shape),
        "open": gap,
    }
    return {name: value.astype(np.float32) for name, value in days.items()}


def awkward_days(
    rng: np.random.Generator, shape: int | tuple[int, ...], kind: int
) -> dict[str, Any]:
    """`random_days` made awkward in one of eight ways."""
    days = random_days(rng, shape)
    prices = NAMES[:5] + NAMES[6:]
    if kind == 1:  # coarse ticks: many ties
        days |= {name: np.round(days[name], 2) for name in prices}
    elif kind == 2:  # finer ticks
        days |= {name: np.round(days[name], 3) for name in prices}
    elif kind == 3:  # idle days, missing days, sizes beyond the limit
        days["position"] = rng.choice([-20, -1, 0, 0.5, np.nan, 20], shape).astype(np.float32)
    elif kind == 4:  # far beyond the clamps
        days |= {name: days[name] * np.float32(300) for name in prices}
    elif kind == 5:  # bars that contradict themselves
        days |= {name: rng.normal(0, 0.01, shape).astype(np.float32) for name in prices}
    elif kind == 6:  # nothing moves
        days |= {name: days[name] * np.float32(0) for name in prices}
    elif kind == 7:  # infinite and missing prices among the rest
        for name in prices:
            days[name] = np.where(rng.random(shape) < 0.1, np.float32(np.inf), days[name])
            days[name] = np.where(rng.random(shape) < 0.1, np.float32(np.nan), days[name])
    return days


KINDS = range(8)


def plateau_days(
    rng: np.random.Generator, shape: int | tuple[int, ...], kind: str
) -> dict[str, Any]:
    """Days on which very many pairs earn the same."""
    days = random_days(rng, shape)
    names = ("close", "high", "low", "open")
    if kind == "halted":
        days |= {name: np.zeros_like(days[name]) for name in names}
    elif kind == "one price a day":
        days |= dict.fromkeys(names, days["close"])
    elif kind == "back to the open":
        days["close"] = days["open"]
    elif kind == "mostly halted":
        some = rng.random(shape) < 0.9
        days |= {name: np.where(some, np.float32(0), days[name]) for name in names}
    elif kind == "flat":
        days |= {
            n: np.full(shape, {"high": 0.001, "low": -0.001}.get(n, 0.0), np.float32) for n in names
        }
    return days


PLATEAUS = ("halted", "one price a day", "back to the open", "mostly halted", "flat")


# Values that collide: ticks, neighbours of ticks, zeros of both signs, the clamps, extremes.
_TICKS = [0.0, -0.0, 0.01, -0.01, 0.02, -0.02, 0.005, -0.005, -1.0, 10.0, 1e-45, -1e-45, 3e38, 0.3]
_values = st.one_of(
    st.sampled_from([np.float32(v) for v in _TICKS]),
    st.sampled_from(
        [np.nextafter(np.float32(v), np.float32(d)) for v in _TICKS[:10] for d in (-9, 9)]
    ),
    st.floats(-0.0625, 0.0625, width=32),
    st.floats(width=32),
)
_positions = st.one_of(
    st.sampled_from([np.float32(v) for v in (-1, 1, 0, 0.5, -0.5, 10, -11)]), st.floats(width=32)
)


@st.composite
def drawn_days(draw: st.DrawFn, max_days: int = 8) -> dict[str, Any]:
    """Days whose values collide on purpose."""
    count = draw(st.integers(0, max_days))
    days = {
        name: draw(hnp.arrays(np.float32, count, elements=_values))
        for name in NAMES
        if name != "position"
    }
    days["position"] = draw(hnp.arrays(np.float32, count, elements=_positions))
    return days
