"""Parameters by symbol, from the old program's files of hyperparameters.

    {HYPERPARAM_ROOT}/toto/{SYMBOL}.json          config: num_samples, samples_per_batch, aggregate
    {HYPERPARAM_ROOT}/kronos/{SYMBOL}.json        config: temperature, top_p, top_k, ...
    {HYPERPARAM_ROOT}/best/{SYMBOL}.json          model: toto, kronos, or what Toto stands in for
    {HYPERPARAM_ROOT}/close_policy/{SYMBOL}.json  close_policy: INSTANT_CLOSE or KEEP_OPEN

Files are read anew at each call; a program's own loader is asked once a process. A file that is not
there means the defaults; one that cannot be understood is an error that names it.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from marketsim.atomic import replace_file
from marketsim.errors import ArgumentError, FileFormatError, UnknownNameError
from marketsim.legacy.stock.parameter_files import parameter_path, read_parameters
from marketsim.legacy.stock.quirks import crypto_symbols
from marketsim.legacy.stock.settings import LegacySettings, current_settings, setting
from marketsim.legacy.stock.toto_aggregation import native_spec
from marketsim.models.aggregation import parse_aggregate
from marketsim.text import get_logger

logger = get_logger(__name__)

CLOSE_POLICIES = ("INSTANT_CLOSE", "KEEP_OPEN")
DEFAULT_KRONOS_PARAMS: dict[str, float | int] = {
    "temperature": 0.152,
    "top_p": 0.83,
    "top_k": 20,
    "sample_count": 192,
    "max_context": 232,
    "clip": 1.85,
}
_WHOLE_KRONOS = ("top_k", "sample_count", "max_context")
# What has been said of a symbol, so that it is said once.
_said: dict[tuple[str, str], str] = {}
# What a program's own loader said: the loader and its arguments.
_answers: dict[tuple[Any, ...], Any] = {}


class SamplingBounds(NamedTuple):
    """What num_samples and samples_per_batch are clamped to; the upper ones are included."""

    min_num_samples: int
    max_num_samples: int
    min_samples_per_batch: int
    max_samples_per_batch: int

    @classmethod
    def of(cls, settings: LegacySettings) -> SamplingBounds:
        """The bounds that the environment sets: a batch never needs more draws than there are."""
        least = max(settings.toto_min_num_samples, settings.toto_min_samples_per_batch)
        return cls(
            least,
            max(least, settings.toto_max_num_samples),
            settings.toto_min_samples_per_batch,
            settings.toto_max_samples_per_batch,
        )

    def clamp(self, num_samples: int, samples_per_batch: int) -> tuple[int, int]:
        """Both numbers within their bounds; a batch holds at most all samples."""
        samples = max(self.min_num_samples, min(self.max_num_samples, num_samples))
        most = min(self.max_samples_per_batch, samples_per_batch, samples)
        return samples, max(self.min_samples_per_batch, most)


def explain_clamp(num_samples: int, samples_per_batch: int, settings: LegacySettings) -> list[str]:
    """Why these numbers would not be used as they are; one sentence each, none where they would.

    Example:
        >>> explain_clamp(32, 32, LegacySettings())
        ['num_samples=32 has no effect: 128 is used, the least (MARKETSIM_TOTO_MIN_NUM_SAMPLES)']
    """
    bounds = SamplingBounds.of(settings)
    samples, batch = bounds.clamp(num_samples, samples_per_batch)
    reasons = []
    if samples != num_samples:
        side = "the least (MARKETSIM_TOTO_MIN_NUM_SAMPLES)"
        if samples < num_samples:
            side = "the most (MARKETSIM_TOTO_MAX_NUM_SAMPLES)"
        elif samples > settings.toto_min_num_samples:
            side = "a batch at the least (MARKETSIM_TOTO_MIN_SAMPLES_PER_BATCH)"
        reasons.append(f"num_samples={num_samples} has no effect: {samples} is used, {side}")
    if batch != samples_per_batch:
        side = "the least (MARKETSIM_TOTO_MIN_SAMPLES_PER_BATCH)"
        if batch < samples_per_batch:
            side = "the most (MARKETSIM_TOTO_MAX_SAMPLES_PER_BATCH)"
            if batch == samples:
                side = "all samples"
        reasons.append(
            f"samples_per_batch={samples_per_batch} has no effect: {batch} is used, {side}"
        )
    if settings.fast_testing:
        reasons.append("no parameter file has an effect: FAST_TESTING is set")
    return reasons


def clamp_toto_params(symbol: str, params: dict[str, Any]) -> dict[str, Any]:
    """Clamp num_samples and samples_per_batch in place, and say so once a symbol; returns params.

    Raises:
        ArgumentError: an environment variable has a value that it does not know.

    Example:
        >>> clamp_toto_params("AAPL", {"num_samples": 32, "samples_per_batch": 16})["num_samples"]
        128
    """
    return _clamped(symbol, params, current_settings())


def _clamped(symbol: str, params: dict[str, Any], settings: LegacySettings) -> dict[str, Any]:
    given = (
        int(params.get("num_samples", settings.toto_num_samples)),
        int(params.get("samples_per_batch", settings.toto_samples_per_batch)),
    )
    kept = SamplingBounds.of(settings).clamp(*given)
    params["num_samples"], params["samples_per_batch"] = kept
    if kept != given:
        _say(
            "clamped",
            symbol,
            f"sampling of {symbol} clamped to num_samples={kept[0]}, samples_per_batch={kept[1]} "
            f"(was {given[0]}, {given[1]})",
        )
    return params


class HyperparamRecord(NamedTuple):
    """What a file of parameters says, as `load_best_config` of the old program gave it.

    Attributes:
        config: the parameters.
        validation, test, metadata: what they were chosen by.
        path: the file.
    """

    config: dict[str, Any]
    validation: dict[str, Any]
    test: dict[str, Any]
    metadata: dict[str, Any]
    path: Path


def load_best_config(model: str, symbol: str) -> HyperparamRecord | None:
    """The parameters of a symbol for "toto", "kronos" or "chronos2"; None without a file.

    Raises:
        InvalidNameError, FileFormatError: as `resolve_toto_params`.
    """
    record = read_parameters(model, symbol, root=setting("hyperparam_root"))
    if record is None:
        return None
    content = record.content
    return HyperparamRecord(
        record.config,
        content.get("validation", {}),
        content.get("test", {}),
        content.get("metadata", {}),
        record.path,
    )


def load_model_selection(symbol: str) -> dict[str, Any] | None:
    """What best/{SYMBOL}.json says; None without a file."""
    record = read_parameters("best", symbol, root=setting("hyperparam_root"))
    return None if record is None else record.content


def load_close_policy(symbol: str) -> str | None:
    """What close_policy/{SYMBOL}.json says; None without a file.

    Raises:
        FileFormatError: it says neither INSTANT_CLOSE nor KEEP_OPEN.
    """
    record = read_parameters("close_policy", symbol, root=setting("hyperparam_root"))
    if record is None or "close_policy" not in record.content:
        return None
    policy = record.text("close_policy", "")
    if policy not in CLOSE_POLICIES:
        expected = " or ".join(CLOSE_POLICIES)
        raise FileFormatError(f"{record.path}: close_policy must be {expected}: got {policy!r}")
    return policy


def save_close_policy(
    symbol: str, close_policy: str, comparison_results: dict[str, Any] | None = None
) -> Path:
    """Write close_policy/{SYMBOL}.json in one step; returns its path.

    Raises:
        UnknownNameError: the policy is neither INSTANT_CLOSE nor KEEP_OPEN.
        InvalidNameError: the symbol must not become a path.
    """
    if close_policy not in CLOSE_POLICIES:
        raise UnknownNameError("close policy", close_policy, CLOSE_POLICIES)
    content: dict[str, Any] = {"symbol": symbol, "close_policy": close_policy}
    if comparison_results:
        content["comparison"] = comparison_results
    path = parameter_path("close_policy", symbol, root=setting("hyperparam_root"))
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, (json.dumps(content, indent=2) + "\n").encode())
    return path


def asked_once(load: Callable[..., Any]) -> Callable[..., Any]:
    """A program's own loader, asked once for each of its arguments, as the old module did.

    Our own ones are returned as they are: they read files anew. `forget_answers` asks again.
    """
    if load in (load_best_config, load_model_selection):
        return load

    def ask(*arguments: str) -> Any:
        key = (load, *arguments)
        if key not in _answers:
            _answers[key] = load(*arguments)
        return _answers[key]

    return ask


def forget_answers() -> None:
    """Ask a program's own loaders again."""
    _answers.clear()


