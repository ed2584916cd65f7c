"""Machine code of strategies on disk: found again for the same content, never for another."""

from __future__ import annotations

import os
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

import numba
import numpy as np
import pytest
from market import random_bars

from marketsim.errors import StrategyError
from marketsim.replay import code_store, compiled, replay_strategy
from marketsim.replay import orders as o

BARS = random_bars(300, seed=8)
KIND = np.dtype([("x", np.float64)])
FEATURES = {"x": np.sin(np.arange(300) / 9.0)}
LEVEL = 0.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "_kept", type(compiled._kept)())
    return tmp_path / "marketsim" / "strategies"


def forget() -> None:
    compiled._kept.clear()


def is_loaded(on_bar) -> bool:
    return isinstance(compiled.compiled(on_bar, KIND)._code, code_store.LoadedCode)


def above(state, bar, features, orders):
    if state.position == 0.0 and features.x > LEVEL:
        o.buy(orders, 0.5, o.EQUITY)
    elif state.position > 0.0 and features.x < LEVEL:
        o.close_position(orders)


def test_the_same_code_is_loaded_and_does_the_same(folder: Path) -> None:
    first = replay_strategy(BARS, above, FEATURES)
    assert [path.suffix for path in folder.iterdir()] == [".code"]
    assert not is_loaded(above)  # in this process it is compiled
    forget()
    again = replay_strategy(BARS, above, FEATURES)
    assert is_loaded(above)
    assert first.equity.equals(again.equity)
    assert len(again.trades) > 3


@numba.njit
def twice(x):
    return 2.0 * x


def variant(constant=1.0, default=0.5, helper=twice, options=None):
    def on_bar(state, bar, features, orders, size=default):
        if bar.index == 10 and helper(features.x) < constant:
            o.buy(orders, size)

    return numba.njit(**options)(on_bar) if options else on_bar


def test_other_content_is_another_file(folder: Path) -> None:
    @numba.njit
    def thrice(x):
        return 3.0 * x

    variants = [
        variant(), variant(constant=2.0), variant(default=0.25), variant(helper=thrice),
        variant(options={"fastmath": True}),
    ]  # fmt: skip
    for i, on_bar in enumerate(variants):
        forget()
        assert not is_loaded(on_bar)
        assert len(list(folder.iterdir())) == i + 1
    for on_bar in variants:
        forget()
        assert is_loaded(on_bar)


def test_codes_of_one_name_in_one_process_stay_apart(folder: Path) -> None:
    def made(quantity):
        @numba.njit
        def size(x):
            return quantity + 0.0 * x

        def on_bar(state, bar, features, orders):
            if bar.index == 10:
                o.buy(orders, size(features.x))

        return on_bar

    for _ in range(2):  # compiled, then loaded
        forget()
        found = [replay_strategy(BARS, made(q), FEATURES).position.iloc[-1] for q in (1.0, 2.0)]
        assert found == [1.0, 2.0]
    assert is_loaded(made(2.0))


def test_an_error_in_loaded_code_names_its_bar(folder: Path) -> None:
    def raises(state, bar, features, orders):
        if bar.index == 7:
            raise ValueError("no")

    for _ in range(2):
        forget()
        with pytest.raises(StrategyError, match="ValueError after bar 7"):
            replay_strategy(BARS, raises, FEATURES)


def test_a_damaged_file_is_compiled_again(folder: Path) -> None:
    assert not is_loaded(above)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (b"", bytes(flipped), whole[:-1]):
        path.write_bytes(damaged)
        forget()
        assert not is_loaded(above)
    forget()
    assert is_loaded(above)  # it was written again


def test_a_file_under_another_name_is_not_used(folder: Path) -> None:
    assert not is_loaded(variant())
    (path,) = folder.iterdir()
    forget()
    assert not is_loaded(variant(2.0))
    other = next(p for p in folder.iterdir() if p != path)
    other.write_bytes(path.read_bytes())
    forget()
    assert not is_loaded(variant(2.0))


def test_what_another_could_write_is_not_run(folder: Path) -> None:
    assert not is_loaded(above)
    folder.chmod(0o777)
    forget()
    assert not is_loaded(above)


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    forget()
    assert not is_loaded(above)


x = np.zeros(3)  # has the name of a feature, and is not read


def test_attributes_are_not_globals(folder: Path) -> None:
    assert not is_loaded(above)
    assert compiled.compiled(above, KIND) is compiled.compiled(above, KIND)


class Way(IntEnum):
    UP = 1


def test_what_cannot_be_told_from_its_content_is_not_kept(folder: Path) -> None:
    def by_class(state, bar, features, orders):
        if bar.index == Way.UP:
            o.buy(orders, 1.0)

    def prints(state, bar, features, orders):
        if bar.index < 0:
            print(bar.index)

    for on_bar in (by_class, prints):
        assert not is_loaded(on_bar)
    assert not folder.exists() or not list(folder.iterdir())


PROGRAM = """
import numpy as np, marketsim as ms
from marketsim.replay import compiled, orders as o, replay_strategy
bars = ms.demo_bars()
def on_bar(state, bar, features, orders):
    if bar.index % 20 == 3 and bar.index not in (43, 63):
        o.target(orders, np.sign(features.x))
found = replay_strategy(bars, on_bar, {"x": bars.close - bars.open})
print(type(next(iter(compiled._kept.values()))._code).__name__, found.equity.iloc[-1])
"""


def test_a_second_process_does_not_compile(tmp_path: Path) -> None:
    pytest.importorskip("arch", reason="the demo bars")
    outputs = []
    for seed in ("1", "2"):
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout.split())
    assert [name for name, _ in outputs] == ["CFunc", "LoadedCode"]
    assert outputs[0][1] == outputs[1][1]
