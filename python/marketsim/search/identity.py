"""What a score depends on besides parameters: bars, code, settings and the metric.

A ledger and a storage answer for what has the same identity, and for nothing else.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

from marketsim.arguments import check_name
from marketsim.errors import MarketsimWarning
from marketsim.models.code import whole_digest

_UNKNOWN = "unknown:"


def identity(thing: Any) -> str:
    """A name and the digest of all that decides what a function, class or object does.

    Where some of that is out of reach the identity is one that no other value has, not even the
    same one a second time; see `is_known`.

    Example:
        >>> from functools import partial
        >>> identity(partial(pow, 2)) == identity(partial(pow, 3))
        False
    """
    digest = whole_digest(thing)
    found = f"{_UNKNOWN}{os.urandom(8).hex()}" if digest is None else digest[:16]
    return f"{_name(thing)} {found}"


def is_known(*texts: str) -> bool:
    """Whether all these identities say what they are of."""
    return not any(_UNKNOWN in text for text in texts)


def has_digest(code: str) -> bool:
    """Whether a code identity is ours, and not a version that the user stated."""
    last = code.rpartition(" ")[2]
    return code.startswith("marketsim.") or (
        len(last) == 16 and set(last) <= set("0123456789abcdef")
    ) or last.startswith(_UNKNOWN)  # fmt: skip


def filed_as(objective: Any, data: str | None, code: str | None) -> dict[str, str]:
    """Data, code, settings and metric under which the trials of an objective are recorded.

    Args:
        objective: one of marketsim, which knows them, or a function, whose code is digested.
        data, code: stated by the user, in place of what the objective says of itself.
    """
    for name, text in (("data", data), ("code", code)):
        if text is not None:
            check_name(name, text)
    own = getattr(objective, "filed", None)
    if isinstance(own, dict):
        filed = dict(own)
    else:
        said = {name: getattr(objective, name, None) for name in ("data", "code")}
        filed = {
            "data": said["data"] if isinstance(said["data"], str) else "",
            "code": said["code"] if isinstance(said["code"], str) else "",
            "settings": "",
            "metric": "",
        }
        if not isinstance(said["code"], str) and code is None:
            filed["code"] = identity(objective)
    stated = {"data": data, "code": code}
    return filed | {name: text for name, text in stated.items() if text is not None}


def warn_of_unknown(filed: dict[str, str]) -> None:
    """Say that nothing is answered from a ledger, where something has no identity."""
    unknown = [filed[name] for name in ("code", "settings", "metric") if not is_known(filed[name])]
    if unknown:
        names = ", ".join(text.partition(f" {_UNKNOWN}")[0] for text in unknown)
        warnings.warn(
            f"the ledger records this search, but none of its results can be reused: no digest "
            f"covers all that {names} uses (an object of unknown content, or code that reads files "
            f"or the environment); state code= (a version of your own) to reuse them",
            MarketsimWarning,
            stacklevel=4,
        )


def _name(thing: Callable[..., Any]) -> str:
    module = str(getattr(thing, "__module__", type(thing).__module__))
    name = str(getattr(thing, "__qualname__", type(thing).__qualname__))
    if module.partition(".")[0] == "marketsim":
        return name.partition(".<locals>")[0]
    return f"{module}.{name}"
