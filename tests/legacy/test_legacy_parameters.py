from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from marketsim.errors import (
    ArgumentError,
    FileFormatError,
    InvalidNameError,
    UnknownNameError,
    UnknownSymbolError,
)
from marketsim.legacy.stock.parameter_files import list_symbols, read_parameters, set_sampling
from marketsim.legacy.stock.parameters import (
    DEFAULT_KRONOS_PARAMS,
    clamp_toto_params,
    explain_clamp,
    resolve_best_model,
    resolve_close_policy,
    resolve_kronos_params,
    resolve_toto_params,
)
from marketsim.legacy.stock.settings import LegacySettings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hyperparams"


def write(root: Path, kind: str, symbol: str, content: Any) -> Path:
    path = root / kind / f"{symbol}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
    return path


def record(symbol: str, **config: Any) -> dict[str, Any]:
    scores = {"price_mae": 1.892546216121488, "pct_return_mae": 0.0152, "latency_s": float("inf")}
    return {
        "symbol": symbol,
        "model": "toto",
        "config": {"name": "tried", **config},
        "validation": scores,
        "test": scores,
        "windows": {"val_window": 20},
        "metadata": {"source": "ünicode"},
    }


def test_toto_defaults_files_and_bounds(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_toto_params("AAPL") == {
        "num_samples": 3072,
        "samples_per_batch": 384,
        "aggregate": "trimmed_mean_10",
    }
    write(root, "toto", "AAPL", record("AAPL", num_samples=32, samples_per_batch=16))
    assert resolve_toto_params("AAPL")["num_samples"] == 128
    assert resolve_toto_params("AAPL")["samples_per_batch"] == 32
    monkeypatch.setenv("MARKETSIM_TOTO_MIN_NUM_SAMPLES", "8")
    monkeypatch.setenv("MARKETSIM_TOTO_MIN_SAMPLES_PER_BATCH", "8")
    assert resolve_toto_params("AAPL")["num_samples"] == 32
    assert resolve_toto_params("AAPL")["samples_per_batch"] == 16
    # A file that changes is read anew.
    write(root, "toto", "AAPL", record("AAPL", num_samples=64.0, aggregate="median"))
    assert resolve_toto_params("AAPL") == {
        "num_samples": 64,
        "samples_per_batch": 64,
        "aggregate": "median",
    }
    monkeypatch.setenv("FAST_TESTING", "1")
    assert resolve_toto_params("AAPL") == {
        "num_samples": 2048,
        "samples_per_batch": 256,
        "aggregate": "quantile_0.35",
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((32, 16), (128, 32)),
        ((128, 512), (128, 128)),
        ((10_000, 10_000), (4096, 512)),
        ((256, 64), (256, 64)),
    ],
)
def test_clamping(given: tuple[int, int], kept: tuple[int, int]) -> None:
    params = {"num_samples": given[0], "samples_per_batch": given[1], "aggregate": "mean"}
    assert clamp_toto_params("X", params) is params
    assert (params["num_samples"], params["samples_per_batch"]) == kept
    reasons = explain_clamp(*given, LegacySettings())
    assert len(reasons) == (given[0] != kept[0]) + (given[1] != kept[1])


def test_reasons_name_what_to_change() -> None:
    settings = LegacySettings(toto_min_samples_per_batch=256, fast_testing=True)
    assert explain_clamp(200, 300, settings) == [
        "num_samples=200 has no effect: 256 is used, a batch at the least "
        "(MARKETSIM_TOTO_MIN_SAMPLES_PER_BATCH)",
        "samples_per_batch=300 has no effect: 256 is used, all samples",
        "no parameter file has an effect: FAST_TESTING is set",
    ]


