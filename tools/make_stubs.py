"""Writes the type stub of a compiled module: python tools/make_stubs.py MODULE FILE."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Generate, format, write."""
    name, target = sys.argv[1], Path(sys.argv[2])
    binaries = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [binaries / "pybind11-stubgen", f"marketsim.{name}", "-o", folder, "--exit-code"],
            check=True,
            capture_output=True,
        )
        text = (Path(folder) / "marketsim" / f"{name}.pyi").read_text()
    text = re.sub(r"os\.PathLike\b(?!\[)", "os.PathLike[str]", text)
    config = Path(__file__).parent.parent / "pyproject.toml"
    for command in (["check", "--fix", "--exit-zero", "--quiet"], ["format", "--quiet"]):
        text = subprocess.run(
            [
                binaries / "ruff",
                *command,
                "--config",
                config,
                "--stdin-filename",
                f"{name}.pyi",
                "-",
            ],
            input=text,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


if __name__ == "__main__":
    main()
