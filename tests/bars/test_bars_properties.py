"""Random corruption: what is planted is found, with exact rows; what is not planted stays."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim.bars import REPAIRS, read_bars
from marketsim.errors import BarsError

OHLCV = ["open", "high", "low", "close", "volume"]
MANY = settings(max_examples=60, deadline=None, database=None)

prices = st.floats(1e-6, 1e9, allow_subnormal=False)
volumes = st.one_of(st.just(0.0), st.floats(0, 1e15, allow_subnormal=False))


@st.composite
def valid_frames(draw, min_rows=2, max_rows=30):
    """Ascending timestamps of nanoseconds, and prices in order, of any magnitude."""
    count = draw(st.integers(min_rows, max_rows))
    times = draw(
        st.lists(
            st.integers(-(10**18), 4 * 10**18), min_size=count, max_size=count, unique=True
        ).map(sorted)
    )
    rows = draw(st.lists(st.tuples(prices, prices, prices, prices), min_size=count, max_size=count))
    ordered = np.sort(np.array(rows), axis=1)
    frame = pd.DataFrame(
        {
            "open": ordered[:, 1],
            "high": ordered[:, 3],
            "low": ordered[:, 0],
            "close": ordered[:, 2],
            "volume": draw(st.lists(volumes, min_size=count, max_size=count)),
        }
    )
    frame.insert(0, "timestamp", pd.DatetimeIndex(np.array(times, "M8[ns]"), tz="UTC"))
    return frame


def assert_same(bars, frame):
    times = pd.DatetimeIndex(frame["timestamp"]).tz_convert("UTC").tz_localize(None)
    np.testing.assert_array_equal(bars.timestamps, times.to_numpy())
    for name in OHLCV:
        np.testing.assert_array_equal(getattr(bars, name), frame[name].to_numpy())


@MANY
@given(valid_frames())
def test_round_trip_through_csv(tmp_path_factory, frame):
    path = tmp_path_factory.mktemp("csv") / "A.csv"
    for delimiter in ",;":
        frame.to_csv(path, index=False, sep=delimiter)
        bars = read_bars(path)
        assert_same(bars, frame)
        bars.frame.to_csv(path)  # and what was read can be written and read again
        assert read_bars(path).fingerprint == bars.fingerprint


@MANY
@given(valid_frames(), st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]))
def test_round_trip_through_parquet(tmp_path_factory, frame, zone):
    pytest.importorskip("pyarrow")
    path = tmp_path_factory.mktemp("parquet") / "A.parquet"
    frame.to_parquet(path)
    bars = read_bars(path, timezone=zone)
    assert_same(bars, frame)
    bars.frame.to_parquet(path)
    again = read_bars(path, timezone=zone)
    pd.testing.assert_frame_equal(again.frame, bars.frame)


# Each corruption changes one row so that exactly one kind of defect has that row.
CORRUPTIONS = {
    "not_a_number": [("open", "n/x"), ("close", "1,5"), ("volume", "?")],
    "nan": [("open", math.nan), ("high", math.nan), ("low", None), ("volume", math.nan)],
    "infinite": [("high", math.inf), ("close", -math.inf), ("volume", math.inf)],
    "nonpositive_price": [("open", 0.0), ("high", -1.0), ("low", 0.0), ("close", -2.0)],
    "negative_volume": [("volume", -1.0)],
    "high_below_low": [("high", 1e-9), ("low", 1e12)],
    "outside_range": [("open", 1e-9), ("open", 1e12), ("close", 1e-9), ("close", 1e12)],
    "missing_timestamp": [("timestamp", None)],
    "unreadable_timestamp": [("timestamp", "never"), ("timestamp", "2020-13-01")],
}


@st.composite
def corrupted(draw):
    """A frame with text timestamps, corrupted in some rows; also the clean one and the plan."""
    clean = draw(valid_frames(min_rows=9, max_rows=40))
    clean["timestamp"] = clean["timestamp"].map(lambda t: t.isoformat())
    # Row 0 stays valid, so that the format of the timestamps is known.
    rows = draw(st.lists(st.integers(1, len(clean) - 1), unique=True, max_size=len(clean) - 3))
    broken = clean.astype(object)
    plan: dict[str, list[int]] = {}
    for row in sorted(rows):
        kind = draw(st.sampled_from(sorted(CORRUPTIONS)))
        column, value = draw(st.sampled_from(CORRUPTIONS[kind]))
        broken.at[row, column] = value
        plan.setdefault(kind, []).append(row)
    return clean, broken, plan


@MANY
@given(corrupted())
def test_every_planted_defect_is_found_and_nothing_else(case):
    _, broken, plan = case
    if not plan:
        read_bars(broken)
        return
    with pytest.raises(BarsError) as caught:
        read_bars(broken)
    found = {defect.kind: list(defect.rows) for defect in caught.value.defects}
    assert found == plan
    for defect in caught.value.defects:
        assert defect.count == len(plan[defect.kind])
        assert f": {defect.count} row" in defect.message


@MANY
@given(corrupted())
def test_the_same_defects_are_found_in_a_csv_file(tmp_path_factory, case):
    _, broken, plan = case
    path = tmp_path_factory.mktemp("csv") / "A.csv"
    path.write_text(broken.to_csv(index=False))
    try:
        read_bars(path)
        found = {}
    except BarsError as error:
        found = {defect.kind: list(defect.rows) for defect in error.defects}
    assert found == plan


@MANY
@given(corrupted(), st.randoms(use_true_random=False))
def test_repair_leaves_valid_rows_as_they_were(case, random):
    clean, broken, plan = case
    order = list(range(len(clean)))
    random.shuffle(order)
    bars = read_bars(broken.iloc[order], repair=REPAIRS)

    zeroed = [row for row in plan.get("nan", []) if broken["volume"].isna()[row]]
    widened = plan.get("high_below_low", []) + plan.get("outside_range", [])
    dropped = {row for rows in plan.values() for row in rows} - {*zeroed, *widened}
    kept = [row for row in range(len(clean)) if row not in dropped]
    expected = broken.iloc[kept].astype(dict.fromkeys(OHLCV, float))
    expected["volume"] = expected["volume"].fillna(0.0)
    row_prices = expected[OHLCV[:4]]
    expected["high"], expected["low"] = row_prices.max(axis=1), row_prices.min(axis=1)

    expected["timestamp"] = pd.to_datetime(expected["timestamp"], format="ISO8601", utc=True)
    assert_same(bars, expected)
    said = " ".join(bars.repairs)
    assert ("widened" in said) == bool(widened)
    assert ("volume of" in said) == bool(zeroed)
    assert ("dropped" in said) == bool(dropped)
    without_time = plan.get("missing_timestamp", []) + plan.get("unreadable_timestamp", [])
    timed = [row for row in order if row not in without_time]
    assert ("sorted" in said) == (timed != sorted(timed))


@MANY
@given(valid_frames(), st.sampled_from([*REPAIRS, REPAIRS]))
def test_repairs_do_nothing_to_valid_data(frame, repair):
    bars = read_bars(frame, repair=repair)
    assert bars.repairs == ()
    assert_same(bars, frame)


@MANY
@given(valid_frames(min_rows=4), st.data())
def test_order_and_duplicates_are_counted_exactly(frame, data):
    order = data.draw(
        st.lists(st.integers(0, len(frame) - 1), min_size=2, max_size=2 * len(frame)), label="order"
    )
    early = [i for i in range(1, len(order)) if order[i] < order[i - 1]]
    again = [i for i in range(len(order)) if order[i] in order[:i]]
    newest_first = all(b < a for a, b in itertools.pairwise(order))
    expected = {"unsorted": [] if newest_first else early, "different_bars": again}
    given_frame = frame.iloc[order].assign(volume=np.arange(len(order), dtype=float))
    try:
        read_bars(given_frame)
        found = {}
    except BarsError as error:
        found = {defect.kind: list(defect.rows) for defect in error.defects}
    assert found == {kind: rows for kind, rows in expected.items() if rows}

    if len(set(order)) >= 2:
        bars = read_bars(given_frame, repair=("sort", "drop_duplicates"))
        last = {place: i for i, place in enumerate(order)}
        assert bars.volume.tolist() == [float(last[place]) for place in sorted(last)]


@MANY
@given(st.binary(max_size=300), st.sampled_from([b"", b"timestamp,open,high,low,close,volume\n"]))
def test_any_bytes_give_bars_or_a_clear_error(tmp_path_factory, content, header):
    path = tmp_path_factory.mktemp("bytes") / "A.csv"
    path.write_bytes(header + content)
    try:
        read_bars(path)
    except ValueError as error:
        assert type(error).__module__ == "marketsim.errors", error
        assert str(error).startswith(str(path))


@MANY
@given(st.text(st.sampled_from('0123456789.,;-:+TZ \n"ae'), max_size=200))
def test_any_text_gives_bars_or_a_clear_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("text") / "A.csv"
    path.write_text("timestamp,open,high,low,close,volume\n" + content)
    try:
        read_bars(path)
    except ValueError as error:
        assert type(error).__module__ == "marketsim.errors", error
