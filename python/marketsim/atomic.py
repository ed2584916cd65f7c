"""Write files atomically: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def replace_file(
    target: Path, content: bytes, mode: int | None = None, *, sync: bool = True
) -> None:
    """Replace a file's content through a temporary file in the same folder, which must exist.

    After any interruption the file holds its old content or the new one, and no temporary file
    remains. With sync the content is on the disk before the file is renamed.

    Args:
        target: the file; a symbolic link is replaced, not followed.
        content: new content.
        mode: permissions; None for those of a new file.
        sync: False skips the sync, for files that can be recomputed.

    Raises:
        OSError: the system refuses, for example a full disk.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     replace_file(Path(folder, "a.txt"), b"new")
        ...     Path(folder, "a.txt").read_bytes()
        b'new'

    """
    # A name of fixed length: the target's may already have the maximum length.
    temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        _write(temporary, content, mode, sync)
        os.replace(temporary, target)  # noqa: PTH105 - the one call that the tests make fail
    except BaseException:  # KeyboardInterrupt too must leave no temporary file
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    if sync:
        _sync_folder(target.parent)


def new_file(target: Path, content: bytes, mode: int | None = None) -> None:
    """Write and sync a file that must not exist yet.

    Raises:
        FileExistsError: the file exists; it is not changed.
        OSError: the system refuses.
    """
    try:
        _write(target, content, mode, sync=True)
    except FileExistsError:
        raise
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            target.unlink()
        raise
    _sync_folder(target.parent)


def _write(path: Path, content: bytes, mode: int | None, sync: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - from a descriptor
        if mode is not None:
            os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        if sync:
            os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Sync a folder, so that a new name in it is durable; errors are ignored."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
