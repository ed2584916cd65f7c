"""Toto 1.0 to the bit: every day equals its own context, and nothing depends on company."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import TOTO1, write_checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from toto1_cases import PATCH, SIZES, load, parameters, sharp_weights, walk, write_size

from marketsim.errors import ArgumentError
from marketsim.models.neural.batching import Batch
from marketsim.models.toto1.model import Toto1Model


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {size: write_size(tmp_path_factory.mktemp("toto1"), size) for size in SIZES}


@pytest.fixture(scope="module")
def folder(folders: dict[str, Path]) -> Path:
    return folders["plain"]


@pytest.fixture
def torch_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def made_series(
    seed: int, variates: int, size: int, holes: list[tuple[int, int, int]], jump: float
) -> np.ndarray:
    values = walk((variates, size), seed)
    if jump:
        values[:, size * 2 // 3 :] += jump
    for variate, start, length in holes:
        values[variate % variates, start : start + length] = np.nan
    return values


some_series = st.builds(
    made_series,
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.integers(1, 75),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 74), st.integers(1, 11)), max_size=3),
    st.sampled_from([0.0, 0.0, 30.0, 1e6, 1e12]),
)


def first_start(values: np.ndarray) -> int | None:
    """The first length at which all variates have an observed value."""
    seen = ~np.isnan(values)
    return int(seen.argmax(axis=1).max()) + 1 if seen.any(axis=1).all() else None


@settings(max_examples=30)
@given(
    values=some_series,
    horizon=st.sampled_from([1, 3, PATCH, PATCH + 3]),
    context_length=st.sampled_from([None, 4096, 9, 16]),
    size=st.sampled_from(list(SIZES)),
    dtype=st.sampled_from(["float32", "float32", "bfloat16"]),
    later=st.integers(0, 5),
)
def test_each_day_equals_its_own_context(
    folders: dict[str, Path],
    values: np.ndarray,
    horizon: int,
    context_length: int | None,
    size: str,
    dtype: str,
    later: int,
) -> None:
    start = first_start(values)
    if start is None:
        return
    start = min(start + later, values.shape[1])
    model = load(folders[size], context_length=context_length, dtype=dtype)
    days = range(start, values.shape[1] + 1)
    if context_length is not None:
        part = [values[:, max(0, day - context_length) : day] for day in days]
        if any(np.isnan(one).all(axis=1).any() for one in part):
            with pytest.raises(ArgumentError, match="no observed value"):
                model.predict_each(values, start, horizon=horizon)
            return
    each = parameters(model.predict_each(values, start, horizon=horizon))
    assert each.shape[:3] == (len(days), len(values), horizon)
    middle = len(days) // 2  # and from there every alignment of patches
    for i in sorted({0, *range(middle, min(middle + PATCH, len(days))), len(days) - 1}):
        alone = parameters(model.predict(values[None, :, : days[i]], horizon=horizon))[0]
        np.testing.assert_array_equal(each[i], alone, err_msg=f"day {days[i]} of {values.shape}")


@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_only_days_on_which_the_clamp_bites_are_made_alone(tmp_path: Path, exponent: float) -> None:
    config = TOTO1 | {"scale_factor_exponent": exponent}
    folder = write_checkpoint(tmp_path, config, sharp_weights(config, 1), 1)
    values = walk((60,), 3)
    values[40:46] += 1e4  # from then on the scale of the first patches is below the least one
    model = load(folder)
    rows = asked_rows(model)
    model.predict_each(values, 30)
    alone = sorted(int(ends[0]) for ends in rows if len(ends) == 1)
    shared = sorted(int(end) for ends in rows if len(ends) > 1 for end in ends)
    assert shared == list(range(30, 41))
    assert alone == list(range(41, 61))


def asked_rows(model: Toto1Model) -> list[np.ndarray]:
    """The ends of each row that the model will be asked for."""
    rows: list[np.ndarray] = []
    launch = model._launch

    def watched(batch: Batch, steps: int) -> Any:
        rows.extend(row.ends for row in batch.rows)
        return launch(batch, steps)

    model._launch = watched  # type: ignore[method-assign]
    return rows


def test_days_share_passes(folder: Path) -> None:
    model = load(folder)
    rows = asked_rows(model)
    model.predict_each(walk((100,)), 41)
    assert len(rows) == PATCH
    assert sum(len(ends) for ends in rows) == 60


def test_a_jump_beyond_the_clamp_is_seen_on_its_day_alone(folder: Path) -> None:
    values = np.concatenate([walk((2, 30)), 1e12 + walk((2, 9))], axis=1)
    model = load(folder)
    rows = asked_rows(model)
    each = parameters(model.predict_each(values, 1))
    # Days before the jump share passes, one for each alignment; those after it do not.
    assert len(rows) == PATCH + 9
    other = load(folder)
    for day in range(1, 40):
        alone = parameters(other.predict(values[None, :, :day]))[0]
        np.testing.assert_array_equal(each[day - 1], alone)


@settings(max_examples=12)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=12),
    seed=st.integers(0, 2**32 - 1),
    horizon=st.sampled_from([1, PATCH, 2 * PATCH + 1]),
    size=st.sampled_from(list(SIZES)),
    dtype=st.sampled_from(["float32", "bfloat16"]),
    max_tokens=st.sampled_from([1, 20, 100, 4096]),
)
def test_a_forecast_does_not_depend_on_its_company(
    folders: dict[str, Path],
    lengths: list[int],
    seed: int,
    horizon: int,
    size: str,
    dtype: str,
    max_tokens: int,
) -> None:
    rows = [walk((length,), seed + i) for i, length in enumerate(lengths)]
    for i, row in enumerate(rows):
        if i % 3 == 1 and len(row) > 12:
            row[2:10] = np.nan
    model = load(folders[size], dtype=dtype)
    model.batches.max_tokens = max_tokens
    together = parameters(model.predict(rows, horizon=horizon))
    backwards = parameters(model.predict(rows[::-1], horizon=horizon))[::-1]
    np.testing.assert_array_equal(together, backwards)
    other = load(folders[size], dtype=dtype)
    for row, found in zip(rows, together, strict=True):
        alone = parameters(other.predict(row[None], horizon=horizon))[0]
        np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_forecast_does_not_depend_on_the_threads(
    tmp_path: Path, torch_threads: None, dtype: str
) -> None:
    # As wide, in whole vectors a thread, as real ones: narrower products are split among threads
    # into columns so few that other kernels compute them.
    config = TOTO1 | {"embed_dim": 64, "num_heads": 4, "mlp_hidden_dim": 128}
    folder = write_checkpoint(tmp_path, config, sharp_weights(config, 1), 1)
    series = walk((3, 90), 4)
    made = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        model = load(folder, dtype=dtype)
        each = parameters(model.predict_each(series, 20))
        far = parameters(model.predict(series[None], horizon=3 * PATCH))
        made.append((each, far))
    for each, far in made[1:]:
        np.testing.assert_array_equal(each, made[0][0])
        np.testing.assert_array_equal(far, made[0][1])


@pytest.mark.parametrize("variates", [1, 2])
def test_many_patches_are_the_same_as_fewer(folders: dict[str, Path], variates: int) -> None:
    """Beyond some length, matrix libraries add in an order that follows from the length."""
    values = walk((variates, PATCH * 300), 5)
    model = load(folders["time only"], context_length=None)  # whose head is wide enough for that
    each = parameters(model.predict_each(values, 1))
    for patches in (1, 16, 17, 127, 128, 129, 192, 200, 256, 257, 300):
        day = patches * PATCH
        alone = parameters(model.predict(values[None, :, :day]))[0]
        np.testing.assert_array_equal(each[day - 1], alone, err_msg=f"{patches} patches")


def test_series_share_batches_and_nothing_else(folder: Path) -> None:
    series = [walk((40,), 1), walk((2, 55), 2), walk((70,), 3), walk((1, 40), 4), walk((2, 20), 5)]
    starts = [5, 50, 70, 1, 13]
    told: list[int] = []
    made = load(folder).predict_each_of(series, starts, on_progress=told.append)
    for one, start, found in zip(series, starts, made, strict=True):
        alone = load(folder).predict_each(one, start)
        assert parameters(found).shape[0] == one.shape[-1] - start + 1
        np.testing.assert_array_equal(parameters(found), parameters(alone))
    assert sum(told) == sum(parameters(found).shape[0] for found in made)
    assert load(folder).predict_each_of([], []) == []


@settings(max_examples=12)
@given(
    values=some_series,
    cut=st.integers(1, 74),
    later=st.sampled_from(["nan", "walk", "jump"]),
    size=st.sampled_from(list(SIZES)),
    horizon=st.sampled_from([1, PATCH, PATCH + 1]),
    context_length=st.sampled_from([None, 20]),
)
def test_what_comes_later_changes_nothing_before(
    folders: dict[str, Path],
    values: np.ndarray,
    cut: int,
    later: str,
    size: str,
    horizon: int,
    context_length: int | None,
) -> None:
    values = np.where(np.isnan(values), 1.0, values)
    start = 1
    cut = min(cut, values.shape[1])
    other = values.copy()
    replaced = walk((len(values), values.shape[1] - cut), 9)
    other[:, cut:] = {"nan": np.nan, "walk": replaced, "jump": 1e13 + replaced}[later]
    model = load(folders[size], context_length=context_length)
    if context_length is not None and later == "nan":
        other[:, cut:] = 0.5  # a window must hold something
    before = parameters(model.predict_each(values, start, horizon=horizon))
    after = parameters(model.predict_each(other, start, horizon=horizon))
    np.testing.assert_array_equal(before[: cut - start + 1], after[: cut - start + 1])
    short = parameters(model.predict_each(values[:, :cut], start, horizon=horizon))
    np.testing.assert_array_equal(short, before[: cut - start + 1])


def test_a_change_shows_in_the_forecasts_after_it(folder: Path) -> None:
    """The comparison above can fail: a changed value changes each forecast that sees it."""
    values = walk((2, 40))
    other = values.copy()
    other[0, 25] += 0.5
    model = load(folder, context_length=10)
    before, after = (parameters(model.predict_each(one, 1)) for one in (values, other))
    differs = (before != after).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(np.flatnonzero(differs) + 1, range(26, 36))
