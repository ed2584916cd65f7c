"""Arguments that say what trading costs, and how much and when can be traded."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from marketsim.cli.arguments import fee, number
from marketsim.errors import ArgumentError

if TYPE_CHECKING:
    from marketsim.bars import Bars
    from marketsim.walkforward import Costs, VolumeCap

# Flag, attribute of `Costs`, help.
_PARTS = (
    ("--maker", "maker_bps", "fee of a fill at a limit; negative for a rebate"),
    ("--taker", "fee_bps", "fee of a fill at the market or the close"),
    ("--half-spread", "half_spread_bps", "half of the distance between bid and ask, at the market"),
    ("--borrow", "borrow_bps", "what a short pays a year"),
    ("--financing", "financing_bps", "what a long beyond the capital pays a year"),
)
_OF_EVERY_FILL = ("--maker", "--taker", "--half-spread")


def add_cost_arguments(group: argparse._ArgumentGroup) -> None:
    """Costs, and what limits trading."""
    group.add_argument(
        "--fee",
        type=fee,
        help="of every fill, nothing else: 5bps, 0.05%% or 0.0005 (default: by asset class)",
    )
    for flag, _, help in _PARTS:
        group.add_argument(
            flag,
            type=as_rate,
            metavar="RATE",
            help=f"{help} (default: by asset class, or 0 by --fee)",
        )
    group.add_argument(
        "--volume-cap",
        type=_volume_cap,
        metavar="CAPITAL[:SHARE]",
        help="trade at most this share of a bar's volume with this capital: 1e6:5%% (default: any)",
    )
    group.add_argument(
        "--execution",
        choices=("close", "next_open"),
        help="when held positions are traded (default: as each strategy says)",
    )


def allow_rebates(parser: argparse.ArgumentParser) -> None:
    """Let -0.2bps be a value: argparse takes -0.2 for one, but not with a unit."""
    parser._negative_number_matcher = re.compile(r"-[0-9.]+(bps?|%)?$")


def costs_of(args: argparse.Namespace, bars: Bars) -> float | Costs | None:
    """The `fee` that `add_cost_arguments` was told: parts that are not stated stay the default.

    Raises:
        ArgumentError: --fee beside a part of it.
    """
    given = {flag: getattr(args, flag[2:].replace("-", "_")) for flag, _, _ in _PARTS}
    stated = {flag: rate for flag, rate in given.items() if rate is not None}
    every: float | None = args.fee
    if not stated:
        return every
    from marketsim.walkforward.costs import COSTS, Costs, check_asset_class

    both = [flag for flag in _OF_EVERY_FILL if flag in stated]
    if every is not None and both:
        raise ArgumentError(
            f"--fee is the rate of every fill: got {', '.join(both)} beside it; state --maker, "
            "--taker and --half-spread instead of --fee"
        )
    named = bars.market.asset_class if args.asset_class is None else args.asset_class
    base = COSTS[check_asset_class(named)] if every is None else Costs(fee_bps=every * 1e4)
    return replace(base, **{name: stated[flag] * 1e4 for flag, name, _ in _PARTS if flag in stated})


def volume_cap_of(args: argparse.Namespace) -> VolumeCap | None:
    """The `volume_cap` that `add_cost_arguments` was told."""
    if args.volume_cap is None:
        return None
    from marketsim.walkforward import VolumeCap

    return VolumeCap(**args.volume_cap)


def as_rate(text: str) -> float:
    """A rate of the command line, as a fraction."""
    value = number(text)
    if not abs(value) < 1.0:
        raise argparse.ArgumentTypeError(
            f"expected a rate below 100 %, as 5bps, 0.05% or 0.0005: got {text!r}"
        )
    return value


def _volume_cap(text: str) -> dict[str, float]:
    capital, _, share = text.partition(":")
    value = number(capital)
    part = number(share) if share else 0.1
    if not (0.0 < value < math.inf and 0.0 < part <= 1.0) or capital.strip().endswith(("%", "bps")):
        raise argparse.ArgumentTypeError(
            "expected the capital, and after a colon the share of a bar's volume in (0, 1], as "
            f"1e6:5%: got {text!r}"
        )
    return {"capital": value, "share": part}
