"""Small names that programs import from the old backtest, beside its functions."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NoReturn

import torch

from marketsim.errors import LegacyReplacementError


def compiled_models_folder() -> Path:
    """COMPILED_MODELS_DIR, or compiled_models, as an absolute path."""
    return _absolute(os.environ.get("COMPILED_MODELS_DIR") or "compiled_models")


def inductor_folder() -> Path:
    """The folder torch_inductor in `compiled_models_folder`."""
    return compiled_models_folder() / "torch_inductor"


def ensure_compilation_artifacts() -> None:
    """Make both folders, and name them by COMPILED_MODELS_DIR and TORCHINDUCTOR_CACHE_DIR.

    Torch reads the latter where it compiles; nothing of ours is kept in these folders.
    """
    folder, inductor = compiled_models_folder(), inductor_folder()
    inductor.mkdir(parents=True, exist_ok=True)
    os.environ["COMPILED_MODELS_DIR"] = str(folder)
    kept = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(_absolute(kept) if kept else inductor)


def _absolute(path: str) -> Path:
    return Path(path).expanduser().resolve()


def get_lazy_numpy(cache: MutableMapping[str, Any], key: str) -> Any:
    """The array `key`_np of a dict; it is made of the tensor _`key`_tensor when first asked for.

    None where there is neither.
    """
    name = f"{key}_np"
    if name not in cache:
        tensor = cache.get(f"_{key}_tensor")
        if not isinstance(tensor, torch.Tensor):
            return None
        cache[name] = tensor.numpy(force=True).copy()
    return cache[name]


def compute_kronos_forecast(*_: object, **__: object) -> NoReturn:
    """Refuse: no version of the old module has a function of this name.

    Raises:
        LegacyReplacementError: always.
    """
    raise LegacyReplacementError(
        "no version of backtest_test3_inline has _compute_kronos_forecast; "
        "load_kronos_wrapper(resolve_kronos_params(symbol)).predict_series(...) forecasts"
    )


def ensure_kronos_ready(*_: object, **__: object) -> NoReturn:
    """Refuse: it is local to a function in every version of the old module.

    Raises:
        LegacyReplacementError: always.
    """
    raise LegacyReplacementError(
        "ensure_kronos_ready is local to run_single_simulation in every version of "
        "backtest_test3_inline; load_kronos_wrapper(resolve_kronos_params(symbol)) loads Kronos"
    )
