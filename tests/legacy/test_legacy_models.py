"""The old functions on a model of ours: distributions, the store, and all contexts at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from legacy_golden import Old, assert_same, check_backtest, check_simulation  # noqa: E402
from legacy_market import AWKWARD, daily, real  # noqa: E402
from legacy_transcription import Exact, Setting  # noqa: E402

import marketsim as ms  # noqa: E402
from marketsim.forecasts import Schema  # noqa: E402


@pytest.fixture(params=["ewma", "persistence"])
def old(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Old:
    monkeypatch.setenv("TOTO_MODEL_ID", request.param)
    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path / "store"))
    return Old(monkeypatch, tmp_path)


def one_by_one(name: str, data: pd.DataFrame, spec: str = "trimmed_mean_10") -> Any:
    """The model asked for each context alone, with no store between.

    The old code handed the model returns rounded to float32. Ours sees them as the native functions
    do, so that both share what is stored; here it is handed the same.
    """
    model = ms.load_model(name)
    exact = [native_returns(data, key) for key in ("Close", "Low", "High", "Open")]

    def forecast(context: torch.Tensor) -> Exact:
        rounded = context.numpy()
        series = [one[: len(rounded)] for one in exact if len(one) >= len(rounded)]
        same = [one for one in series if np.allclose(one, rounded, rtol=1e-5, atol=1e-9)]
        schema = Schema.for_model(model)  # what a record stands for, whether it is stored or not
        found = schema.decode(schema.encode(model.predict([same[0] if same else rounded])))
        low, median, high = np.asarray(found.quantile([0.4, 0.5, 0.6])).reshape(3)
        aggregate = float(np.asarray(found.aggregate(spec)).reshape(-1)[0])
        return Exact(aggregate, max(float(high - low), 0.0), float(median))

    return forecast


def native_returns(data: pd.DataFrame, key: str) -> np.ndarray:
    prices = data[["Close", "Low", "High", "Open"]]
    values = prices[key].to_numpy(dtype=float)
    with np.errstate(all="ignore"):
        returns = values[1:] / values[:-1] - 1.0
    whole = prices.drop(columns=key).notna().all(axis=1).to_numpy()[:-1]
    return np.where(np.isfinite(returns), returns, 0.0)[whole]


def model_of(old: Old) -> str:
    from marketsim.legacy.settings import current_settings

    return current_settings().toto_model_id


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return rows


def test_simulation(old: Old) -> None:
    data = real("MSTR_1d", slice(-300, None))
    check_simulation(old, data, Setting(one_by_one(model_of(old), data)))


@pytest.mark.parametrize("case", ["old_nans", "recent_nan_high", "constant", "old_zero", "jumps"])
def test_awkward_simulation(old: Old, case: str) -> None:
    data = AWKWARD[case]()
    check_simulation(old, data, Setting(one_by_one(model_of(old), data)))


def test_backtest(old: Old) -> None:
    data = real("WPM_1d", slice(-200, None))
    check_backtest(old, data, 8, Setting(one_by_one(model_of(old), data), symbol="WPM"))


def test_other_aggregate(old: Old) -> None:
    old.patch.setenv("TOTO_AGGREGATION_SPEC", "quantile_0.45")
    data = daily(60, 101)
    check_simulation(old, data, Setting(one_by_one(model_of(old), data, "quantile_0.45")))


def test_store_cold_warm_and_absent(old: Old, tmp_path: Path) -> None:
    """What the store has changes no digit."""
    data = daily(80, 102)
    setting = Setting(one_by_one(model_of(old), data))
    cold = old.backtest(data, 6, setting)
    warm = old.backtest(data, 6, setting)
    old.patch.setenv("MARKETSIM_CACHE_PREDICTIONS", "0")
    absent = old.backtest(data, 6, setting)
    old.patch.setenv("MARKETSIM_CACHE_PREDICTIONS", "1")
    old.patch.setenv("MARKETSIM_STORE", str(tmp_path / "half"))
    old.backtest(data.iloc[:-4], 2, setting)  # part of the contexts
    half = old.backtest(data, 6, setting)
    for row, *others in zip(*map(rows_of, (cold, warm, absent, half)), strict=True):
        for other in others:
            assert_same(other, row)


def test_all_contexts_at_once_or_one_by_one(old: Old) -> None:
    """A cached_predict that only hands on to ours: one call each, and the same numbers.

    All but the rounding: it is handed tensors of float32.
    """
    data = daily(80, 103)
    setting = Setting(one_by_one(model_of(old), data))
    together = old.backtest(data, 6, setting)
    ours, calls = old.module.cached_predict, []

    def handed_on(context: Any, *args: Any, **options: Any) -> Any:
        calls.append(len(context))
        return ours(context, *args, **options)

    old.patch.setattr(old.module, "cached_predict", handed_on)
    each = old.backtest(data, 6, setting)
    assert len(calls) >= 4 * (6 + 6)
    numbers = together.select_dtypes("number").columns
    np.testing.assert_allclose(each[numbers], together[numbers], rtol=1e-4, atol=1e-7)


def test_what_comes_later_changes_nothing(old: Old) -> None:
    """With a model that sees all it is handed: rows before a change stay to the last digit."""
    data = daily(80, 104)
    changed = data.copy()
    changed.iloc[-4:] *= 3.0
    setting = Setting(one_by_one(model_of(old), data))
    one, other = (rows_of(old.backtest(of, 10, setting)) for of in (data, changed))
    for before, after in list(zip(one, other, strict=True))[3:]:
        assert before["date"] < data.index[-4]
        for name in before:
            if not name.startswith("walk_forward_") and not name.endswith("_forecasted_pnl"):
                assert_same({name: after[name]}, {name: before[name]})


def test_alone_or_among_others(old: Old) -> None:
    """A row of a backtest is the simulation alone, though its contexts went in one batch."""
    data = daily(80, 105)
    setting = Setting(one_by_one(model_of(old), data), module_spread=1.0005)
    rows = rows_of(old.backtest(data, 5, setting))
    for number in (4, 0, 2):
        alone = old.simulate(data.iloc[: -(number + 1)], setting)
        assert_same({name: rows[number][name] for name in alone}, alone, f"row {number}: ")
