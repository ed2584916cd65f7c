from __future__ import annotations

import itertools
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.errors import NoEffectError
from marketsim.search import GridResult, Ledger, grid, grid_sets, one_by_one, walk_forward_objective

SPACE = {"fast": [2, 5, 9], "slow": [4, 8, 12, 20], "kind": ["a", "b"]}


def hill(sets: dict[str, np.ndarray]) -> np.ndarray:
    return -((sets["fast"] - 5.0) ** 2) - (sets["slow"] - 8.0) ** 2 + (sets["kind"] == "b")


def test_every_combination_is_tried_in_batches() -> None:
    for batch in (1, 5, 1000):
        seen: list[tuple] = []

        def objective(
            sets: dict[str, np.ndarray], batch: int = batch, seen: list = seen
        ) -> np.ndarray:
            seen += list(zip(*(sets[name].tolist() for name in SPACE), strict=True))
            assert len(sets["fast"]) <= batch
            return hill(sets)

        found = grid(objective, SPACE, batch=batch, progress=False)
        assert seen == list(itertools.product(*SPACE.values()))
        assert found.best_params == {"fast": 5, "slow": 8, "kind": "b"}
        assert found.scores[found.best] == 1.0 and len(found) == 24
    assert found.to_frame().columns.tolist() == ["fast", "slow", "kind", "score"]
    assert found.params(0) == {"fast": 2, "slow": 4, "kind": "a"}


def test_a_condition_leaves_sets_out() -> None:
    found = grid(hill, SPACE, where=lambda s: s["fast"] < s["slow"], progress=False)
    assert len(found) == 18 and (found.sets["fast"] < found.sets["slow"]).all()
    assert np.isnan(found.heatmap("fast", "slow").loc[9, 4])


def test_directions_and_scores_that_cannot_win() -> None:
    scores = np.array([math.nan, math.inf, 3.0, -math.inf, 1.0, 3.0])
    for direction, best in (("maximize", 2), ("minimize", 4)):
        found = grid(
            lambda s: scores[s["x"]], {"x": list(range(6))}, direction=direction, progress=False
        )
        assert found.best == best
        assert np.isnan(found.scores[[0, 1, 3]]).all()
    nothing = grid(lambda s: np.full(len(s["x"]), np.nan), {"x": [1, 2]}, progress=False)
    for call in (lambda: nothing.best, nothing.plateau):
        with pytest.raises(ValueError, match="none of the 2 sets has a finite score"):
            call()


def test_the_plateau_is_not_the_lucky_cell() -> None:
    values = list(range(9))
    surface = np.zeros((9, 9))
    surface[1, 7] = 10.0  # one lucky cell
    surface[3:6, 2:5] = 5.0
    found = grid(lambda s: surface[s["x"], s["y"]], {"x": values, "y": values}, progress=False)
    assert found.best_params == {"x": 1, "y": 7}
    plateau = found.plateau()
    assert plateau.params == {"x": 4, "y": 3}
    assert (plateau.score, plateau.cells) == (5.0, 9)
    lowest = grid(
        lambda s: -surface[s["x"], s["y"]], {"x": values, "y": values},
        direction="minimize", progress=False,
    )  # fmt: skip
    assert lowest.plateau().params == {"x": 4, "y": 3}
    with pytest.raises(ValueError, match="radius"):
        found.plateau(0)


