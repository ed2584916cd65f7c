"""Kronos on random weights: equal to a readable reference, and the same in any company."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from checkpoints import write_kronos, write_kronos_tokenizer
from kronos_cases import SIZES, bars, coming, forecast, load_pair, write_pair
from kronos_reference import KronosReference, TokenizerReference, filtered, scaled

from marketsim.errors import ArgumentError
from marketsim.models.kronos.generation import Generation, kind_of
from marketsim.models.kronos.model import Kronos
from marketsim.models.kronos.sampling import Sampling, drawn, path_numbers, probabilities
from marketsim.models.kronos.series import BarSeries, read_series
from marketsim.timing import profiled

# Logits of the small networks, float32 against float64.
NOISE = 1e-4


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Many small products: threads would mostly wait for each other, where others work, too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        size: write_pair(tmp_path_factory.mktemp(size), size, seed)
        for seed, size in enumerate(SIZES)
    }


@pytest.fixture(scope="module")
def model(folders: dict[str, Path]) -> Kronos:
    return load_pair(folders["plain"])


samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.5, 1.0, 1.7]),
    top_k=st.sampled_from([0, 0, 1, 3, 1000]),
    top_p=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    samples=st.integers(1, 2),
    seed=st.integers(0, 2**70),
)


@settings(max_examples=15)
@given(
    size=st.sampled_from(list(SIZES)),
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=2),
    horizon=st.integers(1, 9),
    max_context=st.sampled_from([9, 16, 20, 64]),
    sampling=samplings,
    clip=st.sampled_from([1.0, 5.0]),
)
def test_paths_equal_the_reference(
    folders: dict[str, Path],
    size: str,
    lengths: list[int],
    horizon: int,
    max_context: int,
    sampling: Sampling,
    clip: float,
) -> None:
    model = load_pair(folders[size], max_context=max_context, clip=clip)
    frames = [bars(length, seed) for seed, length in enumerate(lengths)]
    after = [coming(frame, horizon) for frame in frames]
    made = model.predict_bars(
        frames,
        None,
        after,
        horizon=horizon,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        samples=sampling.samples,
        seed=sampling.seed,
    )
    for i, one in enumerate(read_series(frames, None, after, horizon, clip)):
        tokens = _tokens(model, one, horizon, sampling)
        found = made.paths[i], made.mean[i]
        _compare(folders[size], one, tokens, found, sampling, max_context)


def _tokens(
    model: Kronos, series: BarSeries, horizon: int, sampling: Sampling
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens of the context [2, time], those drawn [2, sample, step], and what each drew."""
    one = [series], [series.scaled]
    generation = Generation(model.networks, *one, horizon, sampling, torch.from_numpy)
    with torch.inference_mode():
        generation.paths()
    context = np.stack([half[0, : len(series.values)] for half in generation._context])
    numbers = path_numbers(series.key(sampling.seed)[None], sampling.samples, horizon)
    return context, np.stack([half[0] for half in generation.made]), numbers[0]


def _compare(
    folder: Path,
    series: BarSeries,
    tokens: tuple[np.ndarray, np.ndarray, np.ndarray],
    found: tuple[np.ndarray, np.ndarray],
    sampling: Sampling,
    max_context: int,
) -> None:
    """Each token is what the reference draws, up to the noise of float32; so are the bars."""
    tokenizer = TokenizerReference(folder / "tokenizer")
    predictor = KronosReference(folder / "predictor")
    values, mean, unit = scaled(series.values, series.clip)
    context, made, numbers = tokens
    codes = tokenizer.codes(values)
    for half, bits in zip(context, np.split(codes, 2, axis=1), strict=True):
        found_bits = half[:, None] >> np.arange(bits.shape[1]) & 1
        assert ((found_bits == (bits > 0)) | (np.abs(bits) < NOISE)).all()
    paths, horizon = [], made.shape[2]
    for sample in range(sampling.samples):
        whole = np.concatenate([context, made[:, sample]], axis=1)
        past = len(series.values)
        for step in range(horizon):
            seen = slice(max(0, past + step - max_context), past + step)
            first, second = whole[0, seen].tolist(), whole[1, seen].tolist()
            reading = predictor.context(first, second, series.clock[seen])
            drew = made[:, sample, step]
            logits = predictor.first_logits(reading), predictor.second_logits(reading, drew[0])
            for token, number, of in zip(drew, numbers[sample, step], logits, strict=True):
                _assert_drawn(token, number, of, sampling)
        last = whole[:, -min(whole.shape[1], max_context) :].tolist()
        paths.append(tokenizer.decode(*last)[-horizon:])
    resolution = 4 * np.spacing(np.abs(series.values).max(axis=0))
    for got, expected in zip(found, (np.array(paths), np.mean(paths, axis=0)), strict=True):
        assert (np.abs(got - (expected * unit + mean)) <= NOISE * unit + resolution).all()


