"""The whole run, against a plain and slow transcription of what it promises."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from market import random_bars, random_frame

import marketsim as ms
from marketsim import _core
from marketsim.bars import TARGETS
from marketsim.errors import ArgumentError, NotEnoughBarsError, UnknownNameError
from marketsim.kernels.reference import best_offsets_reference, profit_reference
from marketsim.models import EwmaModel

f32 = np.float32
COLUMNS = ["close", "high", "low", "high_pred", "low_pred", "position", "open"]


class Transcription:
    """One day after the other, nothing shared, from the words of the documentation alone."""

    def __init__(
        self, bars, *, fill, cost, long_only, offset_window, purge, aggregate, targets
    ) -> None:
        self.bars, self.fill, self.cost, self.long_only = bars, fill, cost, long_only
        self.targets = targets
        self.offset_window, self.purge, self.aggregate = offset_window, purge, aggregate
        self.model = EwmaModel()

    def forecast(self, day: int) -> dict[str, float]:
        """Moves against the close before, from the rows before `day`."""
        prices = {name: getattr(self.bars, name)[:day] for name in TARGETS}
        if self.targets == "close":
            return self.forecast_against_close(day, prices)
        moves = {}
        for name, past in prices.items():
            returns = past[1:] / past[:-1] - 1.0
            found = self.model.predict([returns])
            rounded = ms.QuantileDistribution(  # what a record keeps
                found.levels,
                found.quantiles.astype(f32),
                mean=found.mean.astype(f32),
                std=found.std.astype(f32),
            )
            point = rounded.aggregate(self.aggregate)[0, 0]
            moves[f"{name}_return"] = point
            moves[name] = (1.0 + point) * (past[-1] / prices["close"][-1]) - 1.0
            if name == "close":
                moves["close"] = point
                low, high = rounded.quantile([0.4, 0.6])[0, 0]
                moves["band"] = max(high - low, 0.0)
        return moves

    def forecast_against_close(self, day: int, prices: dict) -> dict[str, float]:
        """The same from log moves against the close, put in order level by level."""
        logs = dict(zip(TARGETS, _core.close_moves(*prices.values()), strict=True))
        quantiles = {
            name: self.model.predict([past]).quantiles[0, 0].astype(f32).astype(float)
            for name, past in logs.items()
        }
        sides = (quantiles["open"], quantiles["close"])
        quantiles["high"] = np.max([quantiles["high"], *sides], axis=0)
        quantiles["low"] = np.min([quantiles["low"], *sides], axis=0)
        moves = {}
        for name, past in prices.items():
            made = ms.QuantileDistribution(self.model.levels, quantiles[name][None])
            moves[name] = math.expm1(made.aggregate(self.aggregate)[0])
            moves[f"{name}_return"] = (1.0 + moves[name]) * prices["close"][-1] / past[-1] - 1.0
            if name == "close":
                low, high = made.quantile([0.4, 0.6])[0]
                moves["band"] = max(math.expm1(high) - math.expm1(low), 0.0)
        return moves

    def came(self, day: int) -> dict[str, float]:
        before = self.bars.close[day - 1]
        return {name: getattr(self.bars, name)[day] / before - 1.0 for name in TARGETS}

    def side(self, move: float) -> float:
        """By the sign of a move; none for a move of exactly 0."""
        return 0.0 if move == 0.0 else 1.0 if move > 0.0 else (0.0 if self.long_only else -1.0)

    def held(self, position: list[float], moves: list[float]) -> list[float]:
        """Costs of each bar of a position that is held, from the account itself.

        One unit of money before each bar: what is owned before it is worth `owned` of it, the rest
        is cash; trading to the target pays for the value traded, and the last position is sold.
        """
        fees, owned = [], 0.0
        for target, move in zip(position, moves, strict=True):
            fees.append(abs(target - owned) * self.cost)
            stock, cash = target * (1.0 + move), 1.0 - target
            owned = stock / (stock + cash)
        fees[-1] += abs(owned) * self.cost
        return fees

    def maxdiff(self, moves: dict[str, float]) -> float:
        if not moves["low"] < moves["high"]:
            return 0.0
        return self.side(abs(moves["high"]) - abs(moves["low"]))

    def problem(self, days: list[int], always_on: bool) -> dict[str, np.ndarray]:
        rows = []
        for day in days:
            moves, came = self.forecast(day), self.came(day)
            position = 1.0 if always_on else self.maxdiff(moves)
            rows.append(
                [
                    came["close"],
                    came["high"],
                    came["low"],
                    moves["high"],
                    moves["low"],
                    position,
                    came["open"],
                ]
            )
        return dict(zip(COLUMNS, np.array(rows, dtype=f32).T, strict=True))

    def limits(self, day: int, always_on: bool) -> tuple[float, float, float, float, float]:
        """(high offset, low offset, gross, fee, in-sample mean) of the fitted strategies."""
        last = day - 1 - self.purge
        window = list(range(last - self.offset_window + 1, last + 1))
        rule = {"fill": self.fill, "fee": self.cost}
        fit = best_offsets_reference(
            **self.problem(window, always_on), **rule, always_on=always_on, long_only=self.long_only
        )
        today = self.problem([day], always_on)
        sides = [today["position"]]
        if always_on:
            sides = [np.ones(1)] if self.long_only else [np.ones(1), -np.ones(1)]
        net = gross = 0.0
        for s in sides:
            given = today | {"position": s}
            offsets = {"high_offset": fit.high, "low_offset": fit.low}
            net += float(profit_reference(**given, **offsets, **rule)[0])
            gross += float(profit_reference(**given, **offsets, fill=self.fill)[0])
        return fit.high, fit.low, gross, gross - net, fit.profit / self.offset_window


SETUPS = [
    {"fill": "open_aware", "fee": 0.0007, "asset_class": "equity", "purge": 0, "targets": "close"},
    {"fill": "open_aware", "fee": 0.0007, "asset_class": "equity", "purge": 0, "targets": "own"},
    {"fill": "optimistic", "fee": 0.0, "asset_class": "crypto", "purge": 2, "targets": "close"},
    {"fill": "optimistic", "fee": 0.002, "asset_class": "equity", "purge": 1, "targets": "own"},
    {"fill": "close_only", "fee": 0.0007, "asset_class": "equity", "purge": 0, "targets": "close"},
]


@pytest.mark.parametrize("setup", SETUPS, ids=lambda s: s["fill"])
def test_equals_transcription(setup: dict) -> None:
    bars = random_bars(90, seed=3)
    result = ms.walk_forward(
        bars,
        "ewma",
        simulations=6,
        window=4,
        offset_window=8,
        aggregate="median",
        progress=False,
        **setup,
    )
    plain = Transcription(
        bars, fill=setup["fill"], cost=setup["fee"], long_only=setup["asset_class"] == "crypto",
        offset_window=8, purge=setup["purge"], aggregate="median", targets=setup["targets"],
    )  # fmt: skip
    first, days = 81, range(81, 90)
    assert list(result.dates) == list(bars.frame.index[first:])
    frames = dict(iter(result.days.groupby("strategy", observed=True)))
    moves = {day: plain.forecast(day) for day in range(first, 90)}
    came = {day: plain.came(day) for day in range(first - 1, 90)}

    def check(name: str, column: str, expected: list[float], tolerance: float = 1e-12) -> None:
        got = frames[name][column].to_numpy()
        np.testing.assert_allclose(
            got, expected, rtol=1e-9, atol=tolerance, err_msg=f"{name} {column}"
        )

    # Strategies that hold from close to close.
    simple = [plain.side(moves[d]["close"]) for d in days]
    signals, guard, shutdown = [], [], []
    held = 1.0
    for d in days:
        returns = [moves[d][f"{name}_return"] for name in ("close", "high", "low")]
        up, down = all(r > 0 for r in returns), all(r < 0 for r in returns)
        signals.append(1.0 if up else plain.side(-1.0) if down else 0.0)
        edge = max(moves[d]["band"], 1e-8)
        close = moves[d]["close"]
        guard.append(1.0 if close > edge else plain.side(-1.0) if close < -edge else 0.0)
        if d > first:
            right = held == 0.0 or held * came[d - 1]["close"] > 0.0
            held = plain.side(close) if right else 0.0
        shutdown.append(held)
    positions = {
        "simple": simple,
        "all_signals": signals,
        "buy_and_hold": [1.0] * len(days),
        "unprofit_shutdown": shutdown,
        "confidence_guard": guard,
    }
    for name, position in positions.items():
        check(name, "position", position)
        check(name, "gross", [s * came[d]["close"] for s, d in zip(position, days, strict=True)])
        check(name, "fee", plain.held(position, [came[d]["close"] for d in days]))

    # In at the close before, out at the forecast high or low.
    gross, fee, carried = [], [], 0.0
    for s, d in zip(simple, days, strict=True):
        limit = f32(moves[d]["high"] if s > 0 else moves[d]["low"])
        profitable = limit * s > 0.0  # else there is no order
        through = limit < f32(came[d]["high"]) if s > 0 else limit > f32(came[d]["low"])
        leaves = bool(profitable and through) and setup["fill"] != "close_only"
        at_open = f32(came[d]["open"])
        price = float(max(limit, at_open) if s > 0 else min(limit, at_open))
        move = price if leaves else came[d]["close"]
        gross.append(s * move)
        fee.append((abs(s - carried) + (abs(s) if leaves else 0.0)) * setup["fee"])
        carried = 0.0 if leaves else s * (1.0 + move) / (1.0 + s * move)
    fee[-1] += abs(carried) * setup["fee"]
    check("entry_takeprofit", "gross", gross)
    check("entry_takeprofit", "fee", fee)

    # In at the forecast low or high, out at the close.
    gross = []
    for s, d in zip(simple, days, strict=True):
        day = plain.problem([d], False) | {"position": [s]}
        gross.append(float(profit_reference(**day, fill="close_only")[0]))
    check("high_low", "gross", gross, tolerance=1e-9)

    # Fitted offsets.
    for name, always_on in (("maxdiff", False), ("maxdiff_always_on", True)):
        expected = np.array([plain.limits(d, always_on) for d in days]).T
        check(name, "high_offset", expected[0])
        check(name, "low_offset", expected[1])
        check(name, "gross", expected[2], tolerance=2e-9)
        check(name, "fee", expected[3], tolerance=2e-9)
        check(name, "in_sample", expected[4], tolerance=1e-9)


@pytest.fixture(scope="module")
def result() -> ms.WalkForwardResult:
    bars = random_bars(300, seed=1)
    return ms.walk_forward(bars, "ewma", simulations=40, window=7, progress=False)


def test_a_simulation_is_a_run_of_its_own(result: ms.WalkForwardResult) -> None:
    """Its row is that of a run up to its as-of date with no other simulation."""
    bars = result.bars.frame
    for simulation in (0, 17, 39):
        rows = result.simulations[result.simulations.simulation == simulation]
        as_of = bars.index.get_loc(rows.as_of.iloc[0])
        alone = ms.walk_forward(
            bars.iloc[: as_of + 1], "ewma", simulations=1, window=7, progress=False
        ).simulations
        pd.testing.assert_frame_equal(
            rows.drop(columns="simulation").reset_index(drop=True),
            alone.drop(columns="simulation"),
            check_exact=True,
        )


def test_simulations_measure_their_days() -> None:
    bars = random_bars(300, seed=1)
    run = ms.walk_forward(bars, simulations=1, window=7, progress=False)
    for _, row in run.simulations.iterrows():
        part = run.days[run.days.strategy == row.strategy]
        assert (row.start, row.as_of, row.end) == (*part.date.iloc[[0, -1]], part.date.iloc[-1])
        net = part.net.to_numpy()
        assert row.total_return == pytest.approx(np.prod(1 + net) - 1, abs=1e-12)
        assert row.mean_return == pytest.approx(net.mean(), abs=1e-14)
        assert row.std_return == pytest.approx(net.std(ddof=1), abs=1e-14)
        assert math.isnan(row.sharpe)  # seven days are not annualised
        assert row.fees == pytest.approx(part.fee.sum(), abs=1e-14)
        assert row.ambiguous == part.ambiguous.sum()
        assert row.trades == (part.long_entered.astype(int) + part.short_entered.astype(int)).sum()
        gap = (part.net_optimistic - part.net_open_aware).sum()
        assert row.optimistic_gap == pytest.approx(gap, abs=1e-12)
        absolute = np.abs(net).sum()
        if absolute > 0:
            share = np.abs(net[part.ambiguous]).sum() / absolute
            assert row.ambiguous_profit_share == pytest.approx(share)
        if row.strategy.startswith("maxdiff"):
            assert row.in_sample == pytest.approx(part.in_sample.mean(), abs=1e-12)
        else:
            assert math.isnan(row.in_sample)


def test_frames_are_tidy(result: ms.WalkForwardResult) -> None:
    days, forecasts = result.days, result.forecasts
    np.testing.assert_array_equal(days.net, days.gross - days.fee)
    assert not days.duplicated(["date", "strategy"]).any()
    assert (days.net_open_aware <= days.net_optimistic + 1e-12).all()
    assert len(forecasts) == 46 * 4
    assert not forecasts.duplicated(["date", "target"]).any()
    bars = result.bars.frame
    for target in TARGETS:
        part = forecasts[forecasts.target == target].set_index("date")
        expected = np.log(bars[target] / bars.close.shift()).loc[part.index]
        np.testing.assert_allclose(part.actual, expected, atol=1e-14)
        levels = part.filter(regex="^q")
        assert (levels.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
        assert list(levels)[:3] == ["q0.01", "q0.025", "q0.05"]


def test_limit_prices_are_those_of_orders(result: ms.WalkForwardResult) -> None:
    days = result.days
    for name, buys, sells in (
        ("simple", False, False),
        ("entry_takeprofit", days.position < 0, days.position > 0),
        ("high_low", days.position > 0, days.position < 0),
        ("maxdiff", days.position != 0, days.position != 0),
        ("maxdiff_always_on", True, True),
    ):
        here = days.strategy == name
        np.testing.assert_array_equal(days.buy_limit.notna()[here], (here & buys)[here])
        np.testing.assert_array_equal(days.sell_limit.notna()[here], (here & sells)[here])


def test_limit_prices_follow_the_offsets(result: ms.WalkForwardResult) -> None:
    part = result.days[result.days.strategy == "maxdiff_always_on"]
    low = result.bars.frame.low.loc[part.date].to_numpy()
    entered = part.long_entered.to_numpy()
    assert entered.any()
    assert (low[entered] < part.buy_limit.to_numpy()[entered] * (1 + 1e-6)).all()


def test_summary(result: ms.WalkForwardResult) -> None:
    summary = result.summary()
    frame = summary.strategies
    assert list(frame.index[-3:]) == ["buy_and_hold", "persistence", "random_walk"]
    assert (frame.kind[-3:] == "baseline").all()
    assert len(frame) == 11  # buy_and_hold once
    part = result.days[result.days.strategy == "maxdiff"]
    row = frame.loc["maxdiff"]
    assert row.total_return == pytest.approx(np.prod(1 + part.net) - 1)
    assert row.trades == part.long_entered.sum() + part.short_entered.sum()
    assert row.fees == pytest.approx(part.fee.sum())
    assert row.in_sample_bps == pytest.approx(part.in_sample.mean() * 1e4)
    assert row.ambiguous_share == pytest.approx(part.ambiguous.mean())
    forecasts = result.forecasts
    close = forecasts[forecasts.target == "close"]
    mae = (close.actual - close.point).abs().mean()
    skill = summary.skill.loc["close"]
    assert skill.mae_bps == pytest.approx(mae * 1e4)
    assert skill.mae_random_walk_bps == pytest.approx(close.actual.abs().mean() * 1e4)
    assert skill.mae_ratio == pytest.approx(mae / close.actual.abs().mean())
    returns = np.log(result.bars.close[1:] / result.bars.close[:-1])
    levels = np.array([float(name[1:]) for name in close.columns if name.startswith("q")])
    losses = {"own": 0.0, "usual": 0.0}
    for row, day in zip(close.itertuples(), result.windows.days, strict=True):
        past = np.quantile(returns[max(0, day - 251) : day - 1], levels)
        own = np.array([row[close.columns.get_loc(f"q{level:g}") + 1] for level in levels])
        for name, stated in (("own", own), ("usual", past)):
            error = row.actual - stated
            losses[name] += np.maximum(levels * error, (levels - 1) * error).mean()
    assert skill.pinball_ratio == pytest.approx(losses["own"] / losses["usual"], rel=1e-9)
    inside = ((close["q0.1"] <= close.actual) & (close.actual <= close["q0.9"])).mean()
    assert frame.loc["simple", "coverage"] == pytest.approx(inside)
    assert frame.loc["random_walk", "total_return"] == 0.0
    text = summary.text(wide=True)
    assert 0.0 < skill.pinball_p_value <= 1.0
    for word in ("maxdiff_always_on", "in-sample", "persistence", "random_walk", "periods a year"):
        assert word in text
    assert max(map(len, text.splitlines()[2:20])) < 175


def test_pinball_and_coverage_by_hand() -> None:
    from marketsim.metrics import pinball_loss

    loss = pinball_loss(np.array([1.0]), np.array([[0.0, 2.0]]), (0.1, 0.9))
    assert loss[0] == pytest.approx((0.1 * 1.0 + 0.1 * 1.0) / 2)


def test_to_dict_is_json(result: ms.WalkForwardResult) -> None:
    found = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert found["symbol"] == "TEST"
    assert [row["strategy"] for row in found["strategies"]][-1] == "random_walk"
    assert found["settings"]["periods_per_year"] == 252.0
    assert found["settings"]["costs"]["fee_bps"] == 5.0
    assert found["settings"]["market"]["asset_class"] == "equity"
    assert found["provenance"]["data_sha256"] == result.bars.fingerprint
    assert found["provenance"]["model_fingerprint"] == result.model.fingerprint


def test_same_bits_whatever_runs_beside_it(threads: None) -> None:
    bars = random_bars(300, seed=5)
    frames = {}
    for key, options in {
        "all": {},
        "one": {"strategies": ["unprofit_shutdown", "maxdiff"]},
        "more simulations": {"simulations": 80},
        "store": {"store": ms.MemoryStore()},
    }.items():
        _core.set_thread_limit(1 + len(frames) % 3)
        run = ms.walk_forward(bars, progress=False, **({"simulations": 40} | options))
        frames[key] = run.days[run.days.strategy == "maxdiff"].tail(46).reset_index(drop=True)
    reference = frames.pop("all")
    for key, frame in frames.items():
        pd.testing.assert_frame_equal(
            frame.drop(columns="strategy"),
            reference.drop(columns="strategy"),
            check_exact=True,
            obj=key,
        )


def test_store_hit_and_miss_give_the_same_result() -> None:
    bars, store = random_bars(200), ms.MemoryStore()
    first = ms.walk_forward(bars, simulations=20, store=store, progress=False)
    made = store.misses
    second = ms.walk_forward(bars, simulations=20, store=store, progress=False)
    assert store.misses == made
    assert store.hits == made
    pd.testing.assert_frame_equal(first.days, second.days, check_exact=True)
    pd.testing.assert_frame_equal(first.forecasts, second.forecasts, check_exact=True)


def test_costs_and_asset_classes() -> None:
    weekday, weekend = random_bars(200), random_bars(200, weekends=True)
    run = {"simulations": 20, "progress": False}
    equity, crypto = ms.walk_forward(weekday, **run), ms.walk_forward(weekend, **run)
    assert (equity.settings.asset_class, equity.settings.periods_per_year) == ("equity", 252.0)
    assert (crypto.settings.asset_class, crypto.settings.periods_per_year) == ("crypto", 365.0)
    assert crypto.days.position.min() >= 0.0
    assert not crypto.days.short_entered.any()
    assert equity.days.position.min() < 0.0
    assert equity.settings.costs.close_exit == pytest.approx(0.0006)
    assert equity.settings.costs.entry == pytest.approx(0.0005)
    free = ms.walk_forward(weekday, fee=0.0, **run)
    assert free.days.fee.sum() == 0.0
    spread = ms.walk_forward(weekday, fee=ms.Costs(fee_bps=2, half_spread_bps=3), **run)
    plain = ms.walk_forward(weekday, fee=0.0005, **run)
    pd.testing.assert_frame_equal(spread.days, plain.days)
    forced = ms.walk_forward(weekend, asset_class="forex", periods_per_year=260, **run)
    assert forced.settings.costs.fee_bps == 0.5
    assert forced.settings.periods_per_year == 260.0


class OrdersOf:
    """A user's strategy with its own orders."""

    name, targets, fitted = "limits", ("high", "low"), False

    def __init__(self, orders) -> None:
        self.orders = orders

    def decide(self, view: ms.DecisionView):
        return self.orders(view)


