"""A run whose offsets are fitted on a GPU gives what it gives on the CPU."""

from __future__ import annotations

import pandas as pd
import pytest
from backends import DEVICES, on_backend
from market import random_bars

import marketsim as ms
from marketsim.cli import main
from marketsim.errors import CudaUnavailableError
from marketsim.kernels.cuda import place as cuda


@pytest.mark.parametrize("name", DEVICES[::2])
@pytest.mark.parametrize("options", [{}, {"purge": 3, "fill": "optimistic", "offset_window": 9}])
def test_the_device_changes_nothing(name: str, options) -> None:
    bars = random_bars(160, 3)
    run = {"simulations": 12, "store": False, "progress": False} | options
    expected = ms.walk_forward(bars, "ewma", **run)
    with on_backend(name):
        found = ms.walk_forward(bars, "ewma", device="cuda", **run)
    pd.testing.assert_frame_equal(found.days, expected.days, check_exact=True)
    pd.testing.assert_frame_equal(found.simulations, expected.simulations, check_exact=True)


def test_a_missing_gpu_is_an_error_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise CudaUnavailableError("a GPU cannot be used: none")

    monkeypatch.setattr(cuda, "platform", missing)
    monkeypatch.setattr("marketsim.walkforward.prepared.forecast_plans", None)
    with pytest.raises(CudaUnavailableError, match="a GPU cannot be used: none"):
        ms.walk_forward(random_bars(160, 3), "ewma", device="cuda", store=False)


def test_from_the_command_line(tmp_path, capsys) -> None:
    page = tmp_path / "bars.csv"
    random_bars(120, 4).frame.to_csv(page)
    command = ["backtest", str(page), "--simulations", "4", "--no-store", "--json"]
    assert main(command) == 0
    expected = capsys.readouterr().out
    assert main([*command, "--offset-device", "auto"]) == 0
    assert capsys.readouterr().out == expected
    with on_backend("emulation"):
        assert main([*command, "--offset-device", "cuda"]) == 0
    assert capsys.readouterr().out == expected
    assert main([*command, "--offset-device", "gpu"]) == 2
    assert "unknown device 'gpu'" in capsys.readouterr().err
