from __future__ import annotations

import io
import time

import pytest

from marketsim.progress import Pace, ProgressBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, **options: object) -> str:
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressBar(10, "counting things", **options) as bar:  # type: ignore[arg-type]
        for _ in range(10):
            bar.advance(1)
    return stream.getvalue()


def test_a_terminal_sees_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal(), delay=0.0, unit="things")
    assert "counting things" in text
    assert "10/10" in text
    assert "things/s" in text
    assert "ETA 0:00:00" in text


def test_short_work_files_and_quiet_runs_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, Terminal(), delay=60.0) == ""
    assert shown(monkeypatch, io.StringIO(), delay=0.0) == ""
    assert shown(monkeypatch, Terminal(), delay=0.0, enabled=False) == ""


def test_a_bar_appears_before_the_first_item_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressBar(10, "counting things", delay=0.01):
        deadline = time.monotonic() + 30.0
        while "0/10" not in stream.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_the_description_names_the_symbol_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with ProgressBar(2, "backtesting", delay=0.0) as bar:
        bar.describe("backtesting A\x1bB")
        bar.advance(1)
    assert "backtesting A\\x1bB" in stream.getvalue()


def test_the_clock_does_not_jump_back_after_the_preparation() -> None:
    pace = Pace(100, "forecasts", now=50.0)
    assert pace.text(now=58.0) == "0:00:08"
    pace.advance(0, 0, now=60.0)
    assert pace.text(now=61.0) == "0:00:11"


def test_rate_and_rest() -> None:
    pace = Pace(100, "forecasts", now=50.0)
    assert pace.text(now=52.0) == "0:00:02"
    pace.skip(40, now=60.0)  # found in the store: no rate follows from them
    assert pace.done == 40
    pace.advance(20, 20, now=65.0)
    assert pace.text(now=65.0) == "4.0 forecasts/s  ETA 0:00:10"
    assert pace.text(now=68.0) == "4.0 forecasts/s  ETA 0:00:07"  # counts down between items
    assert pace.text(now=99.0) == "4.0 forecasts/s  ETA 0:00:00"
    pace.advance(40, 40, now=66.0)
    assert pace.done == 100
    assert pace.text(now=66.0) == "10 forecasts/s  ETA 0:00:00"


def test_preparation_is_no_part_of_the_rate() -> None:
    pace = Pace(7200, "forecasts", now=0.0)
    pace.advance(0, 0, now=30.0)
    pace.advance(2, 2, now=32.0)
    assert pace.text(now=32.0) == "1.0 forecasts/s  ETA 1:59:58"
    pace.advance(0, 0, now=33.0)  # later it means nothing
    assert pace.text(now=33.0) == "1.0 forecasts/s  ETA 1:59:57"


def test_items_that_count_for_several_units() -> None:
    pace = Pace(3, "forecasts", now=0.0)
    pace.advance(1, 5000, now=2.0)
    assert pace.text(now=2.0) == "2,500 forecasts/s  ETA 0:00:04"
    pace = Pace(3, "", now=0.0)
    pace.advance(1, 1, now=2.0)
    assert pace.text(now=2.0) == "ETA 0:00:04"
