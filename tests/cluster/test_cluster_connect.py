"""Clusters that cannot be used: no Ray, addresses, versions."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketsim.cluster import connect
from marketsim.cluster.facts import SAME, NodeFacts, differences, versions_here
from marketsim.errors import ArgumentError, ClusterError, MissingDependencyError


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        MissingDependencyError, match=r'pip install "\.\[cluster\]" in the checkout'
    ):
        connect("auto")


@pytest.mark.parametrize(
    "address", ["nonsense", "ray://10.0.0.1:10001", "host:port", ":6379", "a:0"]
)
def test_what_is_no_address_is_refused(address: str, alone: None) -> None:
    with pytest.raises(ClusterError, match="expected the address of a Ray head, host:port"):
        connect(address)


def test_an_empty_address_is_refused() -> None:
    with pytest.raises(ArgumentError, match="cluster must be 'auto' or the address"):
        connect("")


def test_a_closed_port_is_named(alone: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ClusterError, match=f"nothing answers at 127.0.0.1:{port}"):
        connect(f"127.0.0.1:{port}")


def test_an_address_that_is_no_ray_head_is_left(
    alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import marketsim.cluster.connect  # noqa: F401

    monkeypatch.setattr(sys.modules["marketsim.cluster.connect"], "ANSWER_SECONDS", 4.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ClusterError, match="no Ray head answers there within 4 s"):
            connect(f"127.0.0.1:{port}")


@given(st.dictionaries(st.sampled_from([*SAME, "torch"]), st.sampled_from(["1", "2"])))
def test_versions_that_differ_are_named(theirs: dict[str, str]) -> None:
    ours = dict.fromkeys(SAME, "1")
    said = differences(ours, theirs)
    wrong = {name for name in SAME if theirs.get(name) != "1"}
    assert {one.split()[0] for one in said} == wrong
    assert all(one.endswith("instead of 1") for one in said)


def test_a_node_that_differs_is_refused_before_work(
    cluster: Any, nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["marketsim.cluster.connect"]
    monkeypatch.setattr(module, "versions_here", lambda: versions_here() | {"numpy": "0.1"})
    with pytest.raises(ClusterError, match=r"node \S+ \(\w{8}\): numpy \S+ instead of 0.1"):
        connect(nodes.address)


def test_a_question_that_fails_names_the_node(cluster: Any) -> None:
    def divide(by: int) -> float:
        return 1 / by

    with pytest.raises(ClusterError, match="cannot be used: division by zero"):
        cluster.on_each_node(divide, 0)
    assert [answer for _, answer in cluster.on_each_node(NodeFacts.to_dict, cluster.nodes[0])]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that is not connected."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: make test-cluster installs it")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
