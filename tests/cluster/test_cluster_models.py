"""Model actors: the bytes of one process, batches of several symbols, lost actors, bad nodes."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market import random_bars

import marketsim as ms
from marketsim.cluster import run_on
from marketsim.cluster.actors import _predict, _Request, rows_of
from marketsim.cluster.files import check_files
from marketsim.errors import ArgumentError, ClusterError
from marketsim.models.mixture import StudentTMixture

OPTIONS: dict[str, Any] = {
    "simulations": 4, "store": False, "progress": False, "asset_class": "equity",
}  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Any:
    pytest.importorskip("torch")
    from checkpoints import write_toto2

    write_toto2(tmp_path / "toto", 1)
    return ms.load_model(tmp_path / "toto")


def many(count: int = 4) -> dict[str, ms.Bars]:
    return {f"S{i}": ms.read_bars(random_bars(200, i).frame, symbol=f"S{i}") for i in range(count)}


def same(found: dict[str, Any], alone: dict[str, Any]) -> None:
    assert list(found) == list(alone)
    for symbol, result in found.items():
        assert result.days.equals(alone[symbol].days)
        assert result.forecasts.equals(alone[symbol].forecasts)


def test_actors_give_the_bytes_of_one_process(cluster: Any, model: Any) -> None:
    bars = many()
    alone = ms.walk_forward_each(bars, model, **OPTIONS)
    same(ms.walk_forward_each(bars, model, cluster=cluster, **OPTIONS), alone)


def test_lost_actors_are_replaced(cluster: Any, model: Any) -> None:
    import ray

    bars = many(6)
    alone = ms.walk_forward_each(bars, model, **OPTIONS)
    with run_on(cluster, model, bars, None) as run:
        served, handed = run.model, run.bars
        actors = [actor for _, actor in served._actors]
        assert len(actors) == 2  # one a node with CPUs
        pids = ray.get([actor.ready.remote() for actor in actors])

        def work(symbol: str) -> Any:
            if symbol == "S1":
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
            return ms.walk_forward(handed[symbol], served, **OPTIONS)

        outcomes = dict(run.each(work, list(bars)))
        same({symbol: outcomes[symbol].found for symbol in bars}, alone)
        assert not set(ray.get([actor.ready.remote() for actor in actors])) & set(pids)


def test_requests_of_several_symbols_share_a_call(model: Any) -> None:
    rng = np.random.default_rng(0)
    asked = [
        _Request([rng.normal(0, 0.01, 90 + 7 * i) for _ in range(i + 1)], [80] * (i + 1), 1)
        for i in range(3)
    ]
    calls: list[int] = []
    real = model.predict_batches

    def counted(series: Any, *given: Any, **options: Any) -> None:
        calls.append(len(series))
        real(series, *given, **options)

    model.predict_batches = counted
    together = _predict(model, asked, 1)
    assert calls == [6]
    for request, found in zip(asked, together, strict=True):
        (alone,) = _predict(model, [request], 1)
        ours, theirs = ({}, {})
        for batches, into in ((found, ours), (alone, theirs)):
            for batch in batches:
                for i, key in enumerate(zip(batch.series, batch.days, strict=True)):
                    into[key] = batch.distribution.quantiles[i].tobytes()
        assert ours == theirs and len(ours) == sum(len(s) - 79 for s in request.series)


def test_rows_of_mixtures() -> None:
    values = np.arange(2.0, 14.0).reshape(3, 1, 4)
    weights = np.full((3, 1, 4), 0.25)
    whole = StudentTMixture(values, values, values, weights)
    part = rows_of(whole, np.array([True, False, True]))
    np.testing.assert_array_equal(part.mean, whole.mean[[0, 2]])
    with pytest.raises(ArgumentError, match="cannot be split"):
        rows_of(object(), np.array([True]))


def test_nodes_without_the_models_files_are_named(cluster: Any, model: Any, tmp_path: Path) -> None:
    from checkpoints import write_toto2

    check_files(cluster, model)
    model.fingerprint  # noqa: B018 - of the files as they are
    shutil.rmtree(tmp_path / "toto")
    with pytest.raises(ClusterError, match=r"nodes cannot run toto: node \S+ \(\w{8}\): .*folder"):
        ms.walk_forward_each(many(1), model, cluster=cluster, **OPTIONS)
    write_toto2(tmp_path / "toto", 2)
    with pytest.raises(ClusterError, match="its fingerprint there is"):
        ms.walk_forward_each(many(1), model, cluster=cluster, **OPTIONS)


def test_a_gpu_that_no_node_has(cluster: Any, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from marketsim.cluster import actors

    real = actors.traits_of
    monkeypatch.setattr(actors, "traits_of", lambda one: replace(real(one), device="cuda"))
    with pytest.raises(ClusterError, match="no node of the cluster has a GPU"):
        ms.walk_forward_each(many(1), model, cluster=cluster, **OPTIONS)
