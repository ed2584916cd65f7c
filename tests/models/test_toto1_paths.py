"""Paths of Toto 1.0: reproducible, the same in any company, and draws of what is forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from checkpoints import TOTO1, write_checkpoint
from toto1_cases import PATCH, SIZES, load, sharp_weights, walk, write_size

from marketsim.errors import ArgumentError
from marketsim.models import StudentTMixture
from marketsim.models.toto1.model import Toto1Model

FAR = 2 * PATCH + 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_size(tmp_path_factory.mktemp("toto1"), "mixed")


def test_shapes_are_those_of_forecasts_with_paths_before(folder: Path) -> None:
    model = load(folder)
    rows = [walk((9,)), walk((20,), 1), walk((9,), 2)]
    assert model.sample_paths(rows, horizon=FAR, n=4, seed=0).shape == (4, 3, FAR)
    assert model.sample_paths(walk((2, 9)), horizon=1, n=1, seed=0).shape == (1, 2, 1)
    both = model.sample_paths(walk((2, 3, 9)), horizon=PATCH, n=5, seed=0)
    assert both.shape == (5, 2, 3, PATCH)
    assert both.dtype == np.float64 and np.isfinite(both).all()
    assert model.sample_paths(np.zeros((0, 9)), horizon=2, n=5, seed=0).shape == (5, 0, 2)


@pytest.mark.parametrize("horizon", [1, PATCH, FAR])
@pytest.mark.parametrize("variates", [1, 3])
def test_a_path_follows_from_seed_number_and_context(
    folder: Path, horizon: int, variates: int
) -> None:
    contexts = walk((3, variates, 30))
    whole = load(folder).sample_paths(contexts, horizon=horizon, n=6, seed=7)
    np.testing.assert_array_equal(
        whole, load(folder).sample_paths(contexts, horizon=horizon, n=6, seed=7)
    )
    for max_tokens in (1, 77):
        model = load(folder)
        model.batches.max_tokens = max_tokens
        again = model.sample_paths(contexts, horizon=horizon, n=6, seed=7)
        np.testing.assert_array_equal(again, whole)
    fewer = load(folder).sample_paths(contexts[:2], horizon=horizon, n=4, seed=7)
    np.testing.assert_array_equal(fewer, whole[:4, :2])
    assert len(np.unique(whole)) > 0.99 * whole.size  # float32 has no more numbers than that
    other = load(folder).sample_paths(contexts, horizon=horizon, n=6, seed=8)
    assert not (other == whole).any()


def test_contexts_of_other_lengths_change_nothing(folder: Path) -> None:
    rows = [walk((length,), length) for length in (30, 9, 31, 57)]
    together = load(folder).sample_paths(rows, horizon=FAR, n=3, seed=1)
    first = load(folder).sample_paths(rows[:1], horizon=FAR, n=3, seed=1)
    np.testing.assert_array_equal(together[:, :1], first)


def test_equal_contexts_have_paths_of_their_own(folder: Path) -> None:
    same = np.repeat(walk((1, 20)), 2, axis=0)
    paths = load(folder).sample_paths(same, horizon=FAR, n=3, seed=1)
    assert not (paths[:, 0] == paths[:, 1]).any()


def test_a_longer_horizon_begins_with_the_shorter_one(folder: Path) -> None:
    contexts = walk((2, 2, 20))
    near = load(folder).sample_paths(contexts, horizon=3, n=3, seed=1)
    far = load(folder).sample_paths(contexts, horizon=FAR, n=3, seed=1)
    np.testing.assert_array_equal(far[..., :3], near)


def distance(draws: np.ndarray, mixture: StudentTMixture, at: Any) -> float:
    """Kolmogorov's and Smirnov's distance of draws from one forecast, times the root of n."""
    ordered = np.sort(draws)
    parts = (mixture.df, mixture.loc, mixture.scale, mixture.weights)
    tall = StudentTMixture(*(np.repeat(part[at][None], len(draws), axis=0) for part in parts))
    probability = tall.cdf(ordered)
    steps = np.arange(len(draws) + 1) / len(draws)
    return float(
        np.sqrt(len(draws)) * max((probability - steps[:-1]).max(), (steps[1:] - probability).max())
    )


@pytest.mark.parametrize("size", ["plain", "odd"])
def test_the_first_patch_is_drawn_from_the_forecast(tmp_path: Path, size: str) -> None:
    model = load(write_size(tmp_path, size))
    contexts = walk((2, 2, 25))
    paths = model.sample_paths(contexts, horizon=model.patch, n=3000, seed=3)
    mixture = model.predict(contexts, horizon=model.patch)
    assert isinstance(mixture, StudentTMixture)
    for at in np.ndindex(2, 2, model.patch):
        # Exceeded once in 50,000 times, and these seeds do not.
        assert distance(paths[:, *at], mixture, at) < 2.3
        assert distance(paths[:, *at] + 0.2 * mixture.std[at], mixture, at) > 2.3
    draws = paths[..., 0].reshape(3000, -1)
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.1


def test_later_patches_are_drawn_given_the_ones_before(tmp_path: Path) -> None:
    """A path's second patch is a draw of the forecast after its own first patch."""
    model = load(write_size(tmp_path, "plain"))
    context = walk((1, 8 * PATCH))
    paths = model.sample_paths(context, horizon=2 * PATCH, n=800, seed=5)[:, 0]
    grown = np.concatenate([np.repeat(context, 800, axis=0), paths[:, :PATCH]], axis=1)
    mixture = model.predict(grown, horizon=PATCH)
    assert isinstance(mixture, StudentTMixture)
    for step in range(PATCH):
        share = mixture.cdf(paths[:, PATCH:])[:, step]
        steps = (np.arange(800) + 0.5) / 800
        assert np.sqrt(800) * np.abs(np.sort(share) - steps).max() < 2.3
        # Where a path stood in one patch says nothing of where it will in the next.
        before = np.argsort(np.argsort(paths[:, step]))
        assert abs(np.corrcoef(before, share)[0, 1]) < 0.15
    alone = model.predict(context, horizon=PATCH)
    assert isinstance(alone, StudentTMixture)
    apart = max(distance(paths[:, PATCH + i], alone, (0, i)) for i in range(PATCH))
    assert apart > 2.3  # and not of that after the context alone


