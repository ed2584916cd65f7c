"""The store of a run on a cluster: claimed by its driver, seen by every node."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from marketsim.cluster.claim import Claim, holder
from marketsim.cluster.connect import Cluster
from marketsim.cluster.place import open_place
from marketsim.cluster.segments import SegmentStore
from marketsim.errors import ArgumentError, ClusterError
from marketsim.forecasts import StoreLike


@contextmanager
def shared_store(
    cluster: Cluster, store: StoreLike | SegmentStore, facts: Mapping[str, Any]
) -> Iterator[SegmentStore | None]:
    """Open the store of a run, and claim it until the run ends.

    Args:
        cluster: the cluster.
        store: a folder that all nodes share, an fsspec URL, or a `SegmentStore`; False or None for
            none.
        facts: what is recorded of the run, beside the environment of its nodes.

    Raises:
        ArgumentError: a store that nodes cannot share.
        ClusterError: another driver writes there, or a node does not see it.
    """
    if store is None or store is False:
        yield None
        return
    location = store.location if isinstance(store, SegmentStore) else store
    if not isinstance(location, (str, os.PathLike)):
        raise ArgumentError(
            "with a cluster, store must be a folder that all nodes share, or a URL such as "
            f"s3://bucket/store: got {store!r}"
        )
    place = open_place(location)
    if place.names("v1"):
        raise ArgumentError(
            f"{place.location} is a store of one machine: give the cluster a folder of its own"
        )
    with Claim(place, f"the store at {place.location}") as claim:
        seen = cluster.on_each_node(_driver_at, place.location)
        blind = [f"{node.host} ({node.id[:8]})" for node, driver in seen if driver != claim.driver]
        if blind:
            raise ClusterError(
                f"the store at {place.location} is not shared by all nodes; these see another or "
                f"none there: {', '.join(blind)}"
            )
        record = {**cluster.environment(), **facts}
        text = json.dumps(record, indent=2, sort_keys=True, default=str)
        place.put(f"runs/{claim.driver}.json", text.encode())
        yield SegmentStore(place.location)


def _driver_at(location: str) -> str:
    """Return the driver that claims a location, as this node sees it."""
    return holder(open_place(location))
