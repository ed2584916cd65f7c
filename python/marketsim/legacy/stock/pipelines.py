"""The models of the old functions: loaded once, asked through the prediction store, let go."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from marketsim.errors import CudaUnavailableError
from marketsim.legacy.stock.settings import LegacySettings, current_settings, setting
from marketsim.legacy.stock.toto_wrapper import TotoForecast, TotoPipeline, check_device
from marketsim.models.load import is_statistical
from marketsim.text import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marketsim.forecasts import ForecastStore

logger = get_logger(__name__)


# What makes and asks a pipeline of ours; a test may have patched the class.
_OWN_METHODS = {name: TotoPipeline.__dict__[name] for name in ("from_pretrained", "predict")}


@dataclass
class _Resident:
    """A model in memory.

    Attributes:
        key: what it was loaded for.
        holder: the pipeline or wrapper, with a method `unload`.
        used: when it was last asked for, by `time.monotonic`.
    """

    key: tuple[Any, ...]
    holder: Any
    used: float = field(default_factory=time.monotonic)


# All that is resident, guarded by the lock: one Toto, and a Kronos for each set of parameters.
_lock = threading.RLock()
_toto: _Resident | None = None
kronos_wrappers: dict[tuple[Any, ...], Any] = {}
kronos_used: dict[tuple[Any, ...], float] = {}


def is_ours(pipeline: object) -> bool:
    """Whether that is a pipeline of marketsim, whose model is asked directly."""
    return type(pipeline) is TotoPipeline


def is_patched(pipeline_class: type) -> bool:
    """Whether a method that makes or asks pipelines was replaced in their class."""
    return any(pipeline_class.__dict__.get(name) is not own for name, own in _OWN_METHODS.items())


def load_toto_pipeline(pipeline_class: Any = TotoPipeline) -> Any:
    """The pipeline that the environment asks for; loaded once, and again when that changes.

    TOTO_MODEL_ID says which model, MARKETSIM_TOTO_DEVICE where it computes (a GPU where there is
    one), TOTO_COMPILE whether torch.compile translates it. Weights are read with the first
    forecast that the store does not have.

    Args:
        pipeline_class: its `from_pretrained` makes the pipeline.

    Raises:
        CudaUnavailableError: a GPU is asked for that is not there, and MARKETSIM_ALLOW_CPU_FALLBACK
            is not set; else as `TotoPipeline.from_pretrained`.
    """
    global _toto
    settings = current_settings()
    device = "cpu" if is_statistical(settings.toto_model_id) else chosen_device(settings)
    made_by = vars(pipeline_class).get("from_pretrained", pipeline_class)
    key = (settings.toto_model_id, device, settings.compile_toto, settings.fast_testing, made_by)
    with _lock:
        if _toto is None or _toto.key != key:
            drop_toto()
            _drop_kronos()
            _toto = _Resident(key, _loaded_toto(settings, device, pipeline_class))
        _toto.used = time.monotonic()
        return _toto.holder


def load_kronos_wrapper(
    params: Mapping[str, Any],
    wrapper_class: Any = None,
    release_toto: Callable[[], None] | None = None,
) -> Any:
    """The Kronos wrapper of these parameters; loaded once a set.

    KRONOS_MODEL_ID and KRONOS_TOKENIZER_ID say which checkpoint. It computes on a GPU where there
    is one.

    Args:
        params: temperature, top_p, top_k, sample_count, max_context, clip, as
            `resolve_kronos_params` gives them.
        wrapper_class: makes the wrapper; None: `KronosForecastingWrapper`. Where its memory runs
            out, Toto is let go, and it is made once more.
        release_toto: lets Toto go; None: our own pipeline.

    Raises:
        As `KronosForecastingWrapper`.
    """
    if wrapper_class is None:
        from marketsim.legacy.stock.kronos_wrapper import KronosForecastingWrapper

        wrapper_class = KronosForecastingWrapper
    settings = current_settings()
    names = ("temperature", "top_p", "top_k", "sample_count", "max_context", "clip")
    asked = {name: params[name] for name in names}
    ids = (settings.kronos_model_id, settings.kronos_tokenizer_id)
    compiled = bool(settings.kronos_compile)
    key = (*ids, *asked.values(), compiled, wrapper_class)
    with _lock:
        if key not in kronos_wrappers:
            build = partial(
                wrapper_class,
                model_name=ids[0],
                tokenizer_name=ids[1],
                device=_best_device(),
                compile=compiled,
                **asked,
            )
            try:
                kronos_wrappers[key] = build()
            except (RuntimeError, MemoryError) as error:
                from marketsim.models.neural.batching import is_out_of_memory

                if not is_out_of_memory(error):
                    raise
                logger.warning("no memory for Kronos beside Toto: Toto is let go (%s)", error)
                (release_toto or drop_toto)()
                kronos_wrappers[key] = build()
        kronos_used[key] = time.monotonic()
        return kronos_wrappers[key]


def cached_predict(
    context: Any,
    prediction_length: int,
    num_samples: int,
    samples_per_batch: int,
    *,
    symbol: str | None = None,
    pipeline: Any = None,
) -> list[TotoForecast]:
    """Forecast what follows a context, through the prediction store.

    Args:
        context: [time] or [batch, time]; see `TotoPipeline.predict`.
        prediction_length: how many steps.
        num_samples: how many draws `.numpy()` shows; no draw is made before somebody looks.
        samples_per_batch: without effect on the numbers.
        symbol: whose context it is; without effect, since a forecast depends on its context alone.
        pipeline: who forecasts; None: the pipeline that is set. One that is not ours, or whose
            `predict` was replaced, is asked by `predict`, and nothing is kept.

    Returns:
        One forecast a context; `.numpy()` is what the old function's was, `.distribution` the exact
        one. It is the same whether the store had it or not.

    Raises:
        ArgumentError: as `TotoPipeline.predict`; else as `load_toto_pipeline`.
    """
    asked = load_toto_pipeline() if pipeline is None else pipeline
    if not is_ours(asked) or is_patched(type(asked)):
        made: list[TotoForecast] = asked.predict(
            context=context,
            prediction_length=prediction_length,
            num_samples=num_samples,
            samples_per_batch=samples_per_batch,
        )
        return made
    forecasts: list[TotoForecast] = asked.forecast(
        context,
        prediction_length,
        num_samples,
        store=prediction_store(),
        samples_per_batch=samples_per_batch,
    )
    return forecasts


def prediction_store() -> ForecastStore | None:
    """Where the old functions keep forecasts; None with TESTING or MARKETSIM_CACHE_PREDICTIONS=0.

    Else the user's store: MARKETSIM_STORE, or the one in the user's cache folder.
    """
    from marketsim.forecasts import open_store

    kept = setting("cache_predictions") and not setting("testing")
    return open_store(None) if kept else None


def log_store() -> None:
    """Log where forecasts of the old functions are kept, or that they are not."""
    store = prediction_store()
    where = "nowhere" if store is None else str(getattr(store, "root", store))
    logger.info("forecasts are kept: %s; `marketsim store stat` counts them", where)


def log_cpu(feature: str, symbol: str | None) -> None:
    """Say that the CPU stands in for a GPU."""
    target = f"{feature} ({symbol})" if symbol else feature
    logger.warning("%s: there is no GPU; the CPU computes the same, slower", target)


def require_cuda(feature: str, symbol: str | None, allow_cpu_fallback: bool) -> None:
    """Raise for want of a GPU.

    Raises:
        CudaUnavailableError: always.
    """
    target = f"{feature} ({symbol})" if symbol else feature
    hint = ", or set MARKETSIM_ALLOW_CPU_FALLBACK=1 to use the CPU" if allow_cpu_fallback else ""
    raise CudaUnavailableError(
        f"{target} requires a CUDA-capable GPU, and torch finds none: install a driver and a torch "
        f"that is built with CUDA{hint}"
    )


def current_pipeline() -> Any:
    """The pipeline that is loaded, if there is one; it is not loaded for this."""
    with _lock:
        return None if _toto is None else _toto.holder


def release_model_resources(*, force: bool = False) -> None:
    """Let go of models that nobody has asked for a while; of all with `force`.

    How long that is say MARKETSIM_TOTO_KEEPALIVE_SECONDS and MARKETSIM_KRONOS_KEEPALIVE_SECONDS
    (900 seconds); MARKETSIM_FORCE_RELEASE_MODELS stands for `force`.
    """
    settings = current_settings()
    every = force or settings.force_release_models
    now = time.monotonic()
    with _lock:
        if _toto is not None and (every or now - _toto.used >= settings.toto_keepalive_seconds):
            drop_toto()
        for key in list(kronos_wrappers):
            idle = now - kronos_used.get(key, 0.0)
            if every or idle >= settings.kronos_keepalive_seconds:
                _drop_wrapper(key)


def profile_toto_memory(
    *,
    symbol: str = "AAPL",
    num_samples: int,
    samples_per_batch: int,
    context_length: int = 256,
    prediction_length: int = 7,
    runs: int = 1,
    reset_between_runs: bool = True,
) -> dict[str, Any]:
    """The GPU memory that forecasts take, in units of 10^6 bytes; 0 on a CPU.

    Args:
        symbol: named in the result.
        num_samples, samples_per_batch: as for `cached_predict`; forecasts take the same memory
            whatever they are, since no draws are made.
        context_length, prediction_length: of the forecast, from a context of random numbers.
        runs: how many forecasts.
        reset_between_runs: measure the peak of each by itself.

    Returns:
        symbol, num_samples, samples_per_batch, peak_mb (at most), delta_mb (above what was there
        before), runs.
    """
    pipeline = load_toto_pipeline()
    peak = delta = 0
    generator = np.random.default_rng(0)
    for run in range(max(1, int(runs))):
        context = generator.standard_normal(int(context_length)).astype(np.float32)
        before = _allocated(pipeline, reset=reset_between_runs or run == 0)
        pipeline.predict(
            context, prediction_length, num_samples, samples_per_batch=samples_per_batch
        )
        most = _peak(pipeline)
        peak, delta = max(peak, most), max(delta, most - before)
    return {
        "symbol": symbol,
        "num_samples": int(num_samples),
        "samples_per_batch": int(samples_per_batch),
        "peak_mb": peak / 1e6,
        "delta_mb": delta / 1e6,
        "runs": max(1, int(runs)),
    }


def chosen_device(settings: LegacySettings) -> str:
    """Where networks compute: what MARKETSIM_TOTO_DEVICE says, else a GPU where there is one.

    Raises:
        CudaUnavailableError: a GPU is asked for that is not there, and MARKETSIM_ALLOW_CPU_FALLBACK
            is not set.
    """
    wanted = settings.toto_device
    if wanted is None:
        return _best_device()
    try:
        return check_device(wanted)
    except CudaUnavailableError as error:
        if not settings.allow_cpu_fallback:
            raise CudaUnavailableError(
                f"MARKETSIM_TOTO_DEVICE={wanted}: {error}, or set MARKETSIM_ALLOW_CPU_FALLBACK=1"
            ) from None
        logger.warning("MARKETSIM_TOTO_DEVICE=%s is not there: the CPU forecasts instead", wanted)
        return "cpu"


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _loaded_toto(settings: LegacySettings, device: str, pipeline_class: Any) -> Any:
    dtype = None
    if settings.fast_testing and device != "cpu":
        import torch

        dtype = torch.bfloat16
    if settings.toto_compile_mode is not None and settings.compile_toto:
        logger.info(
            "TOTO_COMPILE_MODE=%s has no effect: the network chooses by its device",
            settings.toto_compile_mode,
        )
    return pipeline_class.from_pretrained(
        model_id=settings.toto_model_id,
        device_map=device,
        torch_dtype=dtype,
        torch_compile=settings.compile_toto,
        compile_mode=settings.toto_compile_mode,
        min_samples_per_batch=settings.toto_min_samples_per_batch,
        min_num_samples=settings.toto_min_num_samples,
    )


def drop_toto() -> None:
    """Unload our own pipeline."""
    global _toto
    with _lock:
        if _toto is not None:
            if hasattr(_toto.holder, "unload"):
                _toto.holder.unload()
            _toto = None


def _drop_kronos() -> None:
    with _lock:
        for key in list(kronos_wrappers):
            _drop_wrapper(key)


def _drop_wrapper(key: tuple[Any, ...]) -> None:
    wrapper = kronos_wrappers.pop(key)
    kronos_used.pop(key, None)
    if hasattr(wrapper, "unload"):
        wrapper.unload()


def _allocated(pipeline: TotoPipeline, *, reset: bool) -> int:
    if pipeline.device == "cpu":
        return 0
    import torch

    torch.cuda.synchronize(pipeline.device)
    if reset:
        torch.cuda.reset_peak_memory_stats(pipeline.device)
    return int(torch.cuda.memory_allocated(pipeline.device))


def _peak(pipeline: TotoPipeline) -> int:
    if pipeline.device == "cpu":
        return 0
    import torch

    torch.cuda.synchronize(pipeline.device)
    return int(torch.cuda.max_memory_allocated(pipeline.device))
