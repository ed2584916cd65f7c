"""A page is there whole or not at all."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

import pytest

from marketsim.errors import ArgumentError
from marketsim.report.files import check_page_path, write_atomically
from marketsim.report.html import write_report


def test_returns_the_path_that_was_given(tmp_path, data, html, monkeypatch):
    assert write_report(data, tmp_path / "a.html") == tmp_path / "a.html"
    assert (tmp_path / "a.html").read_text() == html
    monkeypatch.chdir(tmp_path)
    assert write_report(data, "b.html") == Path("b.html")
    assert (tmp_path / "b.html").read_text() == html


def test_replaces_an_old_page_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "page.html"
    write_atomically(path, "old")
    write_atomically(path, "new ±")
    assert path.read_bytes() == "new ±".encode()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize(
    ("call", "existing"),
    [
        *itertools.product(["open", "write", "fsync", "replace"], [True, False]),
        ("fchmod", True),  # there is nothing to take permissions from otherwise
    ],
)
def test_an_interruption_leaves_the_old_page_and_no_other_file(
    tmp_path, monkeypatch, call, failure, existing
):
    path = tmp_path / "page.html"
    if existing:
        path.write_text("old")

    def fail(*args, **options):
        raise failure

    if call == "write":

        class Full:
            def __init__(self, descriptor, mode):
                self.descriptor = descriptor

            def __enter__(self):
                return self

            def __exit__(self, *reason):
                os.close(self.descriptor)

            def write(self, content):
                os.write(self.descriptor, content[:2])
                raise failure

        monkeypatch.setattr("marketsim.atomic.open", Full, raising=False)
    else:
        monkeypatch.setattr(f"marketsim.report.files.os.{call}", fail)
    with pytest.raises(type(failure)):
        write_atomically(path, "new content")
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == (["page.html"] if existing else [])
    assert not existing or path.read_text() == "old"


def test_data_that_cannot_be_drawn_touch_no_file(tmp_path, make_data):
    path = tmp_path / "page.html"
    path.write_text("old")
    bad = make_data(equity={"short": make_data().equity["simple"][:-1]})
    with pytest.raises(ArgumentError, match="equity of 'short'"):
        write_report(bad, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_durable_before_it_has_its_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def recorded(*args, name=name, real=real):
            calls.append(name)
            return real(*args)

        monkeypatch.setattr(f"marketsim.report.files.os.{name}", recorded)
    write_atomically(tmp_path / "page.html", "x")
    assert calls == ["fsync", "replace", "fsync"]


def test_the_temporary_file_is_in_the_same_folder(tmp_path, monkeypatch):
    seen = []
    real = os.replace
    monkeypatch.setattr(
        "marketsim.report.files.os.replace", lambda a, b: (seen.append((a, b)), real(a, b))
    )
    write_atomically(tmp_path / ("n" * 250 + ".html"), "x")
    assert [(a.parent, b.parent) for a, b in seen] == [(tmp_path, tmp_path)]


def test_missing_folder(tmp_path, data):
    with pytest.raises(ArgumentError) as caught:
        write_report(data, tmp_path / "missing" / "page.html")
    message = str(caught.value)
    assert str(tmp_path / "missing") in message
    assert "does not exist; create it first or give a path in an existing folder" in message
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArgumentError, match="file' is not a folder"):
        write_atomically(tmp_path / "file" / "page.html", "x")


def test_path_that_is_a_folder(tmp_path, data):
    with pytest.raises(ArgumentError, match=r"got a folder, expected a file; give a file in it"):
        write_report(data, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_devices_and_pipes_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.html")
    with pytest.raises(ArgumentError, match="got a device, a pipe or a socket"):
        write_atomically(tmp_path / "pipe.html", "x")
    assert stat.S_ISFIFO((tmp_path / "pipe.html").stat().st_mode)


@pytest.mark.parametrize("name", ["AAPL.csv", "AAPL", "AAPL.html.csv", ".html", "link.html"])
def test_only_pages_are_replaced(tmp_path, data, name):
    (tmp_path / "link.html").symlink_to(tmp_path / "AAPL.csv")
    for file in ("AAPL.csv", "AAPL", "AAPL.html.csv"):
        (tmp_path / file).write_text("prices")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ArgumentError, match=r"must end in \.html or \.htm.*give a path such as"):
        write_report(data, tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before
    for file in ("AAPL.csv", "AAPL", "AAPL.html.csv"):
        assert (tmp_path / file).read_text() == "prices"


@pytest.mark.parametrize("name", ["a.html", "a.htm", "A.HTML", "a.b.html"])
def test_names_of_pages(tmp_path, name):
    assert check_page_path(tmp_path / name) == tmp_path / name
    assert list(tmp_path.iterdir()) == []  # looked at, not written
    assert write_atomically(tmp_path / name, "x").read_text() == "x"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("a\0.html", "null byte"),
        ("a" * 300 + ".html", "has 305 characters, more than a name may have"),
        (3, "cannot write a report to 3"),
        (None, "cannot write a report to None"),
        (b"a.html", "cannot write a report to b'a.html'"),
        ("", "got a folder"),
        ("\ud800.html", "cannot write a report to"),
    ],
    ids=repr,
)
def test_what_cannot_be_a_path(tmp_path, monkeypatch, data, path, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=message):
        write_report(data, path)
    assert list(tmp_path.iterdir()) == []


def test_links_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "page.html").write_text("old")
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "real" / "page.html")
    assert write_atomically(link, "new") == link
    assert link.is_symlink()
    assert (tmp_path / "real" / "page.html").read_text() == "new"


def test_permissions_are_kept_or_the_usual_ones(tmp_path):
    before = os.umask(0o022)
    try:
        fresh = write_atomically(tmp_path / "fresh.html", "x")
        private = tmp_path / "private.html"
        private.touch(mode=0o600)
        write_atomically(private, "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o644
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
