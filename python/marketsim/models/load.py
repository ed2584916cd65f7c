"""Load models by name, folder or hub id."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from marketsim.errors import ArgumentError, CheckpointError, UnknownNameError
from marketsim.models.chronos.config import is_chronos_quantiles, is_chronos_samples
from marketsim.models.kronos.config import is_kronos
from marketsim.models.neural.checkpoint import Checkpoint, is_hub_id, locate
from marketsim.models.neural.device import Execution
from marketsim.models.protocol import Model
from marketsim.models.statistical.climatology import ClimatologyModel
from marketsim.models.statistical.ewma import EwmaModel
from marketsim.models.statistical.garch import GarchModel
from marketsim.models.statistical.persistence import PersistenceModel
from marketsim.models.statistical.range import RangeModel
from marketsim.models.timesfm.config import is_timesfm
from marketsim.models.toto1.config import is_toto1
from marketsim.models.toto2.config import is_toto2

_STATISTICAL: dict[str, Callable[..., Model]] = {
    "range": RangeModel,
    "ewma": EwmaModel,
    "climatology": ClimatologyModel,
    "garch": GarchModel,
    "persistence": PersistenceModel,
}
# Models whose weights come with a package.
_PACKAGED = {"fracast": "marketsim.models.fracast.FracastModel"}


def _of(is_kind: Callable[[Mapping[str, Any]], bool]) -> Callable[[Checkpoint], bool]:
    return lambda checkpoint: is_kind(checkpoint.config)


# How a checkpoint is recognised, and the class that it is for.
_FAMILIES: tuple[tuple[str, Callable[[Checkpoint], bool], str], ...] = (
    ("Toto 1.0", _of(is_toto1), "marketsim.models.toto1.model.Toto1Model"),
    ("Toto 2.0", _of(is_toto2), "marketsim.models.toto2.model.Toto2Model"),
    ("Chronos", _of(is_chronos_samples), "marketsim.models.chronos.samples.ChronosSampleModel"),
    ("Kronos", _of(is_kronos), "marketsim.models.kronos.model.Kronos"),
    (
        "Chronos-Bolt and Chronos-2",
        _of(is_chronos_quantiles),
        "marketsim.models.chronos.quantiles.ChronosQuantileModel",
    ),
    # Last: the names of the weights are read from their files.
    (
        "TimesFM 2.5",
        lambda checkpoint: is_timesfm(checkpoint.names()),
        "marketsim.models.timesfm.model.TimesFmModel",
    ),
)
_EXAMPLES = ("a checkpoint's folder", "a hub id such as Datadog/Toto-2.0-22m")


def load_model(
    name_or_folder: str | os.PathLike[str],
    *,
    device: str = "cpu",
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    compile: bool = False,
    **options: Any,
) -> Model:
    """Load a model by name, folder or hub id.

    Args:
        name_or_folder: "range" (window=250, fit=750), "ewma" (decay=0.94, window=500),
            "climatology" (window=250), "garch" (window=1000, refit=40; through arch), "persistence"
            (window=500), "fracast" (trained weights of the package fracast), a folder with
            config.json and model.safetensors (also in shards), or a hub id, which is downloaded
            once. Weights are read when the first forecast is made.
        device: "cpu", "cuda" or "cuda:<index>".
        dtype: "float32", "bfloat16" or, on a GPU, "float16": the precision of matrix products.
        compile: translate the network with torch.compile for each of the few shapes of its batches.
        **options: the model's own parameters. For models with weights context_length=4096, and
            quantize="int8" for Toto; tokenizer=<folder or hub id>, max_context, clip, samples,
            temperature, top_k, top_p and seed for Kronos;
            for hub ids revision="<branch, tag or commit>", cache_dir=<folder> and offline=True.

    Raises:
        UnknownNameError: no model, precision or option of that name.
        ArgumentError: a value out of range, or a device that is not there.
        CheckpointNotFoundError: no such folder or hub id, or a file that is missing.
        CheckpointError: files that cannot be read, or that no known model fits.
        MissingDependencyError: torch or the hub's library is not installed.

    Example:
        >>> load_model("ewma", decay=0.97).name
        'ewma'
    """
    name = os.fspath(name_or_folder)
    if is_statistical(name):
        if (device, dtype, compile) != ("cpu", "float32", False):
            raise ArgumentError(
                f"{name} runs on the CPU in float64: leave device, dtype and compile at their "
                f"defaults (got device={device!r}, dtype={dtype!r}, compile={compile!r})"
            )
        if isinstance(options.get("scale"), (str, os.PathLike)):
            options["scale"] = load_model(options["scale"])
        return _built(_STATISTICAL[name], name, options)
    if name in _PACKAGED:
        if (device, dtype, compile) != ("cpu", "float32", False):
            raise ArgumentError(
                f"{name} runs on the CPU in float32: leave device, dtype and compile at their "
                f"defaults (got device={device!r}, dtype={dtype!r}, compile={compile!r})"
            )
        return _built(_class_at(_PACKAGED[name]), name, options)
    if not name or (not Path(name).expanduser().is_dir() and not is_hub_id(name)):
        raise UnknownNameError("model", name, (*_STATISTICAL, *_PACKAGED, *_EXAMPLES))
    execution = Execution(device, dtype, compile, options.pop("quantize", None)).check()
    where = {
        key: options.pop(key) for key in ("revision", "cache_dir", "offline") if key in options
    }
    checkpoint = locate(name, **where)
    family = _family(checkpoint)
    # Where downloads are kept holds for a tokenizer, too, of models that have one of their own.
    known = _options(family)
    options |= {key: value for key, value in where.items() if key in known}
    return _built(family, name, options, checkpoint, execution)


def model_options(
    name_or_folder: str | os.PathLike[str], *, revision: str | None = None, offline: bool = False
) -> tuple[str, ...]:
    """Return the names of the options that `load_model` takes for a model.

    Raises:
        UnknownNameError, CheckpointNotFoundError, CheckpointError: as `load_model`.
    """
    name = os.fspath(name_or_folder)
    if name in _STATISTICAL:
        return tuple(_options(_STATISTICAL[name]))
    if name in _PACKAGED:
        return tuple(_options(_class_at(_PACKAGED[name])))
    folder = Path(name).expanduser().is_dir()
    if not name or (not folder and not is_hub_id(name)):
        raise UnknownNameError("model", name, (*_STATISTICAL, *_PACKAGED, *_EXAMPLES))
    where = {} if folder else {"revision": revision, "offline": offline}
    every = ["device", "dtype", "compile", "quantize", "revision", "cache_dir", "offline"]
    return (*every, *_options(_family(locate(name, **where))))  # type: ignore[arg-type]


def is_statistical(name: str) -> bool:
    """Whether that is the name of a model without weights, which computes on the CPU in float64."""
    return name in _STATISTICAL


def _class_at(home: str) -> Callable[..., Model]:
    module, _, name = home.rpartition(".")
    found = getattr(import_module(module), name)
    assert callable(found)
    return found  # type: ignore[no-any-return]


def _family(checkpoint: Checkpoint) -> Callable[..., Model]:
    for _, recognises, home in _FAMILIES:
        if recognises(checkpoint):
            return _class_at(home)
    known = ", ".join(family for family, _, _ in _FAMILIES)
    keys = ", ".join(sorted(map(str, checkpoint.config))[:8])
    raise CheckpointError(
        f"config.json of {checkpoint.name} belongs to no model that is known ({known}): "
        f"its keys are {keys}, ..."
    )


def _built(
    model: Callable[..., Model], name: str, options: Mapping[str, Any], *arguments: Any
) -> Model:
    known = _options(model)
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {name}", option, known)
    return model(*arguments, **options)


def _options(model: Callable[..., Model]) -> list[str]:
    return [
        parameter.name
        for parameter in inspect.signature(model).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