def test_a_strategy_of_the_user() -> None:
    bars = random_bars(200)
    mine = OrdersOf(lambda view: ms.LimitOrders(np.ones(len(view)), high=view.high, low=view.low))
    run = ms.walk_forward(bars, strategies=[mine, "simple"], simulations=20, progress=False)
    assert list(run.outcomes) == ["limits", "simple"]
    assert (
        sum(plan.days for plan in run.plans) == 26
    )  # nothing is fitted, so nothing more is forecast
    assert run.days[run.days.strategy == "limits"].long_entered.any()
    assert run.summary().strategies.loc["limits", "mae_ratio"] > 0


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        (lambda v: ms.Hold(np.ones(3)), "position must have one value for each of 26 bars"),
        (lambda v: np.ones(len(v)), "must return Hold, TakeProfit or LimitOrders: got ndarray"),
        (
            lambda v: ms.Hold(np.full(len(v), np.nan)),
            "position must be finite: got nan for the bar 2015",
        ),
        (lambda v: ms.Hold(np.full(len(v), 11.0)), r"must lie in \[-10, 10\]: got 11"),
        (lambda v: ms.LimitOrders(np.ones(len(v)), v.high, v.low, fitted=True), "fitted is False"),
        (
            lambda v: ms.LimitOrders(
                np.ones(len(v)), v.high, v.low, always_on=True, exit_at_close=True
            ),
            "cannot be combined",
        ),
    ],
)
def test_orders_that_cannot_be_filled(orders, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"(?s)limits.*{message}"):
        ms.walk_forward(
            random_bars(200), strategies=[OrdersOf(orders)], simulations=20, progress=False
        )


