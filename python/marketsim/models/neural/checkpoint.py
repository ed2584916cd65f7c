"""Checkpoints in the official format: config.json and safetensors, in a folder or on a hub.

Nothing else is read: no pickle, no code.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from marketsim.errors import (
    ArgumentError,
    CheckpointError,
    CheckpointNotFoundError,
    MissingDependencyError,
)
from marketsim.models.fingerprint import (
    FileStamp,
    HeldFile,
    content_hash_of,
    open_regular,
    settled_stamp,
    stamp_of,
)
from marketsim.models.neural.safetensors_file import SafetensorsFile

if TYPE_CHECKING:
    import torch

_CONFIG = "config.json"
_GENERATION = "generation_config.json"  # of models whose library makes tokens one by one
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
# Far above what any model needs: the largest index that is known has about 5 MB.
_MOST_JSON = 16 << 20
MOST_LAYERS = 10_000
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Checkpoint:
    """Configuration and weight files of a model.

    Attributes:
        name: display name: the hub id, or the folder's name.
        folder: where the files are.
        config: the content of config.json.
        files: the weights' files, and the index where there are several.
        stamps: of `sources`, when the checkpoint was opened.
        settings: hash of the files of the configuration, as they were read.
        held: the files of the weights, which stay open: another file that takes a name of theirs
            changes neither the fingerprint nor the weights of a model that is open.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    files: tuple[Path, ...]
    stamps: tuple[FileStamp, ...] = ()
    settings: str = ""
    held: tuple[HeldFile, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path, name: str) -> Checkpoint:
        """Open the checkpoint in a folder; reads its configuration and no weights.

        Raises:
            CheckpointNotFoundError: the folder or one of its files does not exist.
            CheckpointError: config.json or the index cannot be read.
        """
        if not folder.is_dir():
            raise CheckpointNotFoundError(f"there is no folder {folder}")
        config_stamp = _stamp(folder / _CONFIG, settle=True)
        text = _read_text(folder / _CONFIG, "the model's configuration")
        config = _as_object(folder / _CONFIG, text)
        if _stamp(folder / _CONFIG) != config_stamp:
            raise CheckpointError(f"{folder / _CONFIG} was written to while it was read")
        if (folder / _WEIGHTS).is_file():
            return cls._pinned(name, folder, config, text, (folder / _WEIGHTS,))
        if not (folder / _INDEX).is_file():
            raise CheckpointNotFoundError(
                f"{folder} holds neither {_WEIGHTS} nor {_INDEX}: weights are read as safetensors "
                "only"
            )
        shards = _shards(folder / _INDEX)
        missing = [shard for shard in shards if not (folder / shard).is_file()]
        if missing:
            raise CheckpointNotFoundError(
                f"{folder} lacks {', '.join(missing)}, which {_INDEX} names"
            )
        files = (folder / _INDEX, *(folder / shard for shard in shards))
        return cls._pinned(name, folder, config, text, files)

    @classmethod
    def _pinned(
        cls,
        name: str,
        folder: Path,
        config: Mapping[str, Any],
        text: bytes,
        files: tuple[Path, ...],
    ) -> Checkpoint:
        """Return a checkpoint of the files as they are now; `text` is that of config.json."""
        checkpoint = cls(name, folder, config, files)
        stamps = tuple(_stamp(source, settle=True) for source in checkpoint.sources)
        try:
            held = cls._opened(files)
        except OSError as error:
            raise CheckpointError(f"the files of {name} cannot be read: {error}") from error
        texts = {_CONFIG: text}
        if (folder / _GENERATION).is_file():
            texts[_GENERATION] = _read_text(folder / _GENERATION, "how tokens are drawn")
        pinned = replace(checkpoint, stamps=stamps, settings=content_hash_of(texts), held=held)
        pinned._require_unchanged()  # so all are files of one time
        return pinned

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickles: a copy opens the files again."""
        return {**self.__dict__, "held": ()}

    @property
    def sources(self) -> tuple[Path, ...]:
        """Files that decide a forecast; the last, for generation, is optional."""
        return (self.folder / _CONFIG, *self.files, self.folder / _GENERATION)

    @cached_property
    def digest(self) -> str:
        """Hash what decides a forecast: the configuration, and each tensor's type, shape and bytes.

        Into how many files the tensors are split has no part in it. It is that of the very bytes
        that `tensors` gives, whichever of the two is called first.

        Raises:
            CheckpointError: a file is not safetensors.
        """
        found = self._digests
        parts = [self.settings, *(f"{name} {found[name]}" for name in sorted(found))]
        return blake3("\n".join(parts).encode()).hexdigest()

    @cached_property
    def _digests(self) -> dict[str, str]:
        """Hash each tensor, by name."""
        return dict(self._read(lambda name: True, lambda opened, name: opened.digest(name)))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Context that checks, at start and end, that the files are unchanged since opening.

        So the fingerprint is that of the very bytes that the library reads.

        Raises:
            CheckpointError: a file was written to, replaced or removed.
        """
        self._require_unchanged()
        try:
            yield
        except OSError as error:
            self._require_unchanged()
            raise CheckpointError(f"the files of {self.name} cannot be read: {error}") from error
        self._require_unchanged()

    def _require_unchanged(self) -> None:
        for file, stamp in zip(self.sources, self.stamps, strict=False):
            if _stamp(file) != stamp:
                raise CheckpointError(
                    f"{file} was changed after the model had been opened: load the model anew, so "
                    "that its fingerprint is that of the weights it uses"
                )

    def tensors(self, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, torch.Tensor]:
        """Read the weights by name.

        Raises:
            CheckpointError: a file that is not safetensors, a name that stands in two of them, or
                bytes that are not those that `digest` is of.
        """
        tensors: dict[str, torch.Tensor] = {}

        def digest(opened: SafetensorsFile, name: str) -> str:
            if not wanted(name):
                return opened.digest(name)
            tensors[name] = opened.tensor(name)
            return opened.digest(name, tensors[name])

        if "_digests" not in self.__dict__:
            self.__dict__["_digests"] = dict(self._read(lambda name: True, digest))
        elif any(found != self._digests.get(name) for name, found in self._read(wanted, digest)):
            raise CheckpointError(
                f"the weights of {self.name} in {self.folder} were changed after the model had "
                "been opened: load the model anew, so that its fingerprint is that of the weights "
                "it uses"
            )
        return tensors

    def names(self) -> tuple[str, ...]:
        """Return the names of the weights; raises as `tensors`."""
        return tuple(name for name, _ in self._read(lambda name: True, lambda opened, name: None))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights by name, without reading them; raises as `tensors`."""
        return dict(self._read(lambda name: True, lambda opened, name: opened.shape(name)))

    def _read(
        self, wanted: Callable[[str], bool], get: Callable[[SafetensorsFile, str], Any]
    ) -> Iterator[tuple[str, Any]]:
        found: set[str] = set()
        try:
            for held in self._files():
                opened = SafetensorsFile(held.path, held.file)
                for name in filter(wanted, opened.names):
                    if name in found:
                        raise CheckpointError(f"{held.path.name}: {name} stands in two files")
                    found.add(name)
                    yield name, get(opened, name)
        except OSError as error:
            raise CheckpointError(f"the files of {self.name} cannot be read: {error}") from error

    def _files(self) -> tuple[HeldFile, ...]:
        """Return the files of the weights; a copy of a checkpoint opens them first."""
        if not self.held:
            known = "_digests" in self.__dict__  # which the bytes are compared with
            if not known:
                self._require_unchanged()
            held = self._opened(self.files)
            if not known:
                self._require_unchanged()
            object.__setattr__(self, "held", held)
        return self.held

    @staticmethod
    def _opened(files: tuple[Path, ...]) -> tuple[HeldFile, ...]:
        return tuple(HeldFile(file) for file in files if file.name != _INDEX)


def locate(
    name_or_folder: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool = False,
) -> Checkpoint:
    """Return the checkpoint in a folder or of a hub id, which is downloaded unless cached.

    Args:
        name_or_folder: an existing folder, or a hub id such as "Datadog/Toto-2.0-22m".
        revision: branch, tag or commit of the hub's repository; a commit pins it.
        cache_dir: where downloads are kept; the hub library's own place if None.
        offline: use what is cached and ask no server. HF_HUB_OFFLINE=1 does the same.

    Raises:
        CheckpointNotFoundError: no such folder, repository or revision, or not cached offline.
        MissingDependencyError: the hub's library is needed and not installed.
    """
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise ArgumentError(f"revision is for hub ids: {folder} is a folder")
        return Checkpoint.open(folder, folder.resolve().name)
    name = os.fspath(name_or_folder)
    if not is_hub_id(name):
        raise CheckpointNotFoundError(
            f"there is no folder {name}, and it is no hub id (owner/name) either"
        )
    return Checkpoint.open(_download(name, revision, cache_dir, offline), name)


def layer_count(config: Mapping[str, Any], key: str) -> int:
    """Return the number of layers of a configuration; raise if it is out of range.

    Raises:
        ValueError: more than any network has, which would take long to list.
    """
    count = int(config[key])
    if count > MOST_LAYERS:
        raise ValueError(f"{key} is {count:,}: expected at most {MOST_LAYERS:,}")
    return count


def is_hub_id(name: str) -> bool:
    """Whether a name has a hub's form owner/name."""
    return _HUB_ID.fullmatch(name) is not None


