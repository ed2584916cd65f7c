"""The old runtime configuration: what it holds, and which settings anything reads."""
