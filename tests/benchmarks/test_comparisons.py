"""The tools that compare benchmarks: what counts as slower, and as grown."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tool_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


compare, counts = tool("compare"), tool("kernel_counts")


@pytest.mark.parametrize(("factor", "verdict"), [(1.1, "slower"), (1.0, ""), (0.9, "faster")])
def test_a_pair_of_runs_shares_a_slow_minute(factor: float, verdict: str) -> None:
    rng = random.Random(1)
    load = [rng.uniform(1.0, 3.0) for _ in range(9)]  # hits both runs of a pair
    before = [1e-3 * slow * rng.uniform(0.99, 1.01) for slow in load]
    after = [1e-3 * factor * slow * rng.uniform(0.99, 1.01) for slow in load]
    change = compare.paired_change("one", before, after)
    assert change.verdict == verdict
    assert change.low <= change.ratio <= change.high
    assert change.ratio == pytest.approx(factor, rel=0.03)


def test_noise_is_no_change() -> None:
    rng = random.Random(2)
    called = 0
    for _ in range(200):
        times = [[rng.lognormvariate(0.0, 0.2) for _ in range(5)] for _ in range(2)]
        called += bool(compare.paired_change("one", *times).verdict)
    assert called <= 8  # 2 expected at 99 %
    assert compare.paired_change("one", [1.0], [2.0]).verdict == ""  # one pair proves nothing


def test_two_files_are_compared_by_their_spread(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, median in (("a", 1.0), ("b", 2.0)):
        stats = {"median": median, "q1": median * 0.98, "q3": median * 1.02, "min": median}
        rows = [{"fullname": "benchmarks/bench_x.py::bench_one", "stats": stats}]
        (tmp_path / f"{name}.json").write_text(json.dumps({"benchmarks": rows}))
    for pair, code in (("ab", 1), ("ba", 0), ("aa", 0)):
        files = [str(tmp_path / f"{name}.json") for name in pair]
        monkeypatch.setattr(sys, "argv", ["compare.py", *files])
        assert compare.main() == code
        assert "bench_x.py::bench_one" in capsys.readouterr().out
    (tmp_path / "c.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", ["compare.py", files[0], str(tmp_path / "c.json")])
    with pytest.raises(SystemExit, match="is no file of `make bench`"):
        compare.main()


def test_five_percent_more_instructions_fail() -> None:
    baseline = {"kernel": {"avx2": 1_000, "baseline": 2_000}}
    lines, grown = counts.compare(baseline, {"kernel": {"avx2": 1_050, "baseline": 2_101}})
    assert grown == ["kernel (baseline)"] and "+5.0%" in "\n".join(lines)
    assert counts.compare(baseline, {"kernel": {"avx2": 900}})[1] == []
    assert counts.compare(baseline, {"new": {"avx2": 1}})[1] == ["new (avx2)"]


def test_the_baseline_names_every_kernel() -> None:
    kept = json.loads(counts.BASELINE.read_text())
    source = counts.SOURCE.read_text()
    assert kept["machine"] and len(kept["counts"]) >= 8
    for name, found in kept["counts"].items():
        assert f'{{"{name}",' in source and set(found) == set(counts.ISAS)
        assert all(count > 10_000 for count in found.values())
