"""Register the kernels as torch operators, so that torch.compile keeps them in its graphs.

    from marketsim.kernels.torch_ops import register_ops

    register_ops()
    torch.ops.marketsim.profit(close, high, low, high_pred, low_pred, position, high_offset,
                               low_offset, open, fill="open_aware")

They take and return tensors of one device, the CPU or a GPU; arguments are those of
`marketsim.profit` and `marketsim.best_offsets`. Neither is differentiable: profit jumps at the edge
of a fill, and the best offsets are piecewise constant.
"""

from __future__ import annotations

import functools
from typing import Any

from marketsim.errors import MissingDependencyError
from marketsim.kernels.offsets import best_offsets
from marketsim.kernels.profit import profit
from marketsim.kernels.rules import FillCosts, rule_codes
from marketsim.kernels.shapes import by_name, is_batch, offset_shape

_DAYS = "Tensor close, Tensor high, Tensor low, Tensor high_pred, Tensor low_pred, Tensor position"
_RULES = 'float fee=0.0, float[]? costs=None, str fill="open_aware", str? fee_rule=None'
PROFIT = f"({_DAYS}, Tensor high_offset, Tensor low_offset, Tensor? open, {_RULES}) -> Tensor"
BEST_OFFSETS = (
    f"({_DAYS}, Tensor? open, float high_min=-0.03, float high_max=0.03, "
    f"float low_min=-0.03, float low_max=0.03, {_RULES}, bool always_on=False, "
    "bool long_only=False, float margin=0.0) -> (Tensor, Tensor, Tensor)"
)


@functools.cache
def register_ops() -> None:
    """Register `torch.ops.marketsim.profit` and `.best_offsets`; later calls do nothing.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            "register_ops needs torch, not installed: pip install '.[models]' in the checkout"
        ) from error
    for name, schema, function, fake in (
        ("profit", PROFIT, _profit, _fake_profit),
        ("best_offsets", BEST_OFFSETS, _best_offsets, _fake_best_offsets),
    ):
        operator = torch.library.custom_op(
            f"marketsim::{name}", function, mutates_args=(), schema=schema
        )
        operator.register_fake(fake)


def _profit(
    close: Any,
    high: Any,
    low: Any,
    high_pred: Any,
    low_pred: Any,
    position: Any,
    high_offset: Any,
    low_offset: Any,
    open: Any,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fill: str = "open_aware",
    fee_rule: str | None = None,
) -> Any:
    import torch

    found = profit(
        close, high, low, high_pred, low_pred, position,
        high_offset=high_offset, low_offset=low_offset, fee=fee, costs=costs, fee_rule=fee_rule,
        fill=fill, open=open, device=_device(close),
    )  # fmt: skip
    return torch.as_tensor(found)


def _fake_profit(
    close: Any,
    high: Any,
    low: Any,
    high_pred: Any,
    low_pred: Any,
    position: Any,
    high_offset: Any,
    low_offset: Any,
    open: Any,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fill: str = "open_aware",
    fee_rule: str | None = None,
) -> Any:
    """Return an empty tensor of the result's shape, for tracing."""
    rule_codes(fill, fee_rule, fee, costs, has_open=open is not None)
    batched = _check_days(close, high, low, high_pred, low_pred, position, open)
    given = tuple(high_offset.shape), tuple(low_offset.shape)
    candidates = offset_shape(*given, close.shape[0], batched=batched)[-1:]
    problems = tuple(close.shape[:1]) if batched else ()
    return close.new_empty((*problems, *candidates, close.shape[-1]))


def _best_offsets(
    close: Any,
    high: Any,
    low: Any,
    high_pred: Any,
    low_pred: Any,
    position: Any,
    open: Any,
    high_min: float = -0.03,
    high_max: float = 0.03,
    low_min: float = -0.03,
    low_max: float = 0.03,
    fee: float = 0.0,
    costs: FillCosts | None = None,
    fill: str = "open_aware",
    fee_rule: str | None = None,
    always_on: bool = False,
    long_only: bool = False,
    margin: float = 0.0,
) -> Any:
    import torch

    found = best_offsets(
        close, high, low, high_pred, low_pred, position,
        bounds=((high_min, high_max), (low_min, low_max)), fee=fee, costs=costs, fill=fill,
        fee_rule=fee_rule, always_on=always_on, long_only=long_only, open=open, margin=margin,
        device=_device(close),
    )  # fmt: skip
    kinds = (torch.float32, torch.float32, torch.float64)
    return tuple(torch.as_tensor(v, dtype=kind) for v, kind in zip(found, kinds, strict=True))


def _fake_best_offsets(
    close: Any, high: Any, low: Any, high_pred: Any, low_pred: Any, position: Any,
    open: Any, *_: Any, **__: Any,
) -> Any:  # fmt: skip
    """Return empty tensors of the results' shapes, for tracing."""
    import torch

    batched = _check_days(close, high, low, high_pred, low_pred, position, open)
    shape = tuple(close.shape[:1]) if batched else ()
    kinds = (torch.float32, torch.float32, torch.float64)
    return tuple(close.new_empty(shape, dtype=kind) for kind in kinds)


def _check_days(*days: Any) -> bool:
    named = by_name(*days).items()
    return is_batch({name: tuple(value.shape) for name, value in named if value is not None})


def _device(tensor: Any) -> str:
    return str(tensor.device) if tensor.is_cuda else "cpu"
