from __future__ import annotations

import numpy as np
import pytest

from marketsim.kernels.loops import shutdown_positions, window_sums

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("length", [1, 2, 7, 60])
def test_compiled_sums_equal_python(length: int) -> None:
    net = RNG.normal(0.001, 0.01, (3, 60))
    starts = np.arange(0, 60 - length + 1, 3)
    fields = np.stack([net, np.where(RNG.random(net.shape) < 0.7, net, np.nan)])
    np.testing.assert_array_equal(
        window_sums(fields, starts, length), window_sums.py_func(fields, starts, length)
    )


def test_shutdown_positions_by_hand() -> None:
    #            day:     0     1     2      3     4     5
    forecast = np.array([-0.1, -0.1, 0.1, 0.1, -0.1, 0.1])
    # Return of the day before: long on day 0 was right, short on day 1 wrong, day 2 idle, ...
    last = np.array([9.0, 0.02, 0.02, -0.5, 0.01, -0.03])
    #  day 0 long; day 1 follows (-1); day 2 pauses; day 3 opens (+1); day 4 right, follows (-1);
    #  day 5: the short of day 4 met -0.03, right, follows (+1)
    np.testing.assert_array_equal(shutdown_positions(forecast, last, False), [1, -1, 0, 1, -1, 1])
    np.testing.assert_array_equal(
        shutdown_positions.py_func(forecast, last, True), shutdown_positions(forecast, last, True)
    )
    assert shutdown_positions(forecast, last, True).min() == 0.0


def test_without_a_folder_to_write_to_it_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    from marketsim.kernels import loops

    def refusing(*, cache: bool = False, **options: object):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba_njit(**options)

    numba_njit = numba.njit
    monkeypatch.setattr(numba, "njit", refusing)
    doubled = loops._compiled(lambda x: 2.0 * x)
    assert doubled(3.0) == 6.0
