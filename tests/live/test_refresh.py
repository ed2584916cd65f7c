"""Bars of a source into files: only what is new, revised history reported, nothing half written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import marketsim as ms
from marketsim.bars.demo import simulated_bars
from marketsim.cli import main
from marketsim.live import refresh, sources
from marketsim.live.sources import TIMEFRAMES


class Recorded:
    """A source that gives the first `count` bars, and remembers what it was asked."""

    name = "recorded"

    def __init__(self, frame: pd.DataFrame, timeframe: str = "1d") -> None:
        self.frame, self.timeframe = frame, timeframe
        self.count = len(frame)
        self.starts: list[pd.Timestamp | None] = []

    def fetch(self, symbol: str, start: pd.Timestamp | None) -> pd.DataFrame:
        self.starts.append(start)
        if symbol == "NONE":
            raise ms.SourceError("recorded has no bars of 'NONE' (1d)")
        frame = self.frame[: self.count]
        return frame if start is None else frame[frame.index >= start]


@pytest.fixture
def source() -> Recorded:
    return Recorded(simulated_bars(60).frame)


def test_only_new_bars_are_asked_for(source: Recorded, tmp_path: Path) -> None:
    source.count = 40
    (one,) = refresh(tmp_path, ["AAPL"], source)
    assert (one.added, one.total, one.symbol) == (40, 40, "AAPL")
    content = one.path.read_bytes()
    assert refresh(tmp_path, ["AAPL"], source)[0].added == 0
    assert one.path.read_bytes() == content
    source.count = 60
    assert refresh(tmp_path, ["AAPL"], source)[0].added == 20
    day_before = source.frame.index[35] - pd.Timedelta(1, "D")
    assert source.starts == [None, day_before, day_before]
    bars = ms.read_bars(one.path)
    pd.testing.assert_frame_equal(bars.frame, source.frame, check_freq=False, check_names=False)


def test_days_keep_the_date_of_their_exchange(source: Recorded, tmp_path: Path) -> None:
    tokyo = source.frame.set_axis(source.frame.index.tz_localize(None).tz_localize("Asia/Tokyo"))
    (one,) = refresh(tmp_path, ["7203.T"], Recorded(tokyo))
    assert ms.read_bars(one.path).frame.index[0].date() == tokyo.index[0].date()
    assert refresh(tmp_path, ["7203.T"], Recorded(tokyo))[0].added == 0


def test_minutes_keep_their_time(source: Recorded, tmp_path: Path) -> None:
    index = pd.date_range("2024-03-08 14:30", periods=60, freq="5min", tz="America/New_York")
    minutes = Recorded(source.frame.set_axis(index), "5m")
    minutes.count = 50
    refresh(tmp_path, ["BTC/USDT"], minutes)
    minutes.count = 60
    (one,) = refresh(tmp_path, ["BTC/USDT"], minutes)
    assert (one.path.name, one.added, one.total) == ("BTC-USDT.csv", 10, 60)
    assert list(ms.read_bars(one.path).frame.index) == list(index.tz_convert("UTC"))


def test_revised_history_is_reported_and_read_only_on_request(
    source: Recorded, tmp_path: Path
) -> None:
    source.count = 50
    (one,) = refresh(tmp_path, ["AAPL"], source)
    content = one.path.read_bytes()
    source.count = 60
    prices = ["open", "high", "low", "close"]
    source.frame = source.frame.copy()
    source.frame[prices] /= 4.0
    with pytest.raises(ms.BarsError, match=r"multiplied by 0\.25 \(a split\?\).*accept_revised"):
        refresh(tmp_path, ["AAPL"], source)
    assert one.path.read_bytes() == content
    (again,) = refresh(tmp_path, ["AAPL"], source, accept_revised=True)
    assert (again.added, again.total) == (10, 60) and "0.25" in again.revised
    np.testing.assert_array_equal(ms.read_bars(one.path).close, source.frame["close"])
    source.frame = source.frame.copy()
    source.frame.iloc[-2, 3] = source.frame.iloc[-2, 1]  # one close is corrected
    with pytest.raises(ms.BarsError, match=f"close of {source.frame.index[-2]:%Y-%m-%d} .* was"):
        refresh(tmp_path, ["AAPL"], source)
    source.frame = source.frame.drop(source.frame.index[-3])
    with pytest.raises(ms.BarsError, match="is gone"):
        refresh(tmp_path, ["AAPL"], source)


def test_a_symbol_that_fails_stops_no_other(source: Recorded, tmp_path: Path) -> None:
    errors: dict[str, str] = {}
    found = refresh(tmp_path, ["NONE", "AAPL"], source, errors=errors)
    assert [one.symbol for one in found] == ["AAPL"] and list(errors) == ["NONE"]
    with pytest.raises(ms.SourceError):
        refresh(tmp_path, ["NONE"], source)
    broken = source.frame.copy()
    broken.iloc[3, 1] = -1.0
    with pytest.raises(ms.BarsError):
        refresh(tmp_path, ["BAD"], Recorded(broken))
    assert not (tmp_path / "BAD.csv").exists()
    with pytest.raises(ms.ArgumentError, match="share a file"):
        refresh(tmp_path, ["BTC/USD", "BTC-USD"], source)
    with pytest.raises(ms.InvalidNameError):
        refresh(tmp_path, ["../x"], source)
    with pytest.raises(ms.ArgumentError, match="no folder"):
        refresh(tmp_path / "none", ["AAPL"], source)


def test_transient_failures_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(sources.time, "sleep", pauses.append)
    left = [OSError("busy"), OSError("busy")]

    def call() -> int:
        if left:
            raise left.pop()
        return 1

    assert sources._tried(call, (OSError,), "x") == 1 and pauses == [1.0, 2.0]

    def never() -> int:
        raise OSError("down")

    with pytest.raises(ms.SourceError, match=r"x: down \(after 4 attempts\)"):
        sources._tried(never, (OSError,), "x")


def test_the_command(
    source: Recorded,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sources, "load_source", lambda name, timeframe, **options: source)
    command = ["fetch", "AAPL", "NONE", "--source", "yfinance", "--to", str(tmp_path / "bars")]
    assert main([*command, "--quiet"]) == 3
    out, err = capsys.readouterr()
    assert "AAPL.csv: 60 new bars, 60 in all" in out and "error: NONE" in err
    assert main([*command, "--json", "--quiet"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["files"][0]["added"] == 0 and list(found["errors"]) == ["NONE"]
    monkeypatch.undo()
    with pytest.raises(ms.UnknownNameError, match="unknown timeframe"):
        sources.load_source("ccxt", timeframe="7m")
    with pytest.raises(ms.UnknownNameError, match="unknown source"):
        sources.load_source("bloomberg")
    assert set(TIMEFRAMES) == {"1m", "5m", "15m", "30m", "1h", "1d"}