def test_lists_are_orders_too() -> None:
    as_list = OrdersOf(lambda v: ms.LimitOrders([1.0] * len(v), v.high.tolist(), v.low.tolist()))
    as_array = OrdersOf(lambda v: ms.LimitOrders(np.ones(len(v)), v.high, v.low))
    runs = [
        ms.walk_forward(random_bars(200), strategies=[s], simulations=20, progress=False).days
        for s in (as_list, as_array)
    ]
    pd.testing.assert_frame_equal(*runs)


def test_shorts_where_they_are_not_possible() -> None:
    short = OrdersOf(lambda view: ms.Hold(np.full(len(view), -1.0)))
    with pytest.raises(ArgumentError, match="short position was ordered"):
        ms.walk_forward(random_bars(200), strategies=[short], asset_class="crypto", progress=False)


def test_accepts_frames_and_paths(tmp_path) -> None:
    frame = random_frame(200)
    frame.to_csv(tmp_path / "ABC.csv", index_label="date")
    run = {"simulations": 5, "progress": False}
    from_file, from_frame = (
        ms.walk_forward(tmp_path / "ABC.csv", **run),
        ms.walk_forward(frame, **run),
    )
    pd.testing.assert_frame_equal(from_file.days, from_frame.days)
    assert from_file.bars.symbol == "ABC"


def test_errors() -> None:
    bars = random_bars(200)
    for options, kind, message in (
        ({"model": "arima"}, UnknownNameError, "expected one of range, ewma"),
        ({"strategies": ["x"]}, UnknownNameError, "expected one of simple"),
        ({"fill": "x"}, UnknownNameError, "expected one of optimistic"),
        ({"aggregate": "x"}, UnknownNameError, "expected one of mean"),
        ({"asset_class": "x"}, UnknownNameError, "expected one of equity, crypto, forex"),
        ({"fee": 5}, ArgumentError, "basis points"),
        (
            {"offset_window": 0},
            ArgumentError,
            "offset_window must be a whole number of at least 1: got 0",
        ),
        ({"periods_per_year": 0}, ArgumentError, "periods_per_year"),
        ({"offset_bounds": ((1, 0), (0, 1))}, ArgumentError, "bounds must be"),
        ({"model": object()}, ArgumentError, "is not a model: it has no name"),
        ({"window": 500}, NotEnoughBarsError, "got 200, need 571"),
    ):
        with pytest.raises(kind, match=message):
            ms.walk_forward(bars, **({"progress": False} | options))
    with pytest.raises(ArgumentError, match="fee_bps must lie in"):
        ms.Costs(fee_bps=math.inf)
