"""The one rule for symbols: they become file names and page titles, so few characters pass."""

from __future__ import annotations

import re

from marketsim.errors import InvalidNameError

_MAX_LENGTH = 64
_PATTERN = re.compile(r"[A-Za-z0-9^][A-Za-z0-9^._=+-]*")
_FOREIGN = re.compile(r"[^A-Za-z0-9^._=+-]+")


def check_symbol(text: str) -> str:
    """Return `text` unchanged if it may be used as a symbol.

    Letters and digits of ASCII and the characters ``^ . _ = + -`` are allowed; the first is a
    letter, a digit or ``^``; at most 64 characters; no ``..``.

    Raises:
        InvalidNameError: the symbol breaks this rule.

    Example:
        >>> check_symbol("BTC-USD")
        'BTC-USD'

    """
    problem = _problem(text)
    if problem:
        shown = repr(text) if len(repr(text)) <= 80 else f"{text!r:.77}..."
        raise InvalidNameError(
            f"invalid symbol {shown}: {problem}; allowed are up to {_MAX_LENGTH} letters, digits "
            f"and ^ . _ = + -, the first a letter, a digit or ^; {_advice(text)}"
        )
    return text


def is_symbol(text: str) -> bool:
    """Whether `check_symbol` would accept `text`."""
    return _problem(text) is None


def _problem(text: object) -> str | None:
    if not isinstance(text, str):
        return f"it is a {type(text).__name__}, not a str"
    if not text:
        return "it is empty"
    if len(text) > _MAX_LENGTH:
        return f"it has {len(text)} characters"
    if not _PATTERN.fullmatch(text):
        foreign = sorted(set(_FOREIGN.findall(text)))
        return (
            f"it holds {', '.join(map(repr, foreign))}"
            if foreign
            else f"it starts with {text[0]!r}"
        )
    if ".." in text:
        return "it holds '..'"
    return None


def _advice(text: object) -> str:
    """Suggest a name that is allowed; BTC-USD for BTC/USD."""
    if isinstance(text, str):
        cleaned = re.sub(r"\.{2,}", ".", _FOREIGN.sub("-", text.strip())).lstrip("._=+-")
        if cleaned != text and is_symbol(cleaned):
            return f"write {cleaned} instead"
    return "write BTC-USD for BTC/USD, for example"


def symbol_of(text: str) -> str:
    """A valid symbol for the name that a source gives: BTC-USDT for BTC/USDT.

    Raises:
        InvalidNameError: nothing of it can be a symbol.

    """
    if is_symbol(text):
        return text
    cleaned = re.sub(r"\.{2,}", ".", _FOREIGN.sub("-", text.strip())).strip("._=+-")[:_MAX_LENGTH]
    return check_symbol(cleaned if is_symbol(cleaned) else text)


def is_name(text: str) -> bool:
    """Whether `symbol_of` gives a symbol for a name."""
    try:
        symbol_of(text)
    except InvalidNameError:
        return False
    return True
