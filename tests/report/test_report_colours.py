"""Colours can be told apart on both pages, by readers of every kind of colour vision."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

# Linear RGB as seen without the long, the middle or the short cones: Machado, Oliveira and
# Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009.
VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


@pytest.fixture(scope="module", params=["light", "dark"])
def colours(request, page):
    style = page.one("style").text
    light, dark = style.split("@media screen and (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if request.param == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark.split("* {")[0]))
    return found


def linear(colour):
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(a, b):
    """WCAG 2 contrast ratio."""
    low, high = sorted(float(TO_XYZ[1] @ linear(c)) for c in (a, b))
    return (high + 0.05) / (low + 0.05)


def lab(rgb):
    xyz = TO_XYZ @ np.clip(rgb, 0.0, 1.0) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_text_is_legible(colours):
    for name in ("ink", "muted", "accent", "warn"):
        assert contrast(colours[name], colours["page"]) >= 4.5, name


def test_marks_stand_out_from_the_page(colours):
    for name in ("c0", "c1", "c2", "c3", "c4", "c5", "grey", "candle", "gain", "loss"):
        assert contrast(colours[name], colours["page"]) >= 3.0, name


@pytest.mark.parametrize("vision", VISION)
def test_series_can_be_told_apart(colours, vision):
    matrix = np.array(VISION[vision])
    places = {f"c{i}": lab(matrix @ linear(colours[f"c{i}"])) for i in range(6)}
    for a, b in itertools.combinations(places, 2):
        assert np.linalg.norm(places[a] - places[b]) >= 12.0, (a, b)


@pytest.mark.parametrize("vision", VISION)
def test_gain_and_loss_can_be_told_apart(colours, vision):
    matrix = np.array(VISION[vision])
    gain, loss = (lab(matrix @ linear(colours[name])) for name in ("gain", "loss"))
    assert np.linalg.norm(gain - loss) >= 25.0


def test_there_is_a_shade_for_each_step(page):
    style = page.one("style").text
    for step in range(1, 11):
        assert re.search(rf"\.n{step}, \.p{step} \{{ fill:", style)
