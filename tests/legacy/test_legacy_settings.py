from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from marketsim.errors import ArgumentError
from marketsim.legacy.stock.parameters import SamplingBounds
from marketsim.legacy.stock.settings import (
    VARIABLES,
    LegacySettings,
    active_variables,
    current_settings,
    setting,
)

GOOD = {
    "MARKETSIM_FAST_SIMULATE": ("1", True),
    "MARKETSIM_FAST_OPTIMIZE": ("Yes", True),
    "MARKETSIM_USE_DIRECT_OPTIMIZER": ("0", "differential_evolution"),
    "MARKETSIM_MAX_HORIZON": ("1", 1),
    "MARKETSIM_BACKTEST_SIMULATIONS": ("24", 24),
    "MARKETSIM_FORCE_TOTO": ("1", True),
    "MARKETSIM_FORCE_KRONOS": ("on", True),
    "MARKETSIM_KRONOS_SAMPLE_COUNT": ("64", 64),
    "MARKETSIM_TOTO_DEVICE": ("CUDA:1", "cuda:1"),
    "MARKETSIM_TOTO_MIN_NUM_SAMPLES": ("32", 32),
    "MARKETSIM_TOTO_MAX_NUM_SAMPLES": ("8192", 8192),
    "MARKETSIM_TOTO_MIN_SAMPLES_PER_BATCH": ("16", 16),
    "MARKETSIM_TOTO_MAX_SAMPLES_PER_BATCH": ("1024", 1024),
    "MARKETSIM_ALLOW_CPU_FALLBACK": ("true", True),
    "MARKETSIM_CACHE_PREDICTIONS": ("off", False),
    "MARKETSIM_DISK_CACHE": ("/tmp/x", "/tmp/x"),
    "MARKETSIM_DATA": ("bars", "bars"),
    "TOTO_MODEL_ID": ("ewma", "ewma"),
    "TOTO_NUM_SAMPLES": ("256", 256),
    "TOTO_SAMPLES_PER_BATCH": ("64", 64),
    "TOTO_AGGREGATION_SPEC": ("quantile_0.35", "quantile_0.35"),
    "TOTO_COMPILE": ("no", False),
    "MARKETSIM_TOTO_COMPILE": ("1", True),
    "TOTO_DISABLE_COMPILE": ("1", True),
    "MARKETSIM_TOTO_DISABLE_COMPILE": ("1", True),
    "TOTO_COMPILE_MODE": ("reduce-overhead", "reduce-overhead"),
    "REAL_TOTO_COMPILE_MODE": ("default", "default"),
    "KRONOS_MODEL_ID": ("a/b", "a/b"),
    "KRONOS_TOKENIZER_ID": ("a/c", "a/c"),
    "KRONOS_COMPILE": ("1", True),
    "MARKETSIM_KRONOS_COMPILE": ("1", True),
    "KRONOS_COMPILE_MODE": ("max-autotune", "max-autotune"),
    "TOTO_CI_GUARD_MULTIPLIER": ("1.5", 1.5),
    "TESTING": ("True", True),
    "MARKETSIM_ALLOW_MOCK_ANALYTICS": ("1", True),
    "FAST_TESTING": ("1", True),
    "REAL_TESTING": ("1", True),
    "FAST_TOTO_NUM_SAMPLES": ("512", 512),
    "FAST_TOTO_SAMPLES_PER_BATCH": ("128", 128),
    "FAST_TOTO_AGG_SPEC": ("mean", "mean"),
    "MARKETSIM_TENSORBOARD": ("0", False),
    "HYPERPARAM_ROOT": ("elsewhere", Path("elsewhere")),
    "MARKETSIM_FORCE_RELEASE_MODELS": ("1", True),
    "MARKETSIM_TOTO_KEEPALIVE_SECONDS": ("0", 0.0),
    "MARKETSIM_KRONOS_KEEPALIVE_SECONDS": ("12.5", 12.5),
    "MARKETSIM_LEGACY_QUIRKS": ("Fixed", "fixed"),
}
BAD = {
    "MARKETSIM_MAX_HORIZON": ("0", "-1", "7.0", "٧", "nan"),
    "MARKETSIM_USE_DIRECT_OPTIMIZER": ("best",),
    "MARKETSIM_TOTO_DEVICE": ("tpu", "cuda:", "cuda:x", "cpu:1"),
    "TOTO_AGGREGATION_SPEC": ("quantile", "__import__('os')"),
    "TOTO_CI_GUARD_MULTIPLIER": ("-1", "inf", "nan", "x"),
    "TOTO_COMPILE_MODE": ("fast",),
    "MARKETSIM_LEGACY_QUIRKS": ("both",),
    "TESTING": ("maybe",),
}


def test_every_variable_is_tested_here() -> None:
    assert set(GOOD) == {variable.name for variable in VARIABLES}


def test_defaults_are_those_of_the_old_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYPERPARAM_ROOT")
    monkeypatch.delenv("MARKETSIM_DISK_CACHE")
    assert current_settings() == LegacySettings()
    assert active_variables() == {}


@pytest.mark.parametrize("name", GOOD)
def test_each_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = current_settings()
    field = next(variable.field for variable in VARIABLES if variable.name == name)
    text, value = GOOD[name]
    monkeypatch.setenv(name, f" {text} ")
    assert current_settings() == replace(before, **{field: value})
    assert setting(field) == value
    monkeypatch.setenv(name, "")  # an empty one is unset
    assert setting(field) == LegacySettings.__dataclass_fields__[field].default


@pytest.mark.parametrize(
    ("name", "text"), [(n, text) for n, texts in BAD.items() for text in texts]
)
def test_unknown_values_name_the_variable(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)
    for ask in (
        current_settings,
        lambda: setting(next(v.field for v in VARIABLES if v.name == name)),
    ):
        with pytest.raises(ArgumentError, match=name):
            ask()


def test_the_first_of_two_variables_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSIM_TOTO_COMPILE", "1")
    assert current_settings().compile_toto
    monkeypatch.setenv("TOTO_COMPILE", "0")
    assert not current_settings().compile_toto
    monkeypatch.setenv("TOTO_COMPILE", "1")
    monkeypatch.setenv("TOTO_DISABLE_COMPILE", "1")
    assert not current_settings().compile_toto


def test_an_upper_bound_that_nobody_sets_follows_the_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSIM_TOTO_MIN_NUM_SAMPLES", "5000")
    bounds = SamplingBounds.of(current_settings())
    assert (bounds.min_num_samples, bounds.max_num_samples) == (5000, 5000)


def test_a_floor_above_the_ceiling_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSIM_TOTO_MAX_NUM_SAMPLES", "64")
    with pytest.raises(ArgumentError, match=r"MIN_NUM_SAMPLES=128 exceeds .*MAX_NUM_SAMPLES=64"):
        current_settings()
    monkeypatch.setenv("MARKETSIM_TOTO_MIN_NUM_SAMPLES", "64")
    assert current_settings().toto_max_num_samples == 64


def test_one_line_says_which_are_active(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="marketsim.legacy.stock.settings")
    monkeypatch.setenv("MARKETSIM_MAX_HORIZON", "5")
    monkeypatch.setenv("FAST_TESTING", "1")
    for _ in range(3):
        current_settings()
    lines = [r.message for r in caplog.records]
    assert len(lines) == 1
    assert "MARKETSIM_MAX_HORIZON=5" in lines[0] and "FAST_TESTING=1" in lines[0]
