"""Cleaning of text from data before it is put on a page: readable, bounded, harmless."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from markupsafe import Markup

# Explicit bidi embeddings, overrides and isolates reorder what follows them; no name needs them.
_BIDI = "\u202a-\u202e\u2066-\u2069"
# C1 controls, lone surrogates (no UTF-8 exists for them) and noncharacters.
_UNUSABLE = re.compile(f"[\x80-\x9f{_BIDI}\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_LINE_ENDS = re.compile(r"\r\n?")
# U+2400 and on are the visible pictures of the control characters; tab and newline stay.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}


def clean(text: object) -> str:
    r"""Clean text for display: control characters become visible, line ends become ``\n``.

    Control characters below U+0020 and DEL become their pictures (U+2400 and on). Bidi overrides,
    other controls and lone surrogates become U+FFFD. Everything else stays. `Markup` was built from
    cleaned parts and is returned unchanged.

    Example:
        >>> clean("BTC\x00USD")
        'BTC␀USD'

    """
    if isinstance(text, Markup):
        return text
    text = str(text)
    if text.isprintable():  # no control, override, surrogate or noncharacter
        return text
    lines = _LINE_ENDS.sub("\n", text).translate(_PICTURES)
    return _UNUSABLE.sub("\N{REPLACEMENT CHARACTER}", lines)


def clip(text: object, limit: int) -> str:
    """Clean text and cut it to `limit` characters, with an ellipsis if it is longer.

    Example:
        >>> clip("persistence", 8)
        'persist…'

    """
    shown = clean(text)
    return shown if len(shown) <= limit else shown[: max(limit - 1, 0)] + "…"


def embed_json(data: Mapping[str, object]) -> Markup:
    r"""Encode JSON for a script element: ASCII text that cannot end the element.

    Raises:
        ValueError: NaN or an infinity in the data, which JSON cannot represent.

    Example:
        >>> embed_json({"name": "</script><!--"})
        Markup('{"name":"\\u003c/script\\u003e\\u003c!--"}')

    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        # Inside JSON these occur in strings only, where the escape means the same character.
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # safe: no character with a meaning in HTML is left
