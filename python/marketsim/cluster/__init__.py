"""Runs on a Ray cluster: its nodes, tasks of symbols and trials, model actors, the shared store."""

from marketsim.cluster.connect import Cluster, connect, connected
from marketsim.cluster.facts import NodeFacts
from marketsim.cluster.run import ClusterRun, run_on
from marketsim.cluster.segments import SegmentStore, gather
from marketsim.cluster.tasks import HandedBars, run_each_on
from marketsim.cluster.trials import TrialTasks

__all__ = [
    "Cluster",
    "ClusterRun",
    "HandedBars",
    "NodeFacts",
    "SegmentStore",
    "TrialTasks",
    "connect",
    "connected",
    "gather",
    "run_each_on",
    "run_on",
]
