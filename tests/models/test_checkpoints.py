"""Checkpoints that are missing, broken or of something else: each error names what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from checkpoints import TOTO1, toto1_weights, write_checkpoint, write_toto1

pytest.importorskip("torch")

import huggingface_hub
import torch
from huggingface_hub import errors as hub_errors
from toto1_cases import load, parameters, walk

import marketsim as ms
from marketsim.errors import (
    ArgumentError,
    CheckpointError,
    CheckpointNotFoundError,
    MissingDependencyError,
    UnknownNameError,
)

HUB_ID = "Owner/Small-Toto-1.0"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONTEXT = walk((1, 20))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_toto1(tmp_path / "toto", 3)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("no test asks a server")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


def drop(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str | bytes) -> Callable[[Path], object]:
    content = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / name).write_bytes(content)


def index_of(names: list[str]) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        index = {"weight_map": {f"weight{i}": name for i, name in enumerate(names)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return change


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (drop("config.json"), CheckpointNotFoundError, r"lacks config\.json"),
        (drop("model.safetensors"), CheckpointNotFoundError, r"neither model\.safetensors nor"),
        (write("config.json", "{"), CheckpointError, r"config\.json cannot be read as JSON"),
        (write("config.json", b"\xff\xfe{}"), CheckpointError, "cannot be read as JSON"),
        (write("config.json", "[1]"), CheckpointError, "must hold a JSON object: got list"),
        (write("config.json", '{"model_type": "gpt2"}'), CheckpointError, "belongs to no model"),
        (index_of(["a.safetensors"]), CheckpointNotFoundError, r"lacks a\.safetensors"),
        (index_of(["../a.safetensors"]), CheckpointError, r"names '\.\./a\.safetensors'"),
        (index_of(["/a.safetensors"]), CheckpointError, "expected a .safetensors file beside it"),
        (index_of(["weights.bin"]), CheckpointError, r"names 'weights\.bin'"),
        (index_of([]), CheckpointError, "no weight_map"),
    ],
)
def test_files_that_cannot_be_used_are_named_at_once(
    folder: Path, change: Callable[[Path], object], error: type[Exception], words: str
) -> None:
    change(folder)
    with pytest.raises(error, match=words):
        ms.load_model(folder)


@pytest.mark.parametrize("content", [b"", b"pickle", b"\x80\x04." * 100])
def test_weights_that_are_no_safetensors_are_refused(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors cannot be read as safetensors"):
        load(folder).predict(CONTEXT)


def test_weights_that_were_cut_off_are_refused(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load(folder).predict(CONTEXT)


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    weights = toto1_weights(TOTO1, 0)
    weights["model.transformer.layers.7.norm1.scale"] = weights.pop(
        "model.transformer.layers.1.norm1.scale"
    )
    weights["model.unembed.bias"] = np.zeros(5, np.float32)
    model = load(write_checkpoint(tmp_path / "wrong", TOTO1, weights, 1))
    with pytest.raises(CheckpointError) as caught:
        model.predict(CONTEXT)
    for part in (
        "weights of wrong do not fit",
        "missing: model.transformer.layers.1.norm1.scale",
        "unknown: model.transformer.layers.7.norm1.scale",
        "model.unembed.bias has shape [5], expected [96]",
    ):
        assert part in str(caught.value)


def test_one_name_in_two_files_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    folder = write_toto1(tmp_path, 0, shards=2)
    again = {"model.unembed.bias": np.zeros(96, np.float32)}
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    save_file(again, folder / "extra.safetensors")
    index["weight_map"]["extra"] = "extra.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"model\.unembed\.bias stands in two files"):
        load(folder).predict(CONTEXT)


@pytest.mark.parametrize("name", ["nonsense", "no/such/folder", "/no/folder", "./x", "", "a/b/"])
def test_names_that_cannot_be_a_model_say_what_can(name: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        ms.load_model(name)
    for known in ("ewma", "persistence", "folder", "hub id"):
        assert known in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dtype": "float64"}, UnknownNameError, "float32, float16, bfloat16"),
        ({"dtype": "float16"}, ArgumentError, "bfloat16"),
        ({"device": "tpu"}, UnknownNameError, "cpu, cuda"),
        ({"device": "cuda:first"}, UnknownNameError, "cuda:<index>"),
        ({"quantize": "int4"}, UnknownNameError, "int8"),
        ({"revision": "main"}, ArgumentError, "revision is for hub ids"),
        ({"lenght": 5}, UnknownNameError, "context_length"),
    ],
)
def test_options_that_cannot_be_had_are_refused(
    folder: Path, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ms.load_model(folder, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_refused(folder: Path, device: str) -> None:
    with pytest.raises(ArgumentError, match=f"device='{device}' cannot be had"):
        ms.load_model(folder, device=device)


@pytest.mark.parametrize(
    ("package", "options"),
    [("torch", {}), ("safetensors", {}), ("torchao", {"quantize": "int8"})],
)
def test_packages_that_lack_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, package: str, options: dict[str, Any]
) -> None:
    find = "marketsim.models.neural.device.find_spec"
    monkeypatch.setattr(find, lambda name: None if name == package else object())
    with pytest.raises(MissingDependencyError, match=f"need {package}.*pip install '\\."):
        ms.load_model(folder, **options)


def test_the_hubs_library_is_needed_for_hub_ids_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketsim.models.neural.checkpoint.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="huggingface_hub"):
        ms.load_model(HUB_ID)
    assert load(folder).name == "toto"


@pytest.fixture
def cache(tmp_path: Path, folder: Path) -> Path:
    """A hub's cache that holds one commit of a checkpoint."""
    repository = tmp_path / "cache" / f"models--{HUB_ID.replace('/', '--')}"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return tmp_path / "cache"


