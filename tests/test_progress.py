from __future__ import annotations

import io
import time

import pytest
from market import random_frame

import marketsim as ms
from marketsim import progress
from marketsim.progress import Pace, ProgressBar, ProgressState, SymbolsBar


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


def test_a_function_is_called_instead_of_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[ProgressState] = []
    assert shown(monkeypatch, Terminal(), delay=0.0, enabled=states.append, unit="things") == ""
    assert [state.done for state in states] == list(range(1, 11))
    assert states[-1].text().startswith("counting things: 10 of 10 things, ")


def test_an_error_of_the_function_ends_the_work() -> None:
    def stop(_: ProgressState) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError), ProgressBar(2, "counting", enabled=stop) as bar:
        bar.advance(1)


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    lines = shown(monkeypatch, io.StringIO(), unit="things").splitlines()
    assert len(lines) == 10
    assert lines[3].startswith("counting things: 4 of 10 things, ")
    assert "\x1b" not in "".join(lines)


def test_a_folder_counts_forecasts() -> None:
    states: list[ProgressState] = []
    with SymbolsBar("backtesting", 4, enabled=states.append) as bar:
        assert bar.state.total is None
        bar.start("A")
        bar.within(ProgressState("", 30, 100, "forecasts", ""))
        assert states[-1][:3] == ("backtesting A (1 of 4)", 30, 400)
        bar.finish(100)
        bar.start("B")
        assert states[-1].done == 100
        bar.within(ProgressState("", 0, 300, "forecasts", ""))
        assert states[-1].total == 800  # two symbols of 200 on average are left
        bar.finish(0)  # failed: it needs none
        bar.start("C")
        bar.finish(200)
        bar.finish(100)
    assert states[-1][1:3] == (400, 400)
    done = [state.done for state in states]
    assert done == sorted(done)


def test_notebooks_show_progress_and_keep_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display

    shown: list[dict[str, str]] = []

    class Handle:
        def update(self, data: dict[str, str], raw: bool) -> None:
            shown.append(data)

    def display(data: dict[str, str], raw: bool, display_id: bool) -> Handle:
        shown.append(data)
        return Handle()

    monkeypatch.setattr(progress, "_in_notebook", lambda: True)
    monkeypatch.setattr(progress, "_NOTEBOOK_SECONDS", 0.0)
    monkeypatch.setattr(IPython.display, "display", display)
    with ProgressBar(3, "counting <things>", delay=0.0) as bar:
        bar.advance(1)
        bar.advance(2)
    assert "counting &lt;things&gt;: 1 of 3" in shown[0]["text/html"]
    assert shown[-1] == {"text/html": "", "text/plain": ""}


def test_runs_of_many_symbols_count_their_forecasts() -> None:
    bars = [ms.read_bars(random_frame(200, seed=i), symbol=name) for i, name in enumerate("AB")]
    states: list[ProgressState] = []
    found = ms.walk_forward_each(bars, "ewma", simulations=3, store=False, progress=states.append)
    needed = sum(plan.forecasts for result in found.values() for plan in result.plans)
    assert states[-1][1:4] == (needed, needed, "forecasts")
    assert {state.description for state in states} >= {
        "walk-forward of A (1 of 2)", "walk-forward of B (2 of 2)"
    }  # fmt: skip
    done = [state.done for state in states]
    assert done == sorted(done)
    assert len(set(done)) > 4  # inside a symbol, too

    states.clear()
    ms.next_orders(bars, "ewma", "simple", store=False, progress=states.append)
    assert states[-1].done == states[-1].total
    assert {state.description for state in states} >= {"forecasting A", "forecasting B"}
