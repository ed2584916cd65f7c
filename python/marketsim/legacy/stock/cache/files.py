"""Reads the old project's folder of pickled forecasts by replay; nothing is ever unpickled.

The old predictor kept one file per call, ``.cache/cached_predict/<md5>.pkl``, and no list of what
the files are. `find_legacy` rebuilds from bars every context that the predictor can have seen,
computes its key, and opens the files whose keys it met. What is in them is read by
`marketsim.legacy.stock.cache.arrays`.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars
from marketsim.errors import ArgumentError, FileFormatError, UnknownNameError
from marketsim.legacy.stock.cache.arrays import Array, Forecast, load_arrays
from marketsim.legacy.stock.cache.opcodes import require

NUM_SAMPLES = (128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
"""How many samples the old settings asked for, and halves of them after a lack of memory."""

SAMPLES_PER_BATCH = (32, 48, 64, 96, 128, 192, 256, 384, 512, None)
"""The old batch sizes; None for files since 14 November 2025, whose keys leave the size out."""

MAX_FILE_BYTES = 64 * 2**20

_FILE = re.compile(r"([0-9a-f]{32})\.pkl")
_HOMES = ("", "cached_predict", ".cache/cached_predict")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LegacyContexts:
    """Every context of one target: each is `values` up to some length, from 1 to all.

    Attributes:
        values: float32 [value], one-bar returns.
        days: int64 [value]; ``values[: i + 1]`` is the context of the forecast for row days[i].
        complete: bool [value]; False where that context is not the return of every bar between
            the download's first and the day: a row with a missing price was dropped, or a return
            that is not finite became 0.
    """

    values: Floats
    days: npt.NDArray[np.int64]
    complete: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LegacyForecast:
    """One forecast of the old cache.

    Attributes:
        target: one of `TARGETS`; its one-bar return is forecast.
        day: the row of the bars that is forecast; ``len(bars)`` is the day after the last.
        as_of: timestamp of the row before that day, the last one known, in UTC.
        samples: float32 [sample], finite.
        path: the file.
        first_row: the row of the bars at which the old download began.
        complete: see `LegacyContexts`.
        settings: what the old call was given: num_samples, samples_per_batch, symbol.
    """

    target: str
    day: int
    as_of: np.datetime64
    samples: Floats
    path: Path
    first_row: int
    complete: bool
    settings: dict[str, object]


def legacy_contexts(bars: Bars, target: str, *, first_row: int = 0) -> LegacyContexts:
    """Rebuild the contexts that the old code forecast from, for a download from `first_row` on.

    A return that is not finite is 0. A row of which another price is missing is left out, and so
    is the return into the row after it. The day of a context is the one that the old code scored
    it on: the first later row whose return was not left out.

    Raises:
        UnknownNameError: the target is none of `TARGETS`.
        ArgumentError: `first_row` is no row of the bars.
    """
    if target not in TARGETS:
        raise UnknownNameError("target", target, TARGETS)
    if not 0 <= first_row < len(bars):
        raise ArgumentError(f"got first_row={first_row}: expected 0 to {len(bars) - 1}")
    prices: npt.NDArray[np.float64] = getattr(bars, target)[first_row:]
    with np.errstate(all="ignore"):
        returns = (prices[1:] - prices[:-1]) / prices[:-1]
        finite = np.isfinite(returns)
        values = np.where(finite, returns, 0.0).astype(np.float32)
    others = [getattr(bars, name)[first_row:] for name in TARGETS if name != target]
    rows = np.flatnonzero(~np.isnan(others).any(axis=0))
    seen, scored = rows[:-1], rows[1:]  # the last row of a context, and the next one kept
    unbroken = (scored == np.arange(1, len(rows))) & np.logical_and.accumulate(finite[seen])
    return LegacyContexts(values[seen], scored + (first_row + 1), unbroken)


def legacy_key(context: npt.ArrayLike, prediction_length: int = 1, **settings: object) -> str:
    """Return the old key, an MD5 in hex, of a call with this context (float32 [value]).

    The settings are keyword arguments of the old call in its order: num_samples,
    samples_per_batch, symbol. One that is None is left out of the key.
    """
    data = np.asarray(context, dtype="<f4").tobytes()
    return _md5(_md5(data) + _suffix(prediction_length, settings))


def _md5(data: bytes | str) -> str:
    encoded = data if isinstance(data, bytes) else data.encode()
    return hashlib.md5(encoded, usedforsecurity=False).hexdigest()


def _suffix(prediction_length: int, settings: Mapping[str, object]) -> str:
    parts = [f"{name}:{value}" for name, value in settings.items() if value is not None]
    return ":".join(["", str(prediction_length), *parts])


def find_legacy(
    bars: Bars,
    folder: Path,
    *,
    targets: Sequence[str] = TARGETS,
    symbols: Sequence[str | None] | None = None,
    num_samples: Sequence[int] = NUM_SAMPLES,
    samples_per_batch: Sequence[int | None] = SAMPLES_PER_BATCH,
    first_rows: Iterable[int] = (0,),
    on_error: Callable[[Path, Exception], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[LegacyForecast]:
    """Find the old forecasts of these bars: every target, first row, day and setting in turn.

    Only regular files named like a key are looked at, and of these only the ones met are opened.

    Args:
        bars: the rows that the old code downloaded, exactly, and any number of later ones.
        folder: ``cached_predict``, or the ``.cache`` or the project that holds it.
        targets: which to look for.
        symbols: the names that the old code may have used; default the bars' own, and None for
            the keys before 24 October 2025, which held no name.
        num_samples: the numbers of samples to try.
        samples_per_batch: the batch sizes to try; None leaves the size out of the key.
        first_rows: the rows at which the old downloads may have begun.
        on_error: is told of a file that cannot be read, which is then passed over; by default
            the error is raised.
        progress: called with how many replays (targets x first rows) are done, and of how many.

    Raises:
        ArgumentError: the folder holds no such file, or a first row is no row of the bars.
        FileFormatError: a file is not one forecast of one step.
    """
    home, names = _listing(Path(folder))
    symbols = (bars.symbol, None) if symbols is None else symbols
    tried = [
        {"num_samples": number, "samples_per_batch": batch, "symbol": symbol}
        for number, batch, symbol in product(num_samples, samples_per_batch, symbols)
    ]
    suffixes = [(_suffix(1, settings), settings) for settings in tried]
    pairs = list(product(targets, first_rows))
    for done, (target, first_row) in enumerate(pairs):
        contexts = legacy_contexts(bars, target, first_row=first_row)
        for i, key, settings in _matches(contexts.values, suffixes, names):
            path = home / f"{key}.pkl"
            try:
                samples = _one_step(path)
            except (FileFormatError, OSError) as error:
                if on_error is None:
                    raise
                on_error(path, error)
                continue
            day = int(contexts.days[i])
            as_of, complete = bars.timestamps[day - 1], bool(contexts.complete[i])
            yield LegacyForecast(
                target, day, as_of, samples, path, first_row, complete, dict(settings)
            )
        if progress is not None:
            progress(done + 1, len(pairs))


def _matches(
    values: Floats, suffixes: list[tuple[str, dict[str, Any]]], names: frozenset[str]
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    data = values.astype("<f4").tobytes()
    running = hashlib.md5(usedforsecurity=False)
    for i in range(len(values)):
        running.update(data[4 * i : 4 * i + 4])
        digest = running.hexdigest()
        for suffix, settings in suffixes:
            key = _md5(digest + suffix)
            if key in names:
                yield i, key, settings


def _listing(folder: Path) -> tuple[Path, frozenset[str]]:
    for home in (folder / part for part in _HOMES):
        links = [path for path in (home, *home.parents) if folder in path.parents]
        if any(path.is_symlink() for path in links) or not home.is_dir():
            continue
        with os.scandir(home) as entries:
            found = [
                match[1]
                for entry in entries
                if (match := _FILE.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False)
            ]
        if found:
            return home, frozenset(found)
    raise ArgumentError(
        f"{folder} holds no forecasts of the old cache: expected files named by 32 hexadecimal "
        "digits and .pkl, in it or in .cache/cached_predict; .cache/predictions and "
        ".cache/kronos_predictions hold no samples"
    )


def _one_step(path: Path) -> Floats:
    samples = read_samples(path)
    if samples.ndim != 1:
        raise FileFormatError(f"{path} holds {samples.shape[1]} steps: expected one")
    return samples


def read_samples(path: Path) -> Floats:
    """Read one forecast: float32 [sample], or [sample, horizon] if there are several steps.

    Understood are the old list of one forecast object with numpy `samples` [..., horizon,
    sample], and a plain numpy array or torch tensor (CPU or CUDA) [sample], [sample, horizon] or
    [1, sample, horizon], alone or in a list, a tuple, or a dict under "samples"; of float16,
    bfloat16, float32 or float64; pickle protocols 2 to 5.

    Raises:
        FileFormatError: the file is anything else, is truncated, a link or above 64 MiB, or a
            sample is not finite. The message says what was found, names of classes included.
        OSError: the file cannot be read at all.
    """
    data = _contents(Path(path))
    try:
        return _layout(load_arrays(data))
    except (ValueError, LookupError) as error:
        problem = str(error)[:200]
        raise FileFormatError(f"{path} is not a forecast of the old cache: {problem}") from None


def _contents(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise FileFormatError(f"{path} is a symbolic link: expected a file") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FileFormatError(f"{path} is not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise FileFormatError(f"{path} has {status.st_size} bytes: at most {MAX_FILE_BYTES}")
        with io.FileIO(descriptor, closefd=False) as file:
            return file.read(status.st_size) or b""
    finally:
        os.close(descriptor)


def _layout(value: object) -> Floats:
    """Samples from what a file holds: a few containers of one thing around an array."""
    sample_last = False
    for _ in range(4):
        if isinstance(value, list | tuple):
            require(len(value) == 1, f"it holds {len(value)} forecasts")
            value = value[0]
        elif isinstance(value, dict):
            require(list(value) == ["samples"], "it is a dict of something else than samples")
            value = value["samples"]
        elif isinstance(value, Forecast):
            sample_last, value = True, value.samples
    if not isinstance(value, Array):
        raise ValueError("it holds no array of samples")
    array = value.floats()
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    require(1 <= array.ndim <= 2 and array.size > 0, f"its samples have shape {array.shape}")
    if sample_last and array.ndim == 2:
        array = array.T
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    with np.errstate(all="ignore"):
        samples: Floats = np.array(array, dtype=np.float32, order="C")
    require(bool(np.isfinite(samples).all()), "samples are not finite")
    return samples
