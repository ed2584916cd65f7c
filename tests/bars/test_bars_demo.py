from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from marketsim.bars import asset_class, demo_bars, periods_per_year
from marketsim.errors import BarsFileNotFoundError, MissingDependencyError

# Importing arch, as pytest.importorskip would, takes seconds.
needs_arch = pytest.mark.skipif(importlib.util.find_spec("arch") is None, reason="needs arch")


@needs_arch
def test_demo_bars():
    bars = demo_bars()
    assert bars.symbol == "SP500"
    assert len(bars) == 5031
    assert bars.timestamps[0] == np.datetime64("1999-01-04")
    assert bars.timestamps[-1] == np.datetime64("2018-12-31")
    assert bars.open[0] == 1229.22998
    assert bars.volume[0] == 877000000
    assert bars.repairs == ()
    assert (asset_class(bars), periods_per_year(bars)) == ("equity", 252.0)


@needs_arch
def test_arch_is_not_imported():
    code = (
        "import sys; from marketsim.bars import demo_bars; demo_bars(); "
        "assert 'arch' not in sys.modules; assert 'pyarrow.parquet' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r'pip install "\.\[demo\]"'):
        demo_bars()


def test_missing_file_is_named(monkeypatch, tmp_path):
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(BarsFileNotFoundError, match=r"sp500\.csv\.gz do not exist") as caught:
        demo_bars()
    assert str(tmp_path) in str(caught.value)
