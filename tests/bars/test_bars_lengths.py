"""Files joined of bars of different lengths, and those of one length that only have holes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketsim.bars import read_bars
from marketsim.bars.lengths import find_change

DAY = 86_400_000_000_000


def joined(first, count, second, more):
    """Times of `count` bars of one frequency, then `more` of another."""
    before = pd.date_range("2015-01-01", periods=count, freq=first)
    after = pd.date_range(before[-1] + pd.Timedelta(days=3), periods=more, freq=second)
    return before.append(after)


def frame_of(times):
    price = 100.0 + np.arange(len(times)) % 7 / 10
    return pd.DataFrame({"date": times, "open": price, "high": price + 1, "low": price - 1,
                         "close": price + 0.5, "volume": 1_000})  # fmt: skip


JOINED = [
    ("W-MON", 50, "B", 40, "1 week", "1 day"),
    ("B", 200, "W-FRI", 50, "1 day", "1 week"),
    ("MS", 60, "B", 20, "1 month", "1 day"),
    ("B", 300, "ME", 30, "1 day", "1 month"),
    ("QS", 40, "MS", 40, "1 quarter", "1 month"),
    ("D", 100, "h", 240, "1 day", "1 hour"),
    ("h", 500, "min", 300, "1 hour", "1 minute"),
    ("min", 2_000, "h", 100, "1 minute", "1 hour"),
    ("4h", 100, "h", 100, "4 hours", "1 hour"),
]


@pytest.mark.parametrize(("first", "count", "second", "more", "before", "after"), JOINED)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("by_path", [False, True])
def test_bars_of_two_lengths_are_named_with_the_row(
    write, find, first, count, second, more, before, after, backwards, by_path
):
    frame = frame_of(joined(first, count, second, more))
    frame = frame.iloc[::-1].reset_index(drop=True) if backwards else frame
    found = find(write("A.csv", frame.to_csv(index=False)) if by_path else frame)
    defect = found["different_lengths"]
    assert f"of {before}, and of {after} from" in defect.message
    row = min(defect.rows) if not backwards else len(frame) - 1 - max(defect.rows)
    assert row in (count, count - 1) and "split the file" in defect.fix


@pytest.mark.parametrize("freq", ["min", "5min", "h", "4h", "D", "B", "W-MON", "MS", "QS"])
@pytest.mark.parametrize("kept", [0.05, 0.2, 0.3, 0.5, 0.8, 1.0])
def test_holes_of_a_quiet_market_are_no_other_length(freq, kept):
    times = pd.date_range("2000-01-03", periods=400, freq=freq).as_unit("ns").asi8
    for seed in range(60):
        rng = np.random.default_rng(seed)
        # A market that grows: fewer bars at first.
        chosen = rng.random(400) < np.linspace(kept, min(1.0, 4 * kept), 400)
        assert find_change(times[chosen]) is None
        assert find_change(times[chosen][:60]) is None


def test_sessions_are_no_other_length():
    days = pd.bdate_range("2024-01-02", periods=40)
    for hours in ([9.5, 13.5], [10.5, 15.0], [9.5 + k for k in range(7)], [9.5, *range(10, 16)]):
        times = pd.DatetimeIndex([day + pd.Timedelta(hours=h) for day in days for h in hours])
        zoned = times.tz_localize("America/New_York").as_unit("ns").asi8
        assert find_change(zoned) is None


def test_one_more_row_only_adds_to_what_shows_the_change():
    """Once named, the change stays where it is, whatever rows come after it."""
    times = joined("W-MON", 40, "B", 60).as_unit("ns").asi8
    found = [find_change(times[:count]) for count in range(2, len(times) + 1)]
    rows = [change.row for change in found if change is not None]
    assert len(set(rows)) == 1 and rows[0] in (39, 40)
    assert all(change is not None for change in found[-len(rows) :])


def test_long_spans_do_not_overflow():
    times = np.array([-9_000_000_000 + k * 10 for k in range(40)], np.int64) * 1_000_000_000
    assert find_change(np.append(times, 9_000_000_000 * 1_000_000_000)) is None
    assert len(read_bars(frame_of(pd.bdate_range("2024-01-01", periods=40)))) == 40
