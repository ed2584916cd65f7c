"""Builds .venv-oldest: marketsim with the oldest versions of what pyproject.toml declares.

Lower bounds of the dependencies become pins; tests' tools are those of constraints.txt. Needs a
Python for which the oldest versions have wheels: 3.11.
"""

import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / ".venv-oldest"
BUILT = ENVIRONMENT / ".built"  # written last: what it stands in is complete
EXTRAS = ("models", "parquet", "calendars")
TOOLS = ("hypothesis", "pytest", "pytest-benchmark", "pytest-xdist", "scipy==1.13.1", "arch==7.0.0")


def main() -> None:
    """Build, and print what was installed."""
    if sys.version_info[:2] != (3, 11):
        sys.exit("the oldest versions have wheels for 3.11: make test-oldest PYTHON=python3.11")
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    pins = oldest(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])
    pip = [
        ENVIRONMENT / "bin" / "python",
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, *pins, *TOOLS], check=True)
    subprocess.run([*pip, "--no-deps", ROOT], check=True)
    BUILT.write_text("\n".join(pins) + "\n")
    print("\n".join(pins))


def oldest(project: dict) -> list[str]:
    """`name==lowest` of each dependency, and of those of the extras that tests use."""
    declared = [*project["dependencies"]]
    for extra in EXTRAS:
        declared += project["optional-dependencies"][extra]
    found = (re.match(r"([A-Za-z0-9_.-]+)>=([0-9.]+)", text) for text in declared)
    return [f"{match[1]}=={match[2]}" for match in found if match]


if __name__ == "__main__":
    main()
