"""The old search: trials, scores, constraints, champions, summaries."""
