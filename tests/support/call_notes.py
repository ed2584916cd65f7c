"""What cached functions of tests note and return: their keys cover modules by name alone."""

from __future__ import annotations

from typing import Any

noted: list[Any] = []
result: Any = None
