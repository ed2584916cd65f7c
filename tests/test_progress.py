from __future__ import annotations

import io

import pytest

from marketsim.progress import ProgressBar


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
    text = shown(monkeypatch, Terminal(), delay=0.0)
    assert "counting things" in text
    assert "10/10" in text


def test_short_work_files_and_quiet_runs_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, Terminal(), delay=60.0) == ""
    assert shown(monkeypatch, io.StringIO(), delay=0.0) == ""
    assert shown(monkeypatch, Terminal(), delay=0.0, enabled=False) == ""
