from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from marketsim.cli import main
from marketsim.legacy.stock.settings import VARIABLES


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parameters of three symbols, the first of which lie under the floor."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable.name, raising=False)
    monkeypatch.setenv("HYPERPARAM_ROOT", str(tmp_path / "hyperparams"))
    folder = tmp_path / "hyperparams"
    for symbol, samples, batch in (("AAPL", 32, 16), ("MSFT", 1024, 64)):
        write(folder / "toto", symbol, {"num_samples": samples, "samples_per_batch": batch})
    write(folder / "best", "TSLA", {}, model="kronos")
    return folder


def write(folder: Path, symbol: str, config: dict[str, Any], model: str = "toto") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"symbol": symbol, "model": model, "config": {**config, "aggregate": "median"}}
    (folder / f"{symbol}.json").write_text(json.dumps(content))


@pytest.fixture
def run(root: Path, capsys: pytest.CaptureFixture[str]):
    def command(text: str) -> tuple[int, str, str]:
        code = main(["params", *text.split()])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return command


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_show(run, root: Path) -> None:
    code, out, err = run("show")
    assert (code, err) == (0, "")
    table = {line.split()[0]: line.split() for line in out.splitlines()[2:5]}
    assert table["AAPL"][:6] == ["AAPL", "toto", "32", "16", "128/32", "median"]
    assert table["MSFT"][1:5] == ["toto", "1024", "64", "1024/64"]
    assert table["TSLA"][1:6] == ["kronos", "3072", "384", "3072/384", "trimmed_mean_10"]
    assert "AAPL: num_samples=32 has no effect: 128 is used, the least" in out
    assert "AAPL: samples_per_batch=16 has no effect: 32 is used" in out
    assert "MSFT:" not in out


def test_show_as_json_and_by_symbol(run, root: Path) -> None:
    code, out, _ = run("show --symbols AAPL,NONE --json")
    found = json.loads(out)
    assert code == 0 and found["root"] == str(root)
    assert found["bounds"]["min_num_samples"] == 128
    aapl, none = found["symbols"]
    assert aapl["used"] == {"num_samples": 128, "samples_per_batch": 32}
    assert len(aapl["reasons"]) == 2 and aapl["file"] == str(root / "toto" / "AAPL.json")
    assert (none["file"], none["num_samples"], none["reasons"]) == (None, 3072, [])


def test_show_nothing(run, tmp_path: Path) -> None:
    code, out, _ = run(f"show --root {tmp_path / 'empty'}")
    assert code == 0 and "there are no parameter files in" in out


def test_set(run, root: Path) -> None:
    before = tree(root)
    code, out, err = run("set --samples 256 --batch 64")
    assert (code, err) == (0, "")
    assert "AAPL.json: 32/16 -> 256/64 (backup: AAPL.json.bak-" in out
    assert out.splitlines()[-1] == "2 files changed, 0 unchanged"
    after = tree(root)
    assert json.loads(after["toto/AAPL.json"])["config"] == {
        "num_samples": 256,
        "samples_per_batch": 64,
        "aggregate": "median",
    }
    backups = {name: after[name] for name in after.keys() - before.keys()}
    assert sorted(backups.values()) == sorted([before["toto/AAPL.json"], before["toto/MSFT.json"]])
    code, out, _ = run("set --samples 256 --batch 64")
    assert out == "0 files changed, 2 unchanged\n"
    assert tree(root) == after


def test_set_says_when_a_floor_makes_it_ineffective(run, monkeypatch) -> None:
    code, _, err = run("set --samples 32 --batch 16")
    assert code == 0
    assert err.splitlines() == [
        "warning: num_samples=32 has no effect: 128 is used, the least "
        "(MARKETSIM_TOTO_MIN_NUM_SAMPLES)",
        "warning: samples_per_batch=16 has no effect: 32 is used, the least "
        "(MARKETSIM_TOTO_MIN_SAMPLES_PER_BATCH)",
    ]
    monkeypatch.setenv("MARKETSIM_TOTO_MIN_NUM_SAMPLES", "32")
    monkeypatch.setenv("MARKETSIM_TOTO_MIN_SAMPLES_PER_BATCH", "16")
    assert run("set --samples 32 --batch 16")[2] == ""


def test_set_of_some_as_json_and_dry(run, root: Path) -> None:
    before = tree(root)
    code, out, _ = run("set --samples 9999 --symbols AAPL --dry-run --json")
    assert code == 0 and tree(root) == before
    assert json.loads(out) == {
        "dry_run": True,
        "files": [
            {
                "symbol": "AAPL",
                "file": str(root / "toto" / "AAPL.json"),
                "before": {"num_samples": 32, "samples_per_batch": 16},
                "after": {"num_samples": 9999, "samples_per_batch": 16},
                "backup": None,
                "reasons": [
                    "num_samples=9999 has no effect: 4096 is used, the most "
                    "(MARKETSIM_TOTO_MAX_NUM_SAMPLES)",
                    "samples_per_batch=16 has no effect: 32 is used, the least "
                    "(MARKETSIM_TOTO_MIN_SAMPLES_PER_BATCH)",
                ],
            }
        ],
    }
    code, out, _ = run("set --samples 9999 --symbols AAPL --dry-run")
    assert "1 file would be changed" in out and tree(root) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("set", "give --samples, --batch or both"),
        ("set --samples 0", "num_samples must be a whole number"),
        ("set --samples 64 --symbols NONE", "unknown symbol 'NONE'"),
        ("set --samples 64 --symbols ../AAPL", "invalid symbol"),
        ("show --symbols ../AAPL", "invalid symbol"),
        ("set --samples 64 --root /nowhere", "unknown symbol"),
    ],
)
def test_wrong_arguments(run, root: Path, text: str, message: str) -> None:
    before = tree(root)
    code, _, err = run(text)
    assert code == 2 and message in err
    assert tree(root) == before


def test_a_broken_file_is_named_and_nothing_written(run, root: Path) -> None:
    write(root / "toto", "ZZZ", {})
    path = root / "toto" / "ZZZ.json"
    for content in ("{", '{"config": {"aggregate": "best"}}'):
        path.write_text(content)
        before = tree(root)
        for text in ("show", "set --samples 256"):
            code, _, err = run(text)
            assert code == 2 and str(path) in err
        assert tree(root) == before


def test_help_has_examples(run, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("", "show", "set"):
        with pytest.raises(SystemExit) as left:
            main(["params", *text.split(), "--help"])
        assert left.value.code == 0
        assert "marketsim params set --samples 256" in capsys.readouterr().out
