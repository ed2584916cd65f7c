"""Stages within a network; see `marketsim.timing`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from marketsim.timing import stage


def network_stage(name: str, tensor: Tensor) -> AbstractContextManager[None]:
    """Time a stage of the work on a tensor by the clock of its device.

    A network that torch.compile translates has no stages within: they would become part of it.
    """
    if torch.compiler.is_compiling():
        return nullcontext()
    device = tensor.device
    if device.type == "cpu":
        return stage(name)
    return stage(name, settle=lambda: torch.cuda.synchronize(device))
