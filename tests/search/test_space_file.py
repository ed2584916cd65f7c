from __future__ import annotations

from pathlib import Path

import pytest

from marketsim.search import Choice, Float, Int, read_space
from marketsim.search.grid import grid_sets
from marketsim.search.spaces import values_of

pytest.importorskip("yaml")

GOOD = """
fast: {int: [5, 50], step: 5}
slow: [60, 90]
level: {float: [0.001, 0.1], log: true}
kind: [sma, ema]
where: ["fast < slow", "level <= 0.05"]
"""


def write(folder: Path, text: str, name: str = "space.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_space(tmp_path: Path) -> None:
    found = read_space(write(tmp_path, GOOD))
    assert found.space == {
        "fast": Int(5, 50, step=5),
        "slow": Choice([60, 90]),
        "level": Float(0.001, 0.1, log=True),
        "kind": Choice(["sma", "ema"]),
    }
    assert [str(c) for c in found.conditions] == ["fast < slow", "level <= 0.05"]
    text = '{"a": [1, 2, 3], "b": {"int": [1, 3]}, "where": "a < b"}'
    same = read_space(write(tmp_path, text, "space.json"))
    values = {name: values_of(name, dimension) for name, dimension in same.space.items()}
    sets = grid_sets(values, same.where)
    assert list(zip(sets["a"], sets["b"], strict=True)) == [(1, 2), (1, 3), (2, 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must map names of parameters to values: got NoneType"),
        ("{}", "the space is empty"),
        ("where: [a < b]", "the space is empty"),
        ("- 1", "got list"),
        ("a: [1]\na: [2]", "'a' stands there twice"),
        ("a: {int: [1, 5], int: [1, 2]}", "'int' stands there twice"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("a: [1", "cannot be read"),
        ("a: !!python/object/apply:os.system [ls]", "cannot be read"),
        ("a: {int: [5, 1]}", "parameter 'a': .*low <= high"),
        ("a: {int: [1]}", "parameter 'a' must be a list of values"),
        ("a: {int: [1, 5], steps: 2}", "parameter 'a' must be a list of values"),
        ("a: {int: [1, x]}", "numbers as bounds"),
        ("a: []", "at least one value"),
        ("a: 5", "parameter 'a' must be Float, Int, Choice or a list"),
        ("a: [1]\nwhere: [a < c]", "'c' is no parameter; expected a"),
        ("a: [1]\nwhere: ['__import__(1)']", "a condition compares two parameters"),
        ("a: [1]\nwhere: {a: 1}", "where must be a list"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_space(write(tmp_path, text))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_space(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="at most 1 MiB"):
        read_space(write(tmp_path, "#" * (1 << 21)))
    with pytest.raises(ValueError, match="'a' stands there twice"):
        read_space(write(tmp_path, '{"a": [1], "a": [2]}', "space.json"))
