"""Keys of stored forecasts: digests of exactly what the model saw and of what it was asked."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

KEY_BYTES = 16


def context_digests(
    timestamps: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    ends: npt.NDArray[np.int64],
    context_length: int | None,
) -> list[bytes]:
    """Digest of the rows values[max(0, end - context_length):end] for each end.

    Args:
        timestamps: [row], of each value.
        values: [row].
        ends: [n], ascending, each at least 1.
        context_length: how many last rows the model sees; None for all.

    Returns:
        One digest of KEY_BYTES bytes for each end. It covers the bytes of every row seen, so it
        changes with any of them and with nothing else.
    """
    rows = np.empty((len(values), 2), dtype=np.int64)
    rows[:, 0] = timestamps
    rows[:, 1] = np.ascontiguousarray(values, dtype=np.float64).view(np.int64)
    if context_length is not None:
        return [
            hashlib.blake2b(
                rows[max(0, end - context_length) : end].data, digest_size=KEY_BYTES
            ).digest()
            for end in ends.tolist()
        ]
    digests = []
    running = hashlib.blake2b(digest_size=KEY_BYTES)
    seen = 0
    for end in ends.tolist():
        running.update(rows[seen:end].data)
        seen = end
        digests.append(running.copy().digest())
    return digests


def record_keys(
    schema: str,
    model: str,
    series: str,
    target: str,
    horizon: int,
    as_of: npt.NDArray[np.int64],
    contexts: list[bytes],
) -> list[bytes]:
    """Key of each forecast: schema, model, series, target, horizon, as-of timestamp, context."""
    head = hashlib.blake2b(digest_size=KEY_BYTES)
    for part in (schema, model, series, target, str(horizon)):
        encoded = part.encode()
        head.update(len(encoded).to_bytes(8, "little") + encoded)
    keys = []
    for stamp, context in zip(as_of.tolist(), contexts, strict=True):
        key = head.copy()
        key.update(stamp.to_bytes(8, "little", signed=True) + context)
        keys.append(key.digest())
    return keys
