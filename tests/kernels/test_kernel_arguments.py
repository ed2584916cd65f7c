"""Wrong arguments of the kernels' entry points: each is named, with what was got and expected."""

from __future__ import annotations

import numpy as np
import pytest

import marketsim as ms
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.kernels.profit import fills

NAMES = ("close", "high", "low", "high_pred", "low_pred", "position", "open")
DAYS = dict(zip(NAMES, ([0.01], [0.03], [-0.02], [0.02], [-0.01], [1.0], [0.0]), strict=True))
ALL = (ms.profit, ms.best_offsets, fills)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize(
    "fee", [None, "5bps", "0.0005", True, [0.1, 0.2], 1j, 10**400, float("nan"), float("inf"), 1e39]
)
def test_fee(function, fee) -> None:
    with pytest.raises(ArgumentError, match="fee must be a finite fraction of the value traded"):
        function(**DAYS, fee=fee)


@pytest.mark.parametrize("fee", [0, 0.1, np.float32(0.1), np.int64(0), np.array(0.1), -0.001, 3])
def test_numbers_of_any_kind_are_fees(fee) -> None:
    assert ms.profit(**DAYS, fee=fee).shape == (1,)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["x", ["x"], [[1.0], [1.0, 2.0]], [object()], [1j]])
def test_days(function, name: str, value) -> None:
    with pytest.raises(ArgumentError, match=f"^{name} must be numbers, in rows of one length: got"):
        function(**(DAYS | {name: value}))


@pytest.mark.parametrize("name", ["high_offset", "low_offset"])
def test_offsets(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"{name} must be numbers"):
        ms.profit(**DAYS, **{name: "a"})
    with pytest.raises(ArgumentError, match=f"{name} must be finite"):
        ms.profit(**DAYS, **{name: None})


@pytest.mark.parametrize("margin", ["x", None, True, [0.1, 0.2], 1.0, -0.1, float("nan")])
def test_margin(margin) -> None:
    with pytest.raises(ArgumentError, match=r"margin must .*\[0, 1\): got"):
        ms.best_offsets(**DAYS, margin=margin)


@pytest.mark.parametrize("name", ["always_on", "long_only"])
@pytest.mark.parametrize("value", ["x", None, 1, [True]])
def test_flags(name: str, value) -> None:
    with pytest.raises(ArgumentError, match=f"{name} must be True or False: got"):
        ms.best_offsets(**DAYS, **{name: value})


@pytest.mark.parametrize(
    "bounds", ["x", None, 3, ((0, 1),), ((None, 1), (0, 1)), (("a", 1), (0, 1))]
)
def test_bounds(bounds) -> None:
    with pytest.raises(ArgumentError, match="bounds must be"):
        ms.best_offsets(**DAYS, bounds=bounds)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("name", ["fill", "fee_rule"])
@pytest.mark.parametrize("value", ["flat", 3, [], np.zeros(2)])
def test_words(function, name: str, value) -> None:
    with pytest.raises(UnknownNameError, match="expected one of"):
        function(**DAYS, **{name: value})
