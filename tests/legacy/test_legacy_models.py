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
from legacy_transcription import KEYS, Exact, Setting, targets  # noqa: E402

import marketsim as ms  # noqa: E402
from marketsim.forecasts import Schema  # noqa: E402


@pytest.fixture(params=["ewma", "persistence"])
def old(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Old:
    monkeypatch.setenv("TOTO_MODEL_ID", request.param)
    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path / "store"))
    return Old(monkeypatch, tmp_path)


def one_by_one(old: Old, data: pd.DataFrame, spec: str = "trimmed_mean_10") -> Any:
    """The model asked for each context alone, with no store between.

    Of the data the package forecasts from returns as all of marketsim has them, x[t] / x[t-1] - 1
    in float64; the old code made them by another formula, in float32. Both are the same returns to
    the digits that float32 has. For what is compared here the former stand for the latter. And a
    forecast is what a record of the store has of it, float32, whether there is a store or not.
    """
    model = ms.load_model(model_of(old))
    schema = Schema.for_model(model)
    pairs = [(targets(data, key).astype(np.float32), native(data, key)) for key in KEYS]

    def forecast(context: torch.Tensor) -> Exact:
        seen = context.numpy()
        for moves, returns in pairs:
            if np.array_equal(moves[: len(seen)], seen):
                seen = returns[: len(seen)]
                break
        found = schema.decode(schema.encode(model.predict([seen])))
        low, median, high = np.asarray(found.quantile([0.4, 0.5, 0.6])).reshape(3)
        aggregate = float(np.asarray(found.aggregate(spec)).reshape(-1)[0])
        return Exact(aggregate, max(float(high - low), 0.0), float(median))

    return forecast


def native(data: pd.DataFrame, key: str) -> np.ndarray:
    """The returns of rows that miss no other price, as in `targets`."""
    others = data[[name for name in KEYS if name != key]].notna().all(axis=1).to_numpy()
    with np.errstate(all="ignore"):
        prices = data[key].to_numpy(dtype=float)
        returns = prices[1:] / prices[:-1] - 1.0
    return np.nan_to_num(returns, nan=0.0, posinf=0.0, neginf=0.0)[others[:-1]]


def model_of(old: Old) -> str:
    from marketsim.legacy.stock.settings import current_settings

    return current_settings().toto_model_id


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return rows


def test_simulation(old: Old) -> None:
    data = real("MSTR_1d", slice(-300, None))
    check_simulation(old, data, Setting(one_by_one(old, data)))


@pytest.mark.parametrize("case", ["old_nans", "recent_nan_high", "constant", "old_zero", "jumps"])
def test_awkward_simulation(old: Old, case: str) -> None:
    data = AWKWARD[case]()
    check_simulation(old, data, Setting(one_by_one(old, data)))


def test_backtest(old: Old) -> None:
    data = real("WPM_1d", slice(-200, None))
    check_backtest(old, data, 8, Setting(one_by_one(old, data), symbol="WPM"))


def test_other_aggregate(old: Old) -> None:
    old.patch.setenv("TOTO_AGGREGATION_SPEC", "quantile_0.45")
    data = daily(60, 101)
    check_simulation(old, data, Setting(one_by_one(old, data, "quantile_0.45")))


def test_store_cold_warm_and_absent(old: Old, tmp_path: Path) -> None:
    """What the store has changes no digit."""
    data = daily(80, 102)
    setting = Setting(one_by_one(old, data))
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
    """A cached_predict that only hands on to ours: one call each, and the same forecasts.

    To the digits of float32, in which the contexts of these calls are, as the old ones were.
    """
    data = daily(80, 103)
    setting = Setting(one_by_one(old, data))
    together = old.backtest(data, 6, setting)
    ours, calls = old.module.cached_predict, []

    def handed_on(context: Any, *args: Any, **options: Any) -> Any:
        calls.append(len(context))
        return ours(context, *args, **options)

    old.patch.setattr(old.module, "cached_predict", handed_on)
    each = old.backtest(data, 6, setting)
    assert 4 * (6 + 6) <= len(calls) <= 4 * (6 + 6) + 8
    for one, other in zip(together["last_preds"], each["last_preds"], strict=True):
        for name in ("close", "high", "low", "open"):
            made = f"{name}_predictions"
            torch.testing.assert_close(other[made], one[made], rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(
            other["close_ci_band"], one["close_ci_band"], rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("quirks", ["legacy", "fixed"])
def test_what_comes_later_changes_nothing(old: Old, quirks: str) -> None:
    """With a model that sees all it is handed: rows before a change stay to the last digit."""
    old.patch.setenv("MARKETSIM_LEGACY_QUIRKS", quirks)
    data = daily(80, 104)
    changed = data.copy()
    changed.iloc[-4:] *= 3.0
    setting = Setting(one_by_one(old, data))
    one, other = (rows_of(old.backtest(of, 10, setting)) for of in (data, changed))
    newest = data.index[-2] if quirks == "legacy" else data.index[-1]
    assert one[0]["date"] == newest
    compared = 0
    for before, after in zip(one, other, strict=True):
        if before["date"] >= data.index[-4]:
            assert before["close"] != after["close"]
            continue
        compared += 1
        for name in before:
            if not name.startswith("walk_forward_") and not name.endswith("_forecasted_pnl"):
                assert_same({name: after[name]}, {name: before[name]})
    assert compared == (7 if quirks == "legacy" else 6)


def test_alone_or_among_others(old: Old) -> None:
    """A row of a backtest is the simulation alone, though its contexts went in one batch."""
    data = daily(80, 105)
    setting = Setting(one_by_one(old, data), module_spread=1.0005)
    rows = rows_of(old.backtest(data, 5, setting))
    for number in (4, 0, 2):
        alone = old.simulate(data.iloc[: -(number + 1)], setting)
        assert_same({name: rows[number][name] for name in alone}, alone, f"row {number}: ")
