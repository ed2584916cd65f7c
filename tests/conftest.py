from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings
from shared_fixtures import backend, isa, own_store, threads

__all__ = ["backend", "isa", "own_store", "threads"]  # pytest finds fixtures by their names here

# A shell that starts the suite in the background makes it, and every child, ignore Ctrl-C: tests
# that send the signal would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("default")
