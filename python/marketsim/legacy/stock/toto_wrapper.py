"""TotoPipeline with the old signatures, on the models of `marketsim.load_model`.

A forecast is the model's exact distribution. Samples are drawn from it only where somebody looks at
`.samples` or `.numpy()`, from a seed that follows from the context and the model.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim.arguments import is_whole
from marketsim.errors import (
    ArgumentError,
    LegacyReplacementError,
    ModelReleasedError,
    UnknownNameError,
)
from marketsim.legacy.stock.assignments import watch_callee
from marketsim.legacy.stock.context_forecasts import forecast_contexts
from marketsim.legacy.stock.settings import DEFAULT_MODEL_ID
from marketsim.models import Distribution, Model, load_model
from marketsim.models.load import is_statistical
from marketsim.models.neural.device import check_cuda
from marketsim.models.traits import traits_of
from marketsim.text import get_logger

if TYPE_CHECKING:
    import torch

    from marketsim.forecasts import ForecastStore

__all__ = ["TotoForecast", "TotoPipeline", "setup_toto_wrapper_imports"]

logger = get_logger(__name__)

Array = npt.NDArray[np.float64]
Samples = npt.NDArray[np.float32]

CACHE_POLICIES = ("prefer", "never", "only")
_DTYPES = ("float32", "float16", "bfloat16")
# Options of `predict` besides its arguments. Only the first is ever reported; none changes numbers.
_PREDICT_OPTIONS = (
    "samples_per_batch",
    "max_oom_retries",
    "min_samples_per_batch",
    "min_num_samples",
    "time_interval_seconds",
    "use_kv_cache",
)
_PIPELINE_OPTIONS = {"max_oom_retries": 2, "min_samples_per_batch": 32, "min_num_samples": 256}


class TotoForecast:
    """The forecast of one context.

    Args:
        samples: draws, [..., horizon, sample]; or they are drawn when they are looked at.
        distribution: the exact forecast, of shape [horizon].
        draw: makes the draws [sample, horizon].

    Attributes:
        distribution: the exact forecast [horizon]; None where only samples were given.
    """

    def __init__(
        self,
        samples: npt.ArrayLike | None = None,
        *,
        distribution: Distribution | None = None,
        draw: Callable[[], Array] | None = None,
    ) -> None:
        if (samples is None) == (draw is None):
            raise ArgumentError("a forecast needs samples, or what draws them, and not both")
        self.distribution = distribution
        self._samples = None if samples is None else np.asarray(samples)
        self._draw = draw

    @property
    def samples(self) -> npt.NDArray[Any]:
        """The draws as the old wrapper held them: float32 [1, 1, horizon, sample]."""
        if self._samples is None:
            assert self._draw is not None
            drawn = np.asarray(self._draw(), dtype=np.float32)
            self._samples = np.ascontiguousarray(drawn.T)[None, None]
        return self._samples

    def numpy(self) -> npt.NDArray[Any]:
        """The draws: [sample, horizon], or [sample] of a forecast of one step."""
        samples = self.samples
        for axes in (4, 3):
            if samples.ndim == axes and samples.shape[0] == 1:
                samples = samples[0]
        if samples.ndim == 2:
            return samples[0] if samples.shape[0] == 1 else samples.T
        return samples

    def __repr__(self) -> str:
        made = "not drawn" if self._samples is None else f"samples {self._samples.shape}"
        return f"TotoForecast({made})"


class TotoPipeline:
    """A model of `marketsim.load_model` behind the old pipeline's methods.

    Args:
        model: what forecasts.
        device: where the model computes; it must be the model's own.
        torch_dtype, amp_dtype, amp_autocast, compile_model, torch_compile, compile_mode,
            compile_backend: kept as attributes; a model states by itself how it computes.
        max_oom_retries, min_samples_per_batch, min_num_samples: kept as attributes. No draws are
            made in batches, and where memory is short the model makes smaller ones by itself.

    Attributes:
        model: the model; None once it is unloaded.
        device: "cpu", "cuda" or "cuda:<index>".
        last_run_metadata: what the last forecast was asked for; None before it.

    Raises:
        ArgumentError: `model` is no model of marketsim, or computes elsewhere.
    """

    def __init__(
        self,
        model: Model,
        device: str = "cuda",
        *,
        torch_dtype: torch.dtype | None = None,
        amp_dtype: torch.dtype | None = None,
        amp_autocast: bool = True,
        max_oom_retries: int = 2,
        min_samples_per_batch: int = 32,
        min_num_samples: int = 256,
        compile_model: bool = True,
        torch_compile: bool = False,
        compile_mode: str | None = "max-autotune",
        compile_backend: str | None = None,
    ) -> None:
        if not isinstance(model, Model):
            raise ArgumentError(
                f"model must be a model of marketsim, such as load_model gives: got {model!r}; "
                "TotoPipeline.from_pretrained takes a hub id or a checkpoint's folder"
            )
        traits = traits_of(model)
        self.device = traits.device
        if device != self.device and not is_statistical(model.name):
            raise ArgumentError(
                f"device={device!r}, and the model computes on {self.device!r}: load it there"
            )
        self.model: Model | None = model
        self.max_oom_retries = max(0, int(max_oom_retries))
        self.min_samples_per_batch = max(1, int(min_samples_per_batch))
        self.min_num_samples = max(1, int(min_num_samples))
        self.amp_dtype = amp_dtype if amp_autocast and self.device != "cpu" else None
        self.memory_observations: dict[Any, Any] = {}
        self._asked = {"torch_compile": torch_compile, "mode": compile_mode, "dtype": torch_dtype}
        self._backend = compile_backend
        self._metadata: dict[str, Any] | None = None

    @classmethod
    def from_pretrained(
        cls,
        model_id: str = DEFAULT_MODEL_ID,
        device_map: str = "cuda",
        torch_dtype: torch.dtype | None = None,
        *,
        compile_model: bool = True,
        compile_mode: str | None = "max-autotune",
        amp_dtype: torch.dtype | None = None,
        amp_autocast: bool = True,
        torch_compile: bool = False,
        compile_backend: str | None = None,
        cache_policy: str = "prefer",
        warmup_sequence: int = 512,
        force_refresh: bool = False,
        cache_manager: Any = None,
        **kwargs: Any,
    ) -> TotoPipeline:
        """A pipeline around the model of that name.

        Args:
            model_id: a hub id, a checkpoint's folder, or a statistical model, which computes on the
                CPU whatever is asked for.
            device_map: "cpu", "cuda" or "cuda:<index>".
            torch_dtype: torch.float32 (the default), torch.bfloat16, or torch.float16 on a GPU.
            amp_dtype: the precision on a GPU where torch_dtype says none and amp_autocast is true.
                The old default of float16 is not: without it, matrix products are float32.
            torch_compile: translate the network with torch.compile.
            compile_model, compile_mode, compile_backend, warmup_sequence, force_refresh,
                cache_manager: nothing is compiled or cached that they could change.
            cache_policy: "prefer", "never" or "only"; nothing depends on it.
            **kwargs: options of `load_model` (revision, cache_dir, offline; local_files_only is
                offline), and the constructor's max_oom_retries, min_samples_per_batch,
                min_num_samples.

        Raises:
            CudaUnavailableError: a GPU is asked for and cannot be had.
            UnknownNameError: no model, device, precision, policy or option of that name; else as
                `load_model`.
        """
        _refuse_replaced()
        if cache_policy.lower() not in CACHE_POLICIES:
            raise UnknownNameError("cache policy", cache_policy, CACHE_POLICIES)
        own = {name: kwargs.pop(name, value) for name, value in _PIPELINE_OPTIONS.items()}
        if "local_files_only" in kwargs:
            kwargs["offline"] = bool(kwargs.pop("local_files_only"))
        device = check_device(str(device_map))
        if is_statistical(str(model_id)):
            model, device = load_model(model_id, **kwargs), "cpu"
        else:
            half = amp_dtype if amp_autocast and device != "cpu" else None
            model = load_model(
                model_id,
                device=device,
                dtype=_dtype_name(torch_dtype or half),
                compile=bool(torch_compile),
                **kwargs,
            )
        logger.info("loaded %s on %s", model.name, device)
        return cls(
            model,
            device,
            torch_dtype=torch_dtype,
            amp_dtype=amp_dtype,
            amp_autocast=amp_autocast,
            compile_model=compile_model,
            torch_compile=torch_compile,
            compile_mode=compile_mode,
            compile_backend=compile_backend,
            **own,
        )

    @property
    def compiled(self) -> bool:
        """Whether torch.compile translates the network."""
        return self.model is not None and traits_of(self.model).compiled

    @property
    def model_dtype(self) -> torch.dtype:
        """The precision of the model's matrix products, or float64 of a statistical model."""
        import torch

        name = "float64" if self.model is None else traits_of(self.model).dtype
        dtype = getattr(torch, name)
        assert isinstance(dtype, torch.dtype)
        return dtype

    @property
    def last_run_metadata(self) -> dict[str, Any] | None:
        """What the last forecast was asked for, under the old names; None before it."""
        return self._metadata

    def predict(
        self,
        context: Any,
        prediction_length: int,
        num_samples: int = 4096,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        **kwargs: Any,
    ) -> list[TotoForecast]:
        """Forecast what follows each context.

        Args:
            context: [time] or [batch, time], a tensor, an array or lists; taken as float32, as the
                old pipeline did.
            prediction_length: how many steps.
            num_samples: how many draws `.samples` and `.numpy()` show.
            temperature, top_k, top_p: without effect, as in the old pipeline.
            **kwargs: samples_per_batch, max_oom_retries, min_samples_per_batch, min_num_samples,
                time_interval_seconds, use_kv_cache: without effect on the numbers.

        Returns:
            One forecast a context.

        Raises:
            ModelReleasedError: the pipeline was unloaded.
            UnknownNameError: an option of another name.
            ArgumentError: a context of another shape, or a number out of its range.
        """
        return self.forecast(context, prediction_length, num_samples, store=None, **kwargs)

    def forecast(
        self,
        context: Any,
        prediction_length: int,
        num_samples: int,
        *,
        store: ForecastStore | None,
        **kwargs: Any,
    ) -> list[TotoForecast]:
        """As `predict`, by way of a prediction store."""
        if self.model is None:
            raise ModelReleasedError("this pipeline was unloaded: load it again")
        for name in kwargs:
            if name not in _PREDICT_OPTIONS:
                raise UnknownNameError("option of TotoPipeline.predict", name, _PREDICT_OPTIONS)
        steps = _at_least_one("prediction_length", prediction_length)
        count = _at_least_one("num_samples", num_samples)
        per_batch = min(
            count, _at_least_one("samples_per_batch", kwargs.get("samples_per_batch", 512))
        )
        rows = _rows(context)
        made = forecast_contexts(self.model, list(rows), steps, store)
        self._note(len(rows), count, per_batch)
        return [
            TotoForecast(distribution=one, draw=_drawer(self.model, row, one, steps, count))
            for row, one in zip(rows, made, strict=True)
        ]

    def unload(self) -> None:
        """Let go of the model and of a GPU's memory; forecasts that were made stay valid."""
        self.model = None
        if self.device != "cpu":
            import torch

            gc.collect()
            torch.cuda.empty_cache()

    def _note(self, batch: int, samples: int, per_batch: int) -> None:
        self._metadata = {
            "num_samples_requested": samples,
            "num_samples_used": samples,
            "samples_per_batch_requested": per_batch,
            "samples_per_batch_used": per_batch,
            "torch_dtype": str(self.model_dtype),
            "torch_compile_requested": bool(self._asked["torch_compile"]),
            "torch_compile_success": self.compiled,
            "torch_compile_mode": self._asked["mode"],
            "torch_compile_backend": self._backend,
            "batch_size": batch,
        }


