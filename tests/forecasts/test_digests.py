"""Keys against a reference by the blake3 package, and what they must and must not depend on."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from marketsim import _core
from marketsim.forecasts.digests import digest_contexts, digest_records
from marketsim.forecasts.keys import SeriesId

Floats = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.int64]
SERIES = SeriesId("ab" * 32, "AAPL", "quantiles(0.1,0.5,0.9);float32")


def reference(stamps: Stamps, values: Floats, ends: Stamps, length: int | None) -> list[bytes]:
    """What csrc/kernels/store/keys.hpp says, span by span."""
    rows = [
        blake3(struct.pack(f"<q{len(values)}d", stamp, *values[:, i].tolist())).digest()
        for i, stamp in enumerate(stamps.tolist())
    ]

    def span(first: int, count: int) -> bytes:
        if count == 1:
            return rows[first]
        half = count // 2
        return blake3(span(first, half) + span(first + half, half)).digest()

    found = []
    for end in ends.tolist():
        n = end if length is None else min(end, length)
        most = 1 << (n.bit_length() - 1)
        parts = n.to_bytes(8, "little") + span(end - n, most) + span(end - most, most)
        found.append(blake3(parts).digest(length=16))
    return found


def series_of(rows: int, columns: int, seed: int = 0) -> tuple[Stamps, Floats]:
    rng = np.random.default_rng(seed)
    stamps = np.cumsum(rng.integers(1, 2**40, rows))
    values = rng.normal(size=(columns, rows))
    values.reshape(-1)[rng.integers(0, values.size, 3)] = (-0.0, np.inf, 5e-324)
    return stamps, values


def texts(digests: npt.NDArray[np.uint8]) -> list[bytes]:
    return [row.tobytes() for row in digests]


@given(
    rows=st.integers(1, 70),
    columns=st.integers(1, 9),
    length=st.none() | st.integers(1, 80),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_digests_are_those_of_the_reference(
    rows: int, columns: int, length: int | None, data: st.DataObject
) -> None:
    stamps, values = series_of(rows, columns)
    ends = np.array(data.draw(st.lists(st.integers(1, rows), max_size=8)), dtype=np.int64)
    assert texts(digest_contexts(stamps, values, ends, length)) == reference(
        stamps, values, ends, length
    )


# One block, two blocks, a chunk to its last word, two chunks, an odd tree of chunks.
@pytest.mark.parametrize("columns", [1, 7, 8, 15, 127, 128, 400, 895])
def test_rows_of_any_width(columns: int, isa: str) -> None:
    stamps, values = series_of(37, columns)
    ends = np.array([37, 1, 20], dtype=np.int64)
    assert texts(digest_contexts(stamps, values, ends, 16)) == reference(stamps, values, ends, 16)


def test_the_same_on_every_instruction_set_and_for_any_strides(isa: str) -> None:
    stamps, values = series_of(1000, 4)
    ends = np.arange(1, 1001)
    tall = np.ascontiguousarray(values.T)
    found = digest_contexts(stamps, tall.T, ends, 100)
    assert texts(found)[::83] == reference(stamps, values, ends[::83], 100)
    np.testing.assert_array_equal(found, digest_contexts(stamps, values, ends, 100))
    wide = np.repeat(values, 3, axis=1)[:, ::3]
    np.testing.assert_array_equal(found, digest_contexts(stamps, wide, ends, 100))


@pytest.mark.parametrize("length", [None, 1, 7, 64])
def test_a_revised_bar_changes_the_contexts_that_saw_it_and_no_others(length: int | None) -> None:
    stamps, values = series_of(200, 4)
    ends = np.arange(1, 201)
    before = digest_contexts(stamps, values, ends, length)
    for change in ("value", "stamp"):
        other, times = values.copy(), stamps.copy()
        if change == "value":
            other[2, 90] = np.nextafter(other[2, 90], 9)
        else:
            times[90] += 1
        after = digest_contexts(times, other, ends, length)
        last = 200 if length is None else 90 + length
        saw = (ends > 90) & (ends <= last)
        np.testing.assert_array_equal((before != after).any(axis=1), saw)


def test_a_context_is_the_same_wherever_its_file_begins() -> None:
    stamps, values = series_of(300, 2)
    whole = digest_contexts(stamps, values, np.arange(101, 301), 60)
    part = digest_contexts(stamps[41:], values[:, 41:], np.arange(60, 260), 60)
    np.testing.assert_array_equal(whole, part)
    # A model that may see more rows than there are sees the same rows as one that sees all.
    ends = np.arange(1, 301)
    every = digest_contexts(stamps, values, ends, None)
    np.testing.assert_array_equal(every, digest_contexts(stamps, values, ends, 300))


def test_no_two_contexts_share_a_digest() -> None:
    stamps, values = series_of(400, 1)
    values[:] = 0.25  # only the dates differ
    found = [
        digest
        for length in (1, 2, 3, 5, 8, 100)
        for digest in texts(digest_contexts(stamps, values, np.arange(100, 401), length))
    ]
    assert len(set(found)) == len(found)


def test_a_record_depends_on_every_part_of_its_key() -> None:
    stamps, values = series_of(50, 1)
    contexts = digest_contexts(stamps, values, np.arange(1, 51), None)
    keys = digest_records(SERIES, "close", 1, stamps, contexts)
    head = b"".join(
        len(part).to_bytes(8, "little") + part.encode()
        for part in (SERIES.schema, SERIES.model, SERIES.series, "close", "1")
    )
    for i in (0, 17, 49):
        parts = blake3(head).digest() + struct.pack("<q", stamps[i]) + contexts[i].tobytes()
        assert keys[i].tobytes() == blake3(parts).digest(length=16)
    others = [
        digest_records(SERIES._replace(model="cd" * 32), "close", 1, stamps, contexts),
        digest_records(SERIES._replace(series="MSFT"), "close", 1, stamps, contexts),
        digest_records(SERIES._replace(schema="mean,std"), "close", 1, stamps, contexts),
        digest_records(SERIES, "high", 1, stamps, contexts),
        digest_records(SERIES, "close", 2, stamps, contexts),
        digest_records(SERIES, "close", 1, stamps + 1, contexts),
        digest_records(SERIES, "close", 1, stamps, contexts[::-1]),
    ]
    found = [key for batch in [keys, *others] for key in texts(batch)]
    assert len(set(found)) == len(found)


def test_golden_keys() -> None:
    """A change of these loses every stored forecast: raise the store's version with it."""
    stamps, values = np.arange(5) * 86_400_000_000_000, np.arange(10.0).reshape(2, 5)
    contexts = digest_contexts(stamps, values, np.array([5, 3]), None)
    keys = digest_records(SERIES, "close", 1, stamps[:2], contexts)
    assert [key.hex() for key in texts(keys)] == GOLDEN


