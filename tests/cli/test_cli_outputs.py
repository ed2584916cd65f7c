"""Files that commands write: what marketsim did not write stays, unless --force says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from market import random_frame

from marketsim.cli import main

PRECIOUS = "mine\n"


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bars") / "AAA.csv"
    random_frame(150).to_csv(path)
    return path


def command(kind: str, bars: Path, path: Path) -> list[str]:
    run = [str(bars), "--simulations", "5", "--quiet"]
    few = ["--strategies", "simple", "--model", "persistence"]
    return {
        "report": ["backtest", *run, *few, "--no-store", "--report", str(path)],
        "svg": ["profile", *run, *few, "--output", str(path)],
        "stacks": ["profile", *run, *few, "--output", str(path)],
        "trades": ["replay", str(bars), "--strategy", "sma_cross", "--trades", str(path)],
        "export": ["store", "export", str(path), "--store", str(path.parent / "store")],
    }[kind]


NAMES = {
    "report": "page.html",
    "svg": "flame.svg",
    "stacks": "stacks.txt",
    "trades": "trades.csv",
    "export": "table.parquet",
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_foreign_file_stays_and_an_own_one_is_replaced(
    kind: str, bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()
    path = tmp_path / NAMES[kind]
    path.write_text(PRECIOUS)
    argv = command(kind, bars, path)
    assert main(argv) == 2
    assert path.read_text() == PRECIOUS
    assert "did not write" in capsys.readouterr().err
    assert main([*argv, "--force"]) == 0
    assert path.read_bytes() != PRECIOUS.encode()
    assert main(argv) == 0  # its own


@pytest.mark.parametrize("kind", NAMES)
def test_neither_devices_nor_folders_are_replaced(
    kind: str, bars: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()
    path = tmp_path / NAMES[kind]
    os.mkfifo(path)
    assert main([*command(kind, bars, path), "--force"]) == 2
    path.unlink()
    path.mkdir()
    assert main([*command(kind, bars, path), "--force"]) == 2
    assert path.is_dir()


def test_a_link_is_followed(bars: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.svg"
    data.write_text(PRECIOUS)
    link = tmp_path / "flame.svg"
    link.symlink_to(data)
    assert main(command("svg", bars, link)) == 2
    assert data.read_text() == PRECIOUS
    assert main([*command("svg", bars, link), "--force"]) == 0
    assert link.is_symlink()
    assert data.read_text().startswith("<svg")


def test_reports_of_a_folder_replace_no_foreign_page(bars: Path, tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.html").write_text(PRECIOUS)
    argv = command("report", bars.parent, pages)
    assert main(argv) == 2
    assert [path.name for path in pages.iterdir()] == ["index.html"]
    assert main([*argv, "--force"]) == 0
    assert main(argv) == 0
