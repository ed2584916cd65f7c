"""Checked entry points to the compiled kernels, each beside its readable reference."""
