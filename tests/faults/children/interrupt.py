"""Ctrl-C while an append waits for another process's lock, alone or with a thread that forks.

interrupt FOLDER alone|forking
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from fault_tools import Log, report

HELD = 4.0  # seconds
HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def fork_once() -> None:
    time.sleep(0.3)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def main(arguments: list[str]) -> dict[str, Any]:
    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
    path = Path(arguments[0]) / "series.msp"
    log = Log(path)
    log.append(range(3))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path.parent / "lock", str(HELD)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    forker = threading.Thread(target=fork_once)
    if arguments[1] == "forking":
        forker.start()
    # From another process: here a thread may be kept waiting.
    killer = subprocess.Popen(["sh", "-c", f"sleep 1; kill -{int(signal.SIGINT)} {os.getpid()}"])
    begun = time.monotonic()
    interrupted = False
    try:
        log.append([7])
    except KeyboardInterrupt:
        interrupted = True
    took = time.monotonic() - begun
    killer.wait()
    if arguments[1] == "forking":
        forker.join()
    holder.kill()
    holder.communicate()
    assert log.read(range(3)) == {0, 1, 2}
    assert log.append([8]) == 1
    return {"interrupted": interrupted, "seconds": took}


if __name__ == "__main__":
    report(main)
