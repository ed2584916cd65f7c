"""The replay: contexts, keys, and which files of the old folder belong to which day."""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market import random_bars, random_frame

from marketsim.bars import TARGETS, Bars, bar_returns
from marketsim.errors import ArgumentError, FileFormatError, UnknownNameError
from marketsim.legacy.stock.cache.files import (
    NUM_SAMPLES,
    SAMPLES_PER_BATCH,
    find_legacy,
    legacy_contexts,
    legacy_key,
)

ASKED = {"num_samples": 3072, "samples_per_batch": 384}


# --- the old code, in plain words of our own -------------------------------------------------


@dataclass
class TotoForecast:
    samples: np.ndarray


@pytest.fixture(autouse=True)
def old_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets pickle name the old class as the old project did."""
    for name in ("src", "src.models", "src.models.toto_wrapper"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["src.models.toto_wrapper"].TotoForecast = TotoForecast
    monkeypatch.setattr(TotoForecast, "__module__", "src.models.toto_wrapper")


def old_key(context: np.ndarray, *positional: object, **keywords: object) -> str:
    """The decorator: digests for tensors, text for the rest, joined and digested again."""
    words = [hashlib.md5(context.tobytes()).hexdigest()]
    words += [str(value) for value in positional]
    words += [f"{name}:{value}" for name, value in keywords.items()]
    return hashlib.md5(":".join(words).encode()).hexdigest()


def old_calls(frame: pd.DataFrame, simulations: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """(target, day, context) of every forecast that a backtest of these rows asked for."""
    place = {stamp: row for row, stamp in enumerate(frame.index)}
    for simulation in range(min(simulations, len(frame))):
        rows = frame.iloc[: len(frame) - (simulation + 1)]
        if rows.empty:
            continue
        for target in ("close", "low", "high", "open"):
            before = rows[target].shift()
            with np.errstate(all="ignore"):
                change = (rows[target] - before) / before
            change = change.where(before != 0.0, 0.0).replace([np.inf, -np.inf], 0.0).fillna(0.0)
            change.iloc[0] = 1.0
            table = rows[["close", "high", "low", "open"]].copy()
            table[target] = change
            table["y"] = change.shift(-1)
            table = table.iloc[:-1].dropna()
            for back in range(7, 0, -1):
                if len(table) > back:
                    day = place[table.index[-back]] + 1
                    with np.errstate(all="ignore"):
                        yield target, day, table["y"].iloc[:-back].to_numpy(np.float32)


def answer(target: str, day: int) -> np.ndarray:
    """Samples by which a forecast can be told from all others."""
    return np.float32([TARGETS.index(target), day, day / 7.0])


def fill_cache(
    folder: Path, frame: pd.DataFrame, simulations: int, shift: int = 0, **keywords: object
) -> set[tuple[str, int]]:
    """Write what the old code would have cached; the days count from `shift` rows earlier."""
    folder.mkdir(parents=True, exist_ok=True)
    written = set()
    for target, day, context in old_calls(frame, simulations):
        forecast = [TotoForecast(answer(target, day + shift).reshape(1, 1, 1, 3))]
        key = old_key(context, 1, **keywords)
        (folder / f"{key}.pkl").write_bytes(pickle.dumps(forecast))
        written.add((target, day + shift))
    return written


def found(*arguments: object, **keywords: object) -> dict[tuple[str, int], np.ndarray]:
    result = {}
    for forecast in find_legacy(*arguments, **keywords):
        assert (forecast.target, forecast.day) not in result
        result[forecast.target, forecast.day] = forecast.samples
    return result


def assert_answers(got: dict[tuple[str, int], np.ndarray], days: set[tuple[str, int]]) -> None:
    assert set(got) == days
    for (target, day), samples in got.items():
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, answer(target, day))


# --- contexts ---------------------------------------------------------------------------------


def broken_frame(seed: int, count: int = 40) -> pd.DataFrame:
    """Bars with prices of zero, missing prices in single columns, and rows of nothing."""
    rng = np.random.default_rng(seed)
    frame = random_frame(count, seed, weekends=bool(seed % 2))
    for name in TARGETS:
        frame.loc[rng.random(count) < 0.06, name] = 0.0
        frame.loc[rng.random(count) < 0.06, name] = np.nan
    frame.loc[rng.random(count) < 0.05, list(TARGETS)] = np.nan
    return frame.tz_localize("UTC")


def assert_contexts_agree(frame: pd.DataFrame) -> None:
    """Ours are what longer and longer downloads asked for, no fewer and no more."""
    bars = Bars(frame, "BTC-USD")
    # Two more rows make the old code forecast every day up to the one after the last.
    stamps = frame.index[-1] + pd.to_timedelta([1, 2], unit="D")
    longer = pd.concat([frame, pd.DataFrame(1.0, stamps, frame.columns)])
    expected = {name: {} for name in TARGETS}
    for target, day, context in old_calls(longer, len(longer)):
        if day <= len(frame):
            assert expected[target].setdefault(day, context.tobytes()) == context.tobytes()
    for target in TARGETS:
        contexts = legacy_contexts(bars, target)
        assert contexts.values.dtype == np.float32
        ours = {int(day): contexts.values[: i + 1].tobytes() for i, day in enumerate(contexts.days)}
        # Only the two added rows can tell which day follows a last row that is incomplete.
        assert ours.items() <= expected[target].items()
        assert set(expected[target]) - set(ours) <= {len(frame)}


@pytest.mark.parametrize("seed", range(4))
def test_contexts_are_those_of_the_old_loop(seed: int) -> None:
    assert_contexts_agree(broken_frame(seed))


@settings(max_examples=30)
@given(
    st.lists(
        st.lists(
            st.sampled_from([0.0, -0.0, 1.0, 2.0, 1e-310, 1e300, math.nan]), min_size=4, max_size=4
        ),
        min_size=3,
        max_size=14,
    )
)
def test_contexts_of_absurd_prices(rows: list[list[float]]) -> None:
    frame = pd.DataFrame(rows, columns=["open", "high", "low", "close"]).assign(volume=0.0)
    frame.index = pd.date_range("2024-01-01", periods=len(frame), tz="UTC")
    assert_contexts_agree(frame)


def test_contexts_of_good_bars_are_the_returns_before_the_day() -> None:
    bars = random_bars(50)
    for i, target in enumerate(TARGETS):
        contexts = legacy_contexts(bars, target)
        assert contexts.days.tolist() == list(range(2, 51))
        assert contexts.complete.all()
        np.testing.assert_allclose(contexts.values, bar_returns(bars)[i], rtol=1e-4, atol=1e-12)


def test_contexts_of_a_later_first_row() -> None:
    frame = broken_frame(3)
    for target in TARGETS:
        late = legacy_contexts(Bars(frame, "X"), target, first_row=9)
        alone = legacy_contexts(Bars(frame.iloc[9:], "X"), target)
        np.testing.assert_array_equal(late.values, alone.values)
        np.testing.assert_array_equal(late.days, alone.days + 9)
        np.testing.assert_array_equal(late.complete, alone.complete)


def test_complete_says_where_the_old_context_is_not_our_own() -> None:
    frame = random_frame(12).tz_localize("UTC")
    frame.iloc[4, frame.columns.get_loc("low")] = np.nan
    frame.iloc[8, frame.columns.get_loc("close")] = 0.0
    bars = Bars(frame, "X")
    close = legacy_contexts(bars, "close")
    # Row 4 is dropped for its low: no context ends with the return into row 5.
    assert close.days.tolist() == [2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    assert close.complete.tolist() == [True] * 3 + [False] * 7
    low = legacy_contexts(bars, "low")  # its own gap is filled with 0 instead
    assert low.days.tolist() == list(range(2, 13))
    assert low.complete.tolist() == [True] * 3 + [False] * 8
    assert low.values[3] == low.values[4] == 0.0
    without_gap = Bars(frame.assign(low=1.0), "X")
    zero = legacy_contexts(without_gap, "close")  # the return into row 9 divides by 0
    assert zero.complete.tolist() == [True] * 8 + [False] * 3
    assert zero.values[8] == 0.0 and zero.values[7] == -1.0


def test_contexts_of_hardly_any_bars() -> None:
    bars = random_bars(5)
    assert len(legacy_contexts(bars, "close", first_row=4).values) == 0
    assert legacy_contexts(bars, "close", first_row=3).days.tolist() == [5]
    empty = Bars(random_frame(3).tz_localize("UTC") * np.nan, "X")
    assert len(legacy_contexts(empty, "open").days) == 0
    with pytest.raises(ArgumentError, match="first_row=5: expected 0 to 4"):
        legacy_contexts(bars, "close", first_row=5)
    with pytest.raises(UnknownNameError, match="unknown target 'volume'"):
        legacy_contexts(bars, "volume")


# --- keys -------------------------------------------------------------------------------------


def test_key_by_hand() -> None:
    context = np.float32([0.5, -0.25])
    inner = hashlib.md5(bytes.fromhex("0000003f000080be")).hexdigest()
    text = f"{inner}:1:num_samples:128:samples_per_batch:32:symbol:BTCUSD"
    expected = hashlib.md5(text.encode()).hexdigest()
    asked = {"num_samples": 128, "samples_per_batch": 32, "symbol": "BTCUSD"}
    assert legacy_key(context, **asked) == expected == old_key(context, 1, **asked)
    assert legacy_key([0.5, -0.25], 1, **asked) == expected
    assert legacy_key(context[::-1][::-1], **asked) == expected
    assert legacy_key(context, 7, **asked) == old_key(context, 7, **asked) != expected


def test_key_of_the_other_versions() -> None:
    context = np.float32([0.5])
    assert legacy_key(context, num_samples=9, samples_per_batch=3, symbol=None) == old_key(
        context, 1, num_samples=9, samples_per_batch=3
    )
    assert legacy_key(context, num_samples=9, samples_per_batch=None, symbol="A") == old_key(
        context, 1, num_samples=9, symbol="A"
    )
    chronos = {"num_samples": 20, "temperature": 1.0, "top_k": 4000, "top_p": 1.0}
    assert legacy_key(context, **chronos) == old_key(context, 1, **chronos)


# --- replay -----------------------------------------------------------------------------------


def test_every_cached_forecast_is_found_on_its_day(tmp_path: Path) -> None:
    bars = random_bars(60)
    days = fill_cache(tmp_path, bars.frame, 20, **ASKED, symbol="TEST")
    assert days == {(target, day) for target in TARGETS for day in range(33, 59)}
    assert_answers(found(bars, tmp_path), days)
    forecast = next(iter(find_legacy(bars, tmp_path, targets=["high"])))
    assert (forecast.target, forecast.day, forecast.first_row) == ("high", 33, 0)
    assert forecast.as_of == bars.timestamps[32]
    assert forecast.complete is True
    assert forecast.settings == {**ASKED, "symbol": "TEST"}
    context = legacy_contexts(bars, "high").values[:32]
    assert forecast.path == tmp_path / f"{legacy_key(context, **forecast.settings)}.pkl"


def test_rows_that_came_later_change_nothing(tmp_path: Path) -> None:
    bars = random_bars(60)
    days = fill_cache(tmp_path, bars.frame.iloc[:30], 5, **ASKED, symbol="TEST")
    assert_answers(found(bars, tmp_path), days)
    assert_answers(found(Bars(bars.frame.iloc[:30], "TEST"), tmp_path), days)
    # Fewer rows: the day after the last is known, later ones are not.
    shorter = found(Bars(bars.frame.iloc[:25], "TEST"), tmp_path)
    assert_answers(shorter, {(target, day) for target, day in days if day <= 25})
    assert ("close", 25) in shorter
    last = max(find_legacy(Bars(bars.frame.iloc[:25], "TEST"), tmp_path), key=lambda f: f.day)
    assert (last.day, last.as_of) == (25, bars.timestamps[24])


@pytest.mark.parametrize("seed", range(4))
def test_broken_bars_are_found_too(tmp_path: Path, seed: int) -> None:
    frame = broken_frame(seed)
    days = fill_cache(tmp_path, frame, len(frame), **ASKED, symbol="ETH-USD")
    got = found(Bars(frame, "ETH-USD"), tmp_path)
    assert_answers(got, days)


def test_downloads_that_began_later(tmp_path: Path) -> None:
    bars = random_bars(40)
    late = fill_cache(tmp_path, bars.frame.iloc[6:], 3, shift=6, **ASKED, symbol="TEST")
    assert found(bars, tmp_path) == {}
    got = {}
    for forecast in find_legacy(bars, tmp_path, first_rows=range(len(bars))):
        assert forecast.first_row == 6
        got[forecast.target, forecast.day] = forecast.samples
    assert_answers(got, late)


@pytest.mark.parametrize(
    ("written", "asked", "expected"),
    [
        ({"num_samples": 2048, "samples_per_batch": 256, "symbol": "BTCUSD"}, {}, None),
        (
            {"num_samples": 2048, "samples_per_batch": 256, "symbol": "BTCUSD"},
            {"symbols": ["BTCUSD"]},
            {"num_samples": 2048, "samples_per_batch": 256, "symbol": "BTCUSD"},
        ),
        (
            {"num_samples": 1536, "samples_per_batch": 192},
            {},
            {"num_samples": 1536, "samples_per_batch": 192, "symbol": None},
        ),
        (
            {"num_samples": 3072, "symbol": "BTC-USD"},
            {},
            {"num_samples": 3072, "samples_per_batch": None, "symbol": "BTC-USD"},
        ),
        ({"num_samples": 20, "samples_per_batch": 10, "symbol": "BTC-USD"}, {}, None),
        (
            {"num_samples": 20, "samples_per_batch": 10, "symbol": "BTC-USD"},
            {"num_samples": [20], "samples_per_batch": [5, 10]},
            {"num_samples": 20, "samples_per_batch": 10, "symbol": "BTC-USD"},
        ),
    ],
)
def test_settings(tmp_path: Path, written: dict, asked: dict, expected: dict | None) -> None:
    bars = Bars(random_frame(30, weekends=True).tz_localize("UTC"), "BTC-USD")
    fill_cache(tmp_path, bars.frame, 2, **written)
    forecasts = list(find_legacy(bars, tmp_path, **asked))
    assert len(forecasts) == (0 if expected is None else 8 * 4)
    assert all(forecast.settings == expected for forecast in forecasts)


def test_what_the_old_settings_could_be_is_tried_by_default() -> None:
    assert {128, 512, 1024, 2048, 3072, 4096} <= set(NUM_SAMPLES)
    assert {32, 64, 128, 256, 384, 512, None} <= set(SAMPLES_PER_BATCH)


def test_equal_contexts_share_a_file(tmp_path: Path) -> None:
    """Open and close moved alike: the old cache had one file for both, and it belongs to both."""
    frame = random_frame(20).tz_localize("UTC")
    frame["open"] = frame["close"]
    fill_cache(tmp_path, frame, 2, **ASKED, symbol="X")
    got = found(Bars(frame, "X"), tmp_path)
    np.testing.assert_array_equal(got["open", 15], got["close", 15])


def test_other_symbols_and_other_bars_are_not_found(tmp_path: Path) -> None:
    bars = random_bars(30)
    fill_cache(tmp_path, bars.frame, 3, **ASKED, symbol="OTHER")
    fill_cache(tmp_path, random_bars(30, seed=1).frame, 3, **ASKED, symbol="TEST")
    assert found(bars, tmp_path) == {}


def test_progress_counts_replays(tmp_path: Path) -> None:
    bars = random_bars(20)
    fill_cache(tmp_path, bars.frame, 1, **ASKED, symbol="TEST")
    seen = []
    list(find_legacy(bars, tmp_path, first_rows=(0, 1), progress=lambda *at: seen.append(at)))
    assert seen == [(i, 8) for i in range(1, 9)]


# --- the folder -------------------------------------------------------------------------------


@pytest.mark.parametrize("home", ["", "cached_predict", ".cache/cached_predict"])
def test_folder_and_those_above_it(tmp_path: Path, home: str) -> None:
    bars = random_bars(20)
    days = fill_cache(tmp_path / home, bars.frame, 1, **ASKED, symbol="TEST")
    assert_answers(found(bars, tmp_path), days)
    assert_answers(found(bars, str(tmp_path)), days)


def test_a_folder_without_forecasts_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "cache.db").write_bytes(b"")
    (tmp_path / "ABC.pkl").write_bytes(b"")
    (tmp_path / ("A" * 32 + ".pkl")).write_bytes(b"")
    (tmp_path / ("a" * 32 + ".pkl.bak")).write_bytes(b"")
    (tmp_path / ("a" * 32 + ".pkl")).mkdir()
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ArgumentError, match="32 hexadecimal digits"):
            list(find_legacy(random_bars(20), folder))


def moved_out(tmp_path: Path, bars: Bars) -> tuple[Path, Path]:
    """A cache outside, and an empty folder inside; both below tmp_path."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    fill_cache(outside, bars.frame, 1, **ASKED, symbol="TEST")
    inside.mkdir()
    return outside, inside


