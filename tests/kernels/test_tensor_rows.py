"""Tensors read as rows at once: their values, or None where the usual way has to read them."""

from __future__ import annotations

import numpy as np
import pytest

from marketsim import _core

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("shape", [(5,), (5, 1), (1, 5), (1, 5, 1)])
def test_values(shape: tuple[int, ...]) -> None:
    tensors = [torch.randn(shape) for _ in range(7)]
    tensors[2][:] = torch.nan
    made = _core.rows_of_tensors(tensors)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, [tensor.numpy().reshape(-1) for tensor in tensors])
    made[:] = 1.0  # a copy
    assert not (tensors[0] == 1.0).any()


def test_a_matrix_is_read_row_by_row() -> None:
    matrix = torch.arange(6.0).reshape(2, 3)
    assert _core.rows_of_tensors((matrix,)).tolist() == [[0, 1, 2, 3, 4, 5]]
    assert _core.rows_of_tensors([matrix[1], matrix[0]]).tolist() == [[3, 4, 5], [0, 1, 2]]


def test_none_and_empty_ones() -> None:
    assert _core.rows_of_tensors([]).shape == (0, 0)
    assert _core.rows_of_tensors([torch.zeros(0)] * 3).shape == (3, 0)


@pytest.mark.parametrize(
    "hide", [lambda view: view, lambda view: view.detach(), lambda view: view.data]
)
def test_one_value_of_a_conjugate(hide) -> None:
    part = hide(torch.tensor([1.0 + 2.0j]).conj().imag)
    assert part.is_contiguous() and part.is_neg()
    assert _core.rows_of_tensors([part]) is None


@pytest.mark.parametrize(
    "other",
    [
        torch.zeros(5, dtype=torch.float64),
        torch.zeros(5, dtype=torch.bfloat16),
        torch.zeros(5, dtype=torch.int32),
        torch.zeros(6),
        torch.zeros(10)[::2],
        torch.zeros(5, 2)[:, 0],
        torch._neg_view(torch.zeros(5)),
        torch._neg_view(torch.zeros(5)).reshape(5, 1).reshape(5),
        torch.zeros(5, dtype=torch.complex64).conj().imag,
        torch.zeros(5, device="meta"),
        np.zeros(5, dtype=np.float32),
        [0.0] * 5,
        None,
    ],
)
def test_others_are_left_to_the_usual_way(other) -> None:
    assert _core.rows_of_tensors([torch.zeros(5), other]) is None
