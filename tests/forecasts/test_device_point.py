"""Point forecasts of records on a device: the bits that the host gives."""

from __future__ import annotations

import numpy as np
import pytest
from backends import DEVICES, on_backend
from store_cases import bits

from marketsim.errors import CudaError, UnknownNameError
from marketsim.forecasts import DeviceCube, ForecastCube, Schema
from marketsim.kernels.cuda import place as cuda
from marketsim.models import AGGREGATES, QuantileDistribution, SampleDistribution, StudentTMixture

torch = pytest.importorskip("torch")

NAMES = (
    "mean", "median", "p90", "p33", "trimmed_mean_10", "trimmed_mean_0", "lower_trimmed_mean_20",
    "upper_trimmed_mean_0.3", "quantile_0.05", "quantile_0.999", "mean_minus_std_1",
    "mean_plus_std_0.5", "mean_quantile_mix_0.2_0.25", "quantile_plus_std_0.35_0.5",
)  # fmt: skip


def quantiles(rng: np.random.Generator) -> ForecastCube:
    levels = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
    values = np.sort(rng.normal(0, 1, (160, 1, len(levels))) * 10.0 ** rng.uniform(-6, 3), axis=-1)
    return cube(Schema.quantiles(levels), QuantileDistribution(levels, values))


def samples(rng: np.random.Generator) -> ForecastCube:
    return cube(Schema.of_samples(37), SampleDistribution(rng.normal(0, 0.01, (37, 160, 1))))


def mixtures(rng: np.random.Generator) -> ForecastCube:
    df = 1.0 + rng.exponential(3.0, (160, 1, 5))
    df[5] = 1.5  # an infinite standard deviation, but not of what has no weight
    weights = rng.dirichlet(np.ones(5), (160, 1))
    weights[3:6, :, 1:3], df[6, :, 1] = 0.0, 1.5
    weights[6, :, 1] = 0.0
    weights /= weights.sum(axis=-1, keepdims=True)
    location = rng.normal(0, 0.01, df.shape)
    scale = 10.0 ** rng.uniform(-6, 0, df.shape)
    made = StudentTMixture(df, location, scale, weights)
    return cube(Schema.student_t_mixture(5), made)


def cube(schema: Schema, distribution) -> ForecastCube:
    records = schema.encode(distribution)
    return ForecastCube(10, schema, records.reshape(40, 1, 4, -1))


@pytest.mark.parametrize("name", ["cpu", *DEVICES[::2]])
@pytest.mark.parametrize("make", [quantiles, samples, mixtures])
def test_points_are_those_of_the_host(name: str, make) -> None:
    here = make(np.random.default_rng(3))
    with on_backend(name) as backend:
        there = here.to(backend.device)
        for aggregate in NAMES:
            found = there.point(aggregate)
            assert (found.dtype, found.shape) == (torch.float64, (40, 4))
            expected = here.point(aggregate)
            got = found.cpu().numpy()
            np.testing.assert_array_equal(got, expected, err_msg=aggregate)
            part = there.slice(15, 20)
            np.testing.assert_array_equal(part.point(aggregate).cpu().numpy(), expected[5:10])
        with pytest.raises(UnknownNameError, match="unknown aggregate 'middle'"):
            there.point("middle")


def test_every_form_is_tried() -> None:
    tried = {name.rstrip("0123456789._") for name in NAMES}
    assert {name.split("<")[0].rstrip("_") for name in AGGREGATES} <= tried


def test_a_cube_of_a_tensor_knows_its_device() -> None:
    here = mixtures(np.random.default_rng(1))
    made = DeviceCube(here.first, here.schema, torch.from_numpy(here.records))
    assert made.kernels_place() is None
    assert bits(made.point("median").numpy()) == bits(here.point("median"))


def test_a_build_without_the_kernel_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    here = mixtures(np.random.default_rng(1))
    with on_backend("emulation"):
        module = type("Module", (), {})()
        monkeypatch.setattr(cuda, "platform", lambda: cuda.Platform(module, "cpu"))
        there = here.to("cuda")
        np.testing.assert_array_equal(there.point("mean").numpy(), here.point("mean"))
        with pytest.raises(CudaError, match=r"no mixture_quantiles: rebuild .* on the host"):
            there.point("median")
