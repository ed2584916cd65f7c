"""Threads that a hash of a large file may use."""

from __future__ import annotations

import os

from blake3 import blake3

_in_fork = False


def _note_fork() -> None:
    global _in_fork
    _in_fork = True


os.register_at_fork(after_in_child=_note_fork)


def hash_threads() -> int:
    """Return `max_threads` for `blake3`: one in a forked process, else as many as it likes.

    BLAKE3 keeps a pool of threads once it has used several. None of them lives in a forked process,
    where a hash that waited for them would wait for ever.

    Example:
        >>> hash_threads() == blake3.AUTO
        True
    """
    return 1 if _in_fork else int(blake3.AUTO)
