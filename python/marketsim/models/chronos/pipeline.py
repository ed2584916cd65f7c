"""Pipelines of chronos-forecasting, opened from a checkpoint or built by the user."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from marketsim.errors import ArgumentError, CheckpointError, MissingDependencyError
from marketsim.models.neural.checkpoint import Checkpoint
from marketsim.models.neural.device import Execution

if TYPE_CHECKING:
    import torch

PACKAGE = "chronos-forecasting"
_ADAPTER = "adapter_config.json"
_KINDS = ("ChronosPipeline", "ChronosBoltPipeline", "Chronos2Pipeline")


@dataclass(frozen=True)
class BuiltPipeline:
    """A pipeline that the caller built, used in place of a `Checkpoint`.

    Attributes:
        name: display name.
        pipeline: any of chronos-forecasting's.
        config: what its config.json would say.
        digest: hash of the configuration, and of the weights' names and values when it was taken.
    """

    name: str
    pipeline: Any
    config: Mapping[str, Any]
    digest: str

    @classmethod
    def of(cls, pipeline: Any, name: str) -> BuiltPipeline:
        """Wrap a pipeline under a name.

        Raises:
            ArgumentError: it is no pipeline of chronos-forecasting, or in training mode.
        """
        network: Any = getattr(pipeline, "inner_model", None)
        config: Any = getattr(network, "config", None)
        if not hasattr(config, "to_dict"):
            raise ArgumentError(f"pipeline must be one of {PACKAGE}: got {type(pipeline).__name__}")
        if network.training:
            raise ArgumentError(
                f"the network of {name} is in training mode, in which forecasts are random: "
                "call pipeline.inner_model.eval()"
            )
        content = {**config.to_dict(), "chronos_pipeline_class": _kind(pipeline)}
        digest = blake3(json.dumps(content, sort_keys=True, default=str).encode())
        for weight, tensor in sorted(network.state_dict().items()):
            digest.update(f"\0{weight} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
            digest.update(_bytes_of(tensor))
        return cls(name, pipeline, content, digest.hexdigest())

    @property
    def execution(self) -> Execution:
        """Device and precision of the pipeline."""
        first = next(self.pipeline.inner_model.parameters())
        return Execution(str(first.device), str(first.dtype).removeprefix("torch."))


def package_version() -> str:
    """Return the installed version of chronos-forecasting.

    Raises:
        MissingDependencyError: it is not installed.
    """
    from importlib import metadata  # slow to import

    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise MissingDependencyError(
            f"Chronos models need {PACKAGE}, which is not installed: "
            "pip install '.[chronos]' in the checkout"
        ) from None


def libraries(execution: Execution) -> dict[str, str]:
    """Return versions of the libraries in use that are installed."""
    from importlib import metadata

    found = dict(execution.libraries)
    for name in (PACKAGE, "transformers"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # of a pipeline that was handed over
            found[name] = ""
    return found


def weights_digest(checkpoint: Checkpoint | BuiltPipeline) -> str:
    """Hash of everything in a checkpoint or pipeline that decides a forecast."""
    return checkpoint.digest


def open_pipeline(checkpoint: Checkpoint, execution: Execution) -> Any:
    """Open the pipeline of a checkpoint with all its weights, on its device.

    Raises:
        CheckpointError: it cannot be opened, its weights are not complete, or its files are not
            those that the fingerprint is of.
    """
    package_version()
    if (checkpoint.folder / _ADAPTER).is_file():
        raise CheckpointError(
            f"{checkpoint.name} is an adapter of another model ({_ADAPTER}): merge the two and "
            "save the result"
        )
    from chronos import BaseChronosPipeline

    with _no_loading_bar(), checkpoint.unchanged():
        _ = checkpoint.digest  # now, so that it is of the bytes that the library reads
        try:
            pipeline = BaseChronosPipeline.from_pretrained(
                str(checkpoint.folder),
                dtype=execution.torch_dtype,
                local_files_only=True,
                use_safetensors=True,
            )
        except (AssertionError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{checkpoint.name} cannot be opened by {PACKAGE}: {type(error).__name__}: {error}"
            ) from error
    _check_complete(pipeline.inner_model, checkpoint)
    pipeline.inner_model.to(execution.torch_device)
    return pipeline


def _check_complete(network: Any, checkpoint: Checkpoint) -> None:
    """Raise unless all weights came from the files: the library draws missing ones at random.

    Names of one tensor count as one.
    """
    found = set(checkpoint.names())
    given: dict[int, bool] = {}
    names: dict[int, str] = {}
    state = network.state_dict(keep_vars=True)
    for name, tensor in state.items():
        given[id(tensor)] = given.get(id(tensor), False) or name in found
        names.setdefault(id(tensor), name)
    missing = [names[key] for key, is_given in given.items() if not is_given]
    ignored = getattr(network, "_keys_to_ignore_on_load_unexpected", None) or ()
    unknown = [
        name
        for name in sorted(found - set(state))
        if not any(re.search(pattern, name) for pattern in ignored)
    ]
    problems = [
        f"{title}: {', '.join(some[:5])}" + (f" and {len(some) - 5} more" if some[5:] else "")
        for title, some in (("missing", missing), ("unknown", unknown))
        if some
    ]
    if problems:
        raise CheckpointError(
            f"the weights of {checkpoint.name} do not fit its configuration: {'; '.join(problems)}"
        )


@contextmanager
def own_randomness(device: torch.device) -> Iterator[Callable[[int], None]]:
    """Yield a function that seeds a device's generator; restore the generator afterwards.

    The library draws tokens from the device's only generator, and cannot be given another.
    """
    import torch

    gpus = [device.index] if device.type == "cuda" else []

    def seed(value: int) -> None:
        torch.default_generator.manual_seed(value)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(value)

    with torch.random.fork_rng(devices=gpus):
        yield seed


@contextmanager
def _no_loading_bar() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _kind(pipeline: Any) -> str:
    """Return the name of the pipeline's class, or of the known class that it derives from."""
    names = [base.__name__ for base in type(pipeline).__mro__]
    return next((name for name in names if name in _KINDS), names[0])


def _bytes_of(tensor: torch.Tensor) -> bytes:
    import torch

    plain = tensor.detach().cpu().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().tobytes()
