"""The look-ahead check finds planted leaks of every kind, and accepts code without one."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import planted_leaks
import pytest

import marketsim as ms
from marketsim.cli import main
from marketsim.errors import ArgumentError, LookaheadError, LookaheadWarning, NotEnoughBarsError
from marketsim.features import Pipeline, column, indicator
from marketsim.indicators.specs import SPECS
from marketsim.lookahead import check_lookahead
from marketsim.replay.orders import target
from marketsim.replay.rules import RULES
from marketsim.strategies.changed import changed_after
from marketsim.strategies.views import COLUMNS
from marketsim.walkforward.probe import trials_of


@pytest.fixture(scope="module")
def bars() -> ms.Bars:
    return ms.Bars(ms.demo_bars().frame.iloc[:700], "DEMO")


def close_of(bars: ms.Bars) -> pd.Series:
    return bars.frame["close"]


STATE: list[float] = []


def kept_between_runs(bars: ms.Bars) -> np.ndarray:
    STATE.append(float(bars.close[-1]))
    return np.full(len(bars), sum(STATE))


def sorted_by_date_descending(bars: ms.Bars) -> np.ndarray:
    frame = bars.frame.sort_index(ascending=False)
    return frame["close"].rolling(5).mean().sort_index().to_numpy()


def days_to_the_next_bar(bars: ms.Bars) -> np.ndarray:
    days = bars.timestamps.astype("M8[D]").astype(np.int64)
    return np.append(np.diff(days), -1)


def weekly_close_on_every_day(bars: ms.Bars) -> pd.Series:
    close = close_of(bars)
    return close.groupby(close.index.tz_localize(None).to_period("W")).transform("last")


def weekly_labels_on_the_left(bars: ms.Bars) -> pd.Series:
    weekly = close_of(bars).resample("W", label="left", closed="left").last()
    return weekly.reindex(bars.frame.index, method="ffill")


LEAKS = {
    "shift": lambda b: close_of(b).shift(-1),
    "centred window": lambda b: close_of(b).rolling(9, center=True).mean(),
    "scaled by the whole sample": lambda b: (b.close - b.close.mean()) / b.close.std(),
    "resampled to the end of the week": weekly_close_on_every_day,
    "labelled on the left": weekly_labels_on_the_left,
    "filled backwards": lambda b: close_of(b).where(np.arange(len(b)) % 3 == 0).bfill(),
    "state of an earlier run": kept_between_runs,
    "rank in the whole sample": lambda b: close_of(b).rank(),
    "sorted by date descending": sorted_by_date_descending,
    "calendar of the future": days_to_the_next_bar,
    "a later maximum in one bar": lambda b: np.where(b.close == b.close.max(), 1.0, 0.0),
    "a list of dates known later": lambda b: np.isin(np.arange(len(b)), np.argsort(b.volume)[-20:]),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_planted_leaks_are_found(bars: ms.Bars, kind: str) -> None:
    report = check_lookahead(LEAKS[kind], bars)
    assert not report.ok, kind
    assert "bar" in str(report)


def test_a_leak_is_named(bars: ms.Bars) -> None:
    report = check_lookahead(lambda b: {"peek": pd.Series(b.high).shift(-2).fillna(0.0)}, bars)
    leak = next(leak for leak in report.leaks if leak.test == "changed")
    assert leak.output == "peek" and leak.fields == ("high",) and leak.bar == leak.cut - 2
    assert leak.time == bars.frame.index[leak.bar]
    assert leak.before == bars.high[leak.cut] != leak.after


def test_the_high_of_its_own_bar(bars: ms.Bars) -> None:
    def own_high(b: ms.Bars) -> np.ndarray:
        return b.high > b.open * 1.005

    assert check_lookahead(own_high, bars).ok  # after the close it is known
    report = check_lookahead(own_high, bars, reads="before")
    assert not report.ok and set(report.leaks[0].fields) <= {"high", "open"}


def test_honest_code_passes(bars: ms.Bars) -> None:
    for rule in RULES.values():
        assert check_lookahead(rule, bars).ok
    assert check_lookahead(lambda b: ms.indicators.rsi(b.close, 14), bars, cuts=20).ok
    assert check_lookahead(ms.load_model("ewma"), bars).ok
    frame = check_lookahead(lambda b: b.frame.rolling(5).mean(), bars)
    assert frame.ok and frame.values > 3000


class BatchStatistics:
    """Decides by the mean of all forecasts of the run."""

    name, targets, fitted = "batch_statistics", ("close",), False

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        return ms.Hold(np.where(view.close > np.mean(view.close), 1.0, 0.0))


class Following:
    name, targets, fitted = "following", ("close",), False

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        return ms.Hold(np.where(view.last_return > 0.0, 1.0, 0.0))


def test_strategies(bars: ms.Bars) -> None:
    assert check_lookahead(Following(), bars).ok
    leaking = check_lookahead(BatchStatistics(), bars)
    assert not leaking.ok and leaking.leaks[0].output == "position"


class LeakyModel:
    """Its one-pass form sees the value that it forecasts."""

    name, fingerprint, context_length, levels = "leaky", "00aa11bb", None, (0.1, 0.5, 0.9)

    def predict(self, contexts, *, horizon=1, mask=None):
        values = np.broadcast_to([-0.01, 0.0, 0.01], (len(contexts), horizon, 3))
        return ms.QuantileDistribution(self.levels, values)

    def predict_each(self, series, start, *, horizon=1):
        padded = np.concatenate([series, series[..., -1:]], axis=-1)[..., start:]
        own = np.moveaxis(padded, -1, 0)[..., None]
        return ms.QuantileDistribution(self.levels, np.stack([own - 0.001, own, own + 0.001], -1))


def test_walk_forward_refuses_a_leak(bars: ms.Bars) -> None:
    quiet = {"store": False, "progress": False, "simulations": 120}
    with pytest.raises(LookaheadError, match=r"'batch_statistics' looks ahead.* position "):
        ms.walk_forward(bars, strategies=[BatchStatistics()], **quiet)
    with pytest.raises(LookaheadError, match="'leaky' looks ahead: its forecast of the bar of"):
        ms.walk_forward(bars, LeakyModel(), strategies=["simple"], **quiet)
    assert ms.walk_forward(bars, strategies=[Following()], **quiet).days["net"].notna().all()
    told = ms.walk_forward(bars, strategies=[BatchStatistics()], check=False, **quiet)
    assert len(told.days)


class Peeking:
    """Reads the return of its own day, which only a later bar's view holds."""

    name, targets, fitted = "peeking", (), False

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        return ms.Hold((np.append(view.last_return[1:], 0.0) > 0.0).astype(float))


