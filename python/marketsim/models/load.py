"""Models by name."""

from __future__ import annotations

import inspect
import os
from typing import Any

from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models.protocol import Model
from marketsim.models.statistical import EwmaModel, PersistenceModel, StatisticalModel

_STATISTICAL: dict[str, type[StatisticalModel]] = {
    model.name: model for model in (EwmaModel, PersistenceModel)
}


def load_model(
    name_or_folder: str | os.PathLike[str],
    *,
    device: str = "cpu",
    dtype: str = "float32",
    compile: bool = False,
    **options: Any,
) -> Model:
    """The model of that name.

    Args:
        name_or_folder: "ewma" (decay=0.94, window=500) or "persistence" (window=500).
        device, dtype, compile: for models with weights; the statistical ones run on the CPU in
            float64 and refuse anything but the defaults.
        **options: the model's own parameters.

    Raises:
        UnknownNameError: no model of that name.
        ArgumentError: an option that the model does not have, or a value out of range.

    Example:
        >>> load_model("ewma", decay=0.97).name
        'ewma'
    """
    name = os.fspath(name_or_folder)
    if name not in _STATISTICAL:
        raise UnknownNameError("model", name, _STATISTICAL)
    if (device, dtype, compile) != ("cpu", "float32", False):
        raise ArgumentError(
            f"{name} runs on the CPU in float64: leave device, dtype and compile at their "
            f"defaults (got device={device!r}, dtype={dtype!r}, compile={compile!r})"
        )
    model = _STATISTICAL[name]
    known = list(inspect.signature(model).parameters)
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {name}", option, known)
    return model(**options)