def check_names(
    found: Mapping[str, torch.Tensor], wanted: Mapping[str, tuple[int, ...]], where: str
) -> None:
    """Check the names and shapes of weights against those of the configuration, and their values.

    Raises:
        CheckpointError: names that are missing or unknown, shapes that differ, with examples, or
            values that are not finite.
    """
    problems = []
    for title, names in (
        ("missing", sorted(set(wanted) - set(found))),
        ("unknown", sorted(set(found) - set(wanted))),
    ):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            problems.append(f"{title}: {', '.join(names[:5])}{more}")
    for name in sorted(set(wanted) & set(found)):
        if tuple(found[name].shape) != tuple(wanted[name]):
            got = list(found[name].shape)
            problems.append(f"{name} has shape {got}, expected {list(wanted[name])}")
    if problems:
        raise CheckpointError(
            f"the weights of {where} do not fit its configuration: " + "; ".join(problems[:8])
        )
    broken = [name for name in sorted(wanted) if not bool(found[name].isfinite().all())]
    if broken:
        raise CheckpointError(
            f"the weights of {where} hold NaN or infinite values in {', '.join(broken[:5])}: "
            "download or save the checkpoint again"
        )


def _stamp(file: Path, *, settle: bool = False) -> FileStamp:
    try:
        return settled_stamp(file.stat) if settle else stamp_of(file.stat())
    except OSError:  # gone: no file has this stamp
        return (0, 0, -1, 0, 0)


