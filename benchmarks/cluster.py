"""Ray on one node against the process pool: tasks of 50 ms, and the overhead of empty ones.

    python benchmarks/cluster.py                  200 tasks of 50 ms, 10,000 empty tasks

Both run the same names in turn, in as many processes as there are cores. A task of 50 ms sleeps: on
a machine that others use, work would measure them. The start of the cluster is not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from marketsim import _core
from marketsim.cluster import connect, run_each_on
from marketsim.processes import run_each


def rested(name: str) -> str:
    """A task of 50 ms."""
    time.sleep(0.05)
    return name


def seconds(run: Callable[[], object]) -> float:
    """Wall time of a run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--empty", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    jobs = _core.thread_limit()
    names = [str(i) for i in range(args.tasks)]
    with connect("auto") as cluster:
        list(run_each_on(cluster, rested, names[: 4 * jobs]))  # starts its workers
        pool, ray = [], []
        for _ in range(args.rounds):
            pool.append(seconds(lambda: list(run_each(rested, names, jobs=jobs, fork=True))))
            ray.append(seconds(lambda: list(run_each_on(cluster, rested, names))))
        print(f"{args.tasks} tasks of 50 ms in {jobs} processes: pool {min(pool):.2f} s, Ray "
              f"{min(ray):.2f} s, ratio {min(ray) / min(pool):.2f}")  # fmt: skip
        many = [str(i) for i in range(args.empty)]
        spent = seconds(lambda: list(run_each_on(cluster, str.lower, many)))
        print(f"{args.empty:,} empty tasks: {spent:.1f} s, {1e3 * spent / args.empty:.2f} ms each")


if __name__ == "__main__":
    main()
