"""The stock project's functions and files."""
