from __future__ import annotations

import math

import numpy as np
import pytest

from marketsim.bars import read_bars

PRICES = ["open", "high", "low", "close"]


@pytest.fixture
def split(frame):
    """A 2:1 split before row 5: earlier prices are halved by the adjustment."""
    return frame.assign(**{"Adj Close": frame["close"] * np.where(np.arange(10) < 5, 0.5, 1.0)})


@pytest.mark.parametrize(
    "name",
    [
        "Adj Close",
        "adj_close",
        "adjclose",
        "Adj. Close",
        "ADJ CLOSE",
        "Adjusted Close",
        "adj close",
        "closeadj",
        "close_adj",
        "Close (Adjusted)",
        "Close (adj.)",
        "adjusted_close_price",
        "Adjusted Closing Price",
    ],
)
def test_names_of_the_column(frame, split, find, name):
    renamed = split.rename(columns={"Adj Close": name})
    assert list(find(renamed)) == ["adjustment"]
    assert read_bars(renamed, adjusted=False).fingerprint == read_bars(frame).fingerprint


def test_choice_is_asked_for(split, find):
    defect = find(split)["adjustment"]
    close, adjusted = float(split["close"][0]), float(split["Adj Close"][0])
    assert (defect.count, defect.rows) == (5, (0, 1, 2, 3, 4))
    assert f"first at 2020-01-06 (close={close!r}, adj close={adjusted!r})" in defect.message
    assert defect.fix == (
        "adjusted=True scales open, high, low and close by adj close / close; "
        "adjusted=False ignores adj close"
    )


def test_true_scales_the_prices_and_not_the_volume(frame, split):
    bars = read_bars(split, adjusted=True)
    for name in PRICES:
        values = frame[name].to_numpy()
        np.testing.assert_array_equal(getattr(bars, name)[:5], values[:5] / 2)
        np.testing.assert_array_equal(getattr(bars, name)[5:], values[5:])
    np.testing.assert_array_equal(bars.volume, frame["volume"].to_numpy())
    assert bars.repairs == ("scaled the prices of 5 rows by adj close / close",)
    assert read_bars(split, adjusted=False).repairs == ()


def test_scaling_is_told_after_the_repairs(split):
    bars = read_bars(split.iloc[::-1], adjusted=True, repair="sort")
    assert bars.repairs[0].startswith("sorted by timestamp")
    assert bars.repairs[1] == "scaled the prices of 5 rows by adj close / close"


def test_scaled_prices_keep_their_order(make_frame):
    frame = make_frame(3000, seed=5)
    frame["high"] = frame[["open", "close"]].max(axis=1)  # ties are where rounding could show
    frame["low"] = frame[["open", "close"]].min(axis=1)
    frame["adj close"] = frame["close"] * np.random.default_rng(0).uniform(0.01, 1, len(frame))
    bars = read_bars(frame, adjusted=True)
    np.testing.assert_allclose(bars.close, frame["adj close"], rtol=1e-15)
    assert (bars.high >= bars.low).all()


@pytest.mark.parametrize("adjusted", [None, True, False])
def test_equal_columns_need_no_choice(frame, adjusted):
    bars = read_bars(frame.assign(**{"Adj Close": frame["close"]}), adjusted=adjusted)
    assert bars.repairs == ()
    assert bars.fingerprint == read_bars(frame).fingerprint


def test_true_needs_the_column(frame, find):
    frame.loc[3, "volume"] = -1.0
    defects = find(frame, adjusted=True)
    assert {k: d.count for k, d in defects.items()} == {"missing_column": 1, "negative_volume": 1}
    assert "with adjusted=True adj close: missing adj close" in defects["missing_column"].message
    assert "leave adjusted=True away" in defects["missing_column"].fix


def test_false_without_the_column_is_fine(frame):
    assert len(read_bars(frame, adjusted=False)) == 10


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (math.nan, "nan"),
        (math.inf, "infinite"),
        (0.0, "nonpositive_price"),
        (-1.0, "nonpositive_price"),
        ("text", "not_a_number"),
    ],
)
def test_invalid_adjusted_close(frame, split, find, value, kind):
    split["Adj Close"] = split["Adj Close"].astype(object)
    split.loc[7, "Adj Close"] = value
    assert {k: d.rows for k, d in find(split, adjusted=True).items()} == {kind: (7,)}
    assert "adj close=" in find(split, adjusted=True)[kind].message
    assert find(split)["adjustment"].rows == (0, 1, 2, 3, 4, 7)
    assert len(read_bars(split, adjusted=True, repair="drop_invalid")) == 9
    assert read_bars(split, adjusted=False).fingerprint == read_bars(frame).fingerprint


def test_factor_that_makes_prices_invalid(frame, find):
    frame["Adj Close"] = frame["close"]
    frame.loc[4, ["close", "low", "Adj Close"]] = [1e-300, 1e-300, 1e300]
    defects = find(frame, adjusted=True)
    assert {k: d.rows for k, d in defects.items()} == {"infinite": (4,)}


def test_a_bad_close_is_not_also_an_open_question(frame, split, find):
    split.loc[2, "close"] = math.nan
    assert find(split)["adjustment"].rows == (0, 1, 3, 4)


def test_question_goes_away_with_the_rows_that_differ(frame):
    frame["Adj Close"] = frame["close"]
    frame.loc[4, ["volume", "Adj Close"]] = [-1.0, 1.0]
    assert len(read_bars(frame, repair="drop_invalid")) == 9


def test_two_adjusted_columns_are_a_defect(split, find):
    both = split.assign(adjusted_close=1.0)
    assert "repeated_column" in find(both, adjusted=True)