@pytest.mark.parametrize("first", range(0, 300, 20))
def test_walk_forward_refuses_a_peek_on_any_stretch(bars: ms.Bars, first: int) -> None:
    part = ms.Bars(bars.frame.iloc[first : first + 400], "PART")
    quiet = {"store": False, "progress": False, "simulations": 120}
    with pytest.raises(LookaheadError, match=r"'peeking' looks ahead.* position "):
        ms.walk_forward(part, strategies=[Peeking()], **quiet)


@pytest.fixture(scope="module")
def stretches() -> list[ms.Prepared]:
    frame = ms.demo_bars().frame
    return [
        ms.prepare(
            ms.Bars(frame.iloc[first : first + 400], "DEMO"), "ewma", store=False, progress=False
        )
        for first in range(0, len(frame) - 400, 400)
    ]


@pytest.mark.parametrize("kind", planted_leaks.LEAKS)
def test_the_probe_of_a_default_run_finds_planted_leaks(stretches, kind: str) -> None:
    for prepared in stretches:
        strategy = planted_leaks.Planted("leaking", planted_leaks.LEAKS[kind])
        with pytest.raises(LookaheadError, match=r"'leaking' (looks ahead|does not repeat)"):
            prepared.evaluate([strategy])


@pytest.mark.parametrize("kind", planted_leaks.HONEST)
def test_the_probe_accepts_honest_strategies(stretches, kind: str) -> None:
    for prepared in stretches:
        strategy = planted_leaks.Planted("honest", planted_leaks.HONEST[kind])
        with warnings.catch_warnings():
            warnings.simplefilter("error", LookaheadWarning)
            prepared.evaluate([strategy])


@pytest.mark.parametrize("kind", planted_leaks.LEAKS)
def test_the_check_finds_planted_leaks_of_strategies(bars: ms.Bars, kind: str) -> None:
    part = ms.Bars(bars.frame.iloc[:400], "PART")
    strategy = planted_leaks.Planted("leaking", planted_leaks.LEAKS[kind])
    report = check_lookahead(strategy, part, model="ewma")
    assert not report.ok, kind


@pytest.mark.parametrize("kind", planted_leaks.HONEST)
def test_the_check_accepts_honest_strategies(bars: ms.Bars, kind: str) -> None:
    part = ms.Bars(bars.frame.iloc[:400], "PART")
    strategy = planted_leaks.Planted("honest", planted_leaks.HONEST[kind])
    report = check_lookahead(strategy, part, model="ewma", cuts=4)
    assert report.ok, str(report)


