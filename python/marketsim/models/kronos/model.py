"""Kronos as a model of marketsim."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from marketsim.arguments import as_number, is_whole
from marketsim.errors import ArgumentError, CheckpointError
from marketsim.models.contexts import check_horizon
from marketsim.models.fingerprint import ModelIdentity
from marketsim.models.inputs import ModelInputs
from marketsim.models.kronos.config import COLUMNS, KronosConfig, TokenizerConfig
from marketsim.models.kronos.sampling import Sampling
from marketsim.models.kronos.series import BarSeries, OneSeries, Values, read_series
from marketsim.models.neural.batching import Batch, BatchRunner, Row
from marketsim.models.neural.checkpoint import Checkpoint, locate
from marketsim.models.neural.device import Execution
from marketsim.models.protocol import no_returns
from marketsim.models.samples import SampleDistribution
from marketsim.models.shown import ShownModel
from marketsim.models.traits import ModelTraits
from marketsim.timing import stage

_MAX_CONTEXT = 512
_READ = COLUMNS[:5]  # of the bars of a run; amounts follow from volumes
_PRICES, _HIGH, _LOW, _CLOSE = 4, 1, 2, 3
_ADVICE = "fewer samples, a smaller max_context or another device"


@dataclass(frozen=True)
class BarForecast:
    """Forecast bars.

    Attributes:
        paths: float32 [series, sample, step, column], each sample one path into the future; in the
            units of the series given.
        mean: float32 [series, step, column], the mean of the paths; what the original returns.
        columns: open, high, low, close, volume, amount.
    """

    paths: Values
    mean: Values
    columns: tuple[str, ...] = COLUMNS


class Kronos(ShownModel):
    """Kronos: forecasts of whole bars, drawn token by token.

    Each bar becomes a token of two halves, and the network draws the next token from those before.
    The numbers are the original's: tokens, logits, scaling, filters and the window that slides.
    Weights are read when the first forecast is made.

        model = ms.load_model("NeoQuasar/Kronos-small")       # its tokenizer goes with it
        made = model.predict_bars([frame], None, [days_to_come], horizon=7, samples=8, seed=1)
        made.mean[0, :, 3]                                    # seven closes
        made.paths[0, :, 0, 3]                                # eight draws of the first of them

    For an adapter of the original's `KronosPredictor`:

    - `predict(df, x_timestamp, y_timestamp, pred_len, T, top_k, top_p, sample_count)` is
      `predict_bars([df], [x_timestamp], [y_timestamp], horizon=pred_len, temperature=T,
      top_k=top_k, top_p=top_p, samples=sample_count).mean[0]`, and `predict_batch` is the same
      with several; series may differ in length here. `max_context` and `clip` are options of
      `load_model`. A frame's columns are found by name, in any case; others are ignored.
    - Hours and days are read on the clock that timestamps have: convert those with a time zone
      beforehand if another clock is meant, as `.tz_convert(None)` does for UTC.
    - Draws follow from `seed` and the series' content, not from torch's generator, so a sampled
      forecast equals the original's in distribution only; with top_k=1 it equals it in number.
    - `release()` gives the memory of the weights back; the next forecast reads them again.
    - `predict` and `predict_each`, which take one series without its bars, refuse, and say so.

    In `walk_forward`, `evaluate_forecasts` and the like a forecast of bar t is `samples` candles
    drawn from the `context_length` bars before it, as log moves against the close before. The
    highest of a candle's four prices is its high, the lowest its low. The very first bar of a file
    is not seen.

    Args:
        checkpoint: the predictor's files.
        execution: device and precision. The tokenizer is float32 in any case, since a token hangs
            on the signs of its numbers.
        tokenizer: folder or hub id of the tokenizer; None for the one that a published predictor
            was trained with (mini: Kronos-Tokenizer-2k, small and base: Kronos-Tokenizer-base).
        tokenizer_revision: branch, tag or commit of its hub repository.
        max_context: how many tokens are seen at most; None for the 2,048 of mini or the 512 of
            the others.
        clip: where scaled values end, on both sides.
        context_length: how many bars before the one that is forecast a run hands over, which also
            decide how they are scaled; None for `max_context`.
        samples, temperature, top_k, top_p, seed: of the candles that a run draws, see `Sampling`.
        cache_dir, offline: for a tokenizer by hub id; see `load_model`.

    Attributes:
        name: the hub id, or the folder's name.
        checkpoint, tokenizer: the files of the predictor and of the tokenizer.
        execution: device and precision.
        max_context, clip: as given.

    Raises:
        ArgumentError: an option out of its range.
        CheckpointError: a configuration that is not known, or two that do not go together.
        CheckpointNotFoundError: no such tokenizer.
    """

    # Part of the fingerprint: raise it with every change that may change a forecast.
    version = 3
    levels = tuple(i / 10 for i in range(1, 10))

    @property
    def traits(self) -> ModelTraits:
        """Traits of the model."""
        return ModelTraits(
            levels=self.levels, rows=self.context_length, columns=_READ, joint=True, bars=True,
            timestamps=True, targets=("close",), horizons=1, draws=self.sampling.samples,
            device=self.execution.device, dtype=self.execution.dtype,
        )  # fmt: skip

    def __init__(
        self,
        checkpoint: Checkpoint,
        execution: Execution,
        *,
        tokenizer: str | os.PathLike[str] | None = None,
        tokenizer_revision: str | None = None,
        max_context: int | None = None,
        clip: float = 5.0,
        context_length: int | None = None,
        samples: int = 64,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 0.9,
        seed: int = 0,
        cache_dir: str | os.PathLike[str] | None = None,
        offline: bool = False,
    ) -> None:
        self.execution = _plain(execution).check()
        self.name, self.checkpoint = checkpoint.name, checkpoint
        self.config = KronosConfig.of(checkpoint.config, checkpoint.name)
        pairing = self.config.pairing
        if max_context is None:
            max_context = _MAX_CONTEXT if pairing is None else pairing.max_context
        if not is_whole(max_context) or max_context < 1:
            raise ArgumentError(
                f"max_context must be a whole number of at least 1: got {max_context!r}"
            )
        if isinstance(clip, bool) or not 0.0 < as_number("clip", clip) < math.inf:
            raise ArgumentError(f"clip must be a finite number above 0: got {clip!r}")
        self.max_context, self.clip = int(max_context), float(clip)
        if context_length is not None and (not is_whole(context_length) or context_length < 2):
            raise ArgumentError(
                f"context_length must be a whole number of at least 2: got {context_length!r}"
            )
        self.context_length = self.max_context if context_length is None else int(context_length)
        self.sampling = Sampling(temperature, top_k, top_p, samples, seed).check()
        if tokenizer is None:
            if pairing is None:
                raise ArgumentError(
                    f"{self.name} has the sizes of no published predictor, so nothing says which "
                    f"tokenizer goes with it: name its folder or hub id as tokenizer="
                )
            tokenizer = pairing.tokenizer
        self.tokenizer = locate(
            tokenizer, revision=tokenizer_revision, cache_dir=cache_dir, offline=offline
        )
        self.tokenizer_config = TokenizerConfig.of(self.tokenizer.config, self.tokenizer.name)
        bits = (self.config.first_bits, self.config.second_bits)
        if bits != (self.tokenizer_config.bits,) * 2:
            theirs = self.tokenizer_config.bits
            raise CheckpointError(
                f"{self.name} reads tokens of {bits[0]} + {bits[1]} bits, and "
                f"{self.tokenizer.name} makes such of {theirs} + {theirs}: name the tokenizer that "
                f"goes with it"
            )

    @property
    def identity(self) -> ModelIdentity:
        """Everything that a forecast of a run depends on besides its bars."""
        return ModelIdentity(
            name=self.name,
            code=f"{type(self).__module__} {self.version}",
            context_length=self.context_length,
            levels=self.levels,
            weights=f"{self.checkpoint.digest} {self.tokenizer.digest}",
            configuration={"max_context": self.max_context, "clip": self.clip},
            preprocessing="columns scaled by mean and deviation of all rows given; float32",
            libraries=self.execution.libraries,
            kernel=self.execution.kernel,
            dtype=self.execution.dtype,
            sampling=f"uniform numbers of Philox by path, step and half; {self.sampling}",
            seeding="blake3 of the series' values, their clock, and a seed",
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of `identity`."""
        with stage("load"):
            return self.identity.fingerprint

    @cached_property
    def networks(self) -> Any:
        """Predictor and tokenizer, loaded on first use."""
        from marketsim.models.kronos.generation import Networks
        from marketsim.models.kronos.weights import load_predictor, load_tokenizer

        with stage("load", settle=self.execution.settle):
            predictor = load_predictor(self.checkpoint, self.config)
            predictor.set_precision(self.execution.torch_dtype)
            tokenizer = load_tokenizer(self.tokenizer, self.tokenizer_config)
            prepare = self.execution.prepare
            return Networks(prepare(tokenizer), prepare(predictor), self.max_context)

    def release(self) -> None:
        """Free the weights; the next forecast loads them again."""
        if self.__dict__.pop("networks", None) is not None and self.execution.device != "cpu":
            import torch

            torch.cuda.empty_cache()

    def predict_bars(
        self,
        bars: Sequence[OneSeries] | npt.NDArray[Any],
        timestamps: Sequence[Any] | None = None,
        future_timestamps: Sequence[Any] | None = None,
        *,
        horizon: int,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 0.9,
        samples: int = 1,
        seed: int = 0,
        on_progress: Callable[[int], None] | None = None,
    ) -> BarForecast:
        """Forecast the bars after each series.

        On a CPU the forecast of a series is the same to the last bit, whatever else is forecast
        beside it, and its path i whatever their number.

        Args:
            bars: the series, of any lengths: each `Bars`, a frame with columns open, high, low,
                close and, if known, volume and amount, or an array [time, column] of these in this
                order. Without a volume, volume and amount are 0; without an amount, it is the
                volume times the mean of the four prices. All rows decide how a series is scaled;
                at most the last `max_context` become tokens that are seen.
            timestamps: of each series' rows, ascending: what `pandas.DatetimeIndex` takes. None
                for those of bars and of frames that are indexed by time.
            future_timestamps: of the `horizon` bars to come, for each series. None if the horizon
                is 1, for which they are not needed.
            horizon: how many bars, at most `max_context`.
            temperature, top_k, top_p, samples, seed: see `Sampling`.
            on_progress: called after each batch with the number of series it forecast.

        Raises:
            ArgumentError: missing values or columns, timestamps that do not fit, settings out of
                range.
        """
        steps = check_horizon(horizon)
        if steps > self.max_context:
            raise ArgumentError(
                f"horizon must be at most max_context, {self.max_context}: got {steps}"
            )
        sampling = Sampling(temperature, top_k, top_p, samples, seed).check()
        with stage("prepare"):
            series = read_series(bars, timestamps, future_timestamps, steps, self.clip)
        shape = (len(series), sampling.samples, steps, len(COLUMNS))
        paths, mean = np.empty(shape, np.float32), np.empty((shape[0], *shape[2:]), np.float32)
        for batch, scaled in self._made(series, steps, sampling):
            for row, made in zip(batch.rows, scaled, strict=True):
                slot = int(row.slots[0])
                # The mean is taken before the units, as in the original.
                paths[slot] = series[slot].unscaled(made)
                mean[slot] = series[slot].unscaled(made.mean(axis=0))
            if on_progress is not None:
                on_progress(len(batch.rows))
        return BarForecast(paths, mean)

    def predict_inputs(
        self, inputs: ModelInputs, start: int, *, horizon: int = 1
    ) -> SampleDistribution:
        """Draw the bar after the first t rows, for all t in start .. len(inputs).

        Windows of all t share batches; a draw depends on its own window alone.

        Args:
            inputs: bars, columns open, high, low, close, volume.
            start: the first t.
            horizon: 1.

        Returns:
            Samples of log moves against the close before, shape [t, target, 1].

        Raises:
            ArgumentError: another horizon, or a drawn price that is not above 0.
        """
        if horizon != 1:
            raise ArgumentError(
                f"{self.name} forecasts 1 step ahead in a run (trait horizons): got {horizon}; "
                "predict_bars takes more, with the timestamps of the bars to come"
            )
        ends = np.arange(start, len(inputs) + 1)
        begins = np.maximum(ends - self.context_length, 0)
        times = pd.DatetimeIndex(inputs.timestamps, tz="UTC").tz_convert(inputs.zone)
        spans = [slice(a, b) for a, b in zip(begins.tolist(), ends.tolist(), strict=True)]
        made = self.predict_bars(
            [inputs.values[:, span].T for span in spans],
            [times[span] for span in spans],
            horizon=1,
            **asdict(self.sampling),
        )
        prices = made.paths[:, :, 0, :_PRICES].astype(np.float64)  # [t, sample, price]
        before = inputs.values[_CLOSE, ends - 1]
        if not (prices > 0.0).all():
            t = int(ends[np.flatnonzero(~(prices > 0.0).all(axis=(1, 2)))[0]])
            raise ArgumentError(
                f"{self.name} drew a price at or below 0 for the bar after {times[t - 1]} of "
                f"{inputs.symbol}: its past varies too much for a scale of mean and deviation; "
                "state a smaller context_length or clip"
            )
        least, most = prices.min(axis=-1), prices.max(axis=-1)
        prices[..., _LOW], prices[..., _HIGH] = least, most
        moves = np.log(prices / before[:, None, None])
        return SampleDistribution(np.moveaxis(moves, 1, 0)[..., None])

    def predict(self, contexts: Any, *, horizon: int = 1, mask: Any = None) -> NoReturn:
        """Refuse: it cannot forecast a series of returns.

        Raises:
            ArgumentError: always; `predict_bars` is what to use.
        """
        raise no_returns(self.name)

    def predict_each(self, series: Any, start: int, *, horizon: int = 1) -> NoReturn:
        """Refuse, as `predict`.

        Raises:
            ArgumentError: always.
        """
        raise no_returns(self.name)

    def _made(self, series: Sequence[BarSeries], horizon: int, sampling: Sampling) -> Any:
        """Batches with their scaled paths float32 [row, sample, step, column]."""
        if not series:
            return
        with stage("load"):
            import torch

            from marketsim.models.kronos.generation import Generation, kind_of

            networks = self.networks
        kinds: dict[tuple[int, int], list[Row]] = {}
        for slot, one in enumerate(series):
            size = len(one.values)
            ends, slots = (np.array([number], dtype=np.int64) for number in (size, slot))
            values = one.scaled.T
            row = Row(values, np.ones(values.shape, dtype=np.bool_), ends, slots)
            kinds.setdefault(kind_of(networks, size, horizon), []).append(row)

        def work(batch: Batch) -> Values:
            mine = [series[int(row.slots[0])] for row in batch.rows]
            scaled = [row.values.T for row in batch.rows]
            made = Generation(networks, mine, scaled, horizon, sampling, self._to_device)
            result: Values = made.paths().cpu().numpy()
            return result

        with torch.inference_mode():
            for (width, _), rows in sorted(kinds.items(), reverse=True):
                most = self._most_rows(width, horizon, sampling.samples)
                runner = BatchRunner(most * width * len(COLUMNS), advice=_ADVICE)
                yield from runner.run(rows, 1, work)

    def _most_rows(self, width: int, horizon: int, samples: int) -> int:
        """How many series of that many positions a batch may hold."""
        stack = self.config.stack
        kept = 8 * stack.width * (stack.layers + 2)  # keys and values of a token, in float32
        working = 4 * (10 * stack.width + 4 * stack.hidden)
        each = width * (kept + 8 * stack.width) + samples * horizon * (kept + working)
        return max(1, self.execution.batch_bytes() // each)

    def _to_device(self, array: npt.NDArray[Any]) -> Any:
        import torch

        return torch.from_numpy(array).to(self.execution.torch_device)


def _plain(execution: Execution) -> Execution:
    """The execution, checked for Kronos.

    Raises:
        ArgumentError: compilation or quantisation is requested.
    """
    if execution.compile or execution.quantize is not None:
        raise ArgumentError(
            "Kronos is neither compiled nor quantised: each step of a path has another shape. "
            "Leave compile=False and quantize=None"
        )
    return execution
