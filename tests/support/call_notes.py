"""What cached functions of tests note and return, where no key looks: in the logging module."""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger("marketsim.tests.calls")
logger.propagate = False


class _Notes(logging.Handler):
    """Keeps the arguments of each record."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.noted.append(record.args)


def fresh_notes() -> list[Any]:
    """The list that calls are noted in from now on: the arguments of each."""
    notes = _Notes()
    logger.handlers[:] = [notes]
    return notes.noted
