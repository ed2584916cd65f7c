"""Short forms of models for a prompt and a notebook."""

from __future__ import annotations

from html import escape
from typing import Any


class ShownModel:
    """Mixin: `repr` is a line, and a notebook shows a small table. Weights are not read for it."""

    def __repr__(self) -> str:
        facts = _facts(self)
        said = ", ".join(f"{name} {value}" for name, value in facts.items())
        return f"{type(self).__name__}({getattr(self, 'name', '')!r}, {said})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>"
            for name, value in _facts(self).items()
        )
        title = f"{type(self).__name__} {getattr(self, 'name', '')}"
        return f"<p>{escape(title)}</p><table>{rows}</table>"


def _facts(model: Any) -> dict[str, str]:
    length = model.context_length
    levels = model.levels
    facts = {"context": "all rows" if length is None else f"{length:,} rows"}
    facts["quantiles"] = f"{len(levels)} of {levels[0]:g} to {levels[-1]:g}" if levels else "none"
    return facts
