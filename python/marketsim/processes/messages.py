"""Messages between processes: arrays travel in shared memory, the rest through the pipe."""

from __future__ import annotations

import io
import mmap
import os
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler, recv_handle, send_handle
from typing import Any

_SHARED = 4096  # bytes: smaller arrays are cheaper in the pipe than in memory of their own
_ALIGN = 64


class Package:
    """A message that is written once and sent to any number of processes.

    Its arrays of 4 KiB and more lie in one block of shared memory. A receiver that maps it and only
    reads has no copy; one that writes changes pages of its own.

    Args:
        message: anything that pickles.
    """

    def __init__(self, message: Any) -> None:
        parts: list[memoryview] = []

        def kept_inside(buffer: Any) -> bool:
            raw = buffer.raw()
            if raw.nbytes < _SHARED or not hasattr(os, "memfd_create"):
                return True
            parts.append(raw)
            return False

        stream = io.BytesIO()
        ForkingPickler(stream, 5, True, kept_inside).dump(message)
        self._body = stream.getbuffer()
        self._spans: list[tuple[int, int]] = []
        self._memory = -1
        if parts:
            self._memory = os.memfd_create("marketsim", os.MFD_CLOEXEC)
            try:
                at = 0
                for part in parts:
                    self._spans.append((at, at + part.nbytes))
                    _write_at(self._memory, part, at)
                    at += -(-part.nbytes // _ALIGN) * _ALIGN
            except BaseException:
                self.close()
                raise

    def send(self, pipe: Connection) -> None:
        """Send the message through a duplex pipe."""
        pipe.send((bytes(self._body), self._spans))
        if self._spans:
            send_handle(pipe, self._memory, None)

    def close(self) -> None:
        """Release the shared memory; receivers that have mapped it keep it."""
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _write_at(memory: int, part: memoryview, at: int) -> None:
    done = 0
    while done < part.nbytes:
        done += os.pwrite(memory, part[done:], at + done)


def send(pipe: Connection, message: Any) -> None:
    """Send a message through a duplex pipe.

    Raises:
        BrokenPipeError, ConnectionResetError: the other end is closed.
        Exception: the message cannot be pickled; nothing was sent.
    """
    with Package(message) as package:
        package.send(pipe)


def receive(pipe: Connection, *, mapped: bool = False) -> Any:
    """Receive a message, its large arrays from shared memory.

    Args:
        pipe: end of a duplex pipe.
        mapped: leave the arrays in the shared memory, for a message that many processes read. A map
            keeps a file open for as long as the arrays live; else they are copied once.

    Raises:
        EOFError, ConnectionResetError: the other end is closed.
    """
    body, spans = pipe.recv()
    if not spans:
        return ForkingPickler.loads(body)
    memory = recv_handle(pipe)
    try:
        size = os.fstat(memory).st_size
        if mapped:
            private, both = mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE
            view = memoryview(mmap.mmap(memory, size, private, both))
        else:
            view = memoryview(bytearray(size))
            _read_all(memory, view)
    finally:
        os.close(memory)
    return ForkingPickler.loads(body, buffers=[view[start:stop] for start, stop in spans])


def _read_all(memory: int, view: memoryview) -> None:
    done = 0
    while done < view.nbytes:
        count = os.preadv(memory, [view[done:]], done)
        if count == 0:
            raise EOFError(f"shared memory ends after {done:,} of {view.nbytes:,} bytes")
        done += count