# What the old module took from the original package; our network calls none of it.
_ORIGINALS = ("Toto", "TotoForecaster", "MaskedTimeseries")


def __getattr__(name: str) -> Any:
    """`torch`, and `Toto` of the original package: each None where it cannot be imported."""
    where = {"torch": ("torch", None), "Toto": ("toto.model.toto", "Toto")}
    if name not in where:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, of = where[name]
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    return found if of is None else getattr(found, of)


def _refuse_replaced() -> None:
    for name in _ORIGINALS:
        if name in globals():
            raise LegacyReplacementError(
                f"src.models.toto_wrapper.{name} was replaced, which has no effect: marketsim has "
                "a network of its own. Replace TotoPipeline, or backtest_test3_inline.pipeline"
            )


def _inference_context() -> Any:
    """What a block runs in that computes no gradients."""
    import torch

    return torch.inference_mode()


def setup_toto_wrapper_imports(**_: Any) -> None:
    """Nothing: the old module was handed its libraries by this."""


def check_device(device: str) -> str:
    """The device as torch knows it, if it can be had.

    Raises:
        UnknownNameError: no device of that name.
        CudaUnavailableError: a GPU is asked for and cannot be had.
    """
    wanted = device.lower()
    if wanted.partition(":")[0] == "cpu":
        return "cpu"
    check_cuda(wanted)
    return wanted


