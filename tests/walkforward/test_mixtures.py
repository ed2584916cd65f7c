"""A run whose model states Student-t mixtures: parameters are kept, and results do not change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market import random_bars
from mixture_model import MixtureModel

import marketsim as ms
from marketsim.bars import close_moves
from marketsim.forecasts import Schema
from marketsim.models import StudentTMixture

RUN = {"simulations": 6, "window": 4, "offset_window": 15, "progress": False}


def frames(result: ms.WalkForwardResult) -> list[pd.DataFrame]:
    return [result.days, result.forecasts, result.simulations, result.summary().skill]


def same(one: ms.WalkForwardResult, other: ms.WalkForwardResult) -> None:
    for left, right in zip(frames(one), frames(other), strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)


@pytest.mark.parametrize("aggregate", ["trimmed_mean_10", "mean_minus_std_0.5", "p40"])
def test_the_store_changes_nothing(tmp_path: Path, aggregate: str) -> None:
    bars, cold, warm = random_bars(120), MixtureModel(), MixtureModel()
    run = {**RUN, "aggregate": aggregate, "check": False}  # whose probe asks the model once more
    unkept = ms.walk_forward(bars, MixtureModel(), store=False, **run)
    same(unkept, ms.walk_forward(bars, cold, store=tmp_path / "store", **run))
    assert cold.made > 0
    same(unkept, ms.walk_forward(bars, warm, store=tmp_path / "store", **run))
    assert warm.made == 0
    memory = ms.MemoryStore()
    same(unkept, ms.walk_forward(bars, MixtureModel(), store=memory, **run))
    again = MixtureModel()
    same(unkept, ms.walk_forward(bars, again, store=memory, **run))
    assert again.made == 0


def test_forecasts_are_those_of_the_parameters_as_stored(tmp_path: Path) -> None:
    bars, model = random_bars(120), MixtureModel()
    result = ms.walk_forward(bars, model, store=tmp_path / "store", **RUN)
    assert result.cube.schema == Schema(components=5, targets="close")
    table = result.forecasts
    assert list(table.columns) == [
        "date", "target", "mean", "std", "point", "q0.1", "q0.5", "q0.9", "actual",
    ]  # fmt: skip
    returns = close_moves(bars)
    day = int(result.windows.days[3])
    for i, target in enumerate(ms.bars.TARGETS):
        parts = (part.astype(np.float32) for part in model.forecast(returns[i, : day - 1]))
        alone = StudentTMixture(*(part[None] for part in parts))
        shown = table[(table["date"] == result.dates[3]) & (table["target"] == target)].iloc[0]
        assert shown["mean"] == alone.mean[0]
        assert shown["std"] == alone.std[0]
        if target in ("open", "close"):  # high and low are put in order
            assert shown["point"] == alone.aggregate("trimmed_mean_10")[0]
            assert shown["q0.9"] == alone.quantile(0.9)[0, 0]
    four = table[table["date"] == result.dates[3]].set_index("target")
    for name in ("point", "q0.1", "q0.9"):
        assert four.loc["high", name] >= four.loc[["open", "close"], name].max()
        assert four.loc["low", name] <= four.loc[["open", "close"], name].min()


def test_a_report_and_what_follows_from_levels(tmp_path: Path) -> None:
    result = ms.walk_forward(random_bars(120), MixtureModel(), store=False, **RUN)
    assert np.isfinite(result.summary().skill.select_dtypes("number").to_numpy()).all()
    assert result.report(tmp_path / "report.html").stat().st_size > 10_000
    assert result.to_dict()["settings"]["model"] == "mixture"
