from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketsim.errors import ArgumentError, NotEnoughBarsError
from marketsim.walkforward.windows import LEAST_CONTEXT, plan_windows


def test_the_newest_dates_one_apart() -> None:
    windows = plan_windows(5031, simulations=70, window=7, offset_window=60)
    assert len(windows.as_of) == 70
    assert windows.as_of[-1] == 5030  # the last bar is known
    np.testing.assert_array_equal(np.diff(windows.as_of), 1)
    assert windows.stop_day - windows.first_day == 76
    assert windows.first_day - windows.first_fit_day == 60
    np.testing.assert_array_equal(windows.starts, windows.as_of - 6)


def test_purge_and_embargo() -> None:
    windows = plan_windows(400, simulations=5, window=7, offset_window=20, purge=3, embargo=6)
    np.testing.assert_array_equal(windows.as_of, [371, 378, 385, 392, 399])
    np.testing.assert_array_equal(windows.starts[1:] - windows.as_of[:-1], 1)  # disjoint
    assert windows.first_day - windows.first_fit_day == 23
    unfitted = plan_windows(400, simulations=5, window=7, purge=3)
    assert unfitted.first_fit_day == unfitted.first_day


@given(
    bars=st.integers(0, 400),
    simulations=st.integers(1, 100),
    window=st.integers(1, 30),
    offset_window=st.integers(0, 60),
    purge=st.integers(0, 5),
    embargo=st.integers(0, 9),
)
@pytest.mark.filterwarnings("ignore:.*simulations of the")
def test_every_window_fits(bars, simulations, window, offset_window, purge, embargo) -> None:
    options = {"window": window, "offset_window": offset_window, "purge": purge, "embargo": embargo}
    needed = 1 + LEAST_CONTEXT + window + (offset_window + purge if offset_window else 0)
    if bars < needed:
        with pytest.raises(NotEnoughBarsError, match=f"got {bars}, need {needed}"):
            plan_windows(bars, simulations=simulations, **options)
        return
    windows = plan_windows(bars, simulations=simulations, **options)
    assert 1 <= len(windows.as_of) <= simulations
    assert windows.as_of[-1] == bars - 1
    assert windows.first_fit_day >= 1 + LEAST_CONTEXT
    if len(windows.as_of) < simulations:  # not one more would have fitted
        assert windows.first_fit_day - (embargo + 1) < 1 + LEAST_CONTEXT


def test_fewer_simulations_than_asked_warn() -> None:
    with pytest.warns(UserWarning, match="100 bars give 23 simulations of the 70 requested"):
        assert len(plan_windows(100, simulations=70, window=7, offset_window=60).as_of) == 23


@pytest.mark.parametrize("name", ["simulations", "window", "offset_window", "purge", "embargo"])
@pytest.mark.parametrize("value", [-1, 1.5, True, "7"])
def test_numbers_out_of_range(name: str, value: object) -> None:
    options = {"simulations": 1, "window": 7} | {name: value}
    expected = rf"{name} must be a whole number of at least [01](, or \"all\")?: got"
    with pytest.raises(ArgumentError, match=expected):
        plan_windows(500, **options)
