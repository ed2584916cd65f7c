"""Checked entry points of the compiled kernels, and a readable reference of each."""
