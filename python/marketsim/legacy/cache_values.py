"""The old import path of the values of `marketsim.legacy.disk_cache`."""

from marketsim.legacy.stock.disk_cache import from_bytes, to_bytes, update_digest

__all__ = ["from_bytes", "to_bytes", "update_digest"]
