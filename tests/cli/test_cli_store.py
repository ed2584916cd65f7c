from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from store_cases import SCHEMA, keys_for, records_for
from store_files import settle

from marketsim.cli import main
from marketsim.cli.store import COMMANDS
from marketsim.cli.store_text import name_text, parse_size, size_text
from marketsim.forecasts import Flag, PredictionStore, Schema, SeriesId
from marketsim.forecasts.store.inspect import DATA_START, stride_of

ALPHA, BETA = "00ff11", "00ffab"
STRIDE = stride_of(SCHEMA.width)
READING = ("stat", "ls", "show AAA", "verify", "gc --dry-run --max-bytes 0", "export {}/t.arrow")


def series_of(model: str, symbol: str) -> SeriesId:
    return SeriesId(model, symbol, SCHEMA.text)


@pytest.fixture
def store(tmp_path: Path) -> PredictionStore:
    """Two models, three files of 20 records each."""
    store = PredictionStore(tmp_path / "store")
    for model, name in ((ALPHA, "alpha"), (BETA, "beta")):
        store.describe(model, {"name": name})
    for model, symbol in ((ALPHA, "AAA"), (ALPHA, "BBB"), (BETA, "AAA")):
        store.append(series_of(model, symbol), keys_for(range(20)), records_for(range(20)))
    return store


