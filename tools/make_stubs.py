"""Writes the type stub of the compiled module: python tools/make_stubs.py FILE."""

import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Generate, format, write."""
    target = Path(sys.argv[1])
    binaries = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [binaries / "pybind11-stubgen", "marketsim._core", "-o", folder, "--exit-code"],
            check=True,
            capture_output=True,
        )
        text = (Path(folder) / "marketsim" / "_core.pyi").read_text()
    config = Path(__file__).parent.parent / "pyproject.toml"
    for command in (["check", "--fix", "--exit-zero", "--quiet"], ["format", "--quiet"]):
        text = subprocess.run(
            [binaries / "ruff", *command, "--config", config, "--stdin-filename", "_core.pyi", "-"],
            input=text,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


if __name__ == "__main__":
    main()