@pytest.mark.usefixtures("no_network")
def test_what_is_cached_is_used_offline(folder: Path, cache: Path) -> None:
    expected = load(folder)
    for revision in (None, "main", COMMIT):
        model = ms.load_model(HUB_ID, cache_dir=cache, offline=True, revision=revision)
        assert model.name == HUB_ID
        found = parameters(model.predict(CONTEXT))
        np.testing.assert_array_equal(found, parameters(expected.predict(CONTEXT)))


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("name", "revision"), [("Other/Toto", None), (HUB_ID, "v2"), (HUB_ID, "f" * 40)]
)
def test_what_is_not_cached_cannot_be_had_offline(
    cache: Path, name: str, revision: str | None
) -> None:
    with pytest.raises(CheckpointNotFoundError, match=f"{name} is not in the cache, and offline"):
        ms.load_model(name, cache_dir=cache, offline=True, revision=revision)


def test_a_download_asks_for_what_was_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def fake(name: str, **options: Any) -> str:
        asked.append((name, options))
        return str(shutil.copytree(folder, tmp_path / f"copy{len(asked)}"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)
    plain = load(HUB_ID)  # type: ignore[arg-type]
    other = ms.load_model(HUB_ID, revision="v1", cache_dir=str(tmp_path), offline=True)
    assert [name for name, _ in asked] == [HUB_ID, HUB_ID]
    patterns = asked[0][1].pop("allow_patterns")
    assert asked[1][1].pop("allow_patterns") == patterns
    assert "config.json" in patterns and not any("bin" in p or p == "*" for p in patterns)
    assert asked[0][1] == {"revision": None, "cache_dir": None, "local_files_only": False}
    assert asked[1][1] == {"revision": "v1", "cache_dir": tmp_path, "local_files_only": True}
    assert plain.name == other.name == HUB_ID
    assert plain.fingerprint == other.fingerprint == load(folder).fingerprint


def answered(kind: type[hub_errors.HfHubHTTPError], text: str) -> Exception:
    """What the hub's library raises after a server's answer."""
    return kind(text, response=SimpleNamespace(headers={}, status_code=404, request=None))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (answered(hub_errors.RevisionNotFoundError, "404: no v9\nmore"), "at revision v9 could"),
        (answered(hub_errors.RepositoryNotFoundError, "404: no such"), "404: no such"),
        (hub_errors.LocalEntryNotFoundError("nobody answers"), "the hub could not be reached"),
        (ConnectionError(), "could not be downloaded: ConnectionError"),
        (hub_errors.HFValidationError("a name with --"), "a name with --"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_download_that_fails_says_why(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(CheckpointNotFoundError, match=words) as caught:
        ms.load_model(HUB_ID, revision="v9")
    assert HUB_ID in str(caught.value) and "more" not in str(caught.value)


@pytest.mark.usefixtures("no_network")
def test_a_name_that_no_hub_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError, match="a--b"):
        ms.load_model("owner/a--b", cache_dir=tmp_path, offline=True)


def test_fingerprints_are_of_the_weights_and_not_of_their_folder(tmp_path: Path) -> None:
    weights = toto1_weights(TOTO1, 3)
    one = write_checkpoint(tmp_path / "one", TOTO1, weights, 1)
    prints = {load(one).fingerprint}
    prints.add(load(write_checkpoint(tmp_path / "shards", TOTO1, weights, 3)).fingerprint)
    shutil.copytree(one, tmp_path / "moved" / "elsewhere")
    prints.add(load(tmp_path / "moved" / "elsewhere").fingerprint)
    assert len(prints) == 1
    name = sorted(weights)[0]
    changed = weights | {name: weights[name] + 1e-6}
    prints.add(load(write_checkpoint(tmp_path / "changed", TOTO1, changed, 1)).fingerprint)
    renamed = {f"{key}x" if key == name else key: value for key, value in weights.items()}
    prints.add(load(write_checkpoint(tmp_path / "renamed", TOTO1, renamed, 1)).fingerprint)
    assert len(prints) == 3


@pytest.mark.parametrize("first", ["fingerprint", "forecast"])
@pytest.mark.parametrize("change", ["replaced", "written over"])
def test_the_fingerprint_is_of_the_weights_that_forecast(
    tmp_path: Path, first: str, change: str
) -> None:
    """Training goes on in the folder of a model that a notebook holds."""
    weights = toto1_weights(TOTO1, 3)
    folder = write_checkpoint(tmp_path / "toto", TOTO1, weights, 1)
    old = load(folder)
    expected, fingerprint = parameters(old.predict(CONTEXT)), old.fingerprint
    held = load(folder)
    held.fingerprint if first == "fingerprint" else held.predict(CONTEXT)
    other = {name: values * 1.05 for name, values in weights.items()}
    new = write_checkpoint(tmp_path / "new", TOTO1, other, 1)
    if change == "replaced":
        (new / "model.safetensors").replace(folder / "model.safetensors")
    else:
        shutil.copy(new / "model.safetensors", folder / "model.safetensors")
    if (first, change) == ("fingerprint", "written over"):
        with pytest.raises(CheckpointError, match="were changed after the model had been opened"):
            held.predict(CONTEXT)
    else:
        np.testing.assert_array_equal(parameters(held.predict(CONTEXT)), expected)
    assert held.fingerprint == fingerprint
    assert load(folder).fingerprint != fingerprint
    copy = deepcopy(held)
    assert copy.fingerprint == fingerprint
    with pytest.raises(CheckpointError, match="were changed after the model had been opened"):
        copy.predict(CONTEXT)


def test_a_copy_without_a_fingerprint_reads_the_files_of_the_model(folder: Path) -> None:
    held = load(folder)
    assert deepcopy(held).fingerprint == held.fingerprint
    copy = deepcopy(load(folder))
    shutil.copy(folder / "model.safetensors", folder / "same")
    (folder / "same").replace(folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="was changed after"):
        copy.predict(CONTEXT)
