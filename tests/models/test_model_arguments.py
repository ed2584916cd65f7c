"""Wrong contexts and numbers: each is named, with what was got and expected."""

from __future__ import annotations

import numpy as np
import pytest

import marketsim as ms
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.models import parse_aggregate

MODELS = [ms.load_model("ewma"), ms.load_model("persistence")]
pytestmark = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def test_a_tuple_is_as_good_as_a_list(model) -> None:
    ragged = [np.linspace(-0.01, 0.02, 30), np.linspace(0.01, -0.02, 41)]
    mask = [np.arange(30) > 3, np.arange(41) > 3]
    for given in ({}, {"mask": mask}):
        as_list, as_tuple = model.predict(ragged, **given), model.predict(tuple(ragged), **given)
        np.testing.assert_array_equal(as_tuple.quantiles, as_list.quantiles)


@pytest.mark.parametrize(
    ("contexts", "message"),
    [
        ([np.array([])], r"context 0 holds no observed value \(length 0\)"),
        ([np.array([]), np.ones(3)], r"context 0 holds no observed value \(length 0\)"),
        ([["a"]], "contexts must be numbers, in rows of one length: got list"),
        ([["a"], ["b", "c"]], "context 0 must be numbers"),
        ([[1.0], [2.0, [3.0, 4.0]]], "context 1 must be numbers"),
        ((np.ones((2, 2)), np.ones(3)), r"must hold 1-D arrays: got \(2, 2\), \(3,\)"),
        (np.ones((0, 2)).tolist(), r"got shape \(0,\)"),
        (None, r"got shape \(\)"),
        ("abc", "contexts must be numbers"),
        (object(), "contexts must be numbers"),
    ],
    ids=[str(i) for i in range(10)],
)
def test_contexts(model, contexts, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.predict(contexts)


@pytest.mark.parametrize(
    ("contexts", "mask", "message"),
    [
        ([np.ones(3), np.ones(4)], 3, r"mask must have the lengths of the contexts \[3, 4\]"),
        ([np.ones(3), np.ones(4)], [[True] * 3], "mask must have the lengths"),
        ([np.ones(3), np.ones(4)], [[True] * 4, [True] * 3], r"got \[\(4,\), \(3,\)\]"),
        (np.ones((2, 3)), [[True] * 3, [True]], "mask must be True or False for each value"),
        (np.ones((2, 3)), [True] * 3, r"mask must have the shape of the contexts \(2, 3\)"),
    ],
    ids=[str(i) for i in range(5)],
)
def test_masks(model, contexts, mask, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.predict(contexts, mask=mask)


def test_no_context_at_all_is_an_empty_batch(model) -> None:
    assert model.predict(np.ones((0, 5))).mean.shape == (0, 1)


@pytest.mark.parametrize("horizon", ["a", None, 1.5, 0, True])
def test_horizon(model, horizon) -> None:
    for call in (
        lambda: model.predict([[0.1, 0.2]], horizon=horizon),
        lambda: model.predict_each([0.1, 0.2], 1, horizon=horizon),
    ):
        with pytest.raises(
            ArgumentError, match="horizon must be a whole number of at least 1: got"
        ):
            call()


@pytest.mark.parametrize(
    ("series", "start", "message"),
    [
        ([0.1, 0.2], "a", r"start must be a whole number in 1 \.\. 2, the length: got 'a'"),
        ([0.1, 0.2], 1.0, "got 1.0"),
        ([0.1, 0.2], 3, "got 3"),
        ([], 1, r"1 \.\. 0"),
        ("ab", 1, "series must be numbers"),
        ([[0.1], [0.1, 0.2]], 1, "series must be numbers, in rows of one length"),
        (np.ones((0, 4)), 1, r"at least one variate: got shape \(0, 4\)"),
    ],
    ids=[str(i) for i in range(7)],
)
def test_series(model, series, start, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.predict_each(series, start)


@pytest.mark.parametrize("window", ["a", None, 2.5, 1, True])
def test_window(model, window) -> None:
    with pytest.raises(ArgumentError, match=r"window must be a whole number in 2 \.\. 1,000,000"):
        ms.load_model(model.name, window=window)


@pytest.mark.parametrize("decay", ["a", None, True, [0.5, 0.5]])
def test_decay(model, decay) -> None:
    if model.name == "ewma":
        with pytest.raises(ArgumentError, match=r"decay must be a number in \(0, 1\): got"):
            ms.load_model("ewma", decay=decay)


@pytest.mark.parametrize("spec", [None, 3, b"mean", ["mean"], f"mean_plus_std_{'9' * 400}"])
def test_aggregate(model, spec) -> None:
    with pytest.raises(UnknownNameError, match="unknown aggregate"):
        model.predict([[0.1, 0.2]]).aggregate(spec)
    with pytest.raises(UnknownNameError, match="expected one of mean, median"):
        parse_aggregate(spec)
