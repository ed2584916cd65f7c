"""JSON in the old form, byte for byte what the json module writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marketsim.legacy.genesis.atomic_files import plain, write_json

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.floats().map(np.float64),
    st.integers(-9, 9).map(np.int64),
    st.just(Path("a/b")),
)
keys = st.one_of(st.text(max_size=3), st.integers(0, 9), st.floats(0, 1))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.dictionaries(keys, inner, max_size=2),
    ),
    max_leaves=12,
)


@given(values)
def test_files_are_what_json_writes(tmp_path_factory: Any, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "one.json"
    write_json(path, value, sync=False)
    assert path.read_text(encoding="utf-8") == json.dumps(value, indent=2, default=plain)


@given(st.dictionaries(st.text(max_size=3), values, max_size=4))
def test_sorted_files_are_what_json_writes(tmp_path_factory: Any, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "two.json"
    try:
        expected = json.dumps(value, indent=2, sort_keys=True, default=plain)
    except TypeError:
        return  # keys of several kinds
    write_json(path, value, sort_keys=True, sync=False)
    assert path.read_text(encoding="utf-8") == expected
