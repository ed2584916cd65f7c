from __future__ import annotations

import numpy as np
import pytest
from backends import DEVICES, on_backend
from market import random_bars

import marketsim as ms
from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.forecasts import ForecastPlan, run_plan

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def cube():
    plan = ForecastPlan(90, 120, 20, 7)
    return run_plan(random_bars(120, 1), ms.load_model("ewma"), plan, store=None, progress=False)


@pytest.mark.parametrize("name", ["cpu", *DEVICES[::2]])
def test_slices_and_windows_are_those_of_the_cube(cube, name: str) -> None:
    with on_backend(name) as backend:
        there = cube.to(backend.device)
        assert (len(there), there.first, there.schema) == (30, 90, cube.schema)
        np.testing.assert_array_equal(there.records.cpu().numpy(), cube.records)
        part = there.slice(95, 110)
        assert part.records.data_ptr() == there.records[5:].data_ptr()
        np.testing.assert_array_equal(part.records.cpu().numpy(), cube.slice(95, 110).records)
        starts = [96, 101, 95]
        expected = [cube.slice(start, start + 7).records for start in starts]
        np.testing.assert_array_equal(part.windows(starts, 7).cpu().numpy(), expected)
        assert part.windows([], 7).shape == (0, 7, *cube.records.shape[1:])
        for start, stop in ((94, 100), (100, 111), (100, 99)):
            with pytest.raises(ArgumentError, match="the cube holds rows 95 to 109: got"):
                part.slice(start, stop)
        with pytest.raises(ArgumentError, match="the cube holds rows 95 to 109: got 95 to 110"):
            part.windows([95, 104], 7)


def test_an_upload_is_a_copy(cube) -> None:
    there = cube.to("cpu")
    there.records.zero_()
    assert cube.records.any()
    with pytest.raises(UnknownNameError, match="unknown device 'gpu'"):
        cube.to("gpu")
