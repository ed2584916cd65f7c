"""Which symbols the old functions take for crypto."""

from __future__ import annotations

# What the old program traded; others of its crypto symbols were only recognised elsewhere.
crypto_symbols = ["BNBUSD", "BTCUSD", "ETHUSD", "PAXGUSD", "UNIUSD"]