GOLDEN = ["5a0fae50699fe965658d8aca62347a55", "6055fe221980c9ab2938a6ad5110a37b"]


@pytest.mark.parametrize(
    ("ends", "message"), [([0], "ends must be 1 to 5: got 0"), ([6], "got 6"), ([-1], "got -1")]
)
def test_ends_outside_the_rows_are_refused(ends: list[int], message: str) -> None:
    stamps, values = series_of(5, 1)
    with pytest.raises(ValueError, match=message):
        digest_contexts(stamps, values, np.array(ends), None)


def test_shapes_are_checked() -> None:
    stamps, values = series_of(5, 1)
    ends = np.array([3])
    with pytest.raises(ValueError, match=r"values must have shape \(columns, 5\): got \(1, 4\)"):
        digest_contexts(stamps, values[:, :4], ends, None)
    with pytest.raises(ValueError, match="context_length must be at least 1 or None: got 0"):
        digest_contexts(stamps, values, ends, 0)
    with pytest.raises(ValueError, match="head must be 32 bytes: got 3"):
        _core.record_keys(b"abc", stamps, np.zeros((5, 16), np.uint8))
    with pytest.raises(ValueError, match=r"contexts must have shape \(5, 16\): got \(4, 16\)"):
        _core.record_keys(bytes(32), stamps, np.zeros((4, 16), np.uint8))
