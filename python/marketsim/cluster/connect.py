"""Connect to a Ray cluster, and check its nodes before work starts."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from marketsim import _core
from marketsim.cluster.facts import NodeFacts, describe_here, differences, versions_here
from marketsim.errors import ArgumentError, ClusterError, MissingDependencyError

ANSWER_SECONDS = 60.0  # until an address, or a node, counts as one that does not answer
_KNOCK_SECONDS = 5.0
# Run in a process of its own: Ray ends a process whose cluster does not answer.
_TRIAL = (
    "import sys, ray; "
    "ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False); ray.shutdown()"
)


@dataclass
class Cluster:
    """A Ray cluster whose nodes have been checked; `connect` makes it.

    Attributes:
        address: host and port of its head, or "local" for one that was started here.
        nodes: its nodes, with their environments.
        places: which node ran each name, by name; filled as names finish.
    """

    address: str
    nodes: tuple[NodeFacts, ...]
    places: dict[str, str] = field(default_factory=dict)
    _owned: bool = False

    @property
    def cpus(self) -> int:
        """Number of CPUs of the nodes that are alive now, at least 1."""
        alive = [node for node in ray_module().nodes() if node["Alive"]]
        return max(1, int(sum(node["Resources"].get("CPU", 0.0) for node in alive)))

    def environment(self) -> dict[str, Any]:
        """Return what a run should record: the driver's versions and each node's facts."""
        return {
            "address": self.address,
            "driver": versions_here(),
            "nodes": [node.to_dict() for node in self.nodes],
        }

    def on_each_node(
        self, question: Callable[..., Any], *given: Any
    ) -> list[tuple[NodeFacts, Any]]:
        """Call a function of a module once on each node; returns (node, answer).

        Raises:
            ClusterError: a node that does not answer, or where the call fails; names the node.
        """
        answers = _ask([(node.id, node.host) for node in self.nodes], question, *given)
        return list(zip(self.nodes, answers, strict=True))

    def require_shared(self, folder: Path) -> None:
        """Raise unless every node sees a folder of this machine.

        Raises:
            ClusterError: a node that does not; names it.
        """
        mark = folder / f".{secrets.token_hex(8)}"
        mark.touch()
        try:
            blind = [
                f"{node.host} ({node.id[:8]})"
                for node, seen in self.on_each_node(os.path.exists, str(mark))
                if not seen
            ]
        finally:
            mark.unlink()
        if blind:
            raise ClusterError(
                f"{folder} is not shared by all nodes, which write there; these do not see it: "
                f"{', '.join(blind)}"
            )

    def close(self) -> None:
        """Leave the cluster; ends it if `connect` has started it."""
        if self._owned:
            self._owned = False
            ray_module().shutdown()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(cluster: str | Cluster = "auto") -> Cluster:
    """Connect to a Ray cluster, and check that every node computes as this process does.

    Args:
        cluster: "auto" for the cluster that this process is connected to, else that of the
            environment variable RAY_ADDRESS, else the one that runs on this machine, else a new
            one of this machine, which `Cluster.close` ends; or the address of a head, such as
            "10.0.0.1:6379". A `Cluster` is returned unchanged.

    Raises:
        MissingDependencyError: Ray is not installed.
        ClusterError: an address that does not answer within a minute; a node that does not answer,
            or whose Python, marketsim, numpy, pandas, torch or Ray differs from the driver's.
        ArgumentError: no address.

    Example:
        >>> cluster = connect("10.0.0.1:6379")  # doctest: +SKIP
        >>> [node.host for node in cluster.nodes]  # doctest: +SKIP
    """
    if isinstance(cluster, Cluster):
        return cluster
    if not cluster:
        raise ArgumentError(f"cluster must be 'auto' or the address of a head: got {cluster!r}")
    ray = ray_module()
    owned = not ray.is_initialized()
    address = _join(ray, cluster) if owned else _joined(ray, cluster)
    try:
        return Cluster(address, _checked(ray), _owned=owned)
    except BaseException:
        if owned:
            ray.shutdown()
        raise


@contextlib.contextmanager
def connected(cluster: str | Cluster) -> Iterator[Cluster]:
    """Connect for a run; leaves a cluster that was given by address."""
    found = connect(cluster)
    try:
        yield found
    finally:
        if found is not cluster:
            found.close()


def ray_module() -> Any:
    """Import Ray.

    Raises:
        MissingDependencyError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            'a cluster needs Ray, which is not installed: pip install ".[cluster]" in the '
            'checkout, or "FILE.whl[cluster]" with the file of a wheel'
        ) from error
    return ray


