"""Runs three test files of the second old system, unchanged, against marketsim.legacy.genesis.

    GENESIS_CHECKOUT=~/Genesis-Core make test-upstream
    GENESIS_REPOSITORY=https://... make test-upstream

GENESIS_CHECKOUT names a checkout of the commit; GENESIS_REPOSITORY what git can fetch it from. The
files are the three that the performance guide names. They are copied to a temporary folder, so that
nothing of the old code is importable, and run after `marketsim.legacy.install("genesis")`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

COMMIT = "6748be17a26f93caa0c18eee2f8df2ac1b5b2735"
FILES = (
    "tests/test_performance_improvements.py",
    "tests/test_backtest_engine.py",
    "tests/test_performance_optimizations.py",
)
_PLUGIN = 'import marketsim.legacy\n\nmarketsim.legacy.install("genesis")\n'


def main() -> int:
    """0 where all tests pass, 1 where one fails, 2 without the files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not fetch(folder):
            print(
                "GENESIS_CHECKOUT must name a checkout of the second old system, or "
                "GENESIS_REPOSITORY what git can fetch it from",
                file=sys.stderr,
            )
            return 2
        (folder / "marketsim_genesis.py").write_text(_PLUGIN)
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-p", "marketsim_genesis", *FILES]
        return subprocess.run(command, cwd=folder, env=environment).returncode


def fetch(folder: Path) -> bool:
    """Copy the files into a folder; False where they cannot be had."""
    checkout, repository = (os.environ.get(f"GENESIS_{x}") for x in ("CHECKOUT", "REPOSITORY"))
    if not checkout and not repository:
        return False
    for name in FILES:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if checkout:
            path.write_bytes((Path(checkout) / name).read_bytes())
    if checkout:
        return True
    git = ["git", "-C", str(folder)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "fetch", "-q", "--depth", "1", str(repository), COMMIT], check=True)
    for name in FILES:
        show = [*git, "show", f"FETCH_HEAD:{name}"]
        (folder / name).write_bytes(subprocess.run(show, capture_output=True, check=True).stdout)
    return True


if __name__ == "__main__":
    sys.exit(main())