def test_kronos(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_kronos_params("AAPL") == DEFAULT_KRONOS_PARAMS
    write(root, "kronos", "AAPL", {"config": {"top_k": 0, "clip": 2, "sample_count": 8}})
    found = resolve_kronos_params("AAPL")
    assert (found["top_k"], found["clip"], found["sample_count"]) == (0, 2.0, 8)
    monkeypatch.setenv("MARKETSIM_KRONOS_SAMPLE_COUNT", "3")
    assert resolve_kronos_params("AAPL")["sample_count"] == 3


def test_best_model_and_close_policy(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_best_model("AAPL") == "toto"
    write(root, "best", "AAPL", {"symbol": "AAPL", "model": "Kronos"})
    assert resolve_best_model("AAPL") == "kronos"
    monkeypatch.setenv("TESTING", "True")
    assert resolve_best_model("AAPL") == "toto"
    monkeypatch.setenv("TESTING", "False")
    monkeypatch.setenv("MARKETSIM_FORCE_KRONOS", "1")
    assert resolve_best_model("MSFT") == "kronos"
    assert resolve_close_policy("AAPL") == "KEEP_OPEN"
    assert resolve_close_policy("BTCUSD") == "INSTANT_CLOSE"
    write(root, "close_policy", "BTCUSD", {"symbol": "BTCUSD", "close_policy": "KEEP_OPEN"})
    assert resolve_close_policy("BTCUSD") == "KEEP_OPEN"


@pytest.mark.parametrize("symbol", ["../AAPL", "a/b", "", "..", "A\0", "A" * 65])
def test_symbols_never_become_paths(symbol: str, root: Path) -> None:
    for resolve in (
        resolve_toto_params,
        resolve_kronos_params,
        resolve_best_model,
        resolve_close_policy,
    ):
        with pytest.raises(InvalidNameError):
            resolve(symbol)
    with pytest.raises(UnknownNameError, match="kind of parameters"):
        read_parameters("../toto", "AAPL", root=root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no JSON file"),
        ("[]", "must hold a JSON object: got list"),
        ("[" * 100_000, "no JSON file"),
        ('{"config": {}, "config": {}}', "'config' stands twice"),
        ({"symbol": "MSFT", "config": {}}, "is of symbol 'MSFT'"),
        ({"config": []}, '"config" must be an object'),
        ({"config": {"num_samples": "many"}}, "config.num_samples must be a whole number"),
        ({"config": {"num_samples": True}}, "config.num_samples must be a whole number"),
        ({"config": {"num_samples": 0}}, "config.num_samples must be a whole number"),
        ({"config": {"samples_per_batch": 1.5}}, "config.samples_per_batch must be a whole"),
        ({"config": {"aggregate": "best"}}, "config.aggregate: unknown aggregate 'best'"),
        ({"config": {"aggregate": 3}}, "config.aggregate: unknown aggregate 3"),
        (" " * (1 << 20) + "{}", "more than 1,048,576 bytes"),
        ("\udcff", "no JSON file"),
    ],
)
def test_files_that_cannot_be_understood(root: Path, content: Any, message: str) -> None:
    path = write(root, "toto", "AAPL", "")
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(FileFormatError, match=message) as found:
        resolve_toto_params("AAPL")
    assert str(path) in str(found.value)


def test_other_files_that_cannot_be_understood(root: Path) -> None:
    write(root, "kronos", "A", {"config": {"temperature": "hot"}})
    with pytest.raises(FileFormatError, match=r"config\.temperature must be a number above 0"):
        resolve_kronos_params("A")
    write(root, "best", "A", {"model": 1})
    with pytest.raises(FileFormatError, match='"model" must be text'):
        resolve_best_model("A")
    write(root, "close_policy", "A", {"close_policy": "SELL"})
    with pytest.raises(FileFormatError, match="close_policy must be INSTANT_CLOSE or KEEP_OPEN"):
        resolve_close_policy("A")


def test_toto_stands_in_for_another_model(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(root, "best", "OTHER", {"model": "Chronos2"})
    assert resolve_best_model("OTHER") == "chronos2"
    assert "TOTO_MODEL_ID" in caplog.text


def test_set_sampling_changes_two_numbers_and_nothing_else(root: Path) -> None:
    path = write(root, "toto", "AAPL", record("AAPL", num_samples=1024, samples_per_batch=64))
    same = write(root, "toto", "MSFT", record("MSFT", num_samples=256, samples_per_batch=32))
    path.chmod(0o640)
    old, was = path.read_bytes(), same.stat()
    edits = set_sampling(256, 32, root=root)
    assert [(edit.symbol, edit.changes) for edit in edits] == [("AAPL", True), ("MSFT", False)]
    assert edits[0].backup is not None and edits[0].backup.read_bytes() == old
    assert edits[1].backup is None
    assert (same.stat().st_ino, same.stat().st_mtime_ns) == (was.st_ino, was.st_mtime_ns)
    expected = record("AAPL", num_samples=256, samples_per_batch=32)
    assert list(json.loads(path.read_text())) == list(expected)
    assert json.loads(path.read_text()) == expected
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert resolve_toto_params("AAPL")["num_samples"] == 256
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(
        ["AAPL.json", "MSFT.json", edits[0].backup.name]
    )
    assert list_symbols("toto", root=root) == ["AAPL", "MSFT"]  # backups are no symbols


def test_backups_never_replace_one_another(root: Path) -> None:
    path = write(root, "toto", "AAPL", record("AAPL", num_samples=1))
    contents = []
    for number in range(2, 6):
        contents.append(path.read_bytes())
        set_sampling(number, None, root=root)
    backups = [p.read_bytes() for p in path.parent.glob("AAPL.json.bak-*")]
    assert sorted(backups) == sorted(contents)


def test_dry_run_and_one_number_only(root: Path) -> None:
    path = write(root, "toto", "AAPL", record("AAPL", num_samples=1024))
    before = path.read_bytes()
    (edit,) = set_sampling(None, 64, root=root, dry_run=True)
    assert edit.changes and edit.backup is None and path.read_bytes() == before
    set_sampling(None, 64, root=root, symbols=["AAPL"])
    config = json.loads(path.read_text())["config"]
    assert config == {"name": "tried", "num_samples": 1024, "samples_per_batch": 64}


def test_all_files_are_checked_before_the_first_is_written(root: Path) -> None:
    path = write(root, "toto", "AAPL", record("AAPL", num_samples=1024))
    write(root, "toto", "ZZZ", "{")
    before = path.read_bytes()
    with pytest.raises(FileFormatError, match="ZZZ"):
        set_sampling(256, 64, root=root)
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 2
    for symbols, error in ((["NONE"], UnknownSymbolError), (["../AAPL"], InvalidNameError)):
        with pytest.raises(error):
            set_sampling(256, 64, root=root, symbols=symbols)
    for number in (0, -1, True, 1.5, 10**7):
        with pytest.raises(ArgumentError, match="num_samples must be a whole number"):
            set_sampling(number, 64, root=root)
    with pytest.raises(UnknownSymbolError):
        set_sampling(256, 64, root=root / "nowhere")


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_an_interruption_leaves_the_old_file(
    root: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(root, "toto", "AAPL", record("AAPL", num_samples=1024))
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"marketsim.atomic.os.{failing}", fail)
    with pytest.raises(OSError, match="No space left"):
        set_sampling(256, 64, root=root)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert not [p for p in path.parent.iterdir() if p.suffix == ".tmp"]


def test_a_link_is_followed(root: Path, tmp_path: Path) -> None:
    real = write(tmp_path, "real", "AAPL", record("AAPL", num_samples=1024))
    link = root / "toto" / "AAPL.json"
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    set_sampling(256, 64, root=root)
    assert link.is_symlink() and json.loads(real.read_text())["config"]["num_samples"] == 256
