"""Models without weights."""
