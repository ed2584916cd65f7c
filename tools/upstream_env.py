"""Builds .venv-upstream, where the original Toto 1.0 and 2.0 code runs, and says what is in it.

The original packages pin a torch, a NumPy and dozens of tools that our own environment must not
have; so they get one of their own, which `tests/upstream` and `benchmarks` ask through a process.
An environment that is there is built anew.
"""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / ".venv-upstream"
BUILT = ENVIRONMENT / ".built"  # written last: what it stands in is complete
PYTHON = ENVIRONMENT / "bin" / "python"
PINS = ROOT / "tests" / "upstream"
PROBE = """
import warnings
warnings.filterwarnings("ignore")
import sys
from importlib.metadata import version
import toto.inference.forecaster, toto.model.toto, toto2
print("python", sys.version.split()[0])
for name in ("torch", "numpy", "toto-ts", "toto-2", "dd-unit-scaling", "unit-scaling", "gluonts",
             "rotary-embedding-torch", "einops", "jaxtyping", "lightning", "safetensors"):
    print(name, version(name))
"""


def main() -> None:
    """Build, try, print the versions."""
    if not (3, 11) <= sys.version_info < (3, 14):
        found = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(
            "the original code's pinned dependencies have wheels for Python 3.11 to 3.13, and this "
            f"is {found}: name another one, as in `make upstream PYTHON=python3.11`"
        )
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    constraints = ["-c", ROOT / "constraints.txt"]
    _install("its dependencies", [*constraints, "-r", PINS / "requirements.txt"])
    originals = ["--no-deps", "--ignore-requires-python", "-r", PINS / "originals.txt"]
    _install("the original code", originals)
    versions = _run("import what was installed", ["-c", PROBE])
    BUILT.write_text(versions)
    print(versions, end="")


def _install(what: str, arguments: list[object]) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    _run(f"install {what}", ["-m", "pip", "install", *quiet, *arguments])


def _run(what: str, arguments: list[object]) -> str:
    command = [str(part) for part in (PYTHON, *arguments)]
    found = subprocess.run(command, cwd=ENVIRONMENT, capture_output=True, text=True)
    if found.returncode != 0:
        sys.exit(f"could not {what}:\n{found.stdout}{found.stderr}")
    return found.stdout


if __name__ == "__main__":
    main()
