"""Profits on tensors: what they accept, what they refuse, and the fee rules."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import marketsim as ms  # noqa: E402
from marketsim.errors import ArgumentError, UnknownNameError  # noqa: E402
from marketsim.legacy.stock import loss_utils  # noqa: E402

NAMES = ("y_test", "y_test_high", "y_test_high_pred", "y_test_low", "y_test_low_pred")
values = loss_utils.calculate_profit_torch_with_entry_buysell_profit_values


def days(count: int = 50, dtype: torch.dtype = torch.float32, seed: int = 0) -> list[torch.Tensor]:
    """Close, high, high_pred, low, low_pred, position."""
    rng = np.random.default_rng(seed)
    close = rng.normal(0, 0.02, count)
    high, low = np.maximum(close, 0) + rng.exponential(0.01, count), np.minimum(close, 0) - 0.01
    found = (close, high, high * 0.8, low, low * 0.8, rng.integers(-1, 2, count))
    return [torch.tensor(row, dtype=dtype) for row in found]


@pytest.fixture(autouse=True)
def snapshot_fees() -> Iterator[None]:
    yield
    loss_utils.use_fees("snapshot")


@pytest.mark.parametrize("close_at_eod", [False, True])
@pytest.mark.parametrize("rule", ["touched_both", "per_entry"])
def test_equal_to_the_kernel_bit_for_bit(rule: str, close_at_eod: bool) -> None:
    close, high, high_pred, low, low_pred, position = days()
    found = values(*days(), close_at_eod=close_at_eod, trading_fee=0.001, fee_rule=rule).numpy()
    fill = "legacy_close_only" if close_at_eod else "legacy"
    expected = ms.profit(
        close, high, low, high_pred, low_pred, position,
        open=None, fee=0.001, fee_rule=rule, fill=fill,
    )  # fmt: skip
    np.testing.assert_array_equal(found, expected)


def test_float64_stays_float64_and_integers_may_be_positions() -> None:
    rows = days(dtype=torch.float64)
    exact = values(*rows)
    assert exact.dtype == torch.float64
    rounded = values(*(row.float() for row in rows))
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded.double())
    torch.testing.assert_close(exact, rounded.double(), rtol=0, atol=1e-7)
    whole = values(*rows[:5], rows[5].to(torch.int64))
    assert torch.equal(whole, exact)


def test_gaps_and_shapes_do_not_matter() -> None:
    rows = days()
    expected = values(*rows)
    gaps = [torch.stack((row, row * 0 + 7), dim=1)[:, 0] for row in rows]
    assert not gaps[0].is_contiguous()
    assert torch.equal(values(*gaps), expected)
    assert torch.equal(values(*(row.reshape(5, 10) for row in rows)), expected)
    assert torch.equal(values(*(row.reshape(10, 5).T.contiguous().T for row in rows)), expected)
    one = values(*rows[:5], torch.ones(1))
    assert torch.equal(one, values(*rows[:5], torch.ones(50)))


@pytest.mark.parametrize("rule", ["touched_both", "per_entry"])
@pytest.mark.parametrize("close_at_eod", [False, True])
def test_gradients_are_those_of_the_plain_formula(close_at_eod: bool, rule: str) -> None:
    """Of every argument, as torch derives them from the formula written out a second time."""
    options = {"close_at_eod": close_at_eod, "fee_rule": rule, "trading_fee": 0.001}
    rows = [row.double() for row in days()]
    rows[5][rows[5] == 0] = 0.5  # at 0 the cut into long and short has no one gradient
    ours, plain = ([row.clone().requires_grad_() for row in rows] for _ in range(2))
    values(*ours, **options).sum().backward()
    _written_out(*plain, close_at_eod, rule, 0.001).sum().backward()
    for name, row, other in zip((*NAMES, "y_test_pred"), ours, plain, strict=True):
        expected = torch.zeros_like(other) if other.grad is None else other.grad
        got = torch.zeros_like(row) if row.grad is None else row.grad
        torch.testing.assert_close(got, expected, msg=name)


def _written_out(
    close: torch.Tensor,
    high: torch.Tensor,
    high_pred: torch.Tensor,
    low: torch.Tensor,
    low_pred: torch.Tensor,
    position: torch.Tensor,
    close_at_eod: bool,
    rule: str,
    fee: float,
) -> torch.Tensor:
    """Day by day."""
    made = []
    for c, h, hp, lo, lp, s in zip(close, high, high_pred, low, low_pred, position, strict=True):
        top, bottom = hp.clamp(0, 10), lp.clamp(-1, 0)
        size = s.clamp(-10, 10)
        bought, sold = bool(bottom > lo), bool(top < h)
        total = torch.zeros((), dtype=c.dtype)
        if size > 0 and bought:
            total = size * ((top if top <= h and not close_at_eod else c) - bottom)
        if size < 0 and sold:
            total = size * ((bottom if bottom >= lo and not close_at_eod else c) - top)
        if rule == "per_entry":
            charged = (size > 0 and bought) or (size < 0 and sold)
            made.append(total - size.abs() * fee * charged)
        else:
            both = (bought or sold) if close_at_eod else (bought and sold)
            made.append(total - s.abs() * fee * both)
    return torch.stack(made)


def test_a_position_learns() -> None:
    """The gradient of the mean profit of held positions is move minus fee, as it was."""
    move = torch.tensor([0.01, -0.02, 0.03])
    position = torch.tensor([0.5, -0.5, 0.2], requires_grad=True)
    (-loss_utils.calculate_trading_profit_torch(None, None, move, position)).backward()
    side = torch.tensor([1.0, -1.0, 1.0])
    torch.testing.assert_close(position.grad, -(move - 0.0005 * side) / 3)


def test_leverage_is_charged_where_it_is_asked_for() -> None:
    move, position = torch.tensor([0.01, 0.01]), torch.tensor([0.5, -3.0])
    plain = loss_utils.get_trading_profits_list(None, None, move, position, 0.0)
    torch.testing.assert_close(plain, move * position)
    paid = loss_utils.get_trading_profits_list(None, None, move, position, 0.0, 0.001, 2.0)
    torch.testing.assert_close(plain - paid, torch.tensor([0.0, 2.0 * 0.001 * 2.0]))
    loss_utils.use_fees("later")
    try:
        later = loss_utils.get_trading_profits_list(None, None, move, position, 0.0)
    finally:
        loss_utils.use_fees("snapshot")
    torch.testing.assert_close(plain - later, torch.tensor([0.0, 2.0 * 0.065 / 252]))


def test_errors_say_what_is_wrong() -> None:
    rows = days()
    with pytest.raises(ArgumentError, match="lengths differ: y_test has 50.*y_test_pred has 49"):
        values(*rows[:5], rows[5][:49])
    with pytest.raises(ArgumentError, match="y_test must be a torch tensor: got ndarray"):
        values(rows[0].numpy(), *rows[1:])
    with pytest.raises(ArgumentError, match="trading_fee must be a fraction"):
        values(*rows, trading_fee="5bp")
    with pytest.raises(UnknownNameError, match="fee rule"):
        values(*rows, fee_rule="sometimes")
    with pytest.raises(ArgumentError, match="tensors must be on one device"):
        values(*rows[:5], rows[5].to("meta"))
    with pytest.raises(ArgumentError, match="the move from value 1 to the next one is not finite"):
        loss_utils.percent_movements_augment([1.0, 0.0, 1.0])


def test_fees_of_another_version_count_everywhere() -> None:
    rows = days()
    before = values(*rows)
    loss_utils.use_fees("later")
    assert (loss_utils.TRADING_FEE, loss_utils.CRYPTO_TRADING_FEE) == (0.0000278, 0.008)
    assert torch.equal(values(*rows), values(*rows, trading_fee=0.0000278, fee_rule="per_entry"))
    assert not torch.equal(values(*rows), before)
    total = loss_utils.calculate_trading_profit_torch_with_entry_buysell(
        None, None, rows[0], rows[5], *rows[1:5]
    )
    assert torch.equal(total, values(*rows).sum())
    with pytest.raises(UnknownNameError, match="snapshot, later"):
        loss_utils.use_fees("newest")
    loss_utils.use_fees("snapshot")
    assert torch.equal(values(*rows), before)
