"""Takes forecasts of the old project's cache over into a store, for bars that prove what they are.

The old files say neither what they forecast nor from what. So the bars are replayed
(`marketsim.legacy.stock.cache.files`), and a file is taken only where the replay meets its key:
then its context is known, and with it the key that a forecast from this context has here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from marketsim.bars import TARGETS, Bars, bar_returns
from marketsim.forecasts.digests import digest_contexts, digest_records
from marketsim.forecasts.keys import Flag, RecordKeys, SeriesId
from marketsim.forecasts.schema import Schema
from marketsim.forecasts.store.base import ForecastStore
from marketsim.legacy.stock.cache.files import (
    NUM_SAMPLES,
    SAMPLES_PER_BATCH,
    LegacyForecast,
    find_legacy,
)
from marketsim.models import SampleDistribution

BATCH = 4096  # records appended at a time


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        found: files whose key the replay met.
        imported: forecasts that are new in the store.
        held: forecasts that were there already.
        skipped: forecasts from contexts with gaps: no model is asked from such here.
        unreadable: files that hold no forecast, and why.
    """

    found: int = 0
    imported: int = 0
    held: int = 0
    skipped: int = 0
    unreadable: list[tuple[Path, str]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """All figures as values that JSON knows."""
        return {
            "found": self.found,
            "imported": self.imported,
            "held": self.held,
            "skipped": self.skipped,
            "unreadable": [{"path": str(path), "why": why} for path, why in self.unreadable],
        }


def import_legacy(
    bars: Bars,
    folder: Path,
    store: ForecastStore,
    *,
    model: str,
    context_length: int | None = None,
    levels: tuple[float, ...] | None = None,
    symbols: Sequence[str] | None = None,
    num_samples: Sequence[int] = NUM_SAMPLES,
    samples_per_batch: Sequence[int | None] = SAMPLES_PER_BATCH,
    first_rows: Iterable[int] = (0,),
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Take over the forecasts of one symbol; each is flagged as imported.

    Args:
        bars: the rows that the old code downloaded, exactly, and any number of later ones.
        folder: the old cache, see `find_legacy`.
        store: where they go.
        model: fingerprint of the model that made them, hex digits; whoever imports vouches for it.
        context_length: how many last values that model sees; None for all.
        levels: keep mean, standard deviation and these quantiles of the draws, which is what a run
            with a model of these levels looks up; None keeps the draws themselves.
        symbols, num_samples, samples_per_batch, first_rows, progress: see `find_legacy`.

    Raises:
        ArgumentError, FileFormatError: see `find_legacy`.
        StoreWriteError: the store cannot keep them.
    """
    report = ImportReport()
    found = find_legacy(
        bars,
        folder,
        symbols=symbols,
        num_samples=num_samples,
        samples_per_batch=samples_per_batch,
        first_rows=first_rows,
        on_error=lambda path, error: report.unreadable.append((path, str(error))),
        progress=progress,
    )
    importer = _Importer(bars, store, model, context_length, levels, report)
    for forecast in found:
        importer.add(forecast)
    importer.flush()
    return report


class _Importer:
    """Collects forecasts by schema and appends them in batches."""

    def __init__(
        self,
        bars: Bars,
        store: ForecastStore,
        model: str,
        context_length: int | None,
        levels: tuple[float, ...] | None,
        report: ImportReport,
    ) -> None:
        self.bars, self.store, self.model = bars, store, model
        self.context_length, self.levels, self.report = context_length, levels, report
        self.stamps = bars.timestamps.astype(np.int64)
        self.returns = bar_returns(bars)
        self.waiting: dict[Schema, list[LegacyForecast]] = {}

    def add(self, forecast: LegacyForecast) -> None:
        self.report.found += 1
        if not forecast.complete:
            self.report.skipped += 1
            return
        schema = (
            Schema.of_samples(len(forecast.samples))
            if self.levels is None
            else Schema.quantiles(self.levels)
        )
        batch = self.waiting.setdefault(schema, [])
        batch.append(forecast)
        if len(batch) >= BATCH:
            self._append(schema, self.waiting.pop(schema))

    def flush(self) -> None:
        for schema in list(self.waiting):
            self._append(schema, self.waiting.pop(schema))

    def _append(self, schema: Schema, batch: list[LegacyForecast]) -> None:
        series = SeriesId(self.model, self.bars.symbol, schema.text)
        facts = {"name": "imported", "context_length": self.context_length}
        self.store.describe(self.model, facts)
        for i, target in enumerate(TARGETS):
            chosen = [forecast for forecast in batch if forecast.target == target]
            if not chosen:
                continue
            as_of = np.array([self.stamps[forecast.day - 1] for forecast in chosen])
            digests = [self._digest(series, forecast, i) for forecast in chosen]
            keys = RecordKeys.of(digests, as_of, i, 1, Flag.IMPORTED)
            new = self.store.append(series, keys, _records(schema, chosen))
            self.report.imported += new
            self.report.held += len(chosen) - new

    def _digest(self, series: SeriesId, forecast: LegacyForecast, target: int) -> bytes:
        """The key of a forecast from the rows that the old model saw."""
        first, end = forecast.first_row, forecast.day - 1
        contexts = digest_contexts(
            self.stamps[1 + first :],
            self.returns[target : target + 1, first:],
            np.array([end - first]),
            self.context_length,
        )
        as_of = self.stamps[forecast.day - 1 : forecast.day]
        return bytes(digest_records(series, forecast.target, 1, as_of, contexts)[0])


def _records(schema: Schema, forecasts: list[LegacyForecast]) -> npt.NDArray[np.float32]:
    """The records [forecast, width]; samples are kept as they are."""
    if schema.samples:
        return np.stack([forecast.samples for forecast in forecasts])
    rows = [SampleDistribution(forecast.samples[:, None, None]) for forecast in forecasts]
    return np.concatenate([schema.encode(row) for row in rows])
