"""The notebooks and the native examples run; what they show is short."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(ROOT.joinpath("notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.slow


def test_notebooks_are_kept_without_output() -> None:
    assert len(NOTEBOOKS) >= 2
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text())["cells"]
        assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.filterwarnings("ignore")  # of the packages that run notebooks
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel", reason="ipykernel, of the extra test, is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient, of the extra test, is missing")
    import nbformat

    monkeypatch.setenv("MARKETSIM_STORE", str(tmp_path / "store"))
    book: Any = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=600, resources=where).execute()
    outputs = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert not [out for out in outputs if out.output_type == "stream" and out.name == "stderr"]
    images = [out.data["image/png"] for out in outputs if "image/png" in out.get("data", {})]
    assert len(images) >= 2
    text = [value for out in outputs for value in out.get("data", {}).values()]
    assert sum(map(len, text)) - sum(map(len, images)) < 20_000


@pytest.mark.parametrize("name", ["own_strategy", "tomorrow"])
def test_example_runs(name: str, tmp_path: Path) -> None:
    options = {"own_strategy": ["--plot", "a.png"], "tomorrow": ["--csv", "a.csv"]}[name]
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / f"{name}.py", *options],
        cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"MARKETSIM_STORE": str(tmp_path / "store")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) < 4_000
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert tmp_path.joinpath(options[1]).stat().st_size > 200
