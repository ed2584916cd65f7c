from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mixture_model import MixtureModel

from marketsim.errors import ArgumentError
from marketsim.forecasts import Schema
from marketsim.models import (
    EwmaModel,
    ModelTraits,
    QuantileDistribution,
    SampleDistribution,
    StudentTMixture,
)


@pytest.mark.parametrize(
    "schema",
    [
        Schema.quantiles((0.1, 0.5, 0.9)),
        Schema.quantiles(EwmaModel().levels),
        Schema.of_samples(128),
        Schema.student_t_mixture(24),
    ],
)
def test_text_says_it_all(schema: Schema) -> None:
    assert Schema.parse(schema.text) == schema


def test_texts_are_part_of_keys_and_never_change() -> None:
    assert Schema.quantiles((0.1, 0.5)).text == "quantiles(0.1,0.5)+mean+std;float32"
    assert Schema.of_samples(7).text == "samples(7);float32"
    assert Schema.quantiles((0.1, 0.5)).width == 4
    assert Schema.of_samples(7).width == 7
    assert Schema.student_t_mixture(24).text == "student_t_mixture(24);float32"
    assert Schema.student_t_mixture(24).width == 96


@pytest.mark.parametrize(
    "text",
    [
        "",
        "samples(0);float32",
        "samples(x);float32",
        "student_t_mixture(0);float32",
        "student_t_mixture();float32",
        "student_t_mixture(4)",
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


def some_mixture(rows: int, components: int, seed: int = 0) -> StudentTMixture:
    rng = np.random.default_rng(seed)
    shape = (rows, 1, components)
    return StudentTMixture(
        1.0 + rng.gamma(2.0, 3.0, shape),
        rng.normal(0.0, 0.01, shape),
        np.exp(rng.normal(-4.0, 1.0, shape)),
        rng.dirichlet(np.full(components, 0.3), (rows, 1)),
    )


def test_mixtures_there_and_back() -> None:
    made = some_mixture(200, 24)
    schema = Schema.student_t_mixture(24)
    records = schema.encode(made)
    assert records.shape == (200, 96)
    assert records.dtype == np.float32
    np.testing.assert_array_equal(records[:, :24], made.df[:, 0].astype(np.float32))
    np.testing.assert_array_equal(records[:, 24:48], made.loc[:, 0].astype(np.float32))
    np.testing.assert_array_equal(records[:, 48:72], made.scale[:, 0].astype(np.float32))
    np.testing.assert_array_equal(records[:, 72:], made.weights[:, 0].astype(np.float32))
    back = schema.decode(records[:, None])
    assert isinstance(back, StudentTMixture)
    np.testing.assert_allclose(back.weights.sum(axis=-1), 1.0, rtol=1e-7)
    np.testing.assert_allclose(back.mean, made.mean, atol=1e-8)
    np.testing.assert_array_equal(schema.encode(back), records)
    cube = schema.decode(records.reshape(50, 4, 96))
    assert cube.mean.shape == (50, 4)
    np.testing.assert_array_equal(cube.mean.reshape(-1), back.mean[:, 0])


@pytest.mark.parametrize("off", [-0.9e-4, -1.1e-6, -1e-7, 1e-7, 1.1e-6, 0.9e-4])
def test_weights_that_are_off_are_put_right_once(off: float) -> None:
    exact = some_mixture(300, 24, seed=1)
    parts = (exact.df, exact.loc, exact.scale)
    schema = Schema.student_t_mixture(24)
    records = schema.encode(StudentTMixture(*parts, exact.weights * (1.0 + off)))
    np.testing.assert_allclose(records[:, 72:].sum(axis=1, dtype=np.float64), 1.0, rtol=1.1e-6)
    np.testing.assert_array_equal(schema.encode(schema.decode(records[:, None])), records)


def test_rounding_keeps_parameters_in_their_range() -> None:
    above_one, above_two = np.nextafter(1.0, 2.0), np.nextafter(2.0, 3.0)
    made = StudentTMixture(
        [[[above_one, above_two, 2.0, 1e300]]],
        np.zeros((1, 1, 4)),
        [[[1e-300, 1e-40, 1.0, 1e300]]],
        [[[0.25] * 4]],
    )
    schema = Schema.student_t_mixture(4)
    records = schema.encode(made)
    assert np.isfinite(records).all()
    back = schema.decode(records[:, None])
    assert isinstance(back, StudentTMixture)
    assert back.df[0, 0, 0] > 1.0
    assert back.df[0, 0, 1] > 2.0 == back.df[0, 0, 2]
    np.testing.assert_array_equal(schema.encode(back), records)
    beyond = StudentTMixture([[[5.0]]], [[[1e200]]], [[[1.0]]], [[[1.0]]])
    assert not np.isfinite(Schema.student_t_mixture(1).encode(beyond)).all()


def test_what_cannot_be_stored_as_a_mixture() -> None:
    schema = Schema.student_t_mixture(5)
    for other in (some_mixture(2, 4), EwmaModel().predict([[0.01, 0.02]])):
        with pytest.raises(
            ArgumentError, match="only a StudentTMixture of 5 components can be stored"
        ):
            schema.encode(other)
    for count in (0, -1, 16_385):
        with pytest.raises(ArgumentError, match="components must be 1 to 16,384 a record"):
            Schema.student_t_mixture(count)
    assert Schema.student_t_mixture(16_384).width == 65_536
    with pytest.raises(ArgumentError, match="1 to 16,384 a record: got 99,999"):
        Schema.parse("student_t_mixture(99999);float32")


def test_what_the_forecasts_of_a_model_are_stored_as() -> None:
    assert Schema.for_model(EwmaModel()) == Schema.quantiles(EwmaModel().levels)
    assert Schema.for_model(MixtureModel(24)).text == "student_t_mixture(24);float32"
    for wrong in (24.0, "24", True, -1):
        with pytest.raises(ArgumentError, match="components"):
            ModelTraits((0.1, 0.5), components=wrong)


def test_a_model_that_says_so_has_its_samples_stored() -> None:
    class Drawing(EwmaModel):
        draws: Any = 0

        @property
        def traits(self) -> ModelTraits:
            return ModelTraits(self.levels, draws=self.draws)

    model = Drawing()
    for count, text in ((20, "samples(20);float32"), (0, Schema.for_model(EwmaModel()).text)):
        model.draws = count
        assert Schema.for_model(model).text == text
        assert Schema.for_model(model, "close").text == f"{text};close"
        assert Schema.parse(f"{text};close") == Schema.for_model(model, "close")
    for wrong in (24.0, "24", True, -1, 65_537):
        model.draws = wrong
        with pytest.raises(ArgumentError, match="draws|samples"):
            Schema.for_model(model)
