"""A universe in one go: what `walk_forward` gives, symbol by symbol."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backends import DEVICES, on_backend
from market import random_frame
from mixture_model import MixtureModel

import marketsim as ms
from marketsim.errors import ArgumentError, NotEnoughBarsError, UnknownNameError
from marketsim.forecasts import ForecastPlan, MemoryStore, run_plan
from marketsim.kernels import rules
from marketsim.kernels.cuda import windows as cuda_windows
from marketsim.kernels.profit import fills
from marketsim.walkforward import Universe

torch = pytest.importorskip("torch")

RUN: dict[str, Any] = {
    "simulations": 12, "window": 4, "offset_window": 15, "store": False, "progress": False,
}  # fmt: skip
FILLS = ("open_aware", "close_only", "optimistic")
BACKENDS = ["cpu", *DEVICES[::2]]


def universe_of(lengths=(60, 90, 41, 75)) -> list[ms.Bars]:
    """Symbols of several lengths; every other one trades on all days, so it is crypto."""
    return [
        ms.read_bars(random_frame(n, n, weekends=i % 2 == 1), symbol=f"S{i}")
        for i, n in enumerate(lengths)
    ]


def run(bars, model="ewma", backend: str = "cpu", **options) -> ms.UniverseResult:
    with on_backend(backend) as there, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ms.walk_forward_universe(
            bars, model, **(RUN | {"fills": FILLS} | options), device=there.device
        )


def alone(bars, model, fill, **options) -> ms.WalkForwardResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ms.walk_forward(
            bars, model, fill=fill, strategies=["maxdiff", "maxdiff_always_on"], **(RUN | options)
        )


def assert_equals_walk_forward(found: ms.UniverseResult, bars, model, **options) -> None:
    net, high, low, in_sample = (
        values.cpu().numpy()
        for values in (found.net, found.high_offset, found.low_offset, found.in_sample)
    )
    for k, fill in enumerate(found.fills):
        for i, one in enumerate(bars):
            expected = alone(one, model, fill, **options)
            count = len(expected.dates)
            np.testing.assert_array_equal(found.windows[i].days, expected.windows.days)
            for j, name in enumerate(found.strategies):
                outcome = expected.outcomes[name]
                at = (k, j, i, slice(net.shape[-1] - count, None))
                np.testing.assert_array_equal(high[at], outcome.high_offset)
                np.testing.assert_array_equal(low[at], outcome.low_offset)
                np.testing.assert_array_equal(in_sample[at] / 15, outcome.in_sample)
                off = np.abs(net[at].astype(np.float64) - outcome.net)
                assert (off <= bound(expected, name, fill) * (1 + 1e-6)).all()
                assert np.isnan(net[k, j, i, : net.shape[-1] - count]).all()
                check_sums(found, (k, j, i), net[at], expected, outcome)


def bound(result: ms.WalkForwardResult, name: str, fill: str) -> np.ndarray:
    """2**-24 of the profit of the long, plus that of the short, plus their sum."""
    outcome, days = result.outcomes[name], result.market
    high, low = (level.astype(np.float32) for level in (outcome.high_level, outcome.low_level))
    sides = [outcome.position]
    if name == "maxdiff_always_on" and not result.settings.long_only:
        sides = [np.ones(len(high)), -np.ones(len(high))]
    total = np.abs(outcome.net) + outcome.fee
    for side in sides:
        part = fills(
            days.close, days.high, days.low, high, low, side,
            costs=result.settings.costs.rates, fill=fill, open=days.open,
        )  # fmt: skip
        total = total + np.abs(part.gross.astype(np.float64) - part.fee)
    return 2.0**-24 * total


def check_sums(found: ms.UniverseResult, at, net: np.ndarray, expected, outcome) -> None:
    starts = np.searchsorted(expected.windows.days, expected.windows.starts)
    rows = net[starts[:, None] + np.arange(4)].astype(np.float64)
    sums = ms.ProfitSums(*(of.cpu().numpy()[at] for of in found.sums[:4]), found.sums.days)
    missing = len(sums.total) - len(rows)
    assert np.isnan(sums.total[:missing]).all()
    assert not sums.trades[:missing].any()
    np.testing.assert_array_equal(sums.total[missing:], np.cumsum(rows, axis=1)[:, -1])
    np.testing.assert_array_equal(sums.squares[missing:], np.cumsum(rows * rows, axis=1)[:, -1])
    np.testing.assert_array_equal(sums.wins[missing:], (rows > 0).sum(axis=1))
    places = starts[:, None] + np.arange(4)
    np.testing.assert_array_equal(sums.trades[missing:], outcome.active[places].sum(axis=1))
    entries = found.entries.cpu().numpy()[at]
    np.testing.assert_array_equal(entries[missing:], outcome.entries[places].sum(axis=1))
    np.testing.assert_allclose(sums.mean[missing:], rows.mean(axis=1), rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("backend", BACKENDS)
def test_equals_walk_forward_symbol_by_symbol(backend: str) -> None:
    bars = universe_of()
    assert {ms.bars.asset_class(one) for one in bars} == {"equity", "crypto"}
    assert_equals_walk_forward(run(bars, backend=backend), bars, "ewma")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "options",
    [
        {"purge": 2, "fee": 0.001, "aggregate": "p40"},
        {"embargo": 30, "simulations": 3},  # days between the plans that nobody needs
        {"embargo": 5, "purge": 1, "asset_class": "forex"},
        {"fee": ms.Costs(0.0, 3.0), "offset_bounds": ((-0.01, 0.02), (-0.02, 0.0))},
    ],
)
def test_the_options_of_walk_forward(backend: str, options) -> None:
    bars = universe_of((120, 130))
    found = run(bars, backend=backend, fills="open_aware", **options)
    assert_equals_walk_forward(found, bars, "ewma", **options)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("aggregate", ["trimmed_mean_10", "median", "mean"])
def test_mixtures_and_cubes(backend: str, aggregate: str) -> None:
    bars = universe_of()
    options = {"fills": ("close_only",), "aggregate": aggregate}
    found = run(bars, MixtureModel(), backend, **options)
    assert_equals_walk_forward(found, bars, MixtureModel(), aggregate=aggregate)
    cubes = [
        run_plan(one, MixtureModel(), ForecastPlan(11, len(one), 1, 1), store=None, progress=False)
        for one in bars
    ]
    with on_backend(backend) as there:
        mixed = [cube.to(there.device) if i % 2 else cube for i, cube in enumerate(cubes)]
    again = run(bars, None, backend, cubes=mixed, **options)
    for name in ("high_offset", "low_offset", "net", "in_sample"):
        assert torch.equal(
            getattr(found, name).nan_to_num(9.0), getattr(again, name).nan_to_num(9.0)
        )


def test_one_launch_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    launches: list[int] = []
    solve = cuda_windows.solve

    def counted(place, groups) -> None:
        launches.append(len(groups))
        solve(place, groups)

    monkeypatch.setattr(cuda_windows, "solve", counted)
    run(universe_of(), backend="emulation", fills=FILLS[:2])
    assert launches == [8]  # two policies, two strategies, two kinds of costs
    run(universe_of((60, 61)), backend="emulation", fills=rules.FILLS)
    assert launches == [8, 12]


def test_forecasts_are_kept_and_found_again() -> None:
    store, bars = MemoryStore(), universe_of()
    first = run(bars, store=store)
    assert store.hits == 0
    again = run(bars, store=store)
    assert store.hits == len(store)
    assert torch.equal(first.net.nan_to_num(9.0), again.net.nan_to_num(9.0))


def test_a_symbol_alone_is_what_it_is_among_others() -> None:
    bars = universe_of()
    whole = run(bars).simulations()
    for one in bars:
        mine = whole[whole["symbol"] == one.symbol].reset_index(drop=True)
        found = run([one]).simulations()
        pd.testing.assert_frame_equal(
            found.astype({"symbol": str}), mine.astype({"symbol": str}), check_exact=True
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_frames_are_tidy(backend: str) -> None:
    bars = universe_of()
    found = run({one.symbol: one for one in bars}, backend=backend)
    counts = [len(windows.as_of) for windows in found.windows]
    assert counts == [12, 12, 12, 12]
    short = universe_of((60, 34))
    with (
        on_backend(backend) as there,
        pytest.warns(
            UserWarning, match=r"1 of 2 symbols have too few bars for the 12 .* the 5 of S1"
        ),
    ):
        found = ms.walk_forward_universe(
            short, fills=FILLS, **RUN, device=there.device, strategies="maxdiff"
        )
    table = found.simulations()
    assert len(table) == 3 * (12 + 5)
    assert not table.isna().drop(columns="hit_rate").any().any()
    mine = table[(table["symbol"] == "S1") & (table["fill"] == "close_only")]
    assert mine["simulation"].tolist() == list(range(5))
    expected = alone(short[1], "ewma", "close_only").simulations
    expected = expected[expected["strategy"] == "maxdiff"]
    for name in ("as_of", "start", "end"):
        assert (mine[name].to_numpy() == expected[name].to_numpy()).all()
    days = found.days()
    assert list(days.columns) == [
        "fill", "strategy", "symbol", "date", "high_offset", "low_offset", "in_sample", "net",
    ]  # fmt: skip
    assert len(days) == 3 * (15 + 8)
    assert not days.isna().any().any()
    sums = days[days["fill"] == "close_only"].groupby("symbol", observed=True)["net"].sum()
    assert sums.index.tolist() == ["S0", "S1"]


def test_a_universe_is_prepared_once() -> None:
    bars = universe_of()
    with on_backend("emulation"):
        universe = Universe.of(bars, simulations=12, window=4, offset_window=15, device="cuda")
        made = universe.make_forecasts(ms.load_model("ewma"), store=None, progress=False)
        one = universe.evaluate(made, fills=FILLS)
        other = universe.evaluate(made, fills=FILLS[1], strategies="maxdiff")
        assert torch.equal(one.net[1:2, :1].nan_to_num(9.0), other.net.nan_to_num(9.0))
        with pytest.raises(ArgumentError, match=r"cover \d+ bars, as make_forecasts"):
            universe.evaluate(made.slice(0, 5))


def test_errors() -> None:
    bars = universe_of()
    for wrong, message in (
        ({"strategies": ["simple"]}, "'simple' does not run on a universe: expected maxdiff"),
        ({"fills": ()}, r"fills must be different policies, at least one: got \[\]"),
        ({"fills": ["close_only", "close_only"]}, "fills must be different"),
        ({"cubes": []}, "cubes must be one per symbol: got 0 for 4 symbols"),
        ({"offset_window": 0}, "offset_window must be a whole number of at least 1"),
        ({"fee": float("nan")}, "fee must be a finite fraction"),
    ):
        with pytest.raises(ArgumentError, match=message):
            run(bars, **wrong)
    for wrong, message in (
        ({"fills": ["never"]}, "unknown fill policy 'never'"),
        ({"strategies": ["no"]}, "unknown strategy 'no'"),
        ({"aggregate": "middle"}, "unknown aggregate"),
        ({"asset_class": "bond"}, "unknown asset class 'bond'"),
    ):
        with pytest.raises(UnknownNameError, match=message):
            run(bars, **wrong)
    with pytest.raises(UnknownNameError, match="unknown device 'gpu'"):
        ms.walk_forward_universe(bars, device="gpu")
    with pytest.raises(ArgumentError, match="different symbols, at least one: got"):
        run([bars[0], bars[0]])
    with pytest.raises(ArgumentError, match="a list of Bars"):
        run(["AAPL.csv"])
    with pytest.raises(NotEnoughBarsError, match=r"S1: too few bars .*, or leave the symbol out"):
        run(universe_of((60, 25)))


def test_cubes_that_do_not_fit() -> None:
    bars = universe_of((60, 61))

    def cube(one, model, first=11):
        plan = ForecastPlan(first, len(one), 1, 1)
        return run_plan(one, model, plan, store=None, progress=False)

    model = ms.load_model("ewma")
    with pytest.raises(ArgumentError, match="S1: the cube holds rows 40 to 60: got 31 to 60"):
        run(bars, cubes=[cube(bars[0], model), cube(bars[1], model, 40)])
    with pytest.raises(ArgumentError, match=r"share one schema and be on cpu: got student"):
        run(bars, cubes=[cube(bars[0], model), cube(bars[1], MixtureModel())])
    there = [cube(one, model).to("cpu") for one in bars]
    object.__setattr__(there[1], "records", there[1].records.to("meta"))
    with pytest.raises(ArgumentError, match=r"got quantiles.* on meta for S1"):
        run(bars, cubes=there)


def test_figures_mean_the_same_as_in_walk_forward() -> None:
    """Trades are positions opened; the hit rate is of the days in the market: none vanishes."""
    count, noise = 120, np.random.default_rng(0)
    close = np.full(count, 100.0)
    high = close * (1.01 + 0.005 * noise.random(count))
    low = close * (0.99 - 0.005 * noise.random(count))
    frame = pd.DataFrame(
        {"open": close, "high": high, "low": low, "close": close, "volume": 1.0},
        pd.bdate_range("2024-01-01", periods=count, tz="UTC"),
    )
    bars = ms.read_bars(frame, symbol="Z")
    options = RUN | {"fee": 0.0, "offset_bounds": ((0, 0), (1, 1)), "simulations": 20}
    one = ms.walk_forward(bars, strategies=["maxdiff", "maxdiff_always_on"], **options).simulations
    found = ms.walk_forward_universe([bars], **options).simulations()
    for name in ("maxdiff", "maxdiff_always_on"):
        alone, mine = one[one.strategy == name], found[found.strategy == name]
        np.testing.assert_array_equal(mine.trades, alone.trades)
        np.testing.assert_allclose(mine.hit_rate, alone.hit_rate)


def test_prepared_universes_are_evaluated_again() -> None:
    bars = universe_of()
    options = {name: RUN[name] for name in ("simulations", "window", "offset_window")}
    prepared = ms.prepare(bars, "ewma", store=False, progress=False, **options)
    assert repr(prepared) == "PreparedUniverse(4 symbols, on cpu)"
    for changed in ({}, {"fee": 0.003}, {"asset_class": "forex"}):
        whole = run(bars, fills=["optimistic"], **changed)
        found = prepared.evaluate(fill="optimistic", **changed)
        pd.testing.assert_frame_equal(found.simulations(), whole.simulations(), check_exact=True)
        pd.testing.assert_frame_equal(found.days(), whole.days(), check_exact=True)
    with pytest.raises(ArgumentError, match="start, end and calendar do not apply to a universe"):
        ms.prepare(bars, "ewma", start="2020-01-01")


def test_a_result_is_a_line() -> None:
    bars = [ms.read_bars(random_frame(150, seed), symbol=f"S{seed}") for seed in range(2)]
    found = ms.walk_forward_universe(
        bars, "ewma", strategies=["maxdiff"], simulations=3, store=False, progress=False
    )
    assert repr(found).startswith("UniverseResult(2 symbols, strategies maxdiff, fills ")
    assert len(repr(found)) < 200
    assert found == found and hash(found)
