"""Windows of many days fitted, applied and summed in one go: as the functions do it one by one."""

from __future__ import annotations

import numpy as np
import pytest
from backends import DEVICES, on_backend
from numpy.lib.stride_tricks import sliding_window_view
from problems import awkward_days

import marketsim as ms
from marketsim.errors import ArgumentError
from marketsim.kernels.cuda import place as cuda
from marketsim.kernels.cuda.windows import Fit, fit_windows, sum_windows, windows_at

torch = pytest.importorskip("torch")

SERIES = awkward_days(np.random.default_rng(1), 200, 1)
STARTS = np.array([0, 5, 6, 120, 60, 160])
FITS = [
    {"fill": fill, "always_on": on, "long_only": only}
    for fill, on, only in (
        ("optimistic", False, False),
        ("close_only", True, False),
        ("open_aware", False, True),
        ("optimistic", True, True),
    )
]


@pytest.fixture(params=DEVICES[1::2])
def on(request: pytest.FixtureRequest):
    with on_backend(request.param):
        yield "cpu" if cuda.platform().kind == "cpu" else "cuda"


def moved(on: str) -> tuple[dict, dict]:
    days = {name: torch.from_numpy(value.copy()).to(on) for name, value in SERIES.items()}
    levels = {name: days.pop(name) for name in ("high_pred", "low_pred", "position")}
    return days, levels


@pytest.mark.parametrize("length", [9, 30])
@pytest.mark.parametrize(("behind", "applied"), [(1, 1), (5, 2), (3, 0), (0, 0)])
def test_equals_one_by_one(on: str, length: int, behind: int, applied: int) -> None:
    market, levels = moved(on)
    at = windows_at(STARTS, length, behind=behind)
    fits = [Fit(**levels, **options) for options in FITS]
    rule = {"costs": (0.0, 0.0002, 0.001)}
    found = fit_windows(market, fits, at, applied=applied, **rule)
    rows = {name: sliding_window_view(v, length)[STARTS] for name, v in SERIES.items()}
    for fitted, options in zip(found, FITS, strict=True):
        expected = ms.best_offsets(**rows, **options, **rule)
        for got, value in zip(fitted, expected, strict=False):
            np.testing.assert_array_equal(got.cpu().numpy(), value)
        assert fitted.net.shape == (len(STARTS), applied)
        for i, start in enumerate(STARTS):
            begin = start + length + behind - applied
            days = {name: v[begin : begin + applied] for name, v in SERIES.items()}
            pair = {"high_offset": expected.high[i], "low_offset": expected.low[i]}
            net = applied_profit(days, pair, options, rule)
            np.testing.assert_array_equal(fitted.net[i].cpu().numpy(), net)


def applied_profit(days, pair, options, rule) -> np.ndarray:
    usable = np.isfinite(np.stack(list(days.values()))).all(axis=0).astype(np.float32)
    position = days["position"]
    sides = [np.where(position < 0, np.float32(0), position) if options["long_only"] else position]
    if options["always_on"]:
        sides = [usable] if options["long_only"] else [usable, -usable]
    profits = [
        ms.profit(**(days | {"position": side}), **pair, fill=options["fill"], **rule)
        for side in sides
    ]
    return np.sum(profits, axis=0, dtype=np.float32)


def test_more_fits_than_a_launch_takes(on: str) -> None:
    market, levels = moved(on)
    at = windows_at(STARTS, 20, behind=1)
    count = cuda.platform().module.MAX_GROUPS + 3
    found = fit_windows(market, [Fit(**levels)] * count, at)
    assert len(found) == count
    assert all(torch.equal(fitted.net, found[0].net) for fitted in found)


def test_fits_of_their_own_fee_and_windows(on: str) -> None:
    market, levels = moved(on)
    all_of, some = windows_at(STARTS, 20, behind=2), windows_at(STARTS[3:], 12, behind=1)
    fits = [Fit(**levels), Fit(**levels, fee=0.002, windows=some), Fit(**levels, fee=0.0)]
    found = fit_windows(market, fits, all_of, fee=0.001)
    for got, at, fee in zip(found, (all_of, some, all_of), (0.001, 0.002, 0.0), strict=True):
        (alone,) = fit_windows(market, [Fit(**levels)], at, fee=fee)
        assert len(got.high) == len(at.starts)
        assert all(torch.equal(one, other) for one, other in zip(got, alone, strict=True))
    with pytest.raises(ArgumentError, match=r"applied must be 0 to 1 \(behind\): got 2"):
        fit_windows(market, fits, all_of, applied=2)
    with pytest.raises(ArgumentError, match="fee must be a finite fraction"):
        fit_windows(market, [Fit(**levels, fee=float("nan"))], all_of)


def test_sums_of_windows(on: str) -> None:
    values = np.where(np.arange(50) % 7 == 0, 0, np.random.default_rng(2).normal(0, 1, 50))
    values = values.astype(np.float32)
    starts = [0, 3, 43]
    found = sum_windows(torch.from_numpy(values).to(on), windows_at(starts, 7))
    for i, start in enumerate(starts):
        part = values[start : start + 7].astype(np.float64)
        assert found.total[i].item() == np.cumsum(part)[-1]
        assert found.squares[i].item() == np.cumsum(part * part)[-1]
        counts = (found.wins[i].item(), found.trades[i].item())
        assert counts == ((part > 0).sum(), (part != 0).sum())
    assert found.days == 7
    assert sum_windows(torch.from_numpy(values).to(on), windows_at([], 7)).total.shape == (0,)


def test_errors(on: str) -> None:
    market, levels = moved(on)
    for starts, length, behind in (([-1], 5, 0), ([0.5], 5, 0), ([[0]], 5, 0), ([0], 0, 0)):
        with pytest.raises(ArgumentError, match="starts must be first bars"):
            windows_at(starts, length, behind=behind)
    with pytest.raises(ArgumentError, match="for a GPU: got device='cpu'"):
        windows_at([0], 5, device="cpu")
    at = windows_at([190], 10, behind=1)
    with pytest.raises(ArgumentError, match=r"with at least 201 bars .*: got shape \(200,\)"):
        fit_windows(market, [Fit(**levels)], at)
    with pytest.raises(ArgumentError, match=r"values must be \[bar\] with at least 201"):
        sum_windows(market["close"], at)
    at = windows_at([0], 10, behind=1)
    with pytest.raises(ArgumentError, match=r"applied must be 0 to 1 \(behind\): got 2"):
        fit_windows(market, [Fit(**levels)], at, applied=2)
    with pytest.raises(ArgumentError, match="needs open="):
        fit_windows(market | {"open": None}, [Fit(**levels, fill="open_aware")], at)
    with pytest.raises(ArgumentError, match="market must hold close, high, low"):
        fit_windows({"close": market["close"]}, [Fit(**levels)], at)
    with pytest.raises(ArgumentError, match="lengths differ: close has 200, low_pred has 10"):
        fit_windows(market, [Fit(**(levels | {"low_pred": levels["low_pred"][:10]}))], at)
