"""Output files of commands: they replace marketsim's own files; other files need --force."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Callable
from pathlib import Path

from marketsim.errors import ArgumentError
from marketsim.models.fingerprint import open_regular

_HEAD_BYTES = 4096
PAGE_MARK = b'<meta name="generator" content="marketsim">'


def add_force(group: argparse._ActionsContainer, option: str) -> None:
    """Add --force, which lets `option` replace a file that marketsim did not write."""
    group.add_argument(
        "--force",
        action="store_true",
        help=f"let {option} replace a file that marketsim did not write",
    )


def check_output(
    path: Path, option: str, force: bool, is_ours: Callable[[Path, bytes], bool]
) -> Path:
    """Check that an output may be written; returns its path with links followed, writes nothing.

    Args:
        path: path of the output.
        option: name of the option, for messages.
        force: whether any regular file may be replaced.
        is_ours: function of a file's path and first 4,096 bytes that recognises marketsim's output.

    Raises:
        ArgumentError: the folder does not exist, the path is a folder or a device, or it is a file
            that marketsim did not write and force is False.
        OSError: an existing file cannot be read.
    """
    if "\0" in str(path):
        raise ArgumentError(f"{option} {str(path)!r}: a path cannot hold a zero byte")
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise ArgumentError(f"{option} {path}: there is no folder {target.parent}")
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return target
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a loop of links"
        raise ArgumentError(f"{option} {path}: got {kind}, expected a file")
    if force:
        return target
    with open_regular(target) as file:
        head = file.read(_HEAD_BYTES)
    if head and not is_ours(target, head):
        raise ArgumentError(
            f"{option} {path}: the file exists and marketsim did not write it; give another name, "
            "or --force to replace it"
        )
    return target


def is_page(_: Path, head: bytes) -> bool:
    """Whether a file begins like a report."""
    return PAGE_MARK in head


def is_saved_run(_: Path, head: bytes) -> bool:
    """Whether a file begins like a saved run."""
    return head.startswith(b'{"format": "marketsim run"')


def require_folder(path: Path) -> None:
    """Make the folder that --report names for several symbols; refuse what is none."""
    if "\0" in str(path):
        raise ArgumentError(f"--report must name a folder for several symbols: got {str(path)!r}")
    if path.exists() and not path.is_dir():
        raise ArgumentError(f"--report must name a folder for several symbols: {path} is a file")
    if path.suffix.lower() in (".html", ".htm"):
        raise ArgumentError(f"--report must name a folder for several symbols: got {path}")
    path.mkdir(parents=True, exist_ok=True)
