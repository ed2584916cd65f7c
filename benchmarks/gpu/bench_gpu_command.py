"""The command of `make bench-gpu` on the emulation: it runs, and checks, everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from backends import on_backend

from marketsim.build_info import cuda_state

HERE = Path(__file__).parent


def bench_whole_command(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    import run_gpu

    state = {
        "usable": True, "reason": "emulation", "devices": ["Host (emulation)"],
        "driver": "none", "built_for": "host",
    }  # fmt: skip
    monkeypatch.setattr(run_gpu, "cuda_state", lambda: state)
    monkeypatch.setattr(run_gpu.shutil, "which", lambda *_, **__: None)
    with on_backend("emulation"):
        assert run_gpu.main(["--small", "--output", str(tmp_path)]) == 0
        assert "equal to the last bit" in capsys.readouterr().out
        page, facts = sorted(tmp_path.iterdir(), key=lambda path: path.suffix, reverse=True)
        assert page.name.startswith("host-emulation-20")
        assert "| best offsets, N=20, open_aware |" in page.read_text()
        assert json.loads(facts.read_text())["measured"]["crossover"][2]["in_use"] > 0
        monkeypatch.setattr("gpu_cases._same", _wrong)
        assert run_gpu.main(["--check-only"]) == 1
        assert "the GPU's answer is wrong: profit, N=6, kind 0" in capsys.readouterr().err
        monkeypatch.setattr("gpu_cases.peak", _broken)
        assert run_gpu.main(["--small", "--output", str(tmp_path)]) == 1
        found = json.loads(facts.read_text())
        assert found["failed"][1:] == ["peak: RuntimeError: out of memory"]
        assert len(found["wrong"]) == found["checked"] > 0
        assert found["measured"]["offsets"]  # the other parts went on
        assert "comparisons with the CPU FAILED" in page.read_text()


def _wrong(function: object, arguments: object) -> None:
    raise AssertionError("1 != 2")


def _broken(clock: object, sizes: object) -> None:
    raise RuntimeError("out of memory")


@pytest.mark.skipif(cuda_state()["usable"] is True, reason="a GPU is there")
def bench_without_a_gpu_it_says_so() -> None:
    found = subprocess.run(
        [sys.executable, HERE / "run_gpu.py"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert found.stderr.startswith("no GPU can be used: ")
