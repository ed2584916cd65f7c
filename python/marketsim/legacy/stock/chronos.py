"""Chronos-2 under later versions' names: parameters of a symbol, the program's own wrapper."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from marketsim.errors import MissingDependencyError
from marketsim.legacy.stock.parameters import load_best_config

_DEFAULTS: dict[str, Any] = {
    "model_id": "amazon/chronos-2",
    "device_map": "cuda",
    "context_length": 512,
    "prediction_length": 7,
    "quantile_levels": (0.1, 0.5, 0.9),
    "batch_size": 128,
    "aggregation": "median",
    "sample_count": 0,
    "scaler": "none",
    "predict_kwargs": {},
}
wrappers: dict[tuple[Any, ...], Any] = {}


def resolve_chronos2_params(symbol: str) -> dict[str, Any]:
    """The parameters of {HYPERPARAM_ROOT}/chronos2/{SYMBOL}.json, or the defaults.

    Raises:
        InvalidNameError, FileFormatError: as `resolve_toto_params`.

    Example:
        >>> resolve_chronos2_params("NOSUCHSYMBOL")["model_id"]
        'amazon/chronos-2'
    """
    record = load_best_config("chronos2", symbol)
    config = {} if record is None else record.config
    params = {name: config.get(name, default) for name, default in _DEFAULTS.items()}
    params["quantile_levels"] = tuple(float(level) for level in params["quantile_levels"])
    params["_config_path"] = None if record is None else str(record.path)
    params["_config_name"] = str(config.get("name") or "")
    return params


def wrapper_class(model_id: str = _DEFAULTS["model_id"]) -> Any:
    """The program's own `Chronos2OHLCWrapper`.

    Raises:
        MissingDependencyError: the program has no module src.models.chronos2_wrapper.
    """
    try:
        return import_module("src.models.chronos2_wrapper").Chronos2OHLCWrapper
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "Chronos2OHLCWrapper is the program's own, of the module src.models.chronos2_wrapper, "
            f"which cannot be imported ({error}); marketsim's Chronos-2 is "
            f"marketsim.load_model({model_id!r})"
        ) from error


def load_chronos2_wrapper(params: Mapping[str, Any]) -> Any:
    """The program's own `Chronos2OHLCWrapper` of these parameters; loaded once a set.

    marketsim has no class of that name: its own Chronos-2 is `marketsim.load_model`.

    Raises:
        MissingDependencyError: the program has no module src.models.chronos2_wrapper.
    """
    wrapper = wrapper_class(params["model_id"])
    names = ("model_id", "device_map", "context_length", "batch_size", "quantile_levels")
    key = tuple(params[name] for name in names)
    if key not in wrappers:
        wrappers[key] = wrapper.from_pretrained(
            model_id=params["model_id"],
            device_map=params["device_map"],
            default_context_length=params["context_length"],
            default_batch_size=params["batch_size"],
            quantile_levels=params["quantile_levels"],
        )
    return wrappers[key]
