"""What an editor and a type checker are told."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args, get_overloads

import pytest

import marketsim as ms
from marketsim.kernels.rules import FILLS, Fill
from marketsim.models.calibration import METHODS, Method
from marketsim.models.traits import TARGET_KINDS, TargetKind
from marketsim.walkforward import Prepared
from marketsim.walkforward.universe import PreparedUniverse


def test_literals_hold_all_values() -> None:
    assert set(get_args(Fill)) == set(FILLS)
    assert get_args(Method) == METHODS
    assert get_args(TargetKind) == TARGET_KINDS


@pytest.mark.parametrize("function", [ms.walk_forward, ms.next_orders, Prepared.evaluate])
def test_editors_know_the_words(function: Callable[..., Any]) -> None:
    told = inspect.get_annotations(function)
    assert told["fill"] == "Fill"
    assert told.get("targets", "TargetKind | None") == "TargetKind | None"


def test_the_kind_of_bars_decides_the_kind_of_result() -> None:
    told = [inspect.get_annotations(one)["return"] for one in get_overloads(ms.prepare)]
    assert told == ["Prepared", "PreparedUniverse"]
    bars = ms.demo_bars()
    for given, kind in ((bars, Prepared), ([bars], PreparedUniverse)):
        assert type(ms.prepare(given, "ewma", simulations=2, progress=False)) is kind


def test_wrong_words_are_errors_of_types_and_of_the_run() -> None:
    with pytest.raises(ms.UnknownNameError):
        ms.walk_forward(ms.demo_bars(), "ewma", fill="best", progress=False)  # type: ignore[arg-type]
    with pytest.raises(ms.MarketsimError):
        ms.walk_forward(ms.demo_bars(), "ewma", targets="far", progress=False)  # type: ignore[arg-type]
