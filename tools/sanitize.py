"""Runs the kernels' tests under AddressSanitizer and UndefinedBehaviorSanitizer.

An environment of its own holds the instrumented build; everything else comes from the one this runs
in.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / "build" / "sanitize-venv"
FLAGS = (
    "-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined -g1"
    " -DMARKETSIM_NOISY_SCRATCH"
)
# Of the models those that run our kernels: torch's own code would take an hour.
MODELS = ("distribution", "mixture", "model_arguments", "samples", "statistical")
TESTS = [
    *("tests/kernels", "tests/cuda", "tests/forecasts", "tests/walkforward"),
    *(f"tests/models/test_{name}.py" for name in MODELS),
]
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "auto")
# What takes long and runs no native code that the others do not.
NOT_NEEDED = "emulation-tensors or torch_ops or legacy_cache or against_brute_force"


def main() -> None:
    """Build, install, test."""
    venv.create(ENVIRONMENT, with_pip=False, clear=True)
    python = ENVIRONMENT / "bin" / "python"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
            *("--disable-pip-version-check", "--no-deps"),
            *("-C", "build-dir=build/sanitize", "-C", f"cmake.define.CMAKE_CXX_FLAGS={FLAGS}"),
            *("-C", "cmake.define.MARKETSIM_EMULATION=ON", "-C", "cmake.define.MARKETSIM_CUDA=OFF"),
            ROOT,
        ],
        check=True,
    )
    # A path file names the other environment's packages; path files in there are not followed, so
    # its own editable installation stays out of the way.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = ENVIRONMENT / "lib" / version / "site-packages"
    (site / "other.pth").write_text(sysconfig.get_path("purelib") + "\n")

    compiler = os.environ.get("CXX", "g++")
    libraries = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    settings = {
        "LD_PRELOAD": ":".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter keeps memory to its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    found = subprocess.run(
        [python, *PYTEST, "-k", f"not ({NOT_NEEDED})", *TESTS],
        cwd=ROOT,
        env=os.environ | settings,
    )
    sys.exit(found.returncode)


if __name__ == "__main__":
    main()