def test_links_are_not_followed(tmp_path: Path) -> None:
    bars = random_bars(20)
    outside, inside = moved_out(tmp_path, bars)
    for file in outside.iterdir():
        (inside / file.name).symlink_to(file)
    with pytest.raises(ArgumentError, match="holds no forecasts"):
        list(find_legacy(bars, inside))
    (inside / ("0" * 32 + ".pkl")).write_bytes(b"")
    assert found(bars, inside) == {}


@pytest.mark.parametrize("home", ["cached_predict", ".cache"])
def test_linked_folders_are_not_followed(tmp_path: Path, home: str) -> None:
    bars = random_bars(20)
    outside, inside = moved_out(tmp_path, bars)
    if home == ".cache":
        outside = outside.rename(tmp_path / "cached_predict").parent
    (inside / home).symlink_to(outside, target_is_directory=True)
    with pytest.raises(ArgumentError, match="holds no forecasts"):
        list(find_legacy(bars, inside))


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_files_replaced_after_the_listing(tmp_path: Path, kind: str) -> None:
    bars = random_bars(20)
    outside, _ = moved_out(tmp_path, bars)
    forecasts = find_legacy(bars, outside)
    secret = next(forecasts).path.rename(tmp_path / "secret")
    for file in list(outside.iterdir()):
        file.unlink()
        if kind == "link":
            file.symlink_to(secret)
        elif kind == "pipe":
            os.mkfifo(file)  # to open it must not wait for a writer
        else:
            file.mkdir()
    with pytest.raises(FileFormatError, match="symbolic link|not a regular file"):
        next(forecasts)


