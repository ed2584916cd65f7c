"""A full disk and a limit on files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fault_tools import CHILDREN, ROOT, child, run


def test_full_disk_leaves_old_data_intact(tmp_path: Path) -> None:
    """On a small file system of its own, which goes with the process that it is mounted for."""
    mount = f"mount -t tmpfs -o size=1m tmpfs {tmp_path}"
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("mounting a small file system needs root and unshare")
    tried = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount], capture_output=True, text=True
    )
    if tried.returncode != 0:
        pytest.skip(f"cannot mount a small file system: {tried.stderr.strip()}")
    found = run(
        *("unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh", sys.executable),
        *(CHILDREN / "disk_full.py", "disk", tmp_path),
        timeout=120,
        PYTHONPATH=str(ROOT / "tests" / "support"),
    )
    assert found["records"] > 1000


def test_limit_on_files_leaves_old_data_intact(tmp_path: Path) -> None:
    assert child("disk_full", "limit", tmp_path)["records"] > 1000