@pytest.mark.parametrize("decoding", ["exact", "cached"])
def test_means_and_paths_are_decoded_alike(tmp_path: Path, decoding: str) -> None:
    """Paths without chance, since components are narrow, are the means."""
    config = TOTO1 | {"output_distribution_kwargs": {"k_components": 1}}
    weights = sharp_weights(config, 2)
    head = "model.output_distribution"
    weights[f"{head}.scale_proj.weight"] *= 0
    weights[f"{head}.scale_proj.bias"][:] = -20.0
    weights[f"{head}.df.bias"][:] = 30.0
    model = load(write_checkpoint(tmp_path, config, weights, 1), decoding=decoding)
    contexts = walk((3, 2, 22))
    means = model.predict(contexts, horizon=3 * PATCH).mean
    for path in model.sample_paths(contexts, horizon=3 * PATCH, n=2, seed=0):
        np.testing.assert_allclose(path, means, atol=1e-4)


def counted(model: Toto1Model) -> dict[str, int]:
    """How many tokens go through the network's methods."""
    tokens = {"forward": 0, "step": 0}
    network = model.network
    for name in tokens:
        method = getattr(type(network), name)

        def wrapped(patches: Any, *rest: Any, name: str = name, method: Any = method) -> Any:
            tokens[name] += patches.shape[:-1].numel()
            return method(network, patches, *rest)

        setattr(network, name, wrapped)
    return tokens


@pytest.mark.parametrize("n", [1, 40])
def test_contexts_are_read_once_however_many_paths(folder: Path, n: int) -> None:
    model = load(folder)
    tokens = counted(model)
    model.batches.max_tokens = 100
    model.sample_paths(walk((2, 3, 8 * PATCH)), horizon=3 * PATCH, n=n, seed=0)
    assert tokens == {"forward": 2 * 3 * 8, "step": 2 * 3 * n * 2}
    model.sample_paths(walk((2, 3, 8 * PATCH)), horizon=PATCH, n=n, seed=0)
    assert tokens == {"forward": 2 * 2 * 3 * 8, "step": 2 * 3 * n * 2}


def test_groups_of_paths_are_no_larger_than_a_batch(folder: Path) -> None:
    model = load(folder)
    largest = 0
    step = type(model.network).step

    def watched(patches: Any, rotation: Any, steps: int, cache: Any) -> Any:
        nonlocal largest
        largest = max(largest, cache[0][0].shape[0] * (cache[0][0].shape[1] + 1))
        return step(model.network, patches, rotation, steps, cache)

    model.network.step = watched
    model.batches.max_tokens = 100
    model.sample_paths(walk((3, 2, 5 * PATCH)), horizon=3 * PATCH, n=30, seed=0)
    assert 50 < largest <= 100


def test_what_float32_cannot_hold_goes_on_as_zero(folder: Path) -> None:
    """As the original has it; the value is the one that the path goes on from."""
    from marketsim.models.toto1.decoding import appended

    given = np.array([1.5, np.inf, -np.inf, np.nan, 1.6e38, 1.8e38, -3e38])
    np.testing.assert_array_equal(
        appended(given), np.array([1.5, 0, 0, 0, 1.6e38, 0, 0], dtype=np.float32)
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n": 0}, "n must be"),
        ({"n": 1.5}, "n must be"),
        ({"n": True}, "n must be"),
        ({"seed": -1}, "seed must be"),
        ({"seed": None}, "seed must be"),
        ({"horizon": 0}, "horizon must be"),
    ],
)
def test_numbers_out_of_range_are_refused(
    folder: Path, changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        load(folder).sample_paths(walk((1, 9)), **({"horizon": 2, "n": 2, "seed": 2} | changed))


def test_a_mask_counts(folder: Path) -> None:
    context, mask = walk((1, 20)), np.ones((1, 20), bool)
    mask[0, :7] = False
    masked = load(folder).sample_paths(context, horizon=2, n=2, seed=0, mask=mask)
    plain = load(folder).sample_paths(context, horizon=2, n=2, seed=0)
    assert not (masked == plain).any()


def test_all_sizes_draw(tmp_path: Path) -> None:
    for size in SIZES:
        model = load(write_size(tmp_path / size, size), dtype="bfloat16")
        paths = model.sample_paths(walk((2, 2, 20)), horizon=2 * model.patch + 1, n=3, seed=0)
        assert np.isfinite(paths).all()