def _config(load: Callable[[str, str], Any], model: str, symbol: str) -> tuple[dict[str, Any], str]:
    """The parameters of a symbol, and where they come from."""
    record = load(model, symbol)
    if record is None:
        return {}, "the defaults"
    return dict(record.config), str(getattr(record, "path", "load_best_config"))


def resolve_toto_params(
    symbol: str, load: Callable[[str, str], Any] = load_best_config
) -> dict[str, Any]:
    """num_samples, samples_per_batch and aggregate of a symbol, clamped.

    With FAST_TESTING those of the FAST_TOTO_... variables, else those of its file, else the
    defaults of the environment.

    Raises:
        InvalidNameError: the symbol must not become a path.
        FileFormatError: its file cannot be understood.
        ArgumentError: an environment variable has a value that it does not know.
    """
    settings = current_settings()
    if settings.fast_testing:
        _say("toto", symbol, f"FAST_TESTING: fast Toto parameters for {symbol}")
        return _clamped(symbol, fast_toto_params(settings), settings)
    config, where = _config(load, "toto", symbol)
    _say("toto", symbol, f"Toto parameters of {symbol}: {where}")
    return _clamped(symbol, toto_params_of(config, settings, where), settings)


def fast_toto_params(settings: LegacySettings) -> dict[str, Any]:
    """The parameters of FAST_TESTING; not clamped."""
    return {
        "num_samples": settings.fast_toto_num_samples,
        "samples_per_batch": settings.fast_toto_samples_per_batch,
        "aggregate": settings.fast_toto_agg_spec,
    }


