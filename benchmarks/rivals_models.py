"""What forecasts took: the original Toto code, called as the old loop calls it, and in batches.

It runs in an environment of its own (`make upstream`), in another process. Starting that process
and loading the model is not counted, nor the first call of each kind.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from upstream_worker import TOTO1_BASE, TOTO2_4M, TOTO2_22M, missing, run_upstream

OFFICIAL = {"toto1-base": TOTO1_BASE, "toto2-4m": TOTO2_4M, "toto2-22m": TOTO2_22M}
SAMPLES, BATCH = 128, 32  # the old loop's floor, which its settings could not go below
TARGETS = 4


@dataclass(frozen=True)
class Rival:
    """What the original takes.

    `seconds` for all of `calls`; `measured` seconds of one call by what was asked of it; `how`
    says in words what was measured and what was worked out from that.
    """

    seconds: float
    calls: int
    measured: dict[str, float]
    how: str

    @property
    def seconds_per_call(self) -> float:
        """The mean over all calls."""
        return self.seconds / self.calls


def why_not() -> str | None:
    """Why the original cannot be timed here; None if it can."""
    return missing()


def official_checkpoint(name: str, folder: Path) -> Path:
    """A checkpoint of random weights of an official size, made by the original code."""
    arguments = {"spelling": "fused"} if name.startswith("toto1") else {}
    model = name.partition("-")[0]
    run_upstream(f"{model}-make", folder=folder, config=OFFICIAL[name], seed=1, **arguments)
    return folder


def old_loop_lengths(bars: int, simulations: int = 70, days: int = 7) -> list[int]:
    """The context lengths of all calls of the old loop: 1,960 for 70 simulations.

    Each simulation ends one bar earlier than the one before, and each of its days was forecast
    from all bars before that day, for each target anew.
    """
    ends = [
        bars - simulation - day for simulation in range(simulations) for day in range(1, days + 1)
    ]
    if min(ends) < 1:
        raise ValueError(f"{simulations} simulations of {days} days need more than {bars} bars")
    return [end for end in ends for _ in range(TARGETS)]


def day_lengths(bars: int, first: int = 1) -> list[int]:
    """The context lengths of one call for each day from row `first` on and each target."""
    return [length for length in range(first, bars) for _ in range(TARGETS)]


def time_toto1(
    folder: Path, lengths: Sequence[int], *, points: int = 3, repeats: int = 3, threads: int = 2
) -> Rival:
    """One call of the original Toto 1.0 for each of `lengths`, extrapolated from a few of them.

    A call pads its context to whole patches, so it costs the same for all lengths of as many
    patches. At most `points` numbers of patches are measured, spread from the least to the most;
    those between cost what lies between, linearly. Of `repeats` calls the fastest counts.
    """
    patch = TOTO1_BASE["patch_size"]
    calls = Counter(math.ceil(length / patch) for length in lengths)
    least, most = min(calls), max(calls)
    asked = sorted({round(p) for p in np.geomspace(least, most, points)}) if points > 1 else [most]
    if len(calls) > 1 and len(asked) < 2:
        raise ValueError(f"calls of {len(calls)} different costs need at least 2 points")
    found = run_upstream(
        "toto1-time",
        threads=threads,
        folder=folder,
        lengths=[patches * patch for patches in asked],
        repeats=repeats,
        num_samples=SAMPLES,
        samples_per_batch=BATCH,
    )
    fastest = found["seconds"].min(axis=1)
    each = np.interp(list(calls), asked, fastest)
    seconds = float(each @ np.array(list(calls.values())))
    steps = ", ".join(f"{patches * patch}" for patches in asked)
    return Rival(
        seconds,
        len(lengths),
        {f"{p * patch} steps": float(s) for p, s in zip(asked, fastest, strict=True)},
        f"{len(lengths):,} calls of {SAMPLES} samples in batches of {BATCH}, extrapolated from the "
        f"fastest of {repeats} at each of {steps} steps (linear in patches between), "
        f"{found['threads']} threads, torch {found['torch']}",
    )


def time_toto2(
    folder: Path,
    contexts: int = 304,
    length: int = 512,
    *,
    horizon: int = 1,
    repeats: int = 5,
    threads: int = 2,
) -> Rival:
    """One call of the original Toto 2.0's `forecast` with `contexts` series of `length` steps."""
    found = run_upstream(
        "toto2-time",
        threads=threads,
        folder=folder,
        contexts=contexts,
        length=length,
        horizon=horizon,
        repeats=repeats,
    )
    fastest = float(found["seconds"].min())
    return Rival(
        fastest,
        1,
        {f"{contexts} contexts of {length} steps": fastest},
        f"one call for {contexts} contexts of {length} steps, {horizon} ahead: the fastest of "
        f"{repeats}, {found['threads']} threads, torch {found['torch']}; nothing extrapolated",
    )
