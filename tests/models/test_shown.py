"""Short forms of models and other objects in a prompt and a notebook."""

from __future__ import annotations

from pathlib import Path

import pytest

import marketsim as ms
from marketsim.live import PaperBroker
from marketsim.models import Model

MODELS = ("range", "ewma", "climatology", "garch", "persistence", "conformal")


def made(name: str) -> Model:
    return ms.calibrated("ewma") if name == "conformal" else ms.load_model(name)


@pytest.mark.parametrize("name", MODELS)
def test_models_show_their_name_context_and_quantiles(name: str) -> None:
    model = made(name)
    line = repr(model)
    assert model.name in line and "context" in line and "quantiles" in line
    assert len(line) < 160 and "\n" not in line and "0x" not in line
    html = model._repr_html_()  # type: ignore[attr-defined]
    assert html.count("<tr>") == html.count("</tr>") == 2 and len(html) < 1_000


def test_names_are_escaped_in_notebooks() -> None:
    model = ms.load_model("ewma")
    model.name = "<b>"  # type: ignore[misc]
    assert "<b>" not in model._repr_html_()  # type: ignore[attr-defined]


def test_cubes_and_brokers_are_a_line(tmp_path: Path) -> None:
    prepared = ms.prepare(ms.demo_bars(), "ewma", simulations=3, progress=False)
    assert len(repr(prepared)) < 200
    assert repr(PaperBroker(tmp_path / "p.sqlite")).endswith("p.sqlite', fill open_aware)")