@pytest.mark.parametrize(("model", "up"), [("ewma", True), ("range", False)])
def test_changed_views_keep_what_is_known_before_the_cut(
    bars: ms.Bars, model: str, up: bool
) -> None:
    seen: list[ms.DecisionView] = []

    def keep(_, view: ms.DecisionView) -> np.ndarray:
        seen.append(view)
        return np.zeros(len(view))

    ms.walk_forward(
        bars, model, strategies=[planted_leaks.Planted("keeping", keep)], store=False,
        progress=False, check=False,
    )  # fmt: skip
    view, cut = seen[0], 20
    other = changed_after(view, cut, 25, up=up)
    assert len(other) == 25 and (other.dates == view.dates[:25]).all()
    pairs = [
        (getattr(view, name), getattr(other, name))
        for name in ("open", "high", "low", "close", "band", "last_return", "returns")
    ]
    pairs += [(view.past(name, 1), other.past(name, 1)) for name in COLUMNS]
    pairs.append(tuple(x.distribution.quantile([0.1, 0.9]) for x in (view, other)))
    for one, two in pairs:
        assert (one[: cut + 1] == two[: cut + 1]).all()
        assert (one[cut + 1 : 25] != two[cut + 1 :]).all()
    assert other.part(3, 9).past("close", 1).tolist() == view.part(3, 9).past("close", 1).tolist()


