"""Forecasts of one backtest in memory, under the names of the old module.

The old functions never needed it once forecasts are in the prediction store; it is here for
programs that use it. Values may be anything, and are forgotten with the process. Unlike the old
one, `hash_dataframe` covers every value, and a change of TOTO_MODEL_ID finds nothing stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from blake3 import blake3

from marketsim.legacy.stock.assignments import watch_callee
from marketsim.legacy.stock.settings import setting

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PredictionCache", "get_cache", "hash_dataframe", "reset_cache"]

_cache: PredictionCache | None = None


class PredictionCache:
    """Values by data, target and day.

    Args:
        enabled: whether anything is kept; None: what MARKETSIM_CACHE_PREDICTIONS says (it does).
    """

    def __init__(self, enabled: bool | None = None) -> None:
        self.enabled = bool(setting("cache_predictions")) if enabled is None else bool(enabled)
        self._values: dict[tuple[str, str, str, int], Any] = {}
        self._hits = 0
        self._misses = 0

    def get(self, data_hash: str, key_to_predict: str, day_index: int) -> Any | None:
        """What was put for that; None where nothing was."""
        if not self.enabled:
            return None
        value = self._values.get(_key(data_hash, key_to_predict, day_index))
        self._hits += value is not None
        self._misses += value is None
        return value

    def put(self, data_hash: str, key_to_predict: str, day_index: int, value: Any) -> None:
        """Keep a value in place of what was there."""
        if self.enabled:
            self._values[_key(data_hash, key_to_predict, day_index)] = value

    def clear(self) -> None:
        """Forget all values and counts."""
        self._values.clear()
        self._hits = self._misses = 0

    def stats(self) -> dict[str, Any]:
        """enabled, hits, misses, total_requests, hit_rate in percent, cache_size."""
        total = self._hits + self._misses
        return {
            "enabled": self.enabled,
            "hits": self._hits,
            "misses": self._misses,
            "total_requests": total,
            "hit_rate": self._hits / total * 100 if total else 0,
            "cache_size": len(self._values),
        }

    def __len__(self) -> int:
        return len(self._values)


def get_cache() -> PredictionCache:
    """The cache that all share; made when it is first asked for."""
    global _cache
    if _cache is None:
        _cache = PredictionCache()
    return _cache


def reset_cache() -> None:
    """Empty the cache that all share."""
    get_cache().clear()


def hash_dataframe(df: pd.DataFrame) -> str:
    """A digest of columns, dtypes, index and every value of a frame, 32 hex digits.

    Example:
        >>> import pandas as pd
        >>> one, other = pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [1.0, 2.5]})
        >>> hash_dataframe(one) == hash_dataframe(other)
        False
    """
    import pandas as pd

    digest = blake3()
    head = [str(df.shape), *(f"{name!r} {df.dtypes.iloc[i]}" for i, name in enumerate(df.columns))]
    for text in (*head, str(df.index.dtype)):
        digest.update(len(text).to_bytes(8, "little") + text.encode())
    rows = pd.util.hash_pandas_object(df.index, index=False).to_numpy()
    digest.update(np.ascontiguousarray(rows).tobytes())
    for i in range(df.shape[1]):
        digest.update(_column_bytes(df.iloc[:, i]))
    return digest.hexdigest(length=16)


def _column_bytes(column: pd.Series) -> bytes:
    """Every bit of a column of numbers; hashes of the values of any other."""
    import pandas as pd

    values = column.to_numpy()
    if values.dtype.kind in "biufcmM":
        return np.ascontiguousarray(values).tobytes()
    return np.asarray(pd.util.hash_pandas_object(column, index=False)).tobytes()


def _key(data_hash: str, key_to_predict: str, day_index: int) -> tuple[str, str, str, int]:
    return (str(setting("toto_model_id")), data_hash, key_to_predict, day_index)


watch_callee(__name__)
