"""Keys, records and models for tests and benchmarks of the stores."""

from __future__ import annotations

import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterable

import numpy as np
from blake3 import blake3

from marketsim.forecasts import RecordKeys, Schema, SeriesId
from marketsim.forecasts.store.base import Records
from marketsim.models import EwmaModel, ModelIdentity, ModelTraits, SampleDistribution

SCHEMA = Schema.quantiles((0.1, 0.5, 0.9))
SERIES = SeriesId("00ff", "TEST", SCHEMA.text)
DAY = 86_400_000_000_000  # nanoseconds


def keys_for(numbers: Iterable[int], *, flags: int = 0) -> RecordKeys:
    """A key for each number."""
    which = list(numbers)
    digests = [blake3(number.to_bytes(8, "little")).digest(length=16) for number in which]
    return RecordKeys.of(digests, np.array(which, dtype=np.int64) * DAY, 3, 1, flags)


def records_for(numbers: Iterable[int], *, version: int = 0, width: int = SCHEMA.width) -> Records:
    """The record of each number in a version (0 .. 3): values that no other number or version has.

    Exact in float32 while number * width is below 2**22.
    """
    base = np.array(list(numbers), dtype=np.float64)[:, None] * width
    return (base + np.arange(width) + 0.25 * version).astype(np.float32)


def bits(records: Records) -> bytes:
    """The bytes of records: equal only where NaN, signs of zero and all else are."""
    return np.ascontiguousarray(records, dtype=np.float32).tobytes()


class NotingModel:
    """ewma that notes what it is handed, and can be told to see only the last values."""

    name = "noting"

    def __init__(self, context_length: int | None = None, fingerprint: str = "00ff") -> None:
        self.context_length = context_length
        self.identity = ModelIdentity(fingerprint, self.name, context_length, EwmaModel().levels)
        self.inner = EwmaModel()
        self.levels = self.inner.levels
        self.handed: list[tuple[np.ndarray, int]] = []  # (series, start)
        self.is_mute = False

    def note(self, series, start) -> None:
        """Note what is asked; AssertionError of a mute model."""
        assert not self.is_mute, "the model was run"
        self.handed.append((np.array(series), start))

    @property
    def fingerprint(self) -> str:
        """What its author says of it."""
        return self.identity.fingerprint

    @property
    def made(self) -> int:
        """How many forecasts it has made."""
        return sum(len(series) - start + 1 for series, start in self.handed)

    def predict(self, contexts, *, horizon=1, mask=None):
        assert not self.is_mute, "the model was run"
        return self.inner.predict(contexts, horizon=horizon, mask=mask)

    def predict_each(self, series, start, *, horizon=1):
        self.note(series, start)
        if self.context_length is None:
            return self.inner.predict_each(series, start, horizon=horizon)
        ends = range(start, len(series) + 1)
        parts = [series[max(0, end - self.context_length) : end] for end in ends]
        return self.inner.predict(parts, horizon=horizon)


class SampledModel(NotingModel):
    """Draws samples around the last value, each forecast from the seed that it is given."""

    name = "sampled"

    @property
    def traits(self) -> ModelTraits:
        """What it reads and gives."""
        return ModelTraits(self.levels, self.context_length, draws=64, seeded=True)

    def predict_each(self, series, start, *, horizon=1, seeds):
        self.note(series, start)
        assert seeds.dtype == np.uint64
        assert len(seeds) == len(series) - start + 1
        draws = [
            series[end - 1] + np.random.Generator(np.random.Philox(int(seed))).normal(0, 0.01, 64)
            for end, seed in zip(range(start, len(series) + 1), seeds, strict=True)
        ]
        return SampleDistribution(np.array(draws).T[..., None])


def mute(model: NotingModel) -> NotingModel:
    """The same model, which must not be asked."""
    model.is_mute = True
    return model


def in_child(work: Callable[[], object], *, seconds: int = 60) -> None:
    """Run something in a forked child; AssertionError unless it ends well and in time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a process with threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(seconds)  # ends a child that hangs
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    deadline = time.monotonic() + seconds + 5
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, f"the child ended with {status}"
            return
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hung")
