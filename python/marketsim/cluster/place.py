"""Places that all nodes of a cluster see: a shared folder, or object storage through fsspec."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from marketsim.atomic import new_file, replace_file
from marketsim.errors import ArgumentError, MissingDependencyError, StoreWriteError


class Place(Protocol):
    """Files by name, such as "segments/ab/x.msp"; a reader never sees a part of one.

    Attributes:
        location: absolute path or URL.
    """

    location: str

    def put(self, name: str, content: bytes) -> None:
        """Write a file, or replace it."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Write a file that must not exist; returns whether it did not."""
        ...

    def read(self, name: str) -> bytes | None:
        """Read a file; None if there is none."""
        ...

    def names(self, folder: str) -> list[str]:
        """List the files in a folder and below, sorted; empty if there is no such folder."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        ...


def open_place(location: str | os.PathLike[str]) -> Place:
    """Open a folder or an fsspec URL such as s3://bucket/store.

    Raises:
        ArgumentError: an empty location, or a URL of an unknown kind.
        MissingDependencyError: fsspec, or its package for this kind of URL, is not installed.
    """
    text = os.fspath(location)
    if not text:
        raise ArgumentError("a shared store needs a folder or a URL such as s3://bucket/store")
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    if "://" not in text:
        return SharedFolder(Path(text).expanduser().resolve())
    return ObjectStorage(text)


class SharedFolder:
    """A folder that all nodes share; files are written under another name, synced and renamed."""

    def __init__(self, root: Path) -> None:
        self.root, self.location = root, str(root)

    def put(self, name: str, content: bytes) -> None:
        """See `Place.put`."""
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
        except OSError as error:
            raise _not_written(path, error) from error

    def create(self, name: str, content: bytes) -> bool:
        """See `Place.create`."""
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new_file(path, content)
        except FileExistsError:
            return False
        except OSError as error:
            raise _not_written(path, error) from error
        return True

    def read(self, name: str) -> bytes | None:
        """See `Place.read`."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """See `Place.names`; files that are being written have other names."""
        found = (path for path in (self.root / folder).rglob("*") if not path.name.startswith("."))
        return sorted(path.relative_to(self.root).as_posix() for path in found if path.is_file())

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        (self.root / name).unlink(missing_ok=True)


class ObjectStorage:
    """Object storage; an object appears whole or not at all, and once."""

    def __init__(self, url: str) -> None:
        self.location = url
        try:
            import fsspec.core
        except ImportError as error:
            raise MissingDependencyError(
                f'{url} needs fsspec, which is not installed: pip install ".[cluster]" in the '
                "checkout"
            ) from error
        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise MissingDependencyError(f"{url} cannot be opened: {error}") from error
        except ValueError as error:
            raise ArgumentError(f"{url} is no URL that fsspec knows: {error}") from error
        self._root = str(root).rstrip("/")

    def put(self, name: str, content: bytes) -> None:
        """See `Place.put`."""
        self._write(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """See `Place.create`."""
        try:
            self._write(name, content, mode="create")
        except FileExistsError:
            return False
        return True

    def read(self, name: str) -> bytes | None:
        """See `Place.read`."""
        try:
            return bytes(self._files.cat_file(self._path(name)))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        self._files.invalidate_cache()
        try:
            found = self._files.find(self._path(folder))
        except FileNotFoundError:
            return []
        start = len(self._path("")) if self._root else 0
        return sorted(str(path)[start:].lstrip("/") for path in found)

    def remove(self, name: str) -> None:
        """See `Place.remove`."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _write(self, name: str, content: bytes, **options: Any) -> None:
        path = self._path(name)
        try:
            self._files.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
            self._files.pipe_file(path, content, **options)
        except FileExistsError:
            raise
        except OSError as error:
            raise _not_written(path, error) from error


def _not_written(path: object, error: OSError) -> StoreWriteError:
    return StoreWriteError(error.errno, f"{path} could not be written: {error.strerror or error}")