def toto_params_of(
    config: dict[str, Any], settings: LegacySettings, where: str | Path
) -> dict[str, Any]:
    """num_samples, samples_per_batch and aggregate as a file says, or the defaults; not clamped.

    Raises:
        FileFormatError: one is not what it has to be; `where` names the file.
    """
    samples, batch = settings.toto_num_samples, settings.toto_samples_per_batch
    return {
        "num_samples": _whole(config, "num_samples", samples, where),
        "samples_per_batch": _whole(config, "samples_per_batch", batch, where),
        "aggregate": _aggregate(config, settings.toto_aggregation_spec, where),
    }


def resolve_kronos_params(
    symbol: str,
    load: Callable[[str, str], Any] = load_best_config,
    defaults: Mapping[str, float | int] = DEFAULT_KRONOS_PARAMS,
) -> dict[str, Any]:
    """temperature, top_p, top_k, sample_count, max_context and clip of a symbol.

    MARKETSIM_KRONOS_SAMPLE_COUNT goes before the file, and the file before `defaults`.

    Raises:
        InvalidNameError, FileFormatError, ArgumentError: as `resolve_toto_params`.
    """
    settings = current_settings()
    config, where = _config(load, "kronos", symbol)
    _say("kronos", symbol, f"Kronos parameters of {symbol}: {where}")
    params: dict[str, Any] = {}
    for name, default in defaults.items():
        if name in _WHOLE_KRONOS:
            least = 0 if name == "top_k" else 1
            params[name] = _whole(config, name, int(default), where, least=least)
        else:
            params[name] = _positive(config, name, default, where)
    if settings.kronos_sample_count is not None:
        params["sample_count"] = settings.kronos_sample_count
    return params


