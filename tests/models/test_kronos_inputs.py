"""What Kronos is given: bars, settings and checkpoints; each error names what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from checkpoints import (
    KRONOS,
    KRONOS_TOKENIZER,
    kronos_tokenizer_weights,
    kronos_weights,
    write_checkpoint,
    write_toto1,
)

pytest.importorskip("torch")

from kronos_cases import bars, coming, forecast, load_pair, write_pair

import marketsim as ms
from marketsim.bars import read_bars
from marketsim.errors import (
    ArgumentError,
    CheckpointError,
    CheckpointNotFoundError,
    UnknownNameError,
)
from marketsim.models.kronos.config import KronosConfig
from marketsim.models.kronos.model import Kronos
from marketsim.models.neural.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Kronos:
    return load_pair(folder)


FRAME = bars(20)
AFTER = coming(FRAME, 2)


def greedy(model: Kronos, *series: Any) -> np.ndarray:
    return model.predict_bars(*series, horizon=2, top_k=1).paths


def test_frames_arrays_and_bars_are_the_same(model: Kronos) -> None:
    expected = greedy(model, [FRAME], None, [AFTER])
    shouting = FRAME.rename(columns=str.upper)[["CLOSE", "LOW", "HIGH", "OPEN", "AMOUNT", "VOLUME"]]
    shouting["adjusted"] = np.nan
    named = FRAME.reset_index(names="when")
    values = FRAME.to_numpy()
    for series in (
        ([shouting], None, [AFTER]),
        ([named], [named["when"]], [pd.Series(AFTER)]),
        ([values], [FRAME.index], [AFTER]),
        (values[None], np.asarray(FRAME.index)[None], np.asarray(AFTER)[None]),
        ([values.tolist()], [FRAME.index.astype(str)], [list(AFTER)]),
    ):
        np.testing.assert_array_equal(greedy(model, *series), expected)
    checked = read_bars(FRAME.iloc[:, :5], symbol="ABC")
    utc = AFTER.tz_localize("UTC")
    without = greedy(model, [FRAME.iloc[:, :5]], None, [AFTER])
    np.testing.assert_array_equal(greedy(model, [checked], None, [utc]), without)


def test_what_is_missing_is_put_in_as_the_original_does(model: Kronos) -> None:
    prices = FRAME.iloc[:, :4]
    nothing = prices.assign(volume=0.0, amount=0.0)
    alone = greedy(model, [prices], None, [AFTER])
    np.testing.assert_array_equal(alone, greedy(model, [nothing], None, [AFTER]))
    only = prices.assign(amount=5.0)  # an amount without a volume does not count
    np.testing.assert_array_equal(alone, greedy(model, [only], None, [AFTER]))
    traded = FRAME.iloc[:, :5]
    amount = traded["volume"] * prices.mean(axis=1)
    expected = greedy(model, [traded.assign(amount=amount)], None, [AFTER])
    np.testing.assert_array_equal(greedy(model, [traded], None, [AFTER]), expected)


def test_one_step_needs_no_timestamps_to_come(model: Kronos) -> None:
    with_them = model.predict_bars([FRAME], None, [AFTER[:1]], horizon=1, seed=3).paths
    np.testing.assert_array_equal(model.predict_bars([FRAME], horizon=1, seed=3).paths, with_them)


def test_hours_are_those_of_the_clock_given(model: Kronos) -> None:
    here = FRAME.tz_localize("UTC")
    there = here.tz_convert("Asia/Tokyo")
    found = [greedy(model, [frame], None, [coming(frame, 2)]) for frame in (FRAME, here, there)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_no_series_are_no_forecast(model: Kronos) -> None:
    made = model.predict_bars([], horizon=3, samples=2)
    assert made.paths.shape == (0, 2, 3, 6)
    assert made.mean.shape == (0, 3, 6)


def test_constant_columns_stay(model: Kronos) -> None:
    frame = FRAME.assign(volume=7.0, amount=0.0)
    made = model.predict_bars([frame], horizon=1, samples=20, top_p=1.0)
    assert np.isfinite(made.paths).all()
    np.testing.assert_allclose(made.paths[..., 4], 7.0, atol=1e-3)


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ((FRAME,), "one DataFrame; put it in a list"),
        (([FRAME["close"]],), r"series 0 must be \[time, column\] with 4 to 6 columns"),
        (([FRAME.to_numpy()[:, :3]], [FRAME.index]), r"got shape \(20, 3\)"),
        (([FRAME.to_numpy()],), "series 0 has no timestamps"),
        (([FRAME.drop(columns=["high", "low"])],), "series 0 lacks the columns high, low"),
        (([FRAME.assign(Close=1.0)],), "two columns called close"),
        (([FRAME.assign(low="x")],), "low of series 0 must be numbers"),
        (([FRAME, FRAME.replace(FRAME.iloc[3, 1], np.nan)],), "series 1 .* high of row 3"),
        (([FRAME.replace(FRAME.iloc[0, 4], 1e300)],), "volume of row 0"),
        (([FRAME * 1e30],), "series 0 holds values whose differences"),
        (([FRAME.iloc[:0]],), "series 0 holds no rows"),
        (([FRAME], [FRAME.index, FRAME.index]), "timestamps must be one for each of the 1 series"),
        (([FRAME], [FRAME.index[1:]]), "timestamps of series 0 must be 20: got 19"),
        (([FRAME], [FRAME.index[::-1]]), "ascending"),
        (([FRAME], [["yesterday"] * 20]), "cannot be read as such"),
        (([FRAME], [[pd.NaT] * 20]), "must be known"),
        (([FRAME], None, [AFTER[:1]]), "future_timestamps of series 0 must be 2: got 1"),
        (([FRAME], None, [FRAME.index[-2:]]), "must be after its last bar, 2024-02-28 16:00:00"),
        (([FRAME], None, [AFTER.tz_localize("UTC")]), "have a time zone, or none"),
        (([FRAME], None, AFTER[:1]), "series 0"),
        (([FRAME], None, None), "a horizon of 2 needs future_timestamps"),
    ],
    ids=[str(i) for i in range(21)],
)
def test_wrong_series_are_named(model: Kronos, series: tuple[Any, ...], words: str) -> None:
    rest = (None, [AFTER] * len(series[0]))[len(series) - 1 :]
    with pytest.raises(ArgumentError, match=words):
        greedy(model, *series, *rest)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"temperature": "1"},
        {"top_k": -1},
        {"top_k": 1.5},
        {"top_p": 1.1},
        {"top_p": float("nan")},
        {"samples": 0},
        {"samples": True},
        {"seed": -1},
        {"seed": 0.5},
        {"horizon": 0},
        {"horizon": 25},
    ],
)
def test_settings_out_of_range_are_refused(model: Kronos, settings: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(settings))):
        model.predict_bars([FRAME], **({"horizon": 1} | settings))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_context": 0}, "max_context"),
        ({"max_context": 1.5}, "max_context"),
        ({"clip": 0.0}, "clip"),
        ({"clip": float("inf")}, "clip"),
        ({"clip": "5"}, "clip"),
        ({"dtype": "float16"}, "float16 is not for the CPU"),
        ({"compile": True}, "neither compiled nor quantised"),
        ({"tokenizer": None}, "name its folder or hub id as tokenizer="),
    ],
)
def test_options_out_of_range_are_refused(
    folder: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        load_pair(folder, **options)


def test_unknown_options_are_named(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="max_context"):
        load_pair(folder, context=5)


def test_the_longest_horizon(model: Kronos) -> None:
    made = forecast(model, [bars(5), bars(30)], 24, samples=2)
    assert np.isfinite(made.paths).all()


def test_returns_are_refused(model: Kronos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kronos, "networks", property(lambda self: pytest.fail("weights are read")))
    for ask in (
        lambda: model.predict([[0.1, 0.2]]),
        lambda: model.predict_each([0.1, 0.2], 1),
    ):
        with pytest.raises(ArgumentError, match=r"use walk_forward.*predict_bars"):
            ask()


def test_the_fingerprint_tells_what_decides_a_forecast(folder: Path, tmp_path: Path) -> None:
    other = write_pair(tmp_path, seed=7)
    different: list[dict[str, Any]] = [
        {},
        {"max_context": 25},
        {"clip": 4.0},
        {"dtype": "bfloat16"},
        {"tokenizer": other / "tokenizer"},
    ]
    found = {load_pair(folder, **options).fingerprint for options in different}
    assert len(found | {load_pair(other).fingerprint}) == len(different) + 1


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("predictor", {"n_layers": None}, "config.json of predictor lacks 'n_layers'"),
        ("predictor", {"d_model": "wide"}, "cannot be understood"),
        ("predictor", {"d_model": 25}, "d_model 25 in 3 heads"),
        ("predictor", {"d_model": 20, "n_heads": 2}, "a multiple of 8"),
        ("predictor", {"n_layers": 0}, "at least 1"),
        ("predictor", {"s1_bits": 40}, "s1_bits 40"),
        ("predictor", {"s1_bits": 6}, r"reads tokens of 6 \+ 5 bits, and tokenizer makes such"),
        ("tokenizer", {"n_heads": None}, "config.json of tokenizer lacks 'n_heads'"),
        ("tokenizer", {"d_in": 5}, "d_in 5"),
        ("tokenizer", {"s2_bits": 4}, "equal ones"),
        ("tokenizer", {"n_dec_layers": 0}, "n_dec_layers below 1"),
    ],
)
def test_what_is_not_known_is_refused(
    tmp_path: Path, part: str, changes: dict[str, Any], words: str
) -> None:
    folder = write_pair(tmp_path)
    file = folder / part / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: v for key, v in config.items() if v is not None}))
    with pytest.raises(CheckpointError, match=words):
        load_pair(folder)


def test_files_that_are_missing_or_in_each_others_place(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="tokenizer is a tokenizer of Kronos"):
        ms.load_model(folder / "tokenizer")
    with pytest.raises(CheckpointError, match="is no tokenizer of Kronos"):
        load_pair(folder, tokenizer=folder / "predictor")
    with pytest.raises(CheckpointError, match="is no tokenizer of Kronos"):
        load_pair(folder, tokenizer=write_toto1(tmp_path / "toto", 1))
    with pytest.raises(CheckpointNotFoundError, match="no folder"):
        load_pair(folder, tokenizer=tmp_path / "nowhere")
    pair = write_pair(tmp_path)
    (pair / "tokenizer" / "model.safetensors").unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"neither model\.safetensors nor"):
        load_pair(pair)


@pytest.mark.parametrize("part", ["predictor", "tokenizer"])
def test_wrong_weights_are_named(tmp_path: Path, part: str) -> None:
    folder = write_pair(tmp_path)
    config, made, layers = {
        "predictor": (KRONOS, kronos_weights, "transformer"),
        "tokenizer": (KRONOS_TOKENIZER, kronos_tokenizer_weights, "encoder"),
    }[part]
    weights = made(config, 0)
    weights[f"{layers}.7.norm1.weight"] = weights.pop(f"{layers}.0.norm1.weight")
    weights[f"{layers}.0.ffn.w2.weight"] = np.zeros(3, np.float32)
    write_checkpoint(folder / part, config, weights, 1)
    model = load_pair(folder)
    with pytest.raises(CheckpointError) as caught:
        forecast(model, [FRAME], 1)
    for name in (part, f"{layers}.7.norm1", f"{layers}.0.norm1", f"{layers}.0.ffn.w2.weight"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("width", "layers", "tokenizer", "most"),
    [
        (256, 4, "NeoQuasar/Kronos-Tokenizer-2k", 2048),
        (512, 8, "NeoQuasar/Kronos-Tokenizer-base", 512),
        (832, 12, "NeoQuasar/Kronos-Tokenizer-base", 512),
    ],
)
def test_published_predictors_know_their_tokenizers(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    layers: int,
    tokenizer: str,
    most: int,
) -> None:
    asked: list[Any] = []

    def fake(name: str, **options: Any) -> Checkpoint:
        asked.append((name, options))
        return Checkpoint.open(folder / "tokenizer", "tokenizer")

    monkeypatch.setattr("marketsim.models.kronos.model.locate", fake)
    config = KRONOS | {"d_model": width, "n_layers": layers, "n_heads": 4}
    where = write_checkpoint(tmp_path, config, {"none": np.zeros(1)}, 1)
    model: Any = ms.load_model(where, offline=True, cache_dir=tmp_path)
    options = {"revision": None, "cache_dir": tmp_path, "offline": True}
    assert asked == [(tokenizer, options)]
    assert model.max_context == most
    ms.load_model(where, tokenizer="Some/Other", tokenizer_revision="v2", max_context=7)
    assert asked[1] == ("Some/Other", {"revision": "v2", "cache_dir": None, "offline": False})


def test_published_sizes_have_the_published_numbers_of_weights() -> None:
    sizes = {"mini": (256, 4, 4, 512), "small": (512, 8, 8, 1024), "base": (832, 12, 16, 2048)}
    published = {"mini": 4.1e6, "small": 24.7e6, "base": 102.3e6}
    for name, (width, layers, heads, hidden) in sizes.items():
        config = KRONOS | {"d_model": width, "n_layers": layers, "n_heads": heads}
        config |= {"ff_dim": hidden, "s1_bits": 10, "s2_bits": 10}
        shapes = KronosConfig.of(config, name).tensors()
        count = sum(int(np.prod(shape)) for shape in shapes.values())
        assert abs(count / published[name] - 1) < 0.01
