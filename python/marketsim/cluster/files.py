"""Model files on the nodes: there, and equal to the driver's."""

from __future__ import annotations

import copy
from typing import Any

from marketsim.cluster.connect import Cluster
from marketsim.errors import ClusterError, MarketsimError
from marketsim.models.fingerprint import identity_of
from marketsim.models.neural.checkpoint import Checkpoint


def has_weights(model: Any) -> bool:
    """Whether a model of marketsim reads weights from files."""
    ours = type(model).__module__.partition(".")[0] == "marketsim"
    return ours and bool(_checkpoints(model))


def check_files(cluster: Cluster, model: Any) -> None:
    """Check that each node has the model's files, with the driver's content.

    Raises:
        ClusterError: a node where a file is missing, cannot be read, or differs.
    """
    identity = identity_of(model)
    expected = model.fingerprint if identity is not None else ""
    wrong = [
        f"node {node.host} ({node.id[:8]}): {said}"
        for node, said in cluster.on_each_node(_defect, model, expected)
        if said
    ]
    if wrong:
        raise ClusterError(
            f"nodes cannot run {model.name}: {'; '.join(wrong)}. Copy the model's files to the "
            "same path on every node, or use a folder that all share"
        )


def on_this_node(model: Any) -> Any:
    """Return the model with its files opened on this node, whose inodes and times are others.

    Raises:
        CheckpointError, CheckpointNotFoundError: the files are missing, or cannot be read.
    """
    found = copy.copy(model)
    vars(found).pop("fingerprint", None)  # computed anew, from this node's bytes
    for name, checkpoint in _checkpoints(model).items():
        setattr(found, name, Checkpoint.open(checkpoint.folder, checkpoint.name))
    return found


def _checkpoints(model: Any) -> dict[str, Checkpoint]:
    held = getattr(model, "__dict__", {})
    return {name: value for name, value in held.items() if isinstance(value, Checkpoint)}


def _defect(model: Any, expected: str) -> str:
    """Say what keeps this node from running the model; empty if nothing does."""
    try:
        found = on_this_node(model).fingerprint
    except (MarketsimError, OSError) as error:
        return str(error)
    if expected and found != expected:
        return f"its fingerprint there is {found[:12]} instead of {expected[:12]}"
    return ""