def _joined(ray: Any, cluster: str) -> str:
    """Return the address of the cluster that this process is connected to."""
    found = str(ray.get_runtime_context().gcs_address)
    if cluster not in ("auto", found):
        raise ClusterError(
            f"this process is connected to the cluster at {found}, and was asked for {cluster}: "
            "call ray.shutdown() first"
        )
    return found


def _join(ray: Any, cluster: str) -> str:
    address = os.environ.get("RAY_ADDRESS") or "auto" if cluster == "auto" else cluster
    options = {"log_to_driver": False, "logging_level": "ERROR"}
    if address != "auto":
        _require_answer(address)
    try:
        ray.init(address=address, **options)
    except ConnectionError as error:
        if address != "auto":
            raise ClusterError(f"the cluster at {address} does not answer: {error}") from error
        ray.init(address="local", include_dashboard=False, num_cpus=_core.thread_limit(), **options)
        return "local"
    except (RuntimeError, ValueError) as error:
        raise ClusterError(f"the cluster at {address} cannot be joined: {error}") from error
    return str(ray.get_runtime_context().gcs_address)


def _require_answer(address: str) -> None:
    """Raise unless a Ray head of our version answers at the address within a minute."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ClusterError(
            f"expected the address of a Ray head, host:port such as 10.0.0.1:6379: got {address!r}"
            "; start the program on a node of the cluster, or hand it over by `ray job submit`"
        )
    hint = "`ray status` on the head says its address; is the port open from here?"
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()
    except OSError as error:
        raise ClusterError(f"nothing answers at {address} ({error}): {hint}") from error
    try:
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL, address],
            capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ClusterError(
            f"{address} is open, but no Ray head answers there within {ANSWER_SECONDS:.0f} s: "
            f"{hint}"
        ) from error
    if trial.returncode:
        said = [line.strip() for line in trial.stderr.splitlines() if line.strip()]
        why = next((line for line in said if "mismatch" in line.lower()), said[-1] if said else "")
        more = " ".join(said[-4:]) if "mismatch" in why.lower() else why
        raise ClusterError(f"the cluster at {address} cannot be joined: {more}")


def _checked(ray: Any) -> tuple[NodeFacts, ...]:
    alive, told = _described(ray)
    nodes, wrong, ours = [], [], versions_here()
    for node, facts in zip(alive, told, strict=True):
        has = node["Resources"]
        found = NodeFacts(
            node["NodeID"], facts["host"], has.get("CPU", 0.0), has.get("GPU", 0.0),
            facts["versions"], facts["instruction_set"],
        )  # fmt: skip
        nodes.append(found)
        if differs := differences(ours, found.versions):
            wrong.append(f"{_name(found.id, found.host)}: {', '.join(differs)}")
    if wrong:
        raise ClusterError(
            "nodes of the cluster differ from this process, so that forecasts could differ: "
            f"{'; '.join(wrong)}. Install the same versions on every node"
        )
    return tuple(sorted(nodes, key=lambda one: (one.host, one.id)))


def _described(ray: Any) -> tuple[list[Any], list[Any]]:
    """Return the living nodes and what each tells; a node that is lost meanwhile is left out."""
    while True:
        alive = [node for node in ray.nodes() if node["Alive"]]
        asked = [(node["NodeID"], node["NodeManagerHostname"]) for node in alive]
        try:
            return alive, _ask(asked, describe_here)
        except ClusterError:
            now = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
            if all(id in now for id, _ in asked):
                raise


def _name(id: str, host: str) -> str:
    return f"node {host} ({id[:8]})"


def _ask(nodes: Sequence[tuple[str, str]], question: Callable[..., Any], *given: Any) -> list[Any]:
    """Call a function on each node (id, host), at no cost of CPUs."""
    ray = ray_module()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(question)
    asked = []
    for id, _ in nodes:
        there = NodeAffinitySchedulingStrategy(node_id=id, soft=False)
        asked.append(task.options(scheduling_strategy=there).remote(*given))
    answers: list[Any] = []
    wrong: list[str] = []
    for (id, host), reference in zip(nodes, asked, strict=True):
        try:
            answers.append(ray.get(reference, timeout=ANSWER_SECONDS))
        except ray.exceptions.GetTimeoutError:
            wrong.append(f"{_name(id, host)} does not answer within {ANSWER_SECONDS:.0f} s")
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            last = [line for line in str(cause).splitlines() if line.strip()][-1].strip()
            missing = isinstance(cause, (ImportError, AttributeError))
            hint = ": install the same marketsim there as here" if missing else ""
            wrong.append(f"{_name(id, host)} cannot be used: {last}{hint}")
    if wrong:
        raise ClusterError("; ".join(wrong))
    return answers
