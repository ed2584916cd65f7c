"""A cluster of two nodes on this machine, shared by the tests that break nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))  # Ray's own


def two_nodes() -> Any:
    """A head without CPUs and two nodes of two."""
    pytest.importorskip("ray", reason="Ray is not installed: make test-cluster installs it")
    from ray.cluster_utils import Cluster

    # Workers find the tests' helpers, as they find marketsim.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests" / "support")])
    memory = {"object_store_memory": 80 << 20}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
    made.workers = [made.add_node(num_cpus=2, **memory) for _ in range(2)]
    made.wait_for_nodes()
    return made


@pytest.fixture(scope="session")
def nodes() -> Iterator[Any]:
    made = two_nodes()
    yield made
    import ray

    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="session")
def cluster(nodes: Any) -> Iterator[Any]:
    from marketsim.cluster import connect

    with connect(nodes.address) as found:
        yield found
