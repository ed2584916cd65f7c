"""Batches: every row once, within limits, and smaller ones where memory does not suffice."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import write_toto1
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from toto1_cases import load, parameters, walk

from marketsim.errors import ArgumentError
from marketsim.models.neural.batching import Batch, BatchRunner, Row, bucket

PATCH = 4
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


def made_row(slot: int, length: int, variates: int = 1) -> Row:
    return Row(
        np.zeros((variates, length), np.float32),
        np.ones((variates, length), np.bool_),
        np.array([length]),
        np.array([slot]),
    )


some_rows = st.lists(st.tuples(st.integers(1, 200), st.integers(1, 3)), max_size=60).map(
    lambda sizes: [made_row(i, *size) for i, size in enumerate(sizes)]
)


@settings(max_examples=200)
@given(some_rows, st.sampled_from([1, 7, 50, 600, 10_000]), st.booleans(), st.booleans())
def test_every_row_is_in_one_batch_within_the_limit(
    rows: list[Row], max_tokens: int, bucketed: bool, equal: bool
) -> None:
    batches = list(BatchRunner(max_tokens, bucketed=bucketed).plan(rows, PATCH, equal=equal))
    slots = [int(row.slots[0]) for batch in batches for row in batch.rows]
    assert sorted(slots) == list(range(len(rows)))
    for batch in batches:
        sizes = [row.patches(PATCH) for row in batch.rows]
        assert len({row.variates for row in batch.rows}) == 1
        assert batch.width >= max(sizes)
        assert batch.count >= len(batch.rows)
        tokens = batch.count * batch.width * batch.rows[0].variates
        assert tokens <= max_tokens or batch.count == len(batch.rows) == 1
        if equal:
            assert set(sizes) == {batch.width}
            assert batch.count == len(batch.rows)
        elif bucketed:
            assert batch.width in SIZES
            most = max_tokens // (batch.width * batch.rows[0].variates)
            assert batch.count in SIZES or batch.count == max(1, most)
        else:
            assert (batch.width, batch.count) == (max(sizes), len(batch.rows))


def test_longest_rows_come_first_and_long_ones_are_not_beside_short_ones() -> None:
    rows = [made_row(i, length) for i, length in enumerate([4, 4000, 4, 3900, 400, 4000])]
    batches = list(BatchRunner(100_000).plan(rows, PATCH))
    assert [[row.values.shape[-1] for row in batch.rows] for batch in batches] == [
        [4000, 4000, 3900],
        [400, 4, 4],
    ]
    assert list(BatchRunner(10).plan([], PATCH)) == []


@pytest.mark.parametrize("size", range(1, 129))
def test_buckets_are_the_next_of_few_sizes(size: int) -> None:
    assert bucket(size) == min(s for s in SIZES if s >= size)


def test_few_shapes_where_each_is_compiled() -> None:
    rows = [made_row(i, length) for i, length in enumerate(range(1, 257))]
    shapes = {(b.width, b.count) for b in BatchRunner(512, bucketed=True).plan(rows, PATCH)}
    plain = {(b.width, b.count) for b in BatchRunner(512).plan(rows, PATCH)}
    assert len(shapes) < len(plain)
    assert all(width in SIZES for width, _ in shapes)


ERRORS: dict[str, Callable[[], BaseException]] = {
    "torch": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore"),
    "cpu": lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    "other cpu": lambda: RuntimeError("DefaultCPUAllocator: not enough memory: you tried"),
    "python": lambda: MemoryError("no room"),
    "silent": lambda: MemoryError(),
}


class Worker:
    """Has room for so many rows."""

    def __init__(self, room: int, error: Callable[[], BaseException]) -> None:
        self.room, self.error = room, error
        self.seen: list[int] = []

    def __call__(self, batch: Batch) -> list[int]:
        self.seen.append(len(batch.rows))
        if len(batch.rows) > self.room:
            raise self.error()
        return [int(row.slots[0]) for row in batch.rows]


@pytest.mark.parametrize("kind", ERRORS)
def test_batches_are_halved_until_they_fit(kind: str) -> None:
    rows = [made_row(i, 8) for i in range(100)]
    runner = BatchRunner(128)
    worker = Worker(20, ERRORS[kind])
    with pytest.warns(RuntimeWarning, match="memory did not suffice for a batch of") as caught:
        made = [slot for _, part in runner.run(rows, PATCH, worker) for slot in part]
    assert sorted(made) == list(range(100))
    assert runner.halvings == len(caught) == 2
    assert runner.max_tokens == 32
    assert worker.seen[:3] == [64, 32, 16]
    assert max(worker.seen[2:]) == 16  # the next batches are as small from the start
    again = Worker(20, ERRORS[kind])
    assert sum(len(part) for _, part in runner.run(rows, PATCH, again)) == 100
    assert runner.halvings == 2


@pytest.mark.parametrize("kind", ERRORS)
def test_memory_for_a_single_row_must_suffice(kind: str) -> None:
    runner = BatchRunner(64)
    worker = Worker(0, ERRORS[kind])
    with (
        warnings.catch_warnings(),
        pytest.raises(ArgumentError, match="one context of 3 patches and 2 variates"),
    ):
        warnings.simplefilter("ignore")
        list(runner.run([made_row(i, 12, 2) for i in range(8)], PATCH, worker))
    assert worker.seen[-1] == 1


def test_what_torch_says_itself_is_understood() -> None:
    def work(batch: Batch) -> torch.Tensor:
        return torch.empty(1 << 50 if len(batch.rows) > 1 else 1)

    with pytest.warns(RuntimeWarning, match="allocate"):
        made = list(BatchRunner(2).run([made_row(0, 4), made_row(1, 4)], PATCH, work))
    assert len(made) == 2


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("memory of things")])
def test_other_errors_pass(error: Exception) -> None:
    def fail() -> BaseException:
        return error

    runner = BatchRunner(64)
    with pytest.raises(type(error), match=str(error)):
        list(runner.run([made_row(0, 4), made_row(1, 4)], PATCH, Worker(0, fail)))
    assert runner.halvings == 0


@pytest.mark.parametrize("horizon", [1, PATCH + 1])
def test_a_model_goes_on_with_smaller_batches(tmp_path: Path, horizon: int) -> None:
    folder = write_toto1(tmp_path, 0)
    rows = [walk((20,), seed) for seed in range(40)]
    expected = parameters(load(folder).predict(rows, horizon=horizon))
    model = load(folder)
    forward = type(model.network).forward

    def cramped(patches: torch.Tensor, *rest: Any) -> torch.Tensor:
        if patches.shape[0] > 12:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(model.network, patches, *rest)

    model.network.forward = cramped
    with pytest.warns(RuntimeWarning, match="memory did not suffice"):
        found = parameters(model.predict(rows, horizon=horizon))
    np.testing.assert_array_equal(found, expected)
    assert model.batches.halvings == 2
