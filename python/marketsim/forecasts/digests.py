"""Digests that key stored forecasts, computed by csrc/kernels/store/keys.cpp.

A row's digest is the BLAKE3 of its timestamp and its values. A span of 2^k rows has the BLAKE3 of
the digests of its halves. A context of n rows has the BLAKE3 of n and of the spans of its first and
last 2^k rows, where 2^k is the largest power of two up to n. A context's digest therefore depends
only on its rows, and all contexts of T rows cost T (1 + log2 n) hashes of 64 bytes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from blake3 import blake3

from marketsim import _core
from marketsim.arguments import as_argument_error
from marketsim.forecasts.keys import KEY_BYTES, SeriesId

Digests = npt.NDArray[np.uint8]


def digest_contexts(
    timestamps: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    ends: npt.NDArray[np.int64],
    context_length: int | None,
) -> Digests:
    """Digest the context values[:, max(0, end - context_length):end] of each end.

    A digest covers every byte of the context's rows and timestamps and nothing else: neither
    earlier rows nor the context length that the model allows.

    Args:
        timestamps: int64 [row].
        values: float64 [column, row], the model's inputs; any strides, so a transposed
            [row, column] is read without a copy.
        ends: int64 [n], one past the last row of each context; 1 to the number of rows.
        context_length: number of last rows that the model reads; None for all.

    Returns:
        uint8 [n, KEY_BYTES].
    """
    if context_length is not None and context_length < 1:
        raise ValueError(f"context_length must be at least 1 or None: got {context_length}")
    try:
        return _core.context_digests(
            np.ascontiguousarray(timestamps, dtype=np.int64),
            np.asarray(values, dtype=np.float64),
            np.ascontiguousarray(ends, dtype=np.int64),
            context_length or 0,
        )
    except ValueError as error:  # such as an instruction set that this processor lacks
        raise as_argument_error(error) from error


def digest_records(
    series: SeriesId,
    target: str,
    horizon: int,
    as_of: npt.NDArray[np.int64],
    contexts: Digests,
) -> Digests:
    """Compute the key of each forecast from model, series, target, horizon, as-of time and context.

    Args:
        series: schema, model and series.
        target: forecast target.
        horizon: steps ahead.
        as_of: int64 [n], timestamp of the last row of each context.
        contexts: uint8 [n, KEY_BYTES] of `digest_contexts`.

    Returns:
        uint8 [n, KEY_BYTES].
    """
    parts = (series.schema, series.model, series.series, target, str(horizon))
    encoded = [part.encode() for part in parts]
    head = blake3(b"".join(len(part).to_bytes(8, "little") + part for part in encoded)).digest()
    return _core.record_keys(
        head,
        np.ascontiguousarray(as_of, dtype=np.int64),
        np.ascontiguousarray(contexts).reshape(len(as_of), KEY_BYTES),
    )
