"""Translation of messages about reading from Python's arguments to command-line flags."""

from __future__ import annotations

import re

from marketsim.text import printable

_WORDS = {"True": "yes", "False": "no"}
_VALUE = r"\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<word>True|False)"
_OPTION = re.compile(
    r"\bcolumns=(?:\{(?P<pairs>[^{}]*)\})?"
    r"|\b(?P<name>symbol|timezone|adjusted|repair|min_bars|calendar|layout|date_format|dayfirst"
    rf"|decimal|splits|asset_class|periods_per_year)=(?:{_VALUE})?"
)
_PAIR = re.compile(
    r"(?:\"([^\"]*)\"|'([^']*)'): (?:\"([^\"]*)\"|'([^']*)'|(\.\.\.))"
)  # "role": "name"
_GOT = re.compile(r"\b(min_bars|date_format|columns|calendar|layout) got\b")
_CALLS = {
    "read_many reads all": "marketsim convert FILE FOLDER writes all",
    "use read_folder to read all": "--symbols, or none of them, to take all",
}


def as_flags(message: object) -> str:
    """Replace arguments of `read_bars` in a message by flags of the command line.

    Example:
        >>> as_flags('fix: repair="sort", or dayfirst=True')
        'fix: --repair sort, or --dayfirst yes'
        >>> as_flags('columns={"symbol": "my code"} names it')
        '--columns "symbol=my code" names it'
    """
    text = _OPTION.sub(_option, str(message))
    text = _GOT.sub(lambda match: f"--{match[1].replace('_', '-')} got", text)
    for call, words in _CALLS.items():
        text = text.replace(call, words)
    return text


def _option(match: re.Match[str]) -> str:
    if match["name"] is None:
        return _columns(match["pairs"])
    flag = f"--{match['name'].replace('_', '-')}"
    value = next((v for v in (match["double"], match["single"]) if v is not None), None)
    if match["word"]:
        return f"{flag} {_WORDS[match['word']]}"
    return flag if value is None else f"{flag} {_quoted(value)}"


def _columns(entries: str | None) -> str:
    pairs = []
    for groups in _PAIR.findall(entries or ""):
        key, value = groups[0] or groups[1], groups[2] or groups[3] or groups[4]
        role, name = (value, key) if value == "ignored" else (key, value)
        pairs.append(_quoted(f"{role}={name}"))
    return " ".join(["--columns", *pairs])


def _quoted(value: str) -> str:
    """Quote a value for a shell."""
    return value if re.fullmatch(r"[\w.,:/+=^%-]+", value) else f'"{printable(value)}"'
