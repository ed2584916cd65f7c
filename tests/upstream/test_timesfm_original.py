"""Our TimesFM 2.5 equals the original, on random weights of small, odd and official sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import TIMESFM, write_timesfm
from upstream_cases import QUANTILES, assert_near, days, series
from upstream_worker import Ask

import marketsim as ms

pytestmark = pytest.mark.upstream

OFFICIAL = {
    "width": 1280,
    "hidden": 1280,
    "heads": 16,
    "layers": 20,
    "patch": 32,
    "reach": 128,
    "spread_reach": 1024,
    "inner": 1280,
}
SIZES = {
    "small": TIMESFM,
    "odd": TIMESFM
    | {"width": 60, "heads": 5, "patch": 6, "reach": 18, "hidden": 44, "layers": 4}
    | {"spread_reach": 54},
    "official width": OFFICIAL | {"layers": 2},
    "200m": OFFICIAL,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "one pass": {"flip_invariance": False},
    "continuous": {"continuous_quantiles": True},
}


def contexts(patch: int) -> dict[str, np.ndarray]:
    """Contexts [series, time] by name."""
    found = {
        name: series((3, 1, length), seed)[:, 0]
        for seed, (name, length) in enumerate(
            {
                "below a patch": patch - 1,
                "one patch": patch,
                "whole patches": 5 * patch,
                "part of a patch": 6 * patch + 1,
                "many": 21 * patch - 1,
            }.items()
        )
    }
    gaps = series((3, 1, 6 * patch), 9)[:, 0]
    gaps[0, 3:5] = gaps[1, 2 * patch : 3 * patch + 2] = gaps[2, -2:] = np.nan
    late = series((3, 1, 6 * patch), 10)[:, 0]
    late[0, :2] = late[1, :patch] = late[2, : 2 * patch + 1] = np.nan
    return found | {"gaps": gaps, "starts late": late}


class Case:
    """One size's checkpoint, and what the original answers."""

    def __init__(self, size: str, folder: Path, ask: Ask) -> None:
        self.sizes = SIZES[size]
        self.folder = write_timesfm(folder, 12, **self.sizes)
        patch, reach = self.sizes["patch"], self.sizes["reach"]
        self.horizons = (1, reach, 2 * reach + 3)
        self.contexts = contexts(patch)
        self.days = {
            name: row[:, 0] for name, row in days(patch).items() if name.startswith("1 variates")
        }
        asked = [
            {
                "name": name,
                "runs": [
                    {"key": f"{option} h{horizon}", "horizon": horizon, **OPTIONS[option]}
                    for option in OPTIONS
                    for horizon in self.horizons
                ],
            }
            for name in self.contexts
        ]
        asked += [{"name": name, "runs": [{"key": "q", "horizon": 1}]} for name in self.days]
        arrays = {f"{name}/target": row for name, row in (self.contexts | self.days).items()}
        self.theirs = ask(
            "timesfm-forecast", folder=self.folder, sizes=self.sizes, cases=asked, arrays=arrays
        )


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(s, marks=() if s in ("small", "odd") else pytest.mark.slow) for s in SIZES
    ],
)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: Ask
) -> Case:
    return Case(request.param, tmp_path_factory.mktemp("timesfm"), upstream)


def unit_of(theirs: np.ndarray, context: np.ndarray) -> np.ndarray:
    """The deviation of the context and the size of the forecast beyond its mean."""
    deviation = np.nanstd(context, axis=-1)[:, None, None]
    return np.hypot(deviation, theirs - np.nanmean(context, axis=-1)[:, None, None])


@pytest.mark.parametrize("option", OPTIONS)
def test_quantiles_equal_the_original(case: Case, option: str) -> None:
    model = ms.load_model(case.folder, **OPTIONS[option])
    for name, rows in case.contexts.items():
        for horizon in case.horizons:
            theirs = case.theirs[f"{name}/{option} h{horizon}"]
            found = np.asarray(model.predict(rows, horizon=horizon).quantile(QUANTILES))
            unit = unit_of(theirs, rows)
            if horizon > case.horizons[1] or option == "continuous":
                # Medians that are read back, and three terms of a sum, are rounded at the level of
                # the series by the original: at 100 it is 4e-4 from a float64 reference, ours 2e-5.
                unit = unit + 0.1 * np.abs(np.nanmean(rows, axis=-1))[:, None, None]
            assert_near(found, theirs, unit, f"{name}, {option}, {horizon}")


def test_each_day_equals_the_original_on_the_days_before(case: Case) -> None:
    names = list(case.days)
    longest, start = case.days[names[-1]][0], case.days[names[0]].shape[-1]
    found = np.asarray(ms.load_model(case.folder).predict_each(longest, start).quantile(QUANTILES))
    for i, name in enumerate(names):
        theirs, row = case.theirs[f"{name}/q"], case.days[name]
        assert_near(found[i : i + 1], theirs, unit_of(theirs, row), name)
