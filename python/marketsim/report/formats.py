"""Figures as short text for axes, tooltips and captions."""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
MISSING = "\N{EN DASH}"
_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
_MOST_DECIMALS = 6


def percent(value: float, decimals: int = 1, *, signed: bool = False) -> str:
    """Format a fraction as a percentage with a true minus sign.

    Example:
        >>> percent(0.0312), percent(0.2, 0, signed=True)
        ('3.1%', '+20%')

    """
    if not _known(value):
        return MISSING
    scaled = value * 100.0
    if not abs(scaled) < 1e7:
        return _signed(_plain_exponent(f"{scaled:.1e}") + "%", signed)
    return _signed(f"{scaled:,.{decimals}f}%", signed)


def percent_tick(value: float, step: float, *, signed: bool = False) -> str:
    """Format a percentage with the decimals that ticks `step` apart need.

    Example:
        >>> percent_tick(0.025, 0.005)
        '2.5%'

    """
    return percent(value, _decimals(step * 100.0), signed=signed and value != 0.0)


def price(value: float, step: float | None = None) -> str:
    """Format a price: about five digits, or the decimals that ticks `step` apart need.

    Large prices are in millions (M), billions (B) or trillions (T), tiny ones with an exponent.

    Example:
        >>> price(104.06), price(1.25e12), price(150.0, 25.0), price(1.25e6, 1e4)
        ('104.06', '1.2500T', '150', '1.25M')

    """
    if not _known(value):
        return MISSING
    size = abs(value) or step or 0.0
    if size == 0.0:
        return "0"
    if size >= 1e15 or size < 1e-4:
        return _exponential(value, step)
    # Ticks have little room; a tooltip shows what a quote would.
    shortest = 1e6 if step is not None else 1e10
    unit, suffix = next(((u, s) for u, s in _UNITS if size >= max(u, shortest)), (1.0, ""))
    if step is None:
        decimals = max(4 - math.floor(math.log10(size / unit)), 2 if size < 1e5 else 0)
    else:
        decimals = min(_decimals(step / unit), _MOST_DECIMALS)
    return _signed(f"{value / unit:,.{decimals}f}{suffix}", False)


def multiple(value: float) -> str:
    r"""Format a growth factor, as on a logarithmic axis.

    Example:
        >>> multiple(0.5) == "0.5\N{MULTIPLICATION SIGN}"
        True

    """
    if 1e-3 <= value < 1e5:
        return f"{value:,g}{TIMES}"
    return _plain_exponent(f"{value:.0e}") + TIMES


def basis_points(value: float) -> str:
    """Format a fraction in basis points, 1 bp = 0.01%.

    Example:
        >>> basis_points(0.0132)
        '132 bp'

    """
    if not _known(value):
        return MISSING
    scaled = value * 1e4
    if scaled != 0.0 and not 0.01 <= abs(scaled) < 1e7:
        return _signed(_plain_exponent(f"{scaled:.1e}"), False) + " bp"
    decimals = 0 if abs(scaled) >= 100.0 or scaled == 0.0 else 1 if abs(scaled) >= 1.0 else 2
    return _signed(f"{scaled:,.{decimals}f}", False) + " bp"


def counted_bars(count: int) -> str:
    """Format a number of bars with its noun.

    Example:
        >>> counted_bars(1), counted_bars(2_500)
        ('1 bar', '2,500 bars')

    """
    return f"{count:,} bar{'' if count == 1 else 's'}"


def _known(value: float) -> bool:
    """Whether a value is a number that the arithmetic here cannot overflow."""
    return abs(value) <= 1e100


def _exponential(value: float, step: float | None) -> str:
    if value == 0.0:
        return "0"
    digits = 4
    if step is not None:
        power = math.floor(math.log10(step) + 1e-9)
        # One more digit for a step such as 2.5.
        digits = math.floor(math.log10(abs(value))) - power + _decimals(step / 10.0**power)
    return _signed(_plain_exponent(f"{value:.{min(max(digits, 0), 4)}e}"), False)


def _plain_exponent(text: str) -> str:
    """Shorten exponents: 1e+09 to 1e9, and 1e-09 to 1e-9 with a true minus sign."""
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{MINUS if exponent[0] == '-' else ''}{int(exponent[1:])}"


def _decimals(step: float) -> int:
    """Return the number of decimals that distinguish multiples of `step`: 2.5 needs one."""
    if not step > 0.0:
        return 2
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    shown = step * 10.0**decimals
    return decimals if abs(shown - round(shown)) < 1e-6 else decimals + 1


def _signed(text: str, signed: bool) -> str:
    """Give `text` a true minus sign, no sign before zero, and a plus on request."""
    negative = text.startswith("-")
    digits = text.removeprefix("-")
    if not any(c in "123456789" for c in digits.split("e")[0]):
        return digits
    return (MINUS if negative else "+" if signed else "") + digits
