"""The compiled module: imported without a driver, and then says so."""

from __future__ import annotations

import importlib
import importlib.util

import pytest
from problems import random_days

from marketsim import _cuda_emulation


@pytest.fixture
def cuda():
    if importlib.util.find_spec("marketsim._cuda") is None:
        pytest.skip("built without CUDA: nvcc was not found, or MARKETSIM_CUDA is OFF")
    return importlib.import_module("marketsim._cuda")


def test_has_the_names_of_its_emulation(cuda) -> None:
    public = {name for name in dir(cuda) if not name.startswith("_")}
    emulated = {name for name in dir(_cuda_emulation) if not name.startswith("_")}
    assert emulated == public | {"set_rank_order"}


def test_says_what_devices_there_are(cuda) -> None:
    count, state = cuda.device_count(), cuda.driver_state()
    assert "built with CUDA" in state
    assert "80" in cuda.ARCHITECTURES
    assert "90" in cuda.ARCHITECTURES
    for device in range(count):
        assert cuda.device_name(device)
    assert cuda.device_name(count) == ""


def test_without_a_device_launches_say_why(cuda) -> None:
    if cuda.device_count():
        pytest.skip("there is a device")
    import numpy as np

    days = random_days(np.random.default_rng(0), (1, 5))
    group = cuda.OffsetGroup(
        days=[values.ctypes.data for values in days.values()], strides=[5] * 7, starts=0,
        problems=1, day_count=5, bounds=(-0.03, 0.03, -0.03, 0.03), fill=0, fee_rule=0,
        limit_cost=0.0, close_cost=0.0,
        margin=0.0, always_on=False, long_only=False, high=0, low=0, profit=0, applied=0,
        applied_gap=0, applied_days=0,
    )  # fmt: skip
    with pytest.raises(RuntimeError, match=r"cannot use the device: .* \(cudaError"):
        cuda.best_offsets([group], 0, 0, 0, 0)
