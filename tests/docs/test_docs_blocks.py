"""Every Python block of the documentation runs: by itself, or after the blocks that it continues.

A comment before a block says otherwise: `<!-- continues -->` for one that uses names of the block
before it, `<!-- not run: why -->` for one that needs what a test machine lacks.
"""

from __future__ import annotations

import inspect
import re
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from market import random_frame

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"(?:<!-- (continues|not run: [^>]+?) -->\n+)?```python\n(.*?)\n```", re.S)
pytestmark = pytest.mark.slow


class Block(NamedTuple):
    """A block, the line it begins at, and what its comment says."""

    line: int
    code: str
    comment: str


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(text[: found.start(2)].count("\n") + 1, found[2], found[1] or "")
        for found in _BLOCK.finditer(text)
    ]


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if blocks_of(page)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the pages name."""
    (tmp_path / "bars").mkdir()
    for i, symbol in enumerate(("AAPL", "MSFT")):
        for place in (tmp_path, tmp_path / "bars"):
            random_frame(700, seed=i).to_csv(place / f"{symbol}.csv", index_label="timestamp")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_run(page: Path, folder: Path) -> None:
    import marketsim as ms

    names: dict[str, Any] = {}
    for block in blocks_of(page):
        if block.comment.startswith("not run"):
            continue
        if not block.comment:
            names = {"__name__": "block", "ms": ms}
        # Lines of the page, so that a traceback names the place.
        code = "\n" * (block.line - 1) + block.code
        exec(compile(code, str(page), "exec"), names)
    for value in names.values():  # what a reader's process drops at its end
        if isinstance(value, tempfile.TemporaryDirectory):
            value.cleanup()


def test_few_blocks_are_left_out() -> None:
    every = [(page.name, block) for page in PAGES for block in blocks_of(page)]
    assert len(every) > 50
    left_out = [(name, block.line) for name, block in every if block.comment.startswith("not run")]
    assert len(left_out) <= 11, left_out


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r": ([\w-]+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(), re.M))
    assert listed == {page.name for page in DOCS.glob("*.md")}


def test_the_reference_names_every_public_name() -> None:
    text = (DOCS / "reference.md").read_text()
    sections = re.findall(r"^::: ([\w.]+)\n((?: .*\n|\n)*)", text, re.M)
    listed = {module: re.findall(r"^ +- (\w+)$", options, re.M) for module, options in sections}
    assert all(members for members in listed.values())
    stand = [name for members in listed.values() for name in members]
    assert sorted(stand) == sorted(set(stand))  # each once
    for module, members in listed.items():
        for name in members:
            assert hasattr(import_module(module), name), f"{module} has no {name}"
    for module in listed:
        public = import_module(module)
        wanted = {
            name
            for name in getattr(public, "__all__", ())
            if not name.startswith("_") and not inspect.ismodule(getattr(public, name))
        }
        assert wanted <= set(stand), f"{module}: {sorted(wanted - set(stand))}"
