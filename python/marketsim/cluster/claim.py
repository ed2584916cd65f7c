"""The claim of a driver on a shared store: one run writes to it at a time."""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from marketsim.cluster.place import Place
from marketsim.errors import ClusterError, StoreError

NAME = "claim.json"
STALE_SECONDS = 120.0  # after which a claim that was not renewed may be taken over
RENEW_SECONDS = 20.0


class Claim:
    """Claims a place until it is closed; renews the claim meanwhile.

    A claim that is two minutes old, or whose process on this machine is gone, is taken over.

    Args:
        place: the shared store.
        shown: what an error calls it.

    Raises:
        ClusterError: another driver holds it; names the driver and what to do.
    """

    def __init__(self, place: Place, shown: str) -> None:
        self.driver = secrets.token_hex(8)
        self._place, self._shown = place, shown
        self._over = threading.Event()
        self._take()
        self._renewing = threading.Thread(target=self._renew, daemon=True)
        self._renewing.start()

    def _take(self) -> None:
        for _ in range(2):
            if self._place.create(NAME, self._text()):
                break
            self._require_stale()
            self._place.remove(NAME)
        if holder(self._place) != self.driver:  # another one was faster
            self._require_stale()
            raise ClusterError(f"{self._shown} was claimed by another driver: start again")

    def _require_stale(self) -> None:
        held = read_claim(self._place)
        if held is None or _is_gone(held):
            return
        age = time.time() - float(held.get("time", 0.0))
        if age > STALE_SECONDS:
            return
        raise ClusterError(
            f"{self._shown} is written by another driver: process {held.get('process')} on "
            f"{held.get('host')} (driver {held.get('driver')}), whose claim is {age:.0f} s old. "
            f"Wait until it ends; a claim that nobody renews is free after {STALE_SECONDS:.0f} s"
        )

    def _text(self) -> bytes:
        facts = {
            "driver": self.driver,
            "host": platform.node(),
            "boot": _boot(),
            "process": os.getpid(),
            "time": time.time(),
        }
        return json.dumps(facts).encode()

    def _renew(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            try:
                if holder(self._place) == self.driver:
                    self._place.put(NAME, self._text())
            except (OSError, StoreError):
                continue  # tried again; the claim grows old meanwhile

    def close(self) -> None:
        """Give the place back."""
        self._over.set()
        self._renewing.join()
        if holder(self._place) == self.driver:
            self._place.remove(NAME)

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_claim(place: Place) -> dict[str, Any] | None:
    """Return the claim on a place; None for none. One that cannot be read was made just now."""
    text = place.read(NAME)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"time": time.time()}


def holder(place: Place) -> str:
    """Return the driver that holds a place; empty for none."""
    return str((read_claim(place) or {}).get("driver", ""))


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _is_gone(held: dict[str, Any]) -> bool:
    """Whether the claim is of a process of this machine that has ended."""
    here = (platform.node(), _boot())
    if not here[1] or (held.get("host"), held.get("boot")) != here:
        return False
    process = held.get("process")
    return isinstance(process, int) and not Path(f"/proc/{process}").exists()
