from __future__ import annotations

from hypothesis import HealthCheck, settings
from shared_fixtures import backend, isa, own_store, threads

__all__ = ["backend", "isa", "own_store", "threads"]  # pytest finds fixtures by their names here

settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("default")
