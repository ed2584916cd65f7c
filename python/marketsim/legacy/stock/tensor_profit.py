"""The profit of a day's limit orders as plain operations on tensors, on whatever device they are.

`marketsim.kernels.profit` computes the same from float32 arrays. Here float64 stays float64, a
tensor on a GPU stays there, and each operation is done in the order of the old functions, so that
float32 results are theirs to the last bit.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch

from marketsim.arguments import as_number
from marketsim.errors import ArgumentError
from marketsim.kernels.rules import fee_rule_code

FeeRule: TypeAlias = Literal["touched_both", "per_entry"]


def check_tensors(**tensors: object) -> list[torch.Tensor]:
    """The tensors, each as one row of days.

    Whole numbers, as positions often are, become numbers of the precision of the others: torch
    would multiply them with a fee in float32.

    Raises:
        ArgumentError: something else than a tensor of real numbers, or lengths or devices that
            differ.
    """
    rows = []
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise ArgumentError(
                f"{name} must be a torch tensor: got {type(tensor).__name__}; "
                "torch.as_tensor(...) makes one"
            )
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
            raise ArgumentError(
                f"{name} must be a plain tensor: got one that is sparse, quantised or nested; "
                ".to_dense() or .dequantize() makes one"
            )
        if tensor.is_complex():
            raise ArgumentError(f"{name} must hold real numbers: got {tensor.dtype}")
        rows.append(tensor.reshape(-1))
    _check_alike(dict(zip(tensors, rows, strict=True)))
    return as_floats(rows)


def as_floats(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors, those of whole numbers in the precision that the others have together."""
    known = [tensor.dtype for tensor in tensors if tensor.is_floating_point()]
    if len(known) == len(tensors):
        return list(tensors)
    dtype = functools.reduce(torch.promote_types, known, known[0] if known else torch.float32)
    return [t if t.is_floating_point() else t.to(dtype) for t in tensors]


def _check_alike(rows: dict[str, torch.Tensor]) -> None:
    """One length, or one value for all days; one device."""
    sizes = {name: row.numel() for name, row in rows.items()}
    if len({size for size in sizes.values() if size != 1}) > 1:
        raise ArgumentError(f"lengths differ: {_listed(sizes)}")
    devices = {name: str(row.device) for name, row in rows.items()}
    if len(set(devices.values())) > 1:
        raise ArgumentError(f"tensors must be on one device: {_listed(devices)}")


def _listed(of: dict[str, object] | dict[str, int] | dict[str, str]) -> str:
    return ", ".join(f"{name} has {value}" for name, value in of.items())


def limit_order_profit(
    close: torch.Tensor,
    high: torch.Tensor,
    low: torch.Tensor,
    high_pred: torch.Tensor,
    low_pred: torch.Tensor,
    position: torch.Tensor,
    *,
    close_at_eod: bool,
    fee: float,
    fee_rule: str,
) -> torch.Tensor:
    """Profit of each day, of tensors that broadcast, in the precision that they have together.

    A long buys at the predicted low and sells at the predicted high where the day reaches it after
    the entry, else at the close; a short the other way round. With `close_at_eod` every position
    leaves at the close. `marketsim.kernels.rules` has the fee rules.
    """
    buy = torch.clamp(low_pred, -1, 0)
    sell = torch.clamp(high_pred, 0, 10)
    long_size, short_size = torch.clip(position, 0, 10), torch.clip(position, -10, 0)
    bought, sold = buy > low, sell < high
    to_close = long_size * (close - buy) * bought
    short_to_close = short_size * (close - sell) * sold
    if close_at_eod:
        gross = to_close + short_to_close
        touched = torch.logical_or(bought, sold)
    else:
        to_high = (sell - buy) * (sell <= high) * long_size * bought
        to_low = (buy - sell) * (buy >= low) * short_size * sold
        longs = to_high + to_close * (sell > high)
        shorts = to_low + short_to_close * (buy < low)
        gross = longs + shorts
        touched = torch.logical_and(sold, bought)
    if fee_rule == "touched_both":
        return gross - torch.abs(position) * fee * touched
    return gross - (long_size * bought - short_size * sold) * fee


def check_fee_rule(fee_rule: str) -> str:
    """A fee rule that exists; raises UnknownNameError with the list of them."""
    fee_rule_code(fee_rule)
    return fee_rule


def check_rate(trading_fee: float | None, default: float) -> float:
    """A fee as a number, or the default for None; raises ArgumentError for what is no number."""
    if trading_fee is None:
        return default
    return as_number("trading_fee", trading_fee, "a fraction of the traded value, such as 0.0005")