def test_bad_files_are_told_and_passed_over(tmp_path: Path) -> None:
    bars = random_bars(20)
    days = fill_cache(tmp_path, bars.frame, 1, **ASKED, symbol="TEST")
    asked = {**ASKED, "symbol": "TEST"}
    broken = {}
    for target, content in (("close", b"\x80\x04"), ("low", None), ("high", [[1.0, 2.0]])):
        context = legacy_contexts(bars, target).values[:15]
        path = tmp_path / f"{legacy_key(context, **asked)}.pkl"
        if content is None:
            path.write_bytes(path.read_bytes()[:-20])
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_bytes(pickle.dumps(np.float32(content)))
        broken[target] = path
    problems: dict[Path, Exception] = {}
    got = found(bars, tmp_path, on_error=problems.__setitem__)
    assert_answers(got, days - {(target, 16) for target in broken})
    assert set(problems) == set(broken.values())
    assert all(isinstance(problem, FileFormatError) for problem in problems.values())
    assert "holds 2 steps: expected one" in str(problems[broken["high"]])
    with pytest.raises(FileFormatError, match=r"\.pkl"):
        list(find_legacy(bars, tmp_path))


def test_an_unreadable_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = random_bars(20)
    fill_cache(tmp_path, bars.frame, 1, **ASKED, symbol="TEST")
    forecasts = find_legacy(bars, tmp_path, targets=["open"])
    next(forecasts)
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError):
        next(forecasts)
