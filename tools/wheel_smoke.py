"""Builds a wheel, installs it into a new environment, and uses it there, away from the sources."""

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
USE = """
import json, pathlib, sys
import numpy as np, pandas as pd
import marketsim as ms

rng = np.random.default_rng(0)
close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 200)))
frame = pd.DataFrame({"open": close, "high": close * 1.01, "low": close * 0.99, "close": close,
                      "volume": 1.0}, index=pd.date_range("2020-01-01", periods=200))
result = ms.walk_forward(frame, simulations=10, asset_class="equity", progress=False)
page = result.report(pathlib.Path("report.html"))
again = ms.walk_forward(frame, simulations=10, asset_class="equity", progress=False)
assert again.days.equals(result.days)
store = ms.forecasts.open_store()
print(json.dumps({"file": ms.__file__, "rows": len(result.days), "page": page.stat().st_size,
                  "hits": store.counters["hits"], "misses": store.counters["misses"]}))
"""


WITHOUT_TORCH = """
import marketsim.legacy
try:
    marketsim.legacy.install()
except ImportError as error:
    print(error)
"""
BARS = """
import numpy as np, pandas as pd

rng = np.random.default_rng(1)
for symbol in ("AAPL", "BTCUSD"):
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, 300)))
    frame = pd.DataFrame({"Open": close, "High": close * 1.02, "Low": close * 0.98, "Close": close,
                          "Volume": 1e6}, index=pd.date_range("2024-01-01", periods=300))
    frame.to_csv(f"bars/{symbol}.csv", index_label="date")
"""


def main() -> None:
    """Build, check what is inside, install, run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        strict = "-Ccmake.define.MARKETSIM_WERROR=ON"
        _run([sys.executable, "-m", "build", "--wheel", strict, "--outdir", folder, ROOT], folder)
        (wheel,) = folder.glob("*.whl")
        _check_contents(wheel)
        environment = folder / "clean"
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        constraints = ["-c", ROOT / "constraints.txt"]
        quiet = ["--quiet", "--disable-pip-version-check"]
        _run([python, "-m", "pip", "install", *quiet, *constraints, wheel], cwd=folder)

        found = json.loads(_run([python, "-c", USE], cwd=folder))
        assert Path(found["file"]).is_relative_to(environment), found["file"]
        assert found["rows"] == 16 * 9, found
        assert 0 < found["page"] < 1_000_000, found
        assert found["hits"] == found["misses"] == 76 * 4, found
        facts = json.loads(
            _run([environment / "bin" / "marketsim", "doctor", "--json"], cwd=folder)
        )
        assert facts["self_test"] == "passed", facts
        # What needs tensors says so where there are none, and works once they are installed.
        refused = _run([python, "-c", WITHOUT_TORCH], cwd=folder)
        assert ".[models]" in refused, refused
        _run([python, "-m", "pip", "install", *quiet, *constraints, f"{wheel}[models]"], cwd=folder)
        _trade_on_paper(python, folder)
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, works in a clean environment")


def _trade_on_paper(python: Path, folder: Path) -> None:
    """The example for programs that import the old names, on bars of two symbols."""
    (folder / "bars").mkdir()
    _run([python, "-c", BARS], cwd=folder)
    example = folder / "trading_loop.py"  # away from the sources
    example.write_text((ROOT / "examples" / "trading_loop.py").read_text())
    for quirks in ("fixed", "legacy"):
        output = folder / f"{quirks}.json"
        arguments = ["bars", "AAPL", "BTCUSD", "--quirks", quirks, "--output", output]
        _run([python, example, *arguments], cwd=folder)
        found = json.loads(output.read_text())
        assert not found["skipped"], found
        assert [order["symbol"] for order in found["orders"]] == ["AAPL", "BTCUSD"], found
        for order in found["orders"]:
            newest = "2024-10-26" if quirks == "fixed" else "2024-10-25"
            assert order["as_of"].startswith(newest), order
            assert order["side"] in ("buy", "sell", "none"), order
            assert order["simulations"] == 70, order


def _check_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in ("py.typed", "_core.pyi", "report/templates/"):
        assert any(needed in entry for entry in names), f"{needed} is missing"
    for entry in names:
        assert entry.startswith(("marketsim/", "marketsim-")), f"{entry} does not belong there"
        assert "__pycache__" not in entry, entry


def _run(command: list[object], cwd: Path) -> str:
    settings = os.environ | {"MARKETSIM_STORE": str(cwd / "store")}
    found = subprocess.run(
        [str(c) for c in command], cwd=cwd, env=settings, capture_output=True, text=True
    )
    if found.returncode != 0:
        sys.exit(f"{command} failed:\n{found.stdout}\n{found.stderr}")
    return found.stdout


if __name__ == "__main__":
    main()
