"""Kernels that run out of memory: an exception of the caller's, not the end of the process."""

from __future__ import annotations

import subprocess
import sys

# Each of two workers wants 160 MB of scratch memory, of which the limit leaves 100.
CODE = """if True:
    import resource
    import numpy as np
    from marketsim import _core
    from marketsim.kernels.performance import rolling_sharpe

    _core.set_thread_limit(2)
    net = np.full((2, 5_000_000), 0.01)
    rolling_sharpe(net[:, :100_000].copy(), 50_000)  # whatever is loaded at the first call
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + net.nbytes + 100_000_000,) * 2)
    try:
        rolling_sharpe(net, 5_000_000)
    except MemoryError:
        print("MemoryError")
"""


def test_workers_without_memory_raise_on_the_caller() -> None:
    found = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (0, "MemoryError\n"), found.stderr