def _shards(index: Path) -> list[str]:
    """Return the files that an index names; raise for names outside of its folder."""
    text = _read_text(index, "the list of weights")
    weight_map = _as_object(index, text).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise CheckpointError(f"{index} names {name!r}: expected a .safetensors file beside it")
    return names


def _read_text(file: Path, what: str) -> bytes:
    try:
        with open_regular(file) as opened:
            text: bytes = opened.read(_MOST_JSON + 1)
    except FileNotFoundError:
        raise CheckpointNotFoundError(f"{file.parent} lacks {file.name}, {what}") from None
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read as JSON: {error}") from None
    if len(text) > _MOST_JSON:
        raise CheckpointError(
            f"{file} cannot be read as JSON: it has more than {_MOST_JSON:,} bytes"
        )
    return text


def _as_object(file: Path, text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text.decode("utf-8"))
    except RecursionError:
        raise CheckpointError(f"{file} cannot be read as JSON: it is nested too deep") from None
    except ValueError as error:
        raise CheckpointError(f"{file} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} must hold a JSON object: got {type(content).__name__}")
    return content


def _download(
    name: str, revision: str | None, cache_dir: str | os.PathLike[str] | None, offline: bool
) -> Path:
    if find_spec("huggingface_hub") is None:
        raise MissingDependencyError(
            f"{name} is downloaded with huggingface_hub, which is not installed: "
            "pip install '.[models]' in the checkout, or name a folder that holds the checkpoint"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            name,
            revision=revision,
            cache_dir=None if cache_dir is None else Path(cache_dir),
            local_files_only=offline,
            allow_patterns=[_CONFIG, _GENERATION, "*.safetensors", _INDEX],
        )
    except LocalEntryNotFoundError as error:
        raise CheckpointNotFoundError(
            f"{name} is not in the cache"
            + (", and offline was asked for" if offline else " and the hub could not be reached")
            + f": {_first_line(error)}"
        ) from None
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        at = f" at revision {revision}" if revision else ""
        raise CheckpointNotFoundError(
            f"{name}{at} could not be downloaded: {_first_line(error)}"
        ) from None
    return Path(found)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