def check_override(model: str, symbol: str) -> str:
    """A model that a program asks for: "toto" or "kronos".

    Raises:
        UnknownNameError: another one.
        ArgumentError: "chronos2", which forecasts by way of the program's own wrapper.
    """
    name = model.strip().lower()
    if name == "chronos2":
        raise ArgumentError(
            f"model_override={model!r} for {symbol}: Chronos-2 does not forecast in the drop-in; "
            "set TOTO_MODEL_ID=amazon/chronos-2 and model_override='toto', or leave it out"
        )
    if name not in ("toto", "kronos"):
        raise UnknownNameError("model of model_override", model, ("toto", "kronos"))
    return name


def resolve_best_model(
    symbol: str,
    load: Callable[[str], Mapping[str, Any] | None] = load_model_selection,
    *,
    testing: bool | None = None,
) -> str:
    """Which model forecasts a symbol: "toto", "kronos", or what its file says.

    TESTING and MARKETSIM_FORCE_TOTO mean toto, MARKETSIM_FORCE_KRONOS kronos; else the file in
    best/ says it, else toto. Toto forecasts for any name but kronos, as it did in the version of
    November 2025; a line of the log says so.

    Raises:
        InvalidNameError, FileFormatError, ArgumentError: as `resolve_toto_params`.
    """
    if setting("testing") if testing is None else testing:
        return "toto"
    if setting("force_toto"):
        _say("model", symbol, f"MARKETSIM_FORCE_TOTO: Toto forecasts {symbol}")
        return "toto"
    if setting("force_kronos"):
        _say("model", symbol, f"MARKETSIM_FORCE_KRONOS: Kronos forecasts {symbol}")
        return "kronos"
    selection = load(symbol)
    if selection is None:
        _say("model", symbol, f"no model is chosen for {symbol}: Toto")
        return "toto"
    model = selection.get("model", "toto")
    if not isinstance(model, str):
        path = parameter_path("best", symbol, root=setting("hyperparam_root"))
        raise FileFormatError(f'{path}: "model" must be text: got {model!r}')
    model = model.lower()
    _say("model", symbol, f"{model} is chosen for {symbol}")
    if model not in ("toto", "kronos"):
        _say(
            "stand-in",
            symbol,
            f"{symbol}: the drop-in forecasts with Toto where {model} is chosen; set TOTO_MODEL_ID "
            f"to a checkpoint of {model}, or use marketsim.walk_forward with it",
            logging.WARNING,
        )
    return model


def resolve_close_policy(
    symbol: str,
    crypto: Collection[str] = crypto_symbols,
    load: Callable[[str], str | None] = load_close_policy,
) -> str:
    """INSTANT_CLOSE or KEEP_OPEN: what the file in close_policy/ says, else by the kind of symbol.

    Crypto is closed at once, all else kept open.

    Raises:
        InvalidNameError, FileFormatError: as `resolve_toto_params`.
    """
    policy = load(symbol)
    if policy is not None:
        return policy
    default = "INSTANT_CLOSE" if symbol in crypto else "KEEP_OPEN"
    _say("close policy", symbol, f"no close policy is kept for {symbol}: {default}")
    return default


def _say(kind: str, symbol: str, message: str, level: int = logging.INFO) -> None:
    """Log what has been decided for a symbol when it is new."""
    if _said.get((kind, symbol)) != message:
        _said[kind, symbol] = message
        logger.log(level, "%s", message)


def _whole(
    config: dict[str, Any], name: str, default: int, where: str | Path, *, least: int = 1
) -> int:
    value = config.get(name, default)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and math.isfinite(value) and int(value) == value and value >= least:
        return int(value)
    raise FileFormatError(
        f"{where}: config.{name} must be a whole number of at least {least}: got {value!r}"
    )


def _positive(config: dict[str, Any], name: str, default: float, where: str | Path) -> float:
    value = config.get(name, default)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and math.isfinite(value) and value > 0:
        return float(value)
    raise FileFormatError(f"{where}: config.{name} must be a number above 0: got {value!r}")


def _aggregate(config: dict[str, Any], default: str, where: str | Path) -> str:
    spec = config.get("aggregate", default)
    try:
        parse_aggregate(native_spec(spec) if isinstance(spec, str) else spec)
    except UnknownNameError as error:
        raise FileFormatError(f"{where}: config.aggregate: {error}") from None
    return str(spec)
