"""The stationary bootstrap bar by bar in plain Python: what the compiled kernel is tested by."""

from __future__ import annotations

import numpy as np

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def mixed(z: int) -> int:
    """The output function of SplitMix64."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def drawn_bars(bars: int, mean_length: float, seed: int, repetition: int) -> np.ndarray:
    """The bars of one repetition: each begins a new block with probability 1 / mean length."""
    state = mixed((seed + _STEP * (repetition + 1)) & _MASK)

    def draw() -> int:
        nonlocal state
        state = (state + _STEP) & _MASK
        return mixed(state)

    def anywhere() -> int:
        return ((draw() >> 32) * bars) >> 32

    limit = min(int(2.0**64 / mean_length), _MASK)
    found = [anywhere()]
    for _ in range(bars - 1):
        found.append(anywhere() if draw() <= limit else (found[-1] + 1) % bars)
    return np.array(found)
