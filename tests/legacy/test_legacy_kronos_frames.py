from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from marketsim.errors import ArgumentError, UnknownNameError
from marketsim.legacy.stock.kronos_wrapper import KronosForecastingWrapper, kronos_input


def frame(rows: int = 6) -> pd.DataFrame:
    close = np.arange(1.0, rows + 1)
    return pd.DataFrame(
        {
            "Open": close - 0.1,
            "High": close + 0.5,
            "Low": close - 0.5,
            "Close": close,
            "Volume": 10 * close,
            "timestamp": pd.date_range("2024-01-01", periods=rows, freq="D"),
        }
    )


def test_a_plain_frame() -> None:
    made = kronos_input(frame(), "timestamp", 2, None)
    assert list(made.frame) == ["open", "high", "low", "close", "volume", "amount"]
    assert (made.frame.dtypes == np.float32).all()
    np.testing.assert_allclose(made.frame["amount"], 10 * np.arange(1.0, 7) ** 2)
    assert list(made.future) == [pd.Timestamp("2024-01-07"), pd.Timestamp("2024-01-08")]
    assert made.timestamps.tz is None


def test_timestamps_are_utc_and_the_last_of_a_repeated_one_counts() -> None:
    data = frame()
    hours = ("01T00:00+02:00", "02T00:00+00:00", None, "02T02:00+02:00", "bad", "03T00:00+00:00")
    text = [hour and f"2024-01-{hour}" for hour in hours]
    made = kronos_input(data.assign(timestamp=text), "timestamp", 1, None)
    assert list(made.frame["close"]) == [1.0, 4.0, 6.0]
    assert made.timestamps[0] == pd.Timestamp("2023-12-31 22:00")


def test_gaps_and_missing_columns() -> None:
    data = frame().drop(columns=["Open", "Volume"])
    data.loc[[0, 3], "Close"] = np.nan
    data["High"] = data["High"].astype(object)
    data.loc[2, "High"] = "n/a"
    data["Low"] = np.inf
    made = kronos_input(data, "timestamp", 1, None).frame
    assert list(made["close"]) == [2.0, 2.0, 3.0, 3.0, 5.0, 6.0]
    assert list(made["open"]) == list(made["close"])
    assert made["high"].tolist() == [1.5, 2.5, 2.5, 4.5, 5.5, 6.5]
    assert (made[["volume", "amount"]] == 0).all().all()
    amounts = frame().assign(Amount=[1.0, np.nan, 3.0, 4.0, 5.0, 6.0])
    assert kronos_input(amounts, "timestamp", 1, None).frame["amount"].tolist()[:3] == [1, 40, 3]


def test_labels_in_several_parts_and_twice() -> None:
    data = frame().set_index("timestamp", drop=False)
    data.columns = pd.MultiIndex.from_tuples([("", "Open"), *((c, "X") for c in data.columns[1:])])
    twice = pd.concat([data, data[[("Close", "X")]] + 100], axis=1)
    made = kronos_input(twice, ("timestamp", "X"), 1, None)  # type: ignore[arg-type]
    assert made.frame["close"].tolist() == frame()["Close"].tolist()
    np.testing.assert_allclose(made.frame["open"], frame()["Open"])


def test_lookback_and_the_step_to_come() -> None:
    data = frame(10)
    assert len(kronos_input(data, "timestamp", 1, 3).frame) == 3
    assert len(kronos_input(data, "timestamp", 1, 0).frame) == 10
    weekend = data.assign(timestamp=pd.bdate_range("2024-01-01", periods=10))
    assert kronos_input(weekend, "timestamp", 1, None).future[0] == pd.Timestamp("2024-01-13")
    backward = data.iloc[::-1]
    step = kronos_input(backward, "timestamp", 1, None).future[0]
    assert step == backward["timestamp"].iloc[-1] + pd.Timedelta(days=1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"pred_len": 0}, ArgumentError),
        ({"pred_len": 1.5}, ArgumentError),
        ({"lookback": -1}, ArgumentError),
        ({"lookback": 1}, ArgumentError),
        ({"timestamp_col": "when"}, UnknownNameError),
        ({"data": frame().drop(columns="Close")}, UnknownNameError),
        ({"data": frame().assign(timestamp=None)}, ArgumentError),
        ({"data": frame(1)}, ArgumentError),
    ],
)
def test_refused(options: dict, error: type[Exception]) -> None:
    given = {"data": frame(), "timestamp_col": "timestamp", "pred_len": 1, "lookback": None}
    with pytest.raises(error):
        kronos_input(**(given | options))


def test_arguments_are_checked_before_weights_are_read() -> None:
    wrapper = KronosForecastingWrapper(model_name="a/b", tokenizer_name="a/c", device="cpu")
    ask = {"timestamp_col": "timestamp", "columns": ["Close"], "pred_len": 1}
    with pytest.raises(TypeError, match="must be a pandas DataFrame"):
        wrapper.predict_series(data=[1.0], **ask)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="at least one entry"):
        wrapper.predict_series_batch(data_frames=[], **ask)
    with pytest.raises(ArgumentError, match="at least one entry"):
        wrapper.predict_series(data=frame(), **(ask | {"columns": []}))
    wrapper.unload()  # nothing was loaded
