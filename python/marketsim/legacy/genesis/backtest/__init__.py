"""The old engine, its exits, trades, metrics and files."""
