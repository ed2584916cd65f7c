"""The environment variables of the old functions, read in this one place.

`current_settings()` reads all of them, `setting(name)` one; both read anew at each call, so that
what a program sets after the import counts, too. A value that a variable does not know is an error
that names the variable; an empty one counts as unset.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from marketsim import _core
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.legacy.stock.toto_aggregation import native_spec
from marketsim.models.aggregation import parse_aggregate
from marketsim.text import get_logger

logger = get_logger(__name__)

Optimizer: TypeAlias = Literal["exact", "direct", "differential_evolution"]
Quirks: TypeAlias = Literal["legacy", "fixed"]

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
DEFAULT_MODEL_ID = "Datadog/Toto-Open-Base-1.0"
DEFAULT_KRONOS_ID = "NeoQuasar/Kronos-base"
DEFAULT_KRONOS_TOKENIZER_ID = "NeoQuasar/Kronos-Tokenizer-base"
DEFAULT_AGGREGATE = "trimmed_mean_10"

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


@dataclass(frozen=True)
class LegacySettings:
    """What the environment asks of the old functions.

    Attributes:
        fast_simulate: at most 35 simulations.
        fast_optimize: 100 evaluations of the profit, where DIRECT searches.
        optimizer: how offsets are found: exactly, by DIRECT, or by differential evolution.
        max_horizon: validation days of a simulation, at least 1.
        backtest_simulations: how many simulations a program that reads the variable asks for.
        force_toto: Toto forecasts every symbol, also with `force_kronos`.
        force_kronos: Kronos forecasts every symbol.
        kronos_sample_count: draws of Kronos, before what a parameter file says; None: that.
        toto_device: "cpu", "cuda" or "cuda:<index>"; None: a GPU where there is one.
        toto_min_num_samples, toto_max_num_samples: what num_samples is clamped to.
        toto_min_samples_per_batch, toto_max_samples_per_batch: the same of samples_per_batch.
        allow_cpu_fallback: a GPU that is asked for and not there is replaced by the CPU.
        cache_predictions: forecasts are kept and found again.
        disk_cache: the folder of the decorator `disk_cache`, or "off"; None: functions in
            marketsim's folder in the user's cache folder.
        data: where prices come from if the program does not say: a folder or a provider's name.
        toto_model_id: a hub id, a checkpoint's folder, or a statistical model such as "ewma".
        toto_num_samples, toto_samples_per_batch: where no parameter file says so.
        toto_aggregation_spec: the point forecast, where no parameter file says so.
        toto_compile: torch.compile translates the network; None: it does not.
        toto_disable_compile: it does not, whatever `toto_compile` says.
        toto_compile_mode: a mode of torch.compile, checked; the network chooses its own.
        kronos_model_id, kronos_tokenizer_id: hub ids, or folders, of Kronos and its tokenizer.
        kronos_compile, kronos_compile_mode: as those of Toto.
        toto_ci_guard_multiplier: by what the confidence guard multiplies the band.
        testing: nothing is kept on disk, and the model is Toto.
        allow_mock_analytics: the model is Toto.
        fast_testing: the parameters of the three variables FAST_TOTO_... instead of the files'.
        real_testing: read for compatibility; nothing depends on it.
        fast_toto_num_samples, fast_toto_samples_per_batch, fast_toto_agg_spec: see `fast_testing`.
        tensorboard: scalars are written where a writer is installed.
        hyperparam_root: the folder of the parameter files.
        force_release_models: `release_model_resources` drops the models at once.
        toto_keepalive_seconds, kronos_keepalive_seconds: how long an idle model is kept.
        quirks: "legacy" reproduces the old functions' quirks, "fixed" mends what has a switch.
    """

    fast_simulate: bool = False
    fast_optimize: bool = False
    optimizer: Optimizer = "exact"
    max_horizon: int = 7
    backtest_simulations: int = 70
    force_toto: bool = False
    force_kronos: bool = False
    kronos_sample_count: int | None = None
    toto_device: str | None = None
    toto_min_num_samples: int = 128
    toto_max_num_samples: int = 4096
    toto_min_samples_per_batch: int = 32
    toto_max_samples_per_batch: int = 512
    allow_cpu_fallback: bool = False
    cache_predictions: bool = True
    disk_cache: str | None = None
    data: str | None = None
    toto_model_id: str = DEFAULT_MODEL_ID
    toto_num_samples: int = 3072
    toto_samples_per_batch: int = 384
    toto_aggregation_spec: str = DEFAULT_AGGREGATE
    toto_compile: bool | None = None
    toto_disable_compile: bool = False
    toto_compile_mode: str | None = None
    kronos_model_id: str = DEFAULT_KRONOS_ID
    kronos_tokenizer_id: str = DEFAULT_KRONOS_TOKENIZER_ID
    kronos_compile: bool | None = None
    kronos_compile_mode: str | None = None
    toto_ci_guard_multiplier: float = 1.0
    testing: bool = False
    allow_mock_analytics: bool = False
    fast_testing: bool = False
    real_testing: bool = False
    fast_toto_num_samples: int = 2048
    fast_toto_samples_per_batch: int = 256
    fast_toto_agg_spec: str = "quantile_0.35"
    tensorboard: bool = True
    hyperparam_root: Path = Path("hyperparams")
    force_release_models: bool = False
    toto_keepalive_seconds: float = 900.0
    kronos_keepalive_seconds: float = 900.0
    quirks: Quirks = "legacy"

    @property
    def compile_toto(self) -> bool:
        """Whether torch.compile translates Toto: asked for, and not disabled."""
        return bool(self.toto_compile) and not self.toto_disable_compile


class Variable(NamedTuple):
    """A variable of the environment: what of `LegacySettings` it sets, and how it is read."""

    name: str
    field: str
    parse: Callable[[str, str], Any]


def setting(field: str) -> Any:
    """One field of `current_settings()`, in a fraction of a microsecond; no other is read.

    Raises:
        ArgumentError: its variable has a value that it does not know.

    Example:
        >>> setting("max_horizon") >= 1
        True
    """
    if assigned and field in assigned:
        return assigned[field]
    for name in _NAMES[field]:
        text = _core.environment_variable(name)
        if text and text.strip():
            return _parsed(name, text)
    return _DEFAULTS[field]


# Fields that a program has assigned to a constant of an old module.
assigned: dict[str, Any] = {}


def assign(field: str, value: object) -> None:
    """Let a value go before the environment, until what the environment says is assigned, or None.

    Raises:
        ArgumentError: its variable does not know the value.
    """
    parsed = None if value is None else _parsed(_NAMES[field][0], str(value))
    assigned.pop(field, None)
    if value is not None and parsed != setting(field):
        assigned[field] = parsed


def forget_assigned() -> None:
    """Let the environment decide everything again."""
    assigned.clear()


def current_settings() -> LegacySettings:
    """All settings as the environment has them now; a line of the log says which are active.

    Raises:
        ArgumentError: a variable has a value that it does not know, or lower bounds exceed upper
            ones.
    """
    _log_unused(tuple(unused_variables()))
    return _settings(tuple(active_variables().items()), tuple(assigned.items()))


def active_variables() -> dict[str, str]:
    """The variables that are set, name to text, in the order of `VARIABLES`."""
    texts = ((name, _core.environment_variable(name)) for name in _BY_NAME)
    return {name: text for name, text in texts if text and text.strip()}


@lru_cache(maxsize=64)
def _settings(
    texts: tuple[tuple[str, str], ...], assigned: tuple[tuple[str, Any], ...]
) -> LegacySettings:
    """The settings that (variable, text) pairs stand for; a change of them is logged once."""
    values: dict[str, Any] = dict(assigned)
    for name, text in texts:
        values.setdefault(_BY_NAME[name].field, _parsed(name, text))
    settings = LegacySettings(**values)
    _check_bounds(settings, values)
    active = ", ".join(f"{name}={text}" for name, text in texts)
    logger.info("settings from the environment: %s", active or "none; all are at their defaults")
    return settings


def unused_variables() -> dict[str, str]:
    """The variables that are set and have no effect, and why; `WITHOUT_EFFECT` has them all."""
    return {
        name: reason
        for name, reason in WITHOUT_EFFECT.items()
        if (_core.environment_variable(name) or "").strip()
    }


@lru_cache(maxsize=64)
def _log_unused(names: tuple[str, ...]) -> None:
    """One line, once for each set of variables."""
    if names:
        told = "; ".join(f"{name}: {WITHOUT_EFFECT[name]}" for name in names)
        logger.warning("variables that are set and have no effect: %s", told)


def _check_bounds(settings: LegacySettings, given: Collection[str]) -> None:
    """Bounds that contradict each other; an upper one that nobody has set follows the lower one."""
    for what in ("num_samples", "samples_per_batch"):
        if f"toto_max_{what}" not in given:
            continue
        least = getattr(settings, f"toto_min_{what}")
        most = getattr(settings, f"toto_max_{what}")
        if least > most:
            names = [_NAMES[f"toto_{bound}_{what}"][0] for bound in ("min", "max")]
            raise ArgumentError(
                f"{names[0]}={least} exceeds {names[1]}={most}: lower the one or raise the other"
            )


@lru_cache(maxsize=256)
def _parsed(name: str, text: str) -> Any:
    return _BY_NAME[name].parse(name, text.strip())


def _refused(name: str, text: str, expected: str) -> ArgumentError:
    return ArgumentError(f"the environment variable {name} must be {expected}: got {text!r}")


def _flag(name: str, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise _refused(name, text, f"one of {', '.join(_TRUE)}, or of {', '.join(_FALSE)}")


def _whole(name: str, text: str) -> int:
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= 1_000_000:
        return int(text)
    raise _refused(name, text, "a whole number from 1 to 1,000,000")


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and value >= 0.0:
        return value
    raise _refused(name, text, "a number of at least 0")


def _optimizer(name: str, text: str) -> Optimizer:
    if text.lower() == "exact":
        return "exact"
    try:
        return "direct" if _flag(name, text) else "differential_evolution"
    except ArgumentError:
        expected = "exact, 1 (DIRECT) or 0 (differential evolution)"
        raise _refused(name, text, expected) from None


def _device(name: str, text: str) -> str:
    kind, colon, index = text.lower().partition(":")
    plain = not colon and kind in ("cpu", "cuda")
    if plain or (kind == "cuda" and index.isascii() and index.isdecimal()):
        return text.lower()
    raise _refused(name, text, "cpu, cuda or cuda:<index>")


def _aggregate(name: str, text: str) -> str:
    try:
        parse_aggregate(native_spec(text))
    except UnknownNameError as error:
        raise ArgumentError(f"the environment variable {name}: {error}") from None
    return text


def _one_of(*known: str) -> Callable[[str, str], str]:
    def parse(name: str, text: str) -> str:
        if text.lower() in known:
            return text.lower()
        raise _refused(name, text, f"one of {', '.join(known)}")

    return parse


def _text(_: str, text: str) -> str:
    return text


def _path(_: str, text: str) -> Path:
    return Path(text)


# Where two variables set a field, the first that is set counts.
VARIABLES = (
    Variable("MARKETSIM_FAST_SIMULATE", "fast_simulate", _flag),
    Variable("MARKETSIM_FAST_OPTIMIZE", "fast_optimize", _flag),
    Variable("MARKETSIM_USE_DIRECT_OPTIMIZER", "optimizer", _optimizer),
    Variable("MARKETSIM_MAX_HORIZON", "max_horizon", _whole),
    Variable("MARKETSIM_BACKTEST_SIMULATIONS", "backtest_simulations", _whole),
    Variable("MARKETSIM_FORCE_TOTO", "force_toto", _flag),
    Variable("MARKETSIM_FORCE_KRONOS", "force_kronos", _flag),
    Variable("MARKETSIM_KRONOS_SAMPLE_COUNT", "kronos_sample_count", _whole),
    Variable("MARKETSIM_TOTO_DEVICE", "toto_device", _device),
    Variable("MARKETSIM_TOTO_MIN_NUM_SAMPLES", "toto_min_num_samples", _whole),
    Variable("MARKETSIM_TOTO_MAX_NUM_SAMPLES", "toto_max_num_samples", _whole),
    Variable("MARKETSIM_TOTO_MIN_SAMPLES_PER_BATCH", "toto_min_samples_per_batch", _whole),
    Variable("MARKETSIM_TOTO_MAX_SAMPLES_PER_BATCH", "toto_max_samples_per_batch", _whole),
    Variable("MARKETSIM_ALLOW_CPU_FALLBACK", "allow_cpu_fallback", _flag),
    Variable("MARKETSIM_CACHE_PREDICTIONS", "cache_predictions", _flag),
    Variable("MARKETSIM_DISK_CACHE", "disk_cache", _text),
    Variable("MARKETSIM_DATA", "data", _text),
    Variable("TOTO_MODEL_ID", "toto_model_id", _text),
    Variable("TOTO_NUM_SAMPLES", "toto_num_samples", _whole),
    Variable("TOTO_SAMPLES_PER_BATCH", "toto_samples_per_batch", _whole),
    Variable("TOTO_AGGREGATION_SPEC", "toto_aggregation_spec", _aggregate),
    Variable("TOTO_COMPILE", "toto_compile", _flag),
    Variable("MARKETSIM_TOTO_COMPILE", "toto_compile", _flag),
    Variable("TOTO_DISABLE_COMPILE", "toto_disable_compile", _flag),
    Variable("MARKETSIM_TOTO_DISABLE_COMPILE", "toto_disable_compile", _flag),
    Variable("REAL_TOTO_COMPILE_MODE", "toto_compile_mode", _one_of(*COMPILE_MODES)),
    Variable("TOTO_COMPILE_MODE", "toto_compile_mode", _one_of(*COMPILE_MODES)),
    Variable("KRONOS_MODEL_ID", "kronos_model_id", _text),
    Variable("KRONOS_TOKENIZER_ID", "kronos_tokenizer_id", _text),
    Variable("KRONOS_COMPILE", "kronos_compile", _flag),
    Variable("MARKETSIM_KRONOS_COMPILE", "kronos_compile", _flag),
    Variable("KRONOS_COMPILE_MODE", "kronos_compile_mode", _one_of(*COMPILE_MODES)),
    Variable("TOTO_CI_GUARD_MULTIPLIER", "toto_ci_guard_multiplier", _number),
    Variable("TESTING", "testing", _flag),
    Variable("MARKETSIM_ALLOW_MOCK_ANALYTICS", "allow_mock_analytics", _flag),
    Variable("FAST_TESTING", "fast_testing", _flag),
    Variable("REAL_TESTING", "real_testing", _flag),
    Variable("FAST_TOTO_NUM_SAMPLES", "fast_toto_num_samples", _whole),
    Variable("FAST_TOTO_SAMPLES_PER_BATCH", "fast_toto_samples_per_batch", _whole),
    Variable("FAST_TOTO_AGG_SPEC", "fast_toto_agg_spec", _aggregate),
    Variable("MARKETSIM_TENSORBOARD", "tensorboard", _flag),
    Variable("HYPERPARAM_ROOT", "hyperparam_root", _path),
    Variable("MARKETSIM_FORCE_RELEASE_MODELS", "force_release_models", _flag),
    Variable("MARKETSIM_TOTO_KEEPALIVE_SECONDS", "toto_keepalive_seconds", _number),
    Variable("MARKETSIM_KRONOS_KEEPALIVE_SECONDS", "kronos_keepalive_seconds", _number),
    Variable("MARKETSIM_LEGACY_QUIRKS", "quirks", _one_of("legacy", "fixed")),
)
# What the old modules read and ours has no use for: why.
WITHOUT_EFFECT = {
    "TOTO_COMPILE_BACKEND": "the network chooses its own way of compiling",
    "REAL_TOTO_COMPILE_BACKEND": "the network chooses its own way of compiling",
    "KRONOS_COMPILE_BACKEND": "Kronos is not compiled",
    "TOTO_DTYPE": "precision is float32 unless torch_dtype or amp_dtype says otherwise",
    "KRONOS_DTYPE": "precision is float32 unless the wrapper's dtype says otherwise",
    "COMPILED_MODELS_DIR": "nothing compiled is kept",
    "TORCHINDUCTOR_CACHE_DIR": "torch reads it by itself",
    "MARKETSIM_GPU_METRICS_MODE": "GPU memory is not logged; see profile_toto_memory",
    "MARKETSIM_GPU_METRICS_PEAK_TOLERANCE_MB": "GPU memory is not logged",
    "MARKETSIM_TOTO_MAX_OOM_RETRIES": "a model short of memory makes smaller batches",
    "MARKETSIM_TOTO_BACKTEST_MAX_RETRIES": "a model short of memory makes smaller batches",
    "TORCH_COMPILED": "TOTO_COMPILE asks for torch.compile",
    "CHRONOS_COMPILE": "Chronos-2 is the program's own wrapper here",
    "CHRONOS_COMPILE_BACKEND": "Chronos-2 is the program's own wrapper here",
    "CHRONOS_COMPILE_MODE": "Chronos-2 is the program's own wrapper here",
    "CHRONOS_DTYPE": "Chronos-2 is the program's own wrapper here",
    "ONLY_CHRONOS2": "Chronos-2 does not forecast in the drop-in",
    "PCTDIFF_MAX_DAILY_RETURN": "evaluate_pctdiff_strategy takes at most 10 % a day",
    "ENABLE_PCTDIFF_MIDPOINT": "evaluate_pctdiff_strategy has no midpoint",
    "MAXDIFF_FORCE_CPU": "offsets are searched where their tensors are",
    "MAXDIFF_TIMING_DEBUG": "see marketsim profile --legacy",
    "MARKETSIM_CACHE_DISK": "MARKETSIM_STORE says where forecasts are kept",
    "MARKETSIM_WARMUP_MODELS": "models are not warmed up",
    "CHRONOS2_FREQUENCY": "parameters of Chronos-2 are those of daily bars",
}
_BY_NAME = {variable.name: variable for variable in VARIABLES}
_NAMES = {
    field: tuple(variable.name for variable in VARIABLES if variable.field == field)
    for field in LegacySettings.__dataclass_fields__
}
_DEFAULTS = {name: field.default for name, field in LegacySettings.__dataclass_fields__.items()}