def test_trials_decide_for_few_of_the_bars_of_a_run() -> None:
    dates = np.datetime64("2020-01-01") + np.arange(9_400)
    for count, asked in ((1, 8), (2, 8), (11, 53), (76, 566), (2_500, 2_990), (9_400, 75_000)):
        for every in (1, 7, 10_000):  # bars between changes of the orders
            orders = ms.Hold((np.arange(count) // every % 2).astype(np.float64))
            trials = trials_of(orders, dates[:count].astype("M8[ns]"), asked)
            assert all(0 <= trial.cut < count for trial in trials)
            assert count < 11 or {trial.change for trial in trials} == {"up", "down", "left out"}
            assert count < 76 or sum(trial.cut + 9 for trial in trials) <= max(120, asked / 16)
    assert len(trials_of(ms.Hold(np.arange(9_400) % 2.0), dates.astype("M8[ns]"), 75_000)) == 6


def test_trials_test_inside_a_week_and_the_end_of_a_month_where_they_can() -> None:
    dates = (np.datetime64("2020-01-06") + np.arange(76)).astype("M8[ns]")  # from a Monday on
    daily = trials_of(ms.Hold(np.arange(76) % 2.0), dates, 566)
    assert [(trial.cut, trial.change) for trial in daily] == [
        (3, "up"), (4, "up"), (4, "down"), (25, "left out"),
    ]  # fmt: skip
    weekly = trials_of(ms.Hold((np.arange(76) + 1) // 7 % 2.0), dates, 566)  # new on Sundays
    assert weekly[0].cut == 6
    month = dates + np.timedelta64(25, "D")  # from the last day of January on
    changed_once = ms.Hold((np.arange(76) >= 4).astype(np.float64))
    assert trials_of(changed_once, month, 566)[0].cut == 4
    sessions = pd.bdate_range("2020-01-06", periods=76).to_numpy().astype("M8[ns]")
    at = trials_of(ms.Hold(np.arange(76) % 2.0), sessions, 566)[-1].cut
    assert str(sessions[at])[:10] == "2020-01-31"  # a Friday


def test_strategies_that_need_more_bars_are_probed_where_they_can(bars: ms.Bars) -> None:
    def needs(least: int):
        def rule(_, view: ms.DecisionView):
            if len(view) < least:
                raise ValueError("too few bars")
            return view.last_return > 0.0

        return planted_leaks.Planted("needs", rule)

    quiet = {"store": False, "progress": False, "model": "ewma"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ms.walk_forward(bars, strategies=[needs(10)], **quiet)
    with pytest.warns(LookaheadWarning, match="could not be checked.*too few bars"):
        ms.walk_forward(bars, strategies=[needs(60)], **quiet)


@pytest.mark.parametrize("name", ["simple", "unprofit_shutdown", "maxdiff"])
def test_built_in_strategies_pass(bars: ms.Bars, name: str) -> None:
    from marketsim.strategies import select_strategies

    (strategy,) = select_strategies([name])
    report = check_lookahead(strategy, bars, cuts=4)
    assert report.ok, str(report)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_our_indicators_pass(bars: ms.Bars, name: str) -> None:
    report = check_lookahead(getattr(ms.indicators, name), bars, cuts=3)
    assert report.ok, str(report)
    assert report.values > 100


def centred(high, low, window=5):
    middle = pd.Series((high + low) / 2)
    return middle.rolling(window, center=True).mean().to_numpy()


def from_a_frame(frame):
    return {"change": frame["close"].pct_change(), "next": frame["close"].shift(-1)}


def test_indicators_of_columns_and_of_a_frame(bars: ms.Bars) -> None:
    report = check_lookahead(centred, bars)
    leak = next(leak for leak in report.leaks if leak.test == "changed")
    assert set(leak.fields) == {"high", "low"} and leak.bar == leak.cut - 2
    report = check_lookahead(from_a_frame, bars)
    assert {leak.output for leak in report.leaks} == {"next"}
    assert check_lookahead(lambda close, window=20: ms.indicators.sma(close, window), bars).ok


def test_pipelines(bars: ms.Bars) -> None:
    close, high = column("close"), column("high")
    rsi = indicator("rsi", window=14, lookback=100)
    features = {"move": close / close.lag(1) - 1, "room": high / close, "rsi": rsi}
    for asof, reads in (("current", "current"), ("previous", "before")):
        report = check_lookahead(Pipeline(features, asof=asof), bars)
        assert report.ok and report.reads == reads, str(report)
    # Features of the bar itself are none for a decision within it.
    report = check_lookahead(Pipeline(features, asof="current"), bars, reads="before")
    assert {leak.output for leak in report.leaks} == set(features)


def trend(state, bar, features, orders):
    target(orders, 1.0 if bar.close > bar.open else 0.0, True)


SEEN: list[float] = []


def remembers_earlier_runs(state, bar, features, orders):
    SEEN.append(bar.close)
    target(orders, len(SEEN) % 11 / 11.0, True)


def test_replay_strategies(bars: ms.Bars) -> None:
    assert check_lookahead(trend, bars, cuts=3).ok
    report = check_lookahead(remembers_earlier_runs, bars, cuts=2)
    assert "repeated" in {leak.test for leak in report.leaks}


def test_whole_replays(bars: ms.Bars) -> None:
    def honest(bars: ms.Bars):
        up = bars.close > bars.open
        return ms.replay(bars, up, ~up, fee_bps=5.0)

    def leaking(bars: ms.Bars):
        up = np.append(bars.close[1:] > bars.close[:-1], False)
        return ms.replay(bars, up, ~up, fill="same_close")

    assert check_lookahead(honest, bars).ok
    report = check_lookahead(leaking, bars)
    assert "position" in {leak.output for leak in report.leaks}
    leak = next(leak for leak in report.leaks if leak.test == "changed")
    assert leak.fields == ("close",) and leak.bar == leak.cut - 1


class OneBar:
    """Decides bar by bar."""

    name, targets, fitted = "one_bar", ("close",), False

    def decide_bar(self, view):
        return ms.Hold(1.0 if view.close > 0.0 else 0.0)


def test_strategies_that_decide_bar_by_bar(bars: ms.Bars) -> None:
    assert check_lookahead(OneBar(), bars, cuts=3).ok


def test_errors(bars: ms.Bars) -> None:
    with pytest.raises(ArgumentError, match="one a bar"):
        check_lookahead(lambda b: b.close[1:], bars)
    with pytest.raises(ArgumentError, match="no finite value"):
        check_lookahead(lambda b: np.full(len(b), np.nan), bars)
    with pytest.raises(ArgumentError, match="got int"):
        check_lookahead(3, bars)
    with pytest.raises(NotEnoughBarsError, match="at least 100 bars"):
        check_lookahead(lambda b: b.close, ms.Bars(bars.frame.iloc[:50], "S"))


def test_the_command(tmp_path, capsys) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def honest(bars):\n    return bars.close > bars.open\n"
        "def leaking(bars):\n    return bars.frame['close'].shift(-1)\n"
    )
    assert main(["check", f"{file}:honest", "demo"]) == 0
    assert "no look-ahead found" in capsys.readouterr().out
    assert main(["check", f"{file}:leaking", "demo"]) == 3
    assert "became" in capsys.readouterr().out
    kinds = tmp_path / "kinds.py"
    kinds.write_text(
        "import marketsim as ms\n"
        "from marketsim.features import Pipeline, column\n"
        "pipeline = Pipeline({'room': column('high') / column('low')}, asof='current')\n"
        "def on_bar(state, bar, features, orders):\n    pass\n"
        "def whole(bars):\n"
        "    up = bars.close > bars.close.mean()\n    return ms.replay(bars, up, ~up)\n"
    )
    for name, flags, code in (
        ("pipeline", [], 0), ("pipeline", ["--reads", "before"], 3), ("on_bar", [], 0),
        ("whole", [], 3),
    ):  # fmt: skip
        assert main(["check", f"{kinds}:{name}", "demo", "--cuts", "2", *flags]) == code
        capsys.readouterr()
    assert main(["check", "marketsim.indicators:atr", "demo", "--cuts", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