@pytest.fixture
def run(store: PredictionStore, capsys: pytest.CaptureFixture[str]):
    """Runs `marketsim store` on that store; returns (code, stdout, stderr)."""

    def command(text: str, *more: str) -> tuple[int, str, str]:
        code = main(["store", *text.split(), *more, "--store", str(store.path)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "\x1b" not in out + err
        return code, out, err

    return command


def flip(path: Path, *offsets: int) -> None:
    data = bytearray(path.read_bytes())
    for offset in offsets:
        data[offset] ^= 0x10
    path.write_bytes(data)
    settle(path)


def tree(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(folder)): (
            path.read_bytes() if path.is_file() else b"",
            path.lstat().st_ino,
            path.lstat().st_mtime_ns,
        )
        for path in folder.rglob("*")
    }


def words(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


def test_stat(run, store: PredictionStore) -> None:
    code, out, err = run("stat")
    assert (code, err) == (0, "")
    facts = {row[0]: row[1:] for row in words(out)[:6] if row}
    assert facts["store"] == [str(store.path)]
    assert (facts["models"], facts["series"], facts["records"]) == (["2"], ["2"], ["60"])
    assert words(out)[-2][:6] == ["alpha", ALPHA, "2", "40", "18.9", "kB"]
    assert words(out)[-1][:4] == ["beta", BETA, "1", "20"]
    assert "corrupt" not in out
    code, out, _ = run("stat --json --models beta")
    found = json.loads(out)
    assert (found["records"], found["files"], found["corrupt"]) == (20, 1, 0)
    assert [model["fingerprint"] for model in found["by_model"]] == [BETA]
    flip(store.path_of(series_of(ALPHA, "AAA")), DATA_START)
    assert re.search(r"^corrupt +1$", run("stat")[1], re.MULTILINE)


def test_ls(run, store: PredictionStore) -> None:
    code, out, _ = run("ls")
    assert code == 0
    rows = words(out)
    assert rows[0][:2] == ["series", "model"]
    assert [row[:3] for row in rows[2:]] == [
        ["AAA", "alpha", ALPHA],
        ["AAA", "beta", BETA],
        ["BBB", "alpha", ALPHA],
    ]
    assert rows[2][3:10] == ["3", "quantiles", "20", "9.5", "kB", "1970-01-01", "1970-01-20"]
    path = store.path_of(series_of(ALPHA, "BBB"))
    flip(path, 5000, DATA_START)
    aside = path.with_name(f"{path.name}.bad-1-2-3")
    aside.write_bytes(b"1234")
    _, out, _ = run("ls")
    assert f"broken: {path.relative_to(store.path)}: second header broken, 1 corrupt\n" in out
    assert out.endswith(f"quarantined: {aside.relative_to(store.path)}, 4 B\n")
    code, out, _ = run("ls --json --series BBB --models alpha")
    (file,) = json.loads(out)["files"]
    assert file["defects"] == ["second header broken", "1 corrupt"]
    assert (file["records"], file["corrupt"]) == (19, 1)
    assert (file["first_as_of"], file["last_as_of"]) == (
        "1970-01-02T00:00:00Z",
        "1970-01-20T00:00:00Z",
    )
    assert file["schema"] == SCHEMA.text


def test_show(run, store: PredictionStore) -> None:
    code, out, _ = run("show AAA --last 2")
    assert code == 0
    first, second = out.split("\n\n", 2)[0], out
    assert first == f"AAA  alpha {ALPHA}  2 of 20 forecasts"
    assert f"AAA  beta {BETA}" in second
    values = [f"{value:.6f}" for value in records_for([19])[0]]
    assert words(out)[-1] == [
        "1970-01-20", "close", "1", f"+{values[0]}", values[1], *(f"+{v}" for v in values[2:])
    ]  # fmt: skip
    code, out, _ = run("show AAA --json --last 0 --model alpha --target close")
    (found,) = json.loads(out)
    assert (found["model"], found["records"], len(found["forecasts"])) == (ALPHA, 20, 20)
    for i, forecast in enumerate(found["forecasts"]):
        expected = records_for([i])[0].tolist()
        assert [forecast[name] for name in ("mean", "std", "q0.1", "q0.5", "q0.9")] == expected
        assert forecast["key"] == keys_for([i]).digests()[0].hex()
    assert json.loads(run("show AAA --json --target open --model beta")[1])[0]["forecasts"] == []
    assert "none" in run("show AAA --target open")[1]


def test_show_of_samples_flags_and_numbers_that_say_nothing(run, store: PredictionStore) -> None:
    drawn = SeriesId(ALPHA, "S", Schema.of_samples(5).text)
    values = records_for(range(3), width=5)
    store.append(drawn, keys_for(range(3), flags=Flag.IMPORTED | 4), values)
    _, out, _ = run("show S")
    assert out.count("imported 0x04") == 3
    assert f"+{values[0].mean():.6f}  {values[0].std():.6f}" in out
    strange = records_for(range(2))
    strange[0] = [float("nan"), float("inf"), 3, 2, 1]  # quantiles that decrease
    store.append(series_of(ALPHA, "N"), keys_for(range(2)), strange)
    code, out, _ = run("show N --json")
    assert code == 0
    assert json.loads(out)[0]["forecasts"][0]["mean"] is None
    assert "–" in run("show N")[1]


def test_show_of_mixtures(run, store: PredictionStore) -> None:
    schema = Schema.student_t_mixture(2)
    mixtures = np.array([[3, 3, -0.01, 0.01, 0.5, 0.5, 0.5, 0.5], [0] * 8], dtype=np.float32)
    store.append(SeriesId(BETA, "M", schema.text), keys_for(range(2)), mixtures)
    code, out, _ = run("show M --json --last 1")
    empty = json.loads(out)[0]["forecasts"][0]
    assert (code, empty["mean"], empty["std"], empty["q0.5"]) == (0, None, None, None)
    assert "mixture of 2" in run("ls")[1]
    store.append(SeriesId(BETA, "O", schema.text), keys_for(range(1)), mixtures[:1])
    shown = json.loads(run("show O --json")[1])[0]["forecasts"][0]
    assert shown["mean"] == pytest.approx(0.0, abs=1e-9)
    assert shown["std"] == pytest.approx(np.sqrt(0.75 + 1e-4), rel=1e-6)
    assert shown["q0.1"] == pytest.approx(-shown["q0.9"], rel=1e-7)


def test_show_of_a_file(run, store: PredictionStore, tmp_path: Path, capsys) -> None:
    path = store.path_of(series_of(ALPHA, "BBB"))
    assert run("show", str(path))[1].startswith(f"BBB  {ALPHA}  5 of 20 forecasts")
    away = tmp_path / f"{path.name}.bad-1-2-3"
    path.rename(away)
    # No store is needed for that.
    assert main(["store", "show", str(away), "--store", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out.startswith("BBB")
    flip(away, 1, 5000)
    code, _, err = run("show", str(away))
    assert (code, err) == (2, f"error: {away} cannot be shown: both headers broken\n")


def test_verify_and_repair(run, store: PredictionStore) -> None:
    assert run("verify") == (0, "all right: 60 records in 3 files\n", "")
    assert run("repair") == (0, "nothing needs to be repaired\n", "")
    broken = store.path_of(series_of(ALPHA, "AAA"))
    lost = store.path_of(series_of(ALPHA, "BBB"))
    flip(broken, 9, DATA_START + STRIDE)
    flip(lost, 9, 4105)
    code, out, _ = run("verify")
    assert code == 2
    lines = out.splitlines()
    assert lines[lines.index(f"  {broken.relative_to(store.path)}") - 1] == (
        f"AAA of alpha {ALPHA}: first header broken, 1 corrupt"
    )
    assert lines[lines.index(f"  {lost.relative_to(store.path)}") - 1] == (
        f"a file of alpha {ALPHA}: both headers broken"
    )
    assert "3 defects; 39 records in 3 files can be used" in out
    code, out, _ = run("verify --json")
    assert code == 2
    assert len(json.loads(out)["defects"]) == 3
    code, out, _ = run("repair")
    assert code == 0
    assert "compacted: 19 records kept, 1 corrupt dropped" in out
    assert "set aside: both headers broken: renamed to " in out
    assert "2 files, 64 B saved" in out
    code, out, _ = run("verify")
    assert code == 0
    assert out.splitlines() == [
        "all right: 39 records in 2 files",
        "quarantined: 1 file; gc removes them after 30 days",
    ]
    lost.symlink_to(broken)
    assert run("repair --json")[0] == 2
    code, out, _ = run("verify")
    assert code == 2
    assert out.startswith("a link or not a file, which the store does not read:\n  v1/")


def test_compact(run, store: PredictionStore) -> None:
    assert run("compact") == (0, "no file would get smaller\n", "")
    path = store.path_of(series_of(ALPHA, "AAA"))
    path.write_bytes(path.read_bytes() + path.read_bytes()[DATA_START : DATA_START + STRIDE])
    code, out, _ = run("compact --series AAA --models alpha --json")
    assert code == 0
    found = json.loads(out)
    assert (found["saved"], [file["action"] for file in found["files"]]) == (STRIDE, ["compacted"])


def test_gc(run, store: PredictionStore) -> None:
    old = store.path_of(series_of(ALPHA, "BBB"))
    then = time.time() - 86400 * 100
    os.utime(old, (then, then))
    assert run("gc")[1] == "0 files removed, 0 B; 28.4 kB stay\n"
    code, out, _ = run("gc --older-than 90d --dry-run")
    assert code == 0
    assert words(out)[2][:3] == ["BBB", "alpha", ALPHA]
    assert "older than the limit" in out
    assert out.endswith("1 file would be removed, 9.5 kB; 18.9 kB stay\n")
    assert old.exists()
    for options in ("--older-than 101d", "--older-than 1990-01-31", "--max-bytes 29kB"):
        assert json.loads(run(f"gc {options} --json")[1])["removed"] == []
    assert "1 file removed" in run("gc --max-bytes 20kB")[1]
    assert not old.exists()
    code, out, _ = run("gc --keep-models alpha --max-bytes 1kB")
    assert "1 file removed" in out
    assert out.endswith("1.0 kB not reached: the other files may not be removed\n")
    assert sorted(p.name for p in (store.path / "v1").iterdir()) == [ALPHA]
    found = json.loads(run("gc --max-bytes 0 --json")[1])
    assert (found["left"], len(found["removed"]), found["dry_run"]) == (0, 1, False)
    assert list((store.path / "v1").iterdir()) == []
    assert run("ls")[1] == f"the store at {store.path} is empty\n"


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
def test_export(run, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / f"table.{suffix}"
    code, out, err = run("export", str(path))
    assert (code, out, err) == (0, f"60 rows of 13 columns: {path}\n", "")
    found = json.loads(run("export", str(path), "--series", "AAA", "--models", "beta", "--json")[1])
    assert (found["rows"], found["left_out"]) == (20, [])
    if suffix == "parquet":
        import pyarrow.parquet as pq

        assert pq.ParquetFile(path).read()["model_name"].to_pylist() == ["beta"] * 20


def test_export_says_what_it_leaves_out(run, store: PredictionStore, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    flip(store.path_of(series_of(BETA, "AAA")), 9, 4105)
    code, out, err = run("export", str(tmp_path / "t.arrow"))
    assert code == 2
    assert out.startswith("40 rows")
    assert err.startswith("error: left out: v1/")
    assert err.endswith("both headers broken\n")


@pytest.mark.parametrize("command", READING)
def test_reading_changes_nothing_even_of_a_broken_store(
    run, store: PredictionStore, tmp_path: Path, monkeypatch, command: str
) -> None:
    """As on a disk that is mounted for reading: nothing is opened but for reading."""
    flip(store.path_of(series_of(ALPHA, "AAA")), DATA_START)
    flip(store.path_of(series_of(ALPHA, "BBB")), 9, 4105)
    modes = []
    real = PredictionStore.__init__

    def noting(self, path, *, mode="a", **options) -> None:
        modes.append(mode)
        real(self, path, mode=mode, **options)

    monkeypatch.setattr(PredictionStore, "__init__", noting)
    before = tree(store.path)
    code, _, err = run(command.format(tmp_path))
    assert "internal" not in err
    assert code in (0, 2)
    assert tree(store.path) == before
    assert set(modes) == {"r"}


@pytest.mark.parametrize("command", [*READING, "repair", "compact", "gc"])
def test_no_store_yet(command: str, tmp_path: Path, capsys, monkeypatch) -> None:
    path = tmp_path / "none"
    args = ["store", *command.format(tmp_path).split()]
    for more in (["--store", str(path)], []):
        monkeypatch.setenv("MARKETSIM_STORE", str(path))
        assert main([*args, *more]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"error: there is no store at {path}: `marketsim backtest` and ")
    monkeypatch.setenv("MARKETSIM_STORE", "off")
    assert main(args) == 2
    assert "MARKETSIM_STORE is off, so there is no store: give --store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [c for c in READING if not c.startswith("show")])
def test_an_empty_store(command: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "s").mkdir()
    args = ["store", *command.format(tmp_path).split(), "--store", str(tmp_path / "s")]
    assert main(args) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("show ZZZ", "no forecasts of 'ZZZ' are stored; stored symbols: AAA, BBB"),
        ("show AAA --model 00ff", "'00ff' is a prefix of 2 fingerprints"),
        ("show AAA --model gamma", "expected one of 'alpha' 00ff11, 'beta' 00ffab"),
        ("show BBB --model beta", "no forecasts of 'BBB' are stored; stored symbols: AAA"),
        ("show AAA --last -1", "--last must be at least 0: got -1"),
        ("ls --series AAA,ZZZ", "no forecasts of 'ZZZ'"),
        ("compact --series ZZZ", "no forecasts of 'ZZZ'"),
        ("export t.csv", "path must end in .arrow or .parquet: got 't.csv'"),
        ("export no/such/t.arrow", "export no/such/t.arrow: there is no folder"),
        ("gc --keep-models gamma", "unknown model of the store 'gamma'"),
        ("gc --older-than 2990-01-01", "must not be in the future"),
        ("verify --models 0", "unknown model of the store '0'"),
    ],
)
def test_bad_input_gives_one_line_and_code_2(run, command: str, message: str) -> None:
    code, out, err = run(command)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("gc --max-bytes 5XB", "expected a size such as 500MB, 2GiB or 1000000: got '5XB'"),
        ("gc --max-bytes -5MB", "--max-bytes"),
        ("gc --max-bytes 1e9", "got '1e9'"),
        ("gc --older-than 90", "expected an age such as 12h, 90d or 2w, or a date"),
        ("gc --older-than 90m", "got '90m'"),
        ("gc --older-than soon", "got 'soon'"),
        ("show AAA --target volume", "invalid choice"),
        ("show AAA --last x", "invalid int"),
        ("show", "SYMBOL|FILE"),
        ("burn", "invalid choice"),
        ("", "COMMAND"),
        ("stat --models ,", "expected at least one name"),
    ],
)
def test_wrong_arguments_are_explained(command: str, message: str, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["store", *command.split()])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_sizes() -> None:
    for text, expected in (
        ("0", 0), ("17", 17), ("17B", 17), ("500MB", 500_000_000), ("2GiB", 2 * 1024**3),
        ("1.5 kB", 1500), ("1.5kib", 1536), ("3TB", 3 * 10**12), (" 1 tib ", 1024**4),
    ):  # fmt: skip
        assert parse_size(text) == expected
    for count, text in (
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
        (3_910_000, "3.9 MB"), (2 * 10**9, "2.0 GB"), (5 * 10**15, "5000.0 TB"),
    ):  # fmt: skip
        assert size_text(count) == text


def test_names_out_of_files_are_made_harmless(run, store: PredictionStore) -> None:
    """The fixture asserts that no escape reaches the terminal."""
    evil = "\x1b]0;owned\x07\x1b[31mAAA\r\n\u202egnp.exe"
    store.append(series_of(ALPHA, evil), keys_for(range(3)), records_for(range(3)))
    (store.folder_of(BETA) / "model.json").write_text(json.dumps({"name": evil * 100}))
    assert name_text("A\x1b[2J\x9b\u202e\ud800") == "A\\x1b[2J\\x9b\\u202e\\ud800"
    for command in ("stat", "ls", "verify", "gc --max-bytes 0 --dry-run"):
        code, out, _ = run(command)
        assert code == 0
        assert all(line.isprintable() for line in out.splitlines())
        assert max(map(len, out.splitlines())) < 200
    code, out, _ = run("show", evil)
    assert code == 0
    assert out.startswith("\\x1b]0;owned\\x07\\x1b[31mAAA\\r\\n\\u202e")
    for command in (["show", evil + "x"], ["stat", "--models", evil]):
        code, out, err = run(command[0], *command[1:])
        assert code == 2
        assert err[:-1].isprintable()
    assert evil in {file["series"] for file in json.loads(run("ls --json")[1])["files"]}


def test_a_failed_write_is_an_error(run, store: PredictionStore, monkeypatch) -> None:
    def unlink(path: Path, **_: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", unlink)
    code, _, err = run("gc --max-bytes 0")
    assert code == 2
    assert "could not be removed: Read-only file system" in err


def test_a_network_file_system_is_read_and_not_written(
    run, store: PredictionStore, monkeypatch
) -> None:
    name = "marketsim.forecasts.store.disk.network_file_system"
    monkeypatch.setattr(name, lambda path: "nfs")
    assert run("verify")[0] == 0
    for command in ("repair", "compact", "gc"):
        code, _, err = run(command)
        assert code == 2
        assert "network file system (nfs)" in err


def test_debug_stands_before_or_behind(tmp_path: Path) -> None:
    for args in (["--debug", "stat"], ["stat", "--debug"]):
        found = subprocess.run(
            [sys.executable, "-m", "marketsim", "store", *args, "--store", str(tmp_path / "none")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode > 0
        assert "Traceback" in found.stderr
        assert "StoreNotFoundError: " in found.stderr


def test_help_shows_examples(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["store", "--help"])
    out = capsys.readouterr().out
    assert all(command.name in out for command in COMMANDS)
    assert "examples:" in out
    for command in COMMANDS:
        with pytest.raises(SystemExit) as caught:
            main(["store", command.name, "--help"])
        assert caught.value.code == 0
        out = capsys.readouterr().out
        assert f"marketsim store {command.name}" in out.partition("examples:")[2]
        assert "--store PATH" in out
        assert "--json" in out


def test_a_real_process(store: PredictionStore) -> None:
    command = [sys.executable, "-m", "marketsim", "store", "stat"]
    environment = {**os.environ, "MARKETSIM_STORE": str(store.path), "PYTHONIOENCODING": "ascii"}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert found.stderr == ""
    assert "records      60" in found.stdout


def test_stat_names_what_another_version_wrote(run, store: PredictionStore) -> None:
    (store.path / "v9").mkdir()
    (store.path / "v9x").mkdir()
    old = {"name": "alpha", "code": "1", "levels": [0.5], "weights": ""}
    (store.folder_of(ALPHA) / "model.json").write_text(json.dumps(old))
    code, out, _ = run("stat")
    assert code == 0
    assert re.search(rf"^alpha {ALPHA}: written by another version", out, re.MULTILINE)
    assert re.search(r"^v9: format of another version", out, re.MULTILINE)
    assert "v9x" not in out
    assert "beta 00ffab:" not in out
    facts = json.loads(run("stat --json")[1])
    assert facts["other_formats"] == ["v9"]
    assert [bool(model["note"]) for model in facts["by_model"]] == [True, False]
