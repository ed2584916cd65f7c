"""No look-ahead: change everything from row t on, and nothing before t changes, bit for bit.

Every public function that takes a series is here; `test_every_public_function_is_covered` fails
when one is added and left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backends import on_backend
from market import changed_from, random_frame
from problems import random_days

import marketsim as ms
from marketsim import bars as bars_package
from marketsim import metrics
from marketsim.forecasts import ForecastPlan, run_plan
from marketsim.kernels import rules
from marketsim.models import load
from marketsim.replay.rules import sma_cross

ROWS = 220
CUTS = (160, 175, 200, 219)  # of 220 rows, of which the last 84 are evaluated
RUN = {"simulations": 80, "window": 5, "offset_window": 20, "progress": False}
COVERED = {
    # name: the test that covers it
    "walk_forward": "test_walk_forward",
    "prepare": "test_walk_forward",  # which prepares, then evaluates
    "walk_forward_each": "test_walk_forward",  # which it calls for each symbol
    "walk_forward_universe": "test_walk_forward_universe",
    "profit": "test_profit",
    "profit_sums": "test_profit_sums_read_no_other_problem",
    "best_offsets": "test_best_offsets_reads_no_other_problem",
    "read_bars": "test_reading_and_returns",
    "load_model": "test_models",
    "model_from": "test_forecast_runs",
    "model_from_frame": "test_models",
    "calibrated": "test_forecast_runs",
    "ensemble": "test_forecast_runs",
    "replay": "test_replay",
    "check_lookahead": "test_check_is_not_blind",
}
ELSEWHERE = {"next_orders": "live/test_next_orders.py"}
NO_SERIES = {  # takes no series, or holds one without computing
    "Bars", "BarsFolder", "Costs", "DecisionView", "Distribution", "ForecastStore", "Hold",
    "LimitOrders", "Market", "MarketsimError", "MemoryStore", "Model", "ModelIdentity",
    "ModelTraits", "VolumeCap", "indicators", "search",
    "Offsets", "PredictionStore", "Prepared",
    "ProfitSums", "QuantileDistribution", "Strategy", "StudentTMixture", "TakeProfit",
    "UniverseResult", "WalkForwardResult", "LookaheadReport", "ForecastEvaluation",
    "evaluate_forecasts",  # of a whole run
    "compare",  # of finished runs
    "demo_bars", "read_bars_folder", "read_folder", "read_many", "features",
    "register_strategy", "strategy_names", "unregister_strategy", "BarStrategy", "BarView",
    "__version__",
    "bars", "forecasts", "kernels", "live", "metrics", "models", "strategies", "walkforward",
}  # fmt: skip


def test_every_public_function_is_covered() -> None:
    errors = {
        name
        for name in ms.__all__
        if isinstance(getattr(ms, name), type) and issubclass(getattr(ms, name), Exception)
    }
    assert set(ms.__all__) == set(COVERED) | set(ELSEWHERE) | NO_SERIES | errors
    assert all((Path(__file__).parent / path).is_file() for path in ELSEWHERE.values())
    assert all(name in globals() for name in COVERED.values())


def test_replay() -> None:
    """Decisions that read their own bar: what happens later changes nothing up to it."""
    frame = random_frame(ROWS, 5)
    found = {}
    for cut in (ROWS, *CUTS):
        bars = ms.read_bars(frame if cut == ROWS else changed_from(frame, cut), symbol="T")
        entries, exits = sma_cross(bars, 3, 8)
        found[cut] = ms.replay(bars, entries, exits, stop_loss=0.03, fee_bps=5.0)
    for cut in CUTS:
        np.testing.assert_array_equal(found[cut].equity[:cut], found[ROWS].equity[:cut])
    assert len(found[ROWS].trades) > 5


def test_check_is_not_blind() -> None:
    bars = ms.read_bars(random_frame(ROWS, 6), symbol="T")
    assert ms.check_lookahead(lambda b: np.append(np.diff(b.close), 0.0), bars).leaks
    assert ms.check_lookahead(lambda b: np.append(0.0, np.diff(b.close)), bars).ok


def same_frames(got: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(got, expected, check_exact=True)


def assert_same_before(
    make: Callable[[pd.DataFrame], pd.DataFrame], date: str, decided: list[str], seed: int
) -> None:
    """Rows of dates before the cut are equal; on the day of the cut the decided columns are."""
    frame = random_frame(ROWS, seed)
    whole = make(frame)
    for cut in CUTS:
        changed = make(changed_from(frame, cut))
        day = pd.Timestamp(frame.index[cut], tz="UTC")
        before = (whole[date] < day).to_numpy()
        same_frames(changed[before], whole[before])
        at = (whole[date] == day).to_numpy()
        assert at.any()
        pd.testing.assert_frame_equal(
            changed.loc[at, decided], whole.loc[at, decided], check_exact=True
        )
        after = (whole[date] >= day).to_numpy()
        assert not changed[after].equals(whole[after]), (
            "the change had no effect: the test is blind"
        )


DECIDED = [
    "strategy",
    "position",
    "high_offset",
    "low_offset",
    "sell_limit",
    "buy_limit",
    "in_sample",
]


@pytest.mark.parametrize("fill", rules.FILLS)
@pytest.mark.parametrize("model", ["ewma", "persistence"])
def test_walk_forward(fill: str, model: str) -> None:
    def days(frame: pd.DataFrame) -> pd.DataFrame:
        return ms.walk_forward(frame, model, fill=fill, **RUN).days

    assert_same_before(days, "date", DECIDED, seed=1)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_walk_forward_universe(device: str) -> None:
    """One symbol changes, another one stays as it is throughout."""
    pytest.importorskip("torch")
    other = ms.read_bars(random_frame(150, 12), symbol="OTHER")
    options = RUN | {"fills": rules.FILLS, "device": device, "store": False}

    def days(frame: pd.DataFrame) -> pd.DataFrame:
        with on_backend("emulation"):
            bars = [other, ms.read_bars(frame, symbol="T")]
            found = ms.walk_forward_universe(bars, **options).days()
        others.append(found[found["symbol"] == "OTHER"])
        same_frames(others[-1], others[0])
        return found[found["symbol"] == "T"]

    others: list[pd.DataFrame] = []
    decided = ["fill", "strategy", "high_offset", "low_offset", "in_sample"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # OTHER has too few bars for all simulations
        assert_same_before(days, "date", decided, seed=12)


def test_walk_forward_with_purge_and_embargo() -> None:
    def days(frame: pd.DataFrame) -> pd.DataFrame:
        options = RUN | {"simulations": 20}
        return ms.walk_forward(frame, purge=3, embargo=4, **options).days

    assert_same_before(days, "date", DECIDED, seed=2)


def test_forecasts() -> None:
    def forecasts(frame: pd.DataFrame) -> pd.DataFrame:
        return ms.walk_forward(frame, strategies=["simple"], **RUN).forecasts

    # The forecast for the day of the change is made from the days before it.
    levels = [f"q{level:g}" for level in ms.load_model("ewma").levels]
    assert_same_before(forecasts, "date", ["target", "mean", "std", "point", *levels], seed=3)


def test_simulations_know_only_their_as_of_date() -> None:
    def simulations(frame: pd.DataFrame) -> pd.DataFrame:
        return ms.walk_forward(frame, **RUN).simulations

    assert_same_before(simulations, "as_of", ["simulation", "start", "strategy"], seed=4)


def test_truncation_changes_nothing_either() -> None:
    frame = random_frame(ROWS, 5)
    whole = ms.walk_forward(frame, **RUN)
    decided = {"days": [*DECIDED[1:], "gross"], "forecasts": ["mean", "std", "point", "actual"]}
    for cut in CUTS:
        short = ms.walk_forward(frame.iloc[:cut], **(RUN | {"simulations": 10}))
        for name, key in (("days", "strategy"), ("forecasts", "target")):
            a, b = (
                getattr(run, name).set_index(["date", key]).sort_index() for run in (short, whole)
            )
            both = a.index.intersection(b.index)
            assert len(both) > 20
            if name == "days":
                # A memory, be it of the position held, starts at the first day of a run.
                both = both[both.get_level_values("strategy") != "unprofit_shutdown"]
                both = both[both.get_level_values("date") > a.index[0][0]]
            same_frames(a.loc[both, decided[name]], b.loc[both, decided[name]])


@pytest.mark.parametrize("kind", ["ewma", "persistence"])
def test_models(kind: str) -> None:
    series = np.random.default_rng(6).normal(0.0, 0.01, (4, 200))
    model = ms.load_model(kind)
    whole = model.predict_each(series, 5)
    for cut in (5, 60, 199):
        changed = series.copy()
        changed[:, cut:] += 1.0
        after = model.predict_each(changed, 5)
        same = cut - 5 + 1  # forecasts made from values[:5] .. values[:cut]
        for name in ("mean", "std", "quantiles"):
            np.testing.assert_array_equal(getattr(after, name)[:same], getattr(whole, name)[:same])
        assert (after.quantiles[same:] != whole.quantiles[same:]).any()
        cut_off = model.predict_each(series[:, :cut], 5)
        np.testing.assert_array_equal(cut_off.quantiles, whole.quantiles[:same])


def chronos(pipeline: str, **options: Any) -> Callable[[Path], ms.Model]:
    def made(_: Path) -> ms.Model:
        import chronos_pipelines

        found = getattr(chronos_pipelines, pipeline)()
        return ms.models.chronos_from_pipeline(found, name="fake", **options)

    return made


def last_fifty(past: np.ndarray) -> np.ndarray:
    return np.quantile(past[-50:], (0.1, 0.5, 0.9))


# Every kind of model: those of load_model by name and by family, and those of users.
MODELS: dict[str, Callable[[Path], ms.Model]] = {
    "ewma": lambda _: ms.load_model("ewma"),
    "range": lambda _: ms.load_model("range", window=60, fit=60),
    "climatology": lambda _: ms.load_model("climatology", window=60),
    "garch": lambda _: ms.load_model("garch"),
    "persistence": lambda _: ms.load_model("persistence"),
    "Toto 1.0": lambda folder: ms.load_model(folder / "toto1"),
    "Toto 1.0, joint": lambda folder: ms.load_model(folder / "toto1", variates="joint"),
    "Toto 2.0": lambda folder: ms.load_model(folder / "toto2"),
    "Toto 2.0, joint": lambda folder: ms.load_model(folder / "toto2", variates="joint"),
    "TimesFM 2.5": lambda folder: ms.load_model(folder / "timesfm"),
    "Chronos": chronos("SamplePipeline", num_samples=5),
    "Chronos-Bolt and Chronos-2": chronos("QuantilePipeline"),
    "Chronos-Bolt and Chronos-2, joint": chronos("JointPipeline", variates="joint"),
    "calibrated": lambda _: ms.calibrated("ewma", window=60),
    "ensemble": lambda _: ms.ensemble(["ewma", "persistence"], window=60),
    "function": lambda _: ms.model_from(last_fifty, levels=(0.1, 0.5, 0.9)),
    "function of draws": lambda _: ms.model_from(lambda past: past[-5:], draws=5),
}


@pytest.fixture(scope="module")
def checkpoints_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    import checkpoints

    folder = tmp_path_factory.mktemp("checkpoints")
    checkpoints.write_toto1(folder / "toto1", 1, spread=3**-0.5)
    checkpoints.write_toto2(folder / "toto2", 2)
    checkpoints.write_timesfm(folder / "timesfm", 5)
    checkpoints.write_kronos(folder / "kronos", 3)
    checkpoints.write_kronos_tokenizer(folder / "tokenizer", 4)
    return folder


def test_every_kind_of_model_is_covered() -> None:
    known = {*load._STATISTICAL, *(family for family, _, _ in load._FAMILIES)}
    users = {"calibrated", "ensemble", "function", "function of draws"}
    kronos = {"Kronos"}  # takes whole bars: test_forecasts_of_bars
    assert {name.removesuffix(", joint") for name in MODELS} | kronos == known | users


@pytest.mark.filterwarnings("ignore::marketsim.errors.StoreWarning")  # lambdas are not stored
@pytest.mark.parametrize("kind", MODELS)
def test_forecast_runs(kind: str, checkpoints_folder: Path) -> None:
    frame, first = random_frame(ROWS, 7), 150
    model = MODELS[kind](checkpoints_folder)
    plan = ForecastPlan(first, ROWS, 1, 1)

    def records(changed: pd.DataFrame) -> np.ndarray:
        read = ms.read_bars(changed, symbol="T")
        return run_plan(read, model, plan, store=ms.MemoryStore(), progress=False).records

    whole = records(frame)
    near = 1e-5 if kind.startswith("Chronos") else 0.0  # a library's batches round differently
    for cut in (160, 175, ROWS - 1):
        changed = records(changed_from(frame, cut))
        same = cut - first + 1
        np.testing.assert_allclose(changed[:same], whole[:same], rtol=near, atol=0.0)
        assert cut == ROWS - 1 or (changed[same:] != whole[same:]).any()


def test_forecasts_of_bars(checkpoints_folder: Path) -> None:
    """Histories that end earlier know nothing of a longer one of the same batch."""
    folder = checkpoints_folder
    model: Any = ms.load_model(folder / "kronos", tokenizer=folder / "tokenizer")
    frame = random_frame(60, 7)

    def paths(longest: pd.DataFrame) -> list[np.ndarray]:
        histories = [frame[:30], frame[:40], longest]
        coming = [frame.index[len(one) : len(one) + 2] for one in histories]
        return list(model.predict_bars(histories, None, coming, horizon=2, samples=3).paths)

    whole, changed = paths(frame[:50]), paths(changed_from(frame, 40)[:50])
    for i in (0, 1):
        np.testing.assert_array_equal(changed[i], whole[i])
    assert (changed[2] != whole[2]).any()


@pytest.mark.parametrize("fill", rules.FILLS)
def test_profit(fill: str) -> None:
    days = random_days(np.random.default_rng(8), 100)
    whole = ms.profit(**days, high_offset=[0.0, 0.002], low_offset=[0.0, -0.002], fill=fill)
    for cut in (0, 17, 99):
        changed = {k: np.where(np.arange(100) >= cut, v * 3 + f(k), v) for k, v in days.items()}
        after = ms.profit(**changed, high_offset=[0.0, 0.002], low_offset=[0.0, -0.002], fill=fill)
        np.testing.assert_array_equal(after[:, :cut], whole[:, :cut])
        assert (after[:, cut:] != whole[:, cut:]).any()


def test_profit_sums_read_no_other_problem() -> None:
    rows = random_days(np.random.default_rng(10), (40, 12))
    pairs = {"high_offset": [0.0, 0.002], "low_offset": [0.0, -0.002]}
    whole = ms.profit_sums(**rows, **pairs)
    changed = {k: np.concatenate([v[:20], v[20:] * 2 + f(k)]) for k, v in rows.items()}
    after = ms.profit_sums(**changed, **pairs)
    for got, before in zip(after[:-1], whole[:-1], strict=True):
        np.testing.assert_array_equal(got[:20], before[:20])
        assert (got[20:] != before[20:]).any()


def test_metrics_of_each_bar() -> None:
    """The metrics that give a value a bar; the others give figures of a whole series."""
    levels = (0.1, 0.9)
    by_bar: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "account_returns": lambda net: metrics.account_returns(net).returns[0],
        "climatology": lambda net: metrics.climatology(net, levels, start=1, window=20)[1:, 0],
        "rolling_sharpe": lambda net: metrics.rolling_sharpe(net, 10, periods_per_year=252)[9:],
        "delayed_returns": lambda net: metrics.delayed_returns(np.sign(net), net)[2, 2:],
    }
    net = np.random.default_rng(5).normal(0.0, 0.01, ROWS)
    for name, of in by_bar.items():
        whole = of(net)
        for cut in CUTS:
            changed = of(np.where(np.arange(ROWS) >= cut, net * 3.0 + 0.01, net))
            same = cut - (ROWS - len(whole))
            np.testing.assert_array_equal(changed[:same], whole[:same], name)
            assert cut == ROWS - 1 or (changed[same:] != whole[same:]).any(), name


def f(name: str) -> np.float32:
    return np.float32(0.02 if name in ("high", "high_pred", "close") else -0.01)


def test_best_offsets_reads_no_other_problem() -> None:
    rows = random_days(np.random.default_rng(9), (40, 12))
    whole = ms.best_offsets(**rows)
    changed = {k: np.concatenate([v[:20], v[20:] * 2 + f(k)]) for k, v in rows.items()}
    after = ms.best_offsets(**changed)
    for got, before in zip(after, whole, strict=True):
        np.testing.assert_array_equal(got[:20], before[:20])
        assert (got[20:] != before[20:]).any()


def test_reading_and_returns() -> None:
    frame = random_frame(ROWS, 10)
    whole = ms.read_bars(frame)
    for cut in CUTS:
        changed = ms.read_bars(changed_from(frame, cut))
        pd.testing.assert_frame_equal(changed.frame[:cut], whole.frame[:cut], check_exact=True)
        before, after = (bars_package.bar_returns(b)[:, : cut - 1] for b in (whole, changed))
        np.testing.assert_array_equal(before, after)


def test_a_strategy_that_peeks_is_caught() -> None:
    """The method itself: a strategy that uses tomorrow's known return changes before the cut."""

    class Peek:
        name, targets, fitted = "peek", (), False

        def decide(self, view: ms.DecisionView) -> ms.Hold:
            return ms.Hold(np.sign(np.append(view.last_return[1:], 0.0)))

    def days(frame: pd.DataFrame) -> pd.DataFrame:
        return ms.walk_forward(frame, strategies=[Peek()], check=False, **RUN).days

    with pytest.raises(AssertionError):
        assert_same_before(days, "date", ["strategy", "position"], seed=11)
