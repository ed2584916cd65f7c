"""Notebook forms: short, escaped, fast enough."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

import marketsim as ms


def test_every_object_has_a_short_form(tmp_path: Path) -> None:
    bars = ms.demo_bars()
    store = ms.PredictionStore(tmp_path)
    result = ms.walk_forward(bars, "ewma", store=store, progress=False)
    distribution = ms.load_model("ewma").predict([np.full(50, 0.01)] * 20)
    for shown, words in (
        (bars, ("SP500", "<th>close</th>", "2018-12-31")),
        (store, ("PredictionStore", "<td>misses</td><td>544</td>")),
        (result, ("76 of 5,031 bars", "maxdiff_always_on", "▁")),
        (distribution, ("(20, 1)", "<th>50%</th>", "12 more")),
    ):
        page = shown._repr_html_()
        assert len(page) < 10_000 and "<script" not in page
        for word in words:
            assert word in page, (type(shown), word)
        assert len(repr(shown)) < 400 and "object at" not in repr(shown)


def test_names_are_escaped() -> None:
    result = ms.walk_forward(ms.demo_bars(), "ewma", store=False, progress=False)
    marked = dataclasses.replace(result.summary(), heading="<b>x</b>", notes=("<i>",))
    page = marked._repr_html_()
    assert "&lt;b&gt;x" in page and "<b>" not in page and "<i>" not in page
