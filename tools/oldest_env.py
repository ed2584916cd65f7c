"""Builds .venv-oldest: the oldest versions of what pyproject.toml declares, before those of .venv.

Lower bounds of the dependencies become pins. marketsim itself, torch and the tests' tools are those
of .venv, which stands behind the new environment: nothing is compiled, and the gigabytes of an old
torch are not fetched. Needs a Python for which the oldest versions have wheels: 3.11 or 3.12.
"""

import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / ".venv-oldest"
BUILT = ENVIRONMENT / ".built"  # written last: what it stands in is complete
EXTRAS = ("parquet", "calendars")
TOOLS = ("scipy==1.13.1", "arch==7.0.0")


def main() -> None:
    """Build, and print what was installed. Runs with the Python of .venv."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        sys.exit("the oldest versions have wheels for Python 3.11 and 3.12: build .venv with one")
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    python = ENVIRONMENT / "bin" / "python"
    pins = oldest(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *pins, *TOOLS], check=True)
    here = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    behind = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    Path(here, "zz_behind.pth").write_text(behind)
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