def _assert_drawn(token: int, number: float, logits: np.ndarray, sampling: Sampling) -> None:
    # What may be drawn changes where a logit, or a sum of shares, is near a limit: so both sides.
    for top_p in {sampling.top_p, sampling.top_p - NOISE, sampling.top_p + NOISE}:
        for shift in (0.0, NOISE, -NOISE):
            moved = logits.copy()
            moved[token] += shift
            edges = filtered(moved, sampling.temperature, sampling.top_k, top_p).cumsum()
            low = edges[token - 1] if token else 0.0
            if low - NOISE <= number <= edges[token] + NOISE and low < edges[token]:
                return
    raise AssertionError(f"token {token} is not what {number} draws")


def closes(made: Any) -> np.ndarray:
    return np.asarray(made.paths[..., 3])


@settings(max_examples=10)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=2, max_size=5),
    horizon=st.integers(1, 12),
    samples=st.integers(1, 20),
    top_k=st.sampled_from([0, 1]),
    seed=st.integers(0, 99),
)
def test_a_forecast_does_not_depend_on_what_is_beside_it(
    model: Kronos, lengths: list[int], horizon: int, samples: int, top_k: int, seed: int
) -> None:
    frames = [bars(length, i) for i, length in enumerate(lengths)]
    options = {"samples": samples, "top_k": top_k, "seed": seed}
    together = forecast(model, frames, horizon, **options)
    backwards = forecast(model, frames[::-1], horizon, **options)
    np.testing.assert_array_equal(together.paths, backwards.paths[::-1])
    for i, frame in enumerate(frames):
        alone = forecast(model, [frame], horizon, **options)
        np.testing.assert_array_equal(together.paths[i], alone.paths[0])
        np.testing.assert_array_equal(together.mean[i], alone.mean[0])


def test_bfloat16_is_the_same_in_any_company(folders: dict[str, Path]) -> None:
    model = load_pair(folders["plain"], dtype="bfloat16")
    frames = [bars(length, length) for length in (17, 30, 20, 18)]
    together = forecast(model, frames, 4, samples=20).paths
    for frame, found in zip(frames, together, strict=True):
        np.testing.assert_array_equal(found, forecast(model, [frame], 4, samples=20).paths[0])


@settings(max_examples=15)
@given(
    length=st.integers(1, 60),
    horizon=st.integers(1, 12),
    samples=st.lists(st.integers(1, 70), min_size=2, max_size=2),
)
def test_a_path_does_not_depend_on_how_many_there_are(
    model: Kronos, length: int, horizon: int, samples: list[int]
) -> None:
    few, many = (
        forecast(model, [bars(length)], horizon, samples=count).paths for count in sorted(samples)
    )
    np.testing.assert_array_equal(few, many[:, : few.shape[1]])


@pytest.mark.parametrize(("length", "horizon"), [(10, 8), (24, 6), (40, 24)])
def test_memory_changes_nothing(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, length: int, horizon: int
) -> None:
    frames = [bars(length, seed) for seed in range(4)]
    expected = forecast(load_pair(folders["plain"]), frames, horizon, samples=5)
    monkeypatch.setattr(Kronos, "_most_rows", lambda *_: 1)
    monkeypatch.setattr("marketsim.models.kronos.stack._PRODUCTS", 1)
    monkeypatch.setattr("marketsim.models.kronos.stack._CPU_TOKENS", 1)
    found = forecast(load_pair(folders["plain"]), frames, horizon, samples=5)
    np.testing.assert_array_equal(found.paths, expected.paths)


def test_threads_change_nothing(tmp_path: Path) -> None:
    """At widths like the published ones; libraries share out odd ones in other ways."""
    sizes = {"d_model": 256, "ff_dim": 512, "n_heads": 4}
    write_kronos(tmp_path / "predictor", 1, **sizes)
    write_kronos_tokenizer(tmp_path / "tokenizer", 2, **sizes)
    model = load_pair(tmp_path)
    frames = [bars(length, length) for length in (40, 130, 20)]
    made = []
    for threads in (4, 3, 2, 1):
        torch.set_num_threads(threads)
        made.append(forecast(model, frames, 2, samples=20).paths)
    for found in made:
        np.testing.assert_array_equal(found, made[-1])


