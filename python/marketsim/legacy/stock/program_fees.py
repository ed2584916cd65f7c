"""Fees of the program's own `loss_utils.py`, whose place ours takes."""

from __future__ import annotations

import ast
from importlib.machinery import PathFinder
from pathlib import Path

from marketsim.legacy.stock import loss_utils
from marketsim.text import get_logger

logger = get_logger(__name__)

_NAMES = ("TRADING_FEE", "CRYPTO_TRADING_FEE")


def use_fees_of_program() -> None:
    """Charge what a `loss_utils.py` on sys.path says, where its rates are plain numbers.

    The file is read and not run. Rates of a version that `loss_utils.use_fees` knows bring that
    version's rule along; others are charged by the rule that is in force, and a line of the log
    names them. Without such a file nothing changes.
    """
    spec = PathFinder.find_spec("loss_utils")
    if spec is None or not spec.has_location or not str(spec.origin).endswith(".py"):
        return
    rates = _rates(Path(str(spec.origin)))
    ours = {name: getattr(loss_utils, name) for name in _NAMES}
    if not rates or ours | rates == ours:
        return
    for version, fees in loss_utils.FEES.items():
        if ours | rates == dict(zip(_NAMES, fees[:2], strict=True)):
            loss_utils.use_fees(version)
            logger.info("%s: fees as by loss_utils.use_fees(%r)", spec.origin, version)
            return
    for name, rate in rates.items():
        setattr(loss_utils, name, rate)
    logger.warning(
        "%s: %s are charged, by the rule %r; loss_utils.use_fees('later') charges on each entry",
        spec.origin,
        ", ".join(f"{name} = {rate!r}" for name, rate in rates.items()),
        loss_utils.FEE_RULE,
    )


def _rates(path: Path) -> dict[str, float]:
    """The two rates of a module's text, as far as they are numbers from 0 to below 1."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # the program never runs it: it is ours now
        return {}
    found: dict[str, float] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            value = node.value.value
            plain = type(value) in (int, float) and 0 <= value < 1  # type: ignore[operator]
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            for name in set(names) & set(_NAMES) if plain else ():
                found[name] = float(value)  # type: ignore[arg-type]
    return found
