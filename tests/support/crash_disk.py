"""A disk that may lose, at a power failure, whatever was not synced.

It replays recorded calls. What a crash leaves is drawn at random from what a disk may leave. Of
data written since its file's last sync each 512-byte sector persists or not, as of any of the
writes to it; the size may be any between the synced one and the last; what lies between is zeros or
anything. Of names made, moved and removed since their folder's last sync each change persists or
not; a move happens whole or not at all. What was synced stays. What a file's sync failed to write
is lost for good: the system takes it for written, and no later sync writes it.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from preloaded import Event

SECTOR = 512
FOLDER = None  # what stands for a folder among the nodes

Change = tuple[str, str, str]  # what, from, to


@dataclass(eq=False)
class Data:
    """A file's bytes: those that are safe, and the writes since."""

    safe: bytes = b""
    writes: list[tuple[int, bytes]] = field(default_factory=list)

    def fail_sync(self) -> None:
        """What was written is in memory only, and stays so; the size lasts."""
        size = max([len(self.safe), *(at + len(data) for at, data in self.writes)])
        self.safe, self.writes = self.safe.ljust(size, b"\0"), []

    def sync(self) -> None:
        """All that was written stays."""
        size = max([len(self.safe), *(at + len(data) for at, data in self.writes)])
        now = bytearray(self.safe.ljust(size, b"\0"))
        for at, data in self.writes:
            now[at : at + len(data)] = data
        self.safe, self.writes = bytes(now), []

    def after_crash(self, chance: random.Random) -> bytes:
        """What may be left."""
        if not self.writes:
            return self.safe
        last = max(at + len(data) for at, data in self.writes)
        safe = len(self.safe)
        size = chance.choice([safe, max(safe, last), chance.randint(safe, max(safe, last))])
        zeros = chance.random() < 0.6
        left = bytearray(self.safe)
        left += bytes(size - safe) if zeros else chance.randbytes(size - safe)
        for sector, writes in self.by_sector().items():
            kept = chance.choice([0, len(writes), chance.randint(0, len(writes))])
            begin, end = sector * SECTOR, (sector + 1) * SECTOR
            for at, data in writes[:kept]:
                first, beyond = max(begin, at), min(end, at + len(data))
                left[first:beyond] = data[first - at : beyond - at]
        return bytes(left[:size])

    def by_sector(self) -> dict[int, list[tuple[int, bytes]]]:
        """The writes that touch each sector."""
        touched = defaultdict(list)
        for at, data in self.writes:
            for sector in range(at // SECTOR, (at + len(data) - 1) // SECTOR + 1):
                touched[sector].append((at, data))
        return touched


Names = dict[str, Data | None]


def change_names(names: Names, nodes: Names, change: Change) -> None:
    """Applies one change; a file that a lost change made is taken from `nodes`."""
    what, old, new = change
    if what == "remove":
        names.pop(old, None)
        return
    names[new] = nodes[new]
    if what == "move":
        names.pop(old, None)


class Disk:
    """Files and folders below a root."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.files: dict[int, Data] = {}  # by inode
        self.now: Names = {}
        self.safe: Names = {}
        self.changes: dict[str, list[tuple[Change, Names]]] = defaultdict(list)

    def replay(self, event: Event) -> None:
        """Takes note of one call."""
        if event.kind == "open":
            self.files[event.inode] = Data()
            self.change("make", "", event.names[0], self.files[event.inode])
        elif event.kind == "mkdir":
            self.change("make", "", event.names[0], FOLDER)
        elif event.kind in ("rename", "link"):
            old, new = event.names
            self.change("move" if event.kind == "rename" else "make", old, new, self.now[old])
        elif event.kind == "unlink":
            self.change("remove", event.names[0], "", FOLDER)
        elif event.kind == "pwrite":
            self.files[event.inode].writes.append((event.offset, event.data))
        elif event.kind in ("fsync", "fdatasync"):
            if not event.failed:
                self.sync(event)
            elif event.inode in self.files:
                self.files[event.inode].fail_sync()

    def change(self, what: str, old: str, new: str, node: Data | None) -> None:
        """Changes a name; that lasts once its folder is synced."""
        nodes: Names = {new: node}
        change_names(self.now, nodes, (what, old, new))
        self.changes[os.path.dirname(new or old)].append(((what, old, new), nodes))  # noqa: PTH120

    def sync(self, event: Event) -> None:
        """A file, or the names in a folder."""
        if event.inode in self.files:
            self.files[event.inode].sync()
        for change, nodes in self.changes.pop(event.names[0], []):
            change_names(self.safe, nodes, change)

    def crash(self, chance: random.Random, into: Path) -> None:
        """Writes what a power failure now may leave into an empty folder."""
        names = dict(self.safe)
        for changes in self.changes.values():
            all_or_none = chance.choice([None, True, False])
            for change, nodes in changes:
                lasts = chance.random() < 0.5 if all_or_none is None else all_or_none
                if lasts:
                    change_names(names, nodes, change)
        for name in sorted(names):  # a folder comes before what is in it
            target = into / os.path.relpath(name, self.root)
            node = names[name]
            if not target.parent.is_dir():
                continue
            if node is FOLDER:
                target.mkdir(exist_ok=True)
            else:
                target.write_bytes(node.after_crash(chance))