def test_a_batch_that_does_not_fit_is_halved(
    model: Kronos, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [bars(20, seed) for seed in range(6)]
    expected = forecast(model, frames, 3)
    paths = Generation.paths
    told: list[int] = []

    def small(self: Generation) -> Any:
        if len(self.made.first) > 2:
            raise MemoryError
        return paths(self)

    monkeypatch.setattr(Generation, "paths", small)
    with pytest.warns(RuntimeWarning, match="memory did not suffice"):
        found = forecast(model, frames, 3, on_progress=told.append)
    np.testing.assert_array_equal(found.paths, expected.paths)
    assert sum(told) == 6
    assert len(told) > 2


def test_a_series_that_does_not_fit_is_an_error(
    model: Kronos, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Generation) -> Any:
        raise MemoryError

    monkeypatch.setattr(Generation, "paths", refuse)
    with pytest.raises(ArgumentError, match="use fewer samples"):
        forecast(model, [bars(20)], 3)


def test_draws_follow_from_seed_and_content_alone(model: Kronos) -> None:
    frames = [bars(30, 1), bars(30, 2)]
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = forecast(model, frames, 5, samples=4, top_p=1.0)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    np.testing.assert_array_equal(forecast(model, frames, 5, samples=4, top_p=1.0).paths, one.paths)
    other = forecast(model, frames, 5, samples=4, top_p=1.0, seed=1)
    assert (closes(other) != closes(one)).any(axis=(1, 2)).all()
    assert len(np.unique(closes(one)[0], axis=0)) > 1
    series = read_series(frames, None, None, 1, 5.0)
    moved = read_series([frames[0].shift(freq="h")], None, None, 1, 5.0)
    keys = {tuple(one.key(seed)) for one in (*series, *moved) for seed in (0, 1)}
    assert len(keys) == 6


def test_numbers_depend_on_path_and_step_alone() -> None:
    keys = np.array([[1, 2], [1, 3]], dtype=np.uint64)
    many = path_numbers(keys, 9, 7)
    assert many.shape == (2, 9, 7, 2)
    assert len(np.unique(many)) == many.size
    np.testing.assert_array_equal(path_numbers(keys[1:], 4, 3), many[1:, :4, :3])


def test_draws_follow_the_probabilities() -> None:
    shares = torch.tensor([[[0.0, 0.2, 0.0, 0.5, 0.3, 0.0]]])
    uniform = torch.from_numpy(path_numbers(np.array([[5, 6]], dtype=np.uint64), 20_000, 1)[..., 0])
    found = drawn(shares, uniform[:, :, 0])
    counted = torch.bincount(found.flatten(), minlength=6) / found.numel()
    np.testing.assert_allclose(counted, shares[0, 0], atol=0.015)
    edges = torch.tensor([[0.0, np.nextafter(1.0, 0.0)]], dtype=torch.float64)
    np.testing.assert_array_equal(drawn(shares, edges), [[1, 4]])
    np.testing.assert_array_equal(drawn(shares.expand(1, 2, 6), edges), [[1, 4]])


def test_ties_at_the_limit_are_kept() -> None:
    logits = torch.tensor([1.0, 3.0, 2.0, 2.0, 0.0])
    np.testing.assert_array_equal(
        probabilities(logits, Sampling(top_k=2)) > 0, [False, True, True, True, False]
    )


@pytest.mark.parametrize(("length", "kept"), [(10, True), (40, False)])
def test_a_context_is_read_once_for_all_paths(
    model: Kronos, monkeypatch: pytest.MonkeyPatch, length: int, kept: bool
) -> None:
    reads: list[tuple[int, ...]] = []
    network = model.networks.predictor
    read = network.read

    def counted(tokens: Any, *rest: Any) -> Any:
        reads.append(tuple(tokens.first.shape))
        return read(tokens, *rest)

    monkeypatch.setattr(network, "read", counted)
    forecast(model, [bars(length, seed) for seed in range(3)], 6, samples=50)
    assert reads == [(3, 16)] if kept else [(3, 32)] * 6


def test_series_that_share_a_batch_are_of_a_kind(model: Kronos) -> None:
    networks = model.networks  # sees 24 tokens
    assert kind_of(networks, 17, 3) == kind_of(networks, 22, 3) == (32, 0)
    assert kind_of(networks, 23, 3) == (32, 23)
    assert kind_of(networks, 25, 3) == kind_of(networks, 32, 3) == (32, 24)
    assert kind_of(networks, 24, 1) == kind_of(networks, 31, 1) == (32, 0)


def test_bfloat16_is_near(folders: dict[str, Path], model: Kronos) -> None:
    rough = load_pair(folders["plain"], dtype="bfloat16").networks.predictor
    exact = model.networks.predictor
    tokens = torch.arange(64).reshape(2, 2, 16) * 7 % 32
    clock, lengths = torch.ones(2, 16, 5, dtype=torch.int64), torch.tensor([16, 9])
    from marketsim.models.kronos.tokenizer import Tokens

    with torch.inference_mode():
        found, expected = (
            network.first_logits(network.read(Tokens(*tokens), clock, lengths))
            for network in (rough, exact)
        )
    error = (found - expected).abs()
    assert 0 < error.mean() < 0.02 * expected.std()


def test_stages_are_timed(model: Kronos) -> None:
    with profiled() as profile:
        forecast(model, [bars(20)], 2)
    assert {"prepare", "encode", "head"} <= {part.name for part in profile.by_stage()}


def test_weights_are_given_back(folders: dict[str, Path]) -> None:
    model = load_pair(folders["plain"])
    model.release()
    expected = forecast(model, [bars(20)], 2).paths
    assert "networks" in vars(model)
    model.release()
    assert "networks" not in vars(model)
    np.testing.assert_array_equal(forecast(model, [bars(20)], 2).paths, expected)
