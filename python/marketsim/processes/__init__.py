"""Work in several processes of one machine, which share what was read before they began."""

from marketsim.processes.each import run_each
from marketsim.processes.workers import (
    Outcome,
    Pruned,
    WorkerLostError,
    Workers,
    can_share_memory,
)

__all__ = ["Outcome", "Pruned", "WorkerLostError", "Workers", "can_share_memory", "run_each"]
