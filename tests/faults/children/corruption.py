"""Damaged and hostile files, opened where a signal ends only this process.

corruption small|large|swaps|cuts|hostile SEED TRIALS
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fault_tools import (
    DATA_START,
    HEADER_BYTES,
    Log,
    files_aside,
    keys_of,
    memory_folder,
    numbered,
    report,
    same_bits,
    settle,
    stride_of,
    values_of,
    with_crc,
)

WIDE = 1000  # values of a record of the large file: 8.4 MB of them
MANY = 2100


class Large:
    """A large file that is damaged and made whole again, and what it must read as."""

    def __init__(self, path: Path) -> None:
        self.path, self.stride = path, stride_of(WIDE)
        self.which = np.arange(MANY)
        Log(path, width=WIDE).append(self.which)
        self.keys, self.values = keys_of(self.which), values_of(self.which, WIDE)
        self.size = path.stat().st_size
        assert self.size == DATA_START + MANY * self.stride >= 8_000_000
        self.descriptor = os.open(path, os.O_RDWR)

    def slots(self, first: int, beyond: int) -> set[int]:
        """The slots that these bytes of the file belong to."""
        begin = max(0, first - DATA_START) // self.stride
        end = max(0, beyond - 1 - DATA_START) // self.stride + 1 if beyond > DATA_START else 0
        return set(range(begin, min(end, MANY)))

    def check(self, missing: set[int], *, corrupt: int | None = None) -> None:
        """A fresh look finds all but these."""
        log = Log(self.path, width=WIDE)
        values, found, _ = log.file.read(self.keys)
        assert set(np.flatnonzero(~found).tolist()) == missing, "not what is missing"
        assert same_bits(values[found], self.values[found]), "wrong values"
        counts = log.counts()
        assert counts["corrupt"] == (len(missing) if corrupt is None else corrupt), counts
        assert counts["quarantined"] == counts["unreadable"] == 0, counts

    def flips(self, chance: random.Random, trials: int) -> None:
        """One bit after the other, and all of them at once."""
        at = [chance.randrange(DATA_START, self.size) for _ in range(trials)]
        for i, offset in enumerate(at):
            byte = os.pread(self.descriptor, 1, offset)[0]
            os.pwrite(self.descriptor, bytes([byte ^ (1 << (i % 8))]), offset)
            self.check(self.slots(offset, offset + 1))
            os.pwrite(self.descriptor, bytes([byte]), offset)
        for offset in set(at):
            byte = os.pread(self.descriptor, 1, offset)[0]
            os.pwrite(self.descriptor, bytes([byte ^ 1]), offset)
        self.check({(offset - DATA_START) // self.stride for offset in at})
        for offset in set(at):
            byte = os.pread(self.descriptor, 1, offset)[0]
            os.pwrite(self.descriptor, bytes([byte ^ 1]), offset)
        self.check(set())

    def sectors(self, chance: random.Random, trials: int) -> None:
        """A sector of noise or of zeros, also in the headers."""
        for i in range(trials):
            first = 0 if i % 10 == 0 else DATA_START
            offset = chance.randrange(first, DATA_START if i % 10 == 0 else self.size - 512) // 512
            before = os.pread(self.descriptor, 512, offset * 512)
            os.pwrite(self.descriptor, chance.randbytes(512) if i % 3 else bytes(512), offset * 512)
            self.check(self.slots(offset * 512, offset * 512 + 512))
            os.pwrite(self.descriptor, before, offset * 512)

    def cuts(self, chance: random.Random, trials: int) -> None:
        """Ends anywhere."""
        for i in range(trials):
            size = chance.randrange(HEADER_BYTES, DATA_START if i % 10 == 0 else self.size)
            tail = os.pread(self.descriptor, self.size - size, size)
            os.ftruncate(self.descriptor, size)
            whole = max(0, size - DATA_START) // self.stride
            self.check(set(range(whole, MANY)), corrupt=0)
            os.pwrite(self.descriptor, tail, size)


def large(root: Path, chance: random.Random, trials: int) -> int:
    """Flips, noise and cuts in a large file."""
    file = Large(root / "large.msp")
    file.check(set())
    file.flips(chance, trials)
    file.sectors(chance, trials)
    file.cuts(chance, trials)
    return 3 * trials


def small(root: Path, chance: random.Random, trials: int) -> int:
    """Single bits of a small file: all, or all of what is used and one of each other byte."""
    path, count, width = root / "small.msp", 5, 3
    Log(path, width=width).append(range(count))
    whole = path.read_bytes()
    descriptor = os.open(path, os.O_RDWR)
    used = {*range(256), *range(HEADER_BYTES, HEADER_BYTES + 256), *range(DATA_START, len(whole))}
    bits = [
        offset * 8 + bit
        for offset in range(len(whole))
        for bit in (range(8) if trials >= 3000 or offset in used else [chance.randrange(8)])
    ]
    for bit in bits:
        offset = bit // 8
        os.pwrite(descriptor, bytes([whole[offset] ^ (1 << (bit % 8))]), offset)
        log = Log(path, width=width)
        slot = (offset - DATA_START) // stride_of(width)
        assert log.read(range(count)) == set(range(count)) - {slot}, f"bit {bit}"
        counts = log.counts()
        assert counts["corrupt"] == counts["misses"] == (slot >= 0), f"bit {bit}: {counts}"
        assert counts["quarantined"] == counts["unreadable"] == 0, f"bit {bit}: {counts}"
        os.pwrite(descriptor, whole[offset : offset + 1], offset)
    assert path.read_bytes() == whole
    return len(bits)


def swaps(root: Path, chance: random.Random, trials: int) -> int:
    """Records and files that got into another place."""
    stride = stride_of(24)
    for path in [path for path, _ in zip(numbered(root), range(20), strict=False)]:
        other = path.with_suffix(".other")
        Log(path, series="one").append(range(8))
        Log(other, series="other").append(range(8))
        left, right = bytearray(path.read_bytes()), bytearray(other.read_bytes())
        slot = chance.randrange(8)
        here = slice(DATA_START + slot * stride, DATA_START + (slot + 1) * stride)
        left[here], right[here] = right[here], left[here]
        path.write_bytes(left)
        other.write_bytes(right)
        for name, series in ((path, "one"), (other, "other")):
            log = Log(name, series=series)
            assert log.read(range(8)) == set(range(8)) - {slot}
            assert log.counts()["corrupt"] == 1
            assert log.append([slot]) == 1
            assert log.read(range(8)) == set(range(8))
        swap_files(path, other)
        repeat_record(path, stride)
    return 20


def swap_files(path: Path, other: Path) -> None:
    """Each is set aside as it is, and the store goes on."""
    held = {name: name.read_bytes() for name in (path, other)}
    path.write_bytes(held[other])
    other.write_bytes(held[path])
    for name, foreign, series in ((path, other, "one"), (other, path, "other")):
        log = Log(name, series=series)
        assert log.read(range(8)) == set()
        assert log.counts()["unreadable"] == 1 and not files_aside(name)
        settle(name)
        assert log.append(range(8)) == 8
        assert log.counts()["quarantined"] == 1
        assert [aside.read_bytes() for aside in files_aside(name)] == [held[foreign]]
        assert log.read(range(8)) == set(range(8))


def repeat_record(path: Path, stride: int) -> None:
    """The same record twice counts once."""
    with path.open("r+b") as file:
        file.seek(DATA_START)
        record = file.read(stride)
        file.seek(0, os.SEEK_END)
        file.write(record)
    log = Log(path, series="one")
    assert log.read(range(8)) == set(range(8))
    assert log.counts()["superseded"] == 1
    assert log.file.compact() == stride


def cuts(root: Path, chance: random.Random, trials: int) -> int:
    """A cut at every byte of the last batch, and an append after it."""
    stride, first, last = stride_of(24), range(3), range(3, 7)
    whole = root / "whole.msp"
    Log(whole).append(first)
    before = whole.stat().st_size
    Log(whole).append(last)
    content = whole.read_bytes()
    path = root / "cut.msp"
    for size in range(before, len(content) + 1):
        path.write_bytes(content[:size])
        there = {*range((size - DATA_START) // stride)}
        log, watcher = Log(path), Log(path)
        assert watcher.read(range(9)) == log.read(range(9)) == there
        assert log.append([*last, 8]) == 8 - len(there)
        for reader in (log, watcher, Log(path)):
            assert reader.read(range(9)) == {*first, *last, 8}, size
        torn = (size - DATA_START) % stride > 0
        assert log.file.contents()["corrupt"] == torn, size
        assert (log.file.compact() > 0) == torn
        assert Log(path).read(range(9)) == {*first, *last, 8}, size
        path.unlink()
    return len(content) + 1 - before


def hostile_headers(good: bytes) -> Iterator[tuple[str, bytes]]:
    """Headers that are whole but none of ours."""
    fields = {"magic": 0, "endian": 8, "version": 12, "stride": 16, "width": 20, "start": 24}
    lengths = {"model": 28, "series": 32, "schema": 36}
    for name, at in (fields | lengths).items():
        for value in (0, 1, 7, 4096, 0x04030201, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            changed = bytearray(good)
            changed[at : at + 4] = value.to_bytes(4, "little")
            if changed != good:
                yield f"{name} {value}", with_crc(bytes(changed))
    both = bytearray(good)
    both[28:36] = (0x80000000).to_bytes(4, "little") * 2  # their sum is 0 in 32 bits
    yield "lengths that overflow", with_crc(bytes(both))
    yield "zeros", bytes(HEADER_BYTES)
    yield "zeros with a CRC", with_crc(bytes(HEADER_BYTES))


def hostile(root: Path, chance: random.Random, trials: int) -> int:
    """Headers of other kinds, and things that are no such files."""
    original = root / "good.msp"
    Log(original).append(range(4))
    good = original.read_bytes()
    header = good[:HEADER_BYTES]
    assert with_crc(header) == header
    names = numbered(root)
    tried = 0
    for what, bad in hostile_headers(header):
        expect_set_aside(next(names), bad + bad + good[DATA_START:], what)
        tried += 1
        if not what.startswith(("model", "series", "schema")):  # whole, and of another file
            path = next(names)
            path.write_bytes(bad + header + good[DATA_START:])
            assert Log(path).read(range(4)) == set(range(4)), what  # the second copy counts
    for size in (0, 1, 39, HEADER_BYTES - 1):
        expect_set_aside(next(names), good[:size], f"{size} bytes")
    for make in (make_folder, make_pipe, make_link):
        expect_unreadable(next(names), make)
    path = next(names)
    make_huge(path)
    if path.is_file():
        assert Log(path).read(range(4)) == set(range(4)), "a file blown up by a hole"
    return tried + 8


def expect_set_aside(path: Path, content: bytes, what: str) -> None:
    path.write_bytes(content)
    guest = Log(path, writable=False)
    assert guest.read(range(4)) == set(), what
    assert path.read_bytes() == content, f"{what}: changed by one who may only read"
    log = Log(path)
    assert log.read(range(4)) == set(), what
    assert path.read_bytes() == content, f"{what}: set aside by one who reads"
    try:
        log.append(range(3))
    except OSError as error:  # it may be a copy that is under way
        assert error.errno == errno.EBUSY, (what, error)
    else:
        raise AssertionError(f"{what}: appended to a file without a header")
    settle(path)
    assert log.append(range(3)) == 3, what
    assert log.counts()["quarantined"] == 1, (what, log.counts())
    assert [aside.read_bytes() for aside in files_aside(path)] == [content], what
    assert log.read(range(4)) == {0, 1, 2}, what


def expect_unreadable(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    log = Log(path)
    assert log.read(range(4)) == set(), make.__name__
    assert log.counts()["unreadable"] == 1, (make.__name__, log.counts())
    try:
        log.append(range(4))
    except OSError as error:
        assert error.filename == str(path), error
    else:
        raise AssertionError(f"{make.__name__}: wrote to it")
    assert os.path.lexists(path), make.__name__


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    target = path.with_suffix(".target")
    Log(target).append(range(4))
    path.symlink_to(target)


def make_huge(path: Path) -> None:
    """Larger than any address space, where the file system lets it be; else a folder."""
    Log(path).append(range(4))
    try:
        os.truncate(path, 1 << 62)
    except OSError:
        path.unlink()
        path.mkdir()


def main(arguments: list[str]) -> dict[str, Any]:
    work = {"small": small, "large": large, "swaps": swaps, "cuts": cuts, "hostile": hostile}
    chance = random.Random(int(arguments[1]))
    with memory_folder() as root:
        tried = work[arguments[0]](root, chance, int(arguments[2]))
    return {"tried": tried}


if __name__ == "__main__":
    report(main)
