"""Builds the sdist and wheels, and checks what a release would publish.

    python tools/wheel_check.py [--python PATH]...

Builds the sdist, a wheel from that sdist in an isolated environment for this Python and for each
--python, and checks them by auditwheel (which system libraries a wheel needs), twine (whether the
index would show its page), check-wheel-contents (stray or missing files), and the ABI tag against
the interpreter. Each wheel is then imported by its interpreter, away from the sources.
"""

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
MANYLINUX = (2, 28)  # as [tool.cibuildwheel] in pyproject.toml
USE = ROOT / "tools" / "wheel_use.py"


def main() -> None:
    """Build, check, import."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--python", type=Path, action="append", default=[], metavar="PATH",
        help="another interpreter to build and test a wheel for",
    )  # fmt: skip
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sdist = _sdist(folder)
        wheels = [_wheel(Path(sys.executable), sdist, folder)]
        wheels += [_wheel(python, sdist, folder) for python in args.python]
        _run(["-m", "twine", "check", "--strict", sdist, *wheels])
        _run(["-m", "check_wheel_contents", "--toplevel", "marketsim", *wheels])
        print("twine check, check-wheel-contents: passed")


def _sdist(folder: Path) -> Path:
    _run(["-m", "build", "--sdist", "--outdir", folder, ROOT])
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("pyproject.toml", "CMakeLists.txt", "csrc/CMakeLists.txt", "LICENSE"):
        if needed not in names:
            sys.exit(f"{sdist.name} lacks {needed}")
    for name in names:
        if name.startswith(("build/", ".venv", "dist/")) or name.endswith((".so", ".pyc")):
            sys.exit(f"{sdist.name} holds {name}, which does not belong there")
    print(f"{sdist.name}: {sdist.stat().st_size / 1e6:.1f} MB, {len(names):,} files")
    return sdist


def _wheel(python: Path, sdist: Path, folder: Path) -> Path:
    """Build a wheel from the sdist in isolation, check it, and import it in a new environment."""
    version = _of(python, "import sys; print('cp%d%d' % sys.version_info[:2])").strip()
    out, environment = folder / version, folder / f"env-{version}"
    _of(python, f"import venv; venv.create({str(environment)!r}, with_pip=True)")
    clean = environment / "bin" / "python"
    quiet = ["--quiet", "--disable-pip-version-check"]
    without_gpu = "-Ccmake.define.MARKETSIM_CUDA=OFF"  # as the release's
    _run(
        ["-m", "pip", "wheel", *quiet, without_gpu, "--no-deps", "--wheel-dir", out, sdist],
        python=clean,
    )
    (wheel,) = out.glob("*.whl")
    tags = wheel.stem.split("-")[2:]
    if tags[:2] != [version, version]:
        sys.exit(f"{wheel.name}: expected the tags {version}-{version} of {python}")
    for entry in zipfile.ZipFile(wheel).namelist():
        if entry.endswith(".so") and f"cpython-{version[2:]}-" not in entry:
            sys.exit(f"{wheel.name}: {entry} is not of {version}")
    needs = _manylinux(wheel)
    constraints = ["-c", ROOT / "constraints.txt"]
    _run(["-m", "pip", "install", *quiet, *constraints, wheel], python=clean)
    found = json.loads(_run([USE], python=clean, cwd=folder))
    if not Path(found["file"]).is_relative_to(environment) or found["rows"] == 0:
        sys.exit(f"{wheel.name} does not work in a clean environment: {found}")
    print(
        f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, needs {needs}, runs on {found['isa']}"
    )
    return wheel


def _manylinux(wheel: Path) -> str:
    """The oldest system that the wheel runs on, as auditwheel finds from its symbols.

    A wheel that is built on a newer system than the release's container may need a newer one; the
    container decides what is published.
    """
    said = _run(["-m", "auditwheel", "show", wheel])
    tags = re.findall(r"manylinux_(\d+)_(\d+)_\w+", said)
    if not tags:
        sys.exit(f"auditwheel finds no manylinux tag for {wheel.name}:\n{said}")
    found = min((int(major), int(minor)) for major, minor in tags)
    note = (
        "" if found <= MANYLINUX else f" (the release's container: {MANYLINUX[0]}.{MANYLINUX[1]})"
    )
    return f"glibc {found[0]}.{found[1]}{note}"


def _of(python: Path, code: str, cwd: Path | None = None) -> str:
    return _run(["-c", code], python=python, cwd=cwd)


def _run(
    command: list[object], python: Path = Path(sys.executable), cwd: Path | None = None
) -> str:
    found = subprocess.run(
        [str(python), *map(str, command)], cwd=cwd, capture_output=True, text=True
    )
    if found.returncode != 0:
        sys.exit(f"{python} {' '.join(map(str, command))} failed:\n{found.stdout}\n{found.stderr}")
    return found.stdout


if __name__ == "__main__":
    main()
