"""Values from results as JSON can represent them."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pandas as pd

from marketsim.text import json_rows, json_value


def test_undefined_numbers_and_times_become_none() -> None:
    undefined = (float("nan"), float("inf"), -np.inf, np.float32("nan"), pd.NaT)
    assert [json_value(value) for value in undefined] == [None] * 5


def test_scalars_keep_their_value() -> None:
    values = (np.float32(0.5), np.int64(7), np.bool_(True), "text", None, 3, False)
    found = [json_value(value) for value in values]
    assert found == [0.5, 7, True, "text", None, 3, False]
    assert [type(value) for value in found[:3]] == [float, int, bool]


def test_times_become_iso_text_with_their_zone() -> None:
    assert json_value(datetime(2024, 1, 31)) == "2024-01-31T00:00:00"
    stamp = pd.Timestamp("2024-01-31 09:30", tz="America/New_York")
    assert json_value(stamp) == "2024-01-31T09:30:00-05:00"


def test_rows_of_a_frame_are_strict_json() -> None:
    frame = pd.DataFrame(
        {
            "name": pd.Categorical(["a", "b"]),
            1: [1, 2],
            "ratio": [0.25, np.nan],
            "bar": pd.to_datetime(["2024-01-31", None], utc=True),
            "ok": [True, False],
        }
    )
    found = json.loads(json.dumps(json_rows(frame.to_dict("records")), allow_nan=False))
    assert found == [
        {"name": "a", "1": 1, "ratio": 0.25, "bar": "2024-01-31T00:00:00+00:00", "ok": True},
        {"name": "b", "1": 2, "ratio": None, "bar": None, "ok": False},
    ]