def _dtype_name(dtype: Any) -> Any:
    name = "float32" if dtype is None else str(dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise UnknownNameError("dtype", str(dtype), _DTYPES)
    return name


def _rows(context: Any) -> Array:
    """[batch, time], as float64 of the float32 values."""
    if hasattr(context, "detach"):  # a tensor
        context = context.detach().float().cpu().numpy()
    array = np.asarray(context, dtype=np.float32)
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.size == 0:
        raise ArgumentError(f"context must be [time] or [batch, time]: got shape {array.shape}")
    return array.astype(np.float64)


def _at_least_one(name: str, value: Any) -> int:
    if not is_whole(value) or value < 1:
        raise ArgumentError(f"{name} must be a whole number of at least 1: got {value!r}")
    return int(value)


def _drawer(
    model: Model, row: Array, made: Distribution, steps: int, count: int
) -> Callable[[], Array]:
    """What draws [sample, horizon], the same each time."""

    def draw() -> Array:
        key = blake3(model.fingerprint.encode() + row.tobytes()).digest(length=8)
        seed = int.from_bytes(key, "little") >> 1
        if 0 < traits_of(model).path_steps < steps:
            # A step beyond them depends on what was drawn before it.
            return np.asarray(
                cast(Any, model).sample_paths([row], horizon=steps, n=count, seed=seed)[:, 0]
            )
        return made.sample(count, seed)

    return draw


watch_callee(__name__, kept=["TotoPipeline"], more=(*_ORIGINALS, "torch"))