def test_plateau_by_the_plain_definition() -> None:
    rng = np.random.default_rng(0)
    space = {"a": list(range(6)), "b": list(range(4)), "c": [0, 1], "kind": ["x", "y", "z"]}
    surface = rng.normal(size=(6, 4, 2, 3))
    surface[rng.random(surface.shape) < 0.3] = np.nan
    kinds = np.array(space["kind"])
    found = grid(
        lambda s: surface[s["a"], s["b"], s["c"], np.searchsorted(kinds, s["kind"])],
        space, progress=False,
    )  # fmt: skip
    mean = np.nanmean(surface)
    for radius in (1, 2):
        widths = [min(2 * radius + 1, size) for size in (6, 4, 2)] + [1]
        best = (-math.inf, math.nan, None, 0)
        starts = (range(n - w + 1) for n, w in zip(surface.shape, widths, strict=True))
        for start in itertools.product(*starts):
            edges = list(zip(start, widths, strict=True))
            block = surface[tuple(slice(s, s + w) for s, w in edges)]
            known = int((~np.isnan(block)).sum())
            score = np.where(np.isnan(block), mean, block).mean()
            middles = [{s + (w - 1) // 2, s + w // 2} for s, w in edges]
            for at in itertools.product(*middles):
                if np.isnan(surface[at]) or 2 * known < block.size:
                    continue
                best = max(best, (score, surface[at], at, known))
        plateau = found.plateau(radius)
        params = dict(zip(space, [*best[2][:3], space["kind"][best[2][3]]], strict=True))
        assert plateau.params == params
        assert plateau.score == pytest.approx(best[0]) and plateau.cells == best[3]


def test_border_and_centre_are_judged_alike() -> None:
    """Of noise every block wins equally often; a hill at the border has its middle beside it."""
    values = list(range(6))
    rng = np.random.default_rng(0)
    wins = np.zeros((6, 6))
    for _ in range(800):
        surface = rng.normal(size=(6, 6))
        found = grid(lambda s: surface[s["x"], s["y"]], {"x": values, "y": values}, progress=False)  # noqa: B023
        wins[tuple(found.plateau().params.values())] += 1
    inner = wins[1:-1, 1:-1]
    assert wins.sum() == inner.sum() == 800
    corners, middle = inner[[0, 0, -1, -1], [0, -1, 0, -1]].mean(), inner[1:-1, 1:-1].mean()
    assert corners < 2.5 * middle  # blocks beside the border share fewer cells with others
    hill = np.add.outer(np.arange(6.0), np.arange(6.0))
    found = grid(lambda s: hill[s["x"], s["y"]], {"x": values, "y": values}, progress=False)
    assert found.plateau().params == {"x": 4, "y": 4}
    # Cells without a score are no help: three cells of 1.1 do not beat nine of 1.
    surface = np.zeros((7, 7))
    surface[1:4, 1:4] = 1.0
    surface[5:, 5:] = 1.1
    surface[6, 6] = surface[4, 4:] = surface[4:, 4] = np.nan
    found = grid(
        lambda s: surface[s["x"], s["y"]], {"x": list(range(7)), "y": list(range(7))},
        progress=False,
    )  # fmt: skip
    assert found.plateau().params == {"x": 2, "y": 2}


def test_one_huge_score_does_not_hide_the_others() -> None:
    surface = np.array([1e20, 0.0, 0.0, 0.0, 3.0, 4.0, 3.0, 0.0])
    found = grid(lambda s: -surface[s["x"]], {"x": list(range(8))}, progress=False,
                 direction="minimize")  # fmt: skip
    assert found.plateau().params == {"x": 1}
    calm = found.by_plateau()
    assert calm.scores[5] == pytest.approx(-10.0 / 3.0)


def test_a_grid_of_too_many_cells_is_refused() -> None:
    values = [i / 7 for i in range(20_000)]
    found = GridResult(
        {"x": values, "y": values}, {"x": np.array(values), "y": np.array(values)},
        np.zeros(20_000), {}, "maximize", 0,
    )  # fmt: skip
    with pytest.raises(ValueError, match="400,000,000 cells, more than"):
        found.plateau()


def test_heatmap_and_parameters_without_effect() -> None:
    found = grid(
        lambda s: s["fast"] * 10.0 + s["slow"],
        {**SPACE, "typo": [1, 2], "one": [1]},
        without_effect="keep",
        progress=False,
    )
    heat = found.heatmap("fast", "slow")
    assert heat.loc[5, 12] == 62.0 and heat.shape == (3, 4)
    assert found.without_effect == ("kind", "typo")
    least = grid(lambda s: hill(s), SPACE, direction="minimize", progress=False)
    assert least.heatmap("fast", "slow").loc[5, 8] == 0.0  # the lesser of 0 and 1
    with pytest.raises(ValueError, match="'x' is no parameter: expected fast"):
        found.heatmap("x", "slow")
    with pytest.raises(ValueError, match="twice"):
        found.heatmap("slow", "slow")


def test_parameters_without_effect_are_refused_by_name() -> None:
    def objective(sets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"score": sets["fast"] * 1.0, "trades": sets["slow"] * 1.0}

    space = {"fast": [1, 2], "slow": [3, 4], "typo": [1, 2]}  # "slow" changes a figure
    with pytest.raises(NoEffectError, match="'typo' changed neither score nor figure") as caught:
        grid(objective, space, progress=False)
    assert caught.value.result.best_params["fast"] == 2  # nothing is lost
    assert grid(objective, space, without_effect="keep", progress=False).best == 4
    # Sets that were left out say nothing: here no two differ in y alone.
    grid(
        lambda s: s["x"] * 1.0, {"x": [1, 2], "y": [1, 2]},
        where=lambda s: s["x"] == s["y"], progress=False,
    )  # fmt: skip


def test_the_grid_of_plateau_means() -> None:
    values = list(range(9))
    surface = np.zeros((9, 9))
    surface[1, 7] = 10.0
    surface[3:6, 2:5] = 5.0
    found = grid(lambda s: surface[s["x"], s["y"]], {"x": values, "y": values}, progress=False)
    calm = found.by_plateau()
    assert calm.best_params == found.plateau().params == {"x": 4, "y": 3}
    assert calm.scores[calm.best] == 5.0
    heat = found.heatmap("x", "y")
    assert heat.attrs == {"best": (1, 7), "plateau": (4, 3)}


def test_a_heatmap_as_a_picture(tmp_path: Path) -> None:
    found = grid(hill, SPACE, where=lambda s: s["fast"] < s["slow"], progress=False)
    found.save_heatmap(tmp_path / "heat.svg", "fast", "slow")
    svg = "{http://www.w3.org/2000/svg}"
    root = ElementTree.parse(tmp_path / "heat.svg").getroot()
    cells = [title.text for title in root.findall(f"{svg}rect/{svg}title")]
    assert "5, 8: 1" in cells and "best neighbourhood" in cells
    assert len(cells) == 9 + 1  # three of the twelve pairs were left out
    assert [title.text for title in root.findall(f"{svg}circle/{svg}title")] == ["best cell"]


def test_a_stopped_grid_goes_on(tmp_path: Path) -> None:
    calls = []

    def objective(sets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        calls.append(len(sets["fast"]))
        if len(calls) == 3:
            raise KeyboardInterrupt("power cut")
        return {"score": hill(sets), "trades": sets["fast"] * 1.0}

    with Ledger(tmp_path / "t.sqlite") as ledger:
        options = {"batch": 10, "ledger": ledger, "code": "1", "progress": False}
        with pytest.raises(KeyboardInterrupt, match="power cut"):
            grid(objective, SPACE, **options)
        assert ledger.summary("grid").complete == 20
        found = grid(objective, SPACE, **options)
        assert (found.reused, calls) == (20, [10, 10, 4, 4])
        assert ledger.summary("grid").attempts == 24
        again = grid(objective, SPACE, **options)
        assert again.reused == 24 and len(calls) == 4
        np.testing.assert_array_equal(again.scores, hill(found.sets))
        np.testing.assert_array_equal(again.figures["trades"], found.sets["fast"])
        best = ledger.summary("grid").best
        assert best is not None and best.params == found.best_params
        # Other data are other trials.
        assert grid(objective, SPACE, data="other bars", **options).reused == 0


@pytest.mark.parametrize(
    ("space", "objective", "options", "message"),
    [
        ({}, hill, {}, "the space is empty"),
        ({"x": []}, hill, {}, "parameter 'x' has no values"),
        ({"x": [1, 2, 1]}, hill, {}, "parameter 'x' has the value 1 twice"),
        ({"x": [1]}, lambda s: ["text"], {}, r"must return numbers: 'score' is \['text'\]"),
        ({"x": [1, 2]}, lambda s: 1.0, {}, "a number for each of 2 sets"),
        ({"x": [1]}, lambda s: {"sharpe": [1.0]}, {}, "need 'score': got sharpe"),
        ({"x": [1]}, hill, {"direction": "up"}, "direction"),
        ([1, 2], hill, {}, "a list of values: got"),
        ({"x": "abc"}, hill, {}, "parameter 'x' must be a list of values: got 'abc'"),
        ({"x": 5}, hill, {}, "parameter 'x' must be a list of values: got 5"),
        ({"x": [[1]]}, hill, {}, "takes numbers, text, booleans and None"),
        ({n: range(10_000) for n in "xyz"}, hill, {}, "1,000,000,000,000 sets, and a grid at most"),
        ({"x": [1]}, hill, {"batch": 0}, "batch"),
        ({"x": [1]}, hill, {"without_effect": "drop"}, "without_effect must be"),
        ({"x": [1]}, hill, {"fee_bps": 1.0}, "unknown options fee_bps: there are no bars"),
        ({"x": [1]}, lambda s: s["x"], {"returns": "a.npy"}, "gives no net returns"),
        ({"x": [1]}, lambda s: {"score": [1.0], "net": [1.0]}, {}, r"\[set, bar\] for 1 sets"),
        ({"x": [1]}, hill, {"where": lambda s: s["x"] > 1}, "leaves none of the 1 sets"),
        ({"x": [1]}, hill, {"where": lambda s: s["x"]}, "a boolean for each"),
    ],
)
def test_bad_arguments(space, objective, options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grid(objective, space, progress=False, **options)


def test_a_function_of_one_set() -> None:
    objective = one_by_one(lambda fast, slow, kind: {"score": fast * slow, "kind": len(kind)})
    found = grid(objective, SPACE, without_effect="keep", progress=False)
    assert found.best_params == {"fast": 9, "slow": 20, "kind": "a"}
    assert (found.figures["kind"] == 1).all()
    assert list(grid_sets({"a": [True, False]})["a"]) == [True, False]


class Threshold:
    """Long where the forecast of the close exceeds a threshold."""

    name, targets, fitted = "threshold", ("close",), False

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        return ms.Hold((view.last_return > self.threshold).astype(float))


def test_a_walk_forward_run_is_searched() -> None:
    bars = random_bars(200, seed=3)
    prepared = ms.prepare(bars, simulations=60, store=False, progress=False)
    space = {"threshold": [-1.0, 0.0, 0.01, 1.0]}
    objective = walk_forward_objective(prepared, Threshold, "total_return", fee=0.0)
    found = grid(objective, space, progress=False)
    for i, threshold in enumerate(space["threshold"]):
        alone = ms.walk_forward(
            bars, simulations=60, strategies=[Threshold(threshold)], fee=0.0, store=False,
            progress=False,
        )  # fmt: skip
        row = alone.summary().strategies.loc["threshold"]
        assert found.scores[i] == pytest.approx(row.total_return, abs=1e-12)
        assert found.figures["max_drawdown"][i] == pytest.approx(row.max_drawdown, abs=1e-12)
    with pytest.raises(ValueError, match="unknown metric 'alpha2'"):
        grid(walk_forward_objective(prepared, Threshold, "alpha2"), space, progress=False)


def test_values_stay_what_they_are() -> None:
    """Mixed values do not become text or numbers; an iterator is read once."""
    space = {"x": [1, "a", None, False, 0.5], "y": iter([1, 2.5])}
    seen = []

    def objective(x, y) -> float:
        seen.append((x, y))
        return float(len(seen))

    found = grid(one_by_one(objective), space, without_effect="keep", progress=False)
    expected = list(itertools.product([1, "a", None, False, 0.5], [1.0, 2.5]))
    assert [(type(x), x, y) for x, y in seen] == [(type(x), x, y) for x, y in expected]
    assert found.best_params == {"x": 0.5, "y": 2.5}
