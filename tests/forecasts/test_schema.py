from __future__ import annotations

import numpy as np
import pytest

from marketsim.errors import ArgumentError
from marketsim.forecasts import Schema
from marketsim.models import EwmaModel, QuantileDistribution, SampleDistribution


@pytest.mark.parametrize(
    "schema",
    [
        Schema.quantiles((0.1, 0.5, 0.9)),
        Schema.quantiles(EwmaModel().levels),
        Schema.of_samples(128),
    ],
)
def test_text_says_it_all(schema: Schema) -> None:
    assert Schema.parse(schema.text) == schema


def test_texts_are_part_of_keys_and_never_change() -> None:
    assert Schema.quantiles((0.1, 0.5)).text == "quantiles(0.1,0.5)+mean+std;float32"
    assert Schema.of_samples(7).text == "samples(7);float32"
    assert Schema.quantiles((0.1, 0.5)).width == 4
    assert Schema.of_samples(7).width == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "samples(0);float32",
        "samples(x);float32",
        "quantiles();",
        "quantiles(e)+mean+std;float32",
        "quantiles(0.1,)+mean+std;float32",
        "quantiles(,)+mean+std;float32",
        "quantiles(-)+mean+std;float32",
        "quantiles(0.1e)+mean+std;float32",
    ],
)
def test_what_is_no_schema(text: str) -> None:
    with pytest.raises(ArgumentError, match="unknown record schema"):
        Schema.parse(text)


def test_too_many_samples() -> None:
    for count in (0, -1, 65_537):
        with pytest.raises(ArgumentError, match="1 to 65,536 a record"):
            Schema.of_samples(count)
    with pytest.raises(ArgumentError, match="1 to 65,536 a record: got 9,999,999"):
        Schema.parse("samples(9999999);float32")


def test_quantiles_there_and_back() -> None:
    made = EwmaModel().predict_each(np.random.default_rng(0).normal(0, 0.01, 60), 50)
    schema = Schema.quantiles(EwmaModel().levels)
    records = schema.encode(made)
    assert records.shape == (11, schema.width)
    assert records.dtype == np.float32
    back = schema.decode(records)
    assert isinstance(back, QuantileDistribution)
    np.testing.assert_array_equal(back.mean, made.mean[:, 0].astype(np.float32))
    np.testing.assert_array_equal(back.quantiles, made.quantiles[:, 0].astype(np.float32))


def test_samples_there_and_back() -> None:
    made = SampleDistribution(np.random.default_rng(0).normal(size=(16, 5, 1)))
    schema = Schema.of_samples(16)
    records = schema.encode(made)
    assert records.shape == (5, 16)
    back = schema.decode(records)
    assert isinstance(back, SampleDistribution)
    np.testing.assert_array_equal(back.samples, made.samples[..., 0].astype(np.float32))
    with pytest.raises(ArgumentError, match="only a SampleDistribution"):
        schema.encode(EwmaModel().predict([[0.01, 0.02]]))
