"""The old indicator functions: lists in, lists out, on the compiled indicators."""
