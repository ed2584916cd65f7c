"""Arguments of trading costs, volume limits and execution."""

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
    ("--half-spread", "half_spread_bps", "half of the bid-ask spread, for fills at the market"),
    ("--borrow", "borrow_bps", "yearly cost of a short"),
    ("--financing", "financing_bps", "yearly cost of a long beyond the capital"),
)
_OF_EVERY_FILL = ("--maker", "--taker", "--half-spread")


def add_cost_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the arguments of costs and trading limits."""
    group.add_argument(
        "--fee",
        type=fee,
        help="fee of every fill: 5bps, 0.05%% or 0.0005 (default: by asset class)",
    )
    for flag, _, help in _PARTS:
        group.add_argument(
            flag,
            type=as_rate,
            metavar="RATE",
            help=f"{help} (default: by asset class, or 0 with --fee)",
        )
    group.add_argument(
        "--volume-cap",
        type=_volume_cap,
        metavar="CAPITAL[:SHARE]",
        help="largest share of a bar's volume to trade with this capital: 1e6:5%% (default: none)",
    )
    group.add_argument(
        "--execution",
        choices=("close", "next_open"),
        help="price at which held positions are traded (default: as each strategy states)",
    )


def allow_rebates(parser: argparse.ArgumentParser) -> None:
    """Accept -0.2bps as a value: argparse accepts -0.2, but not with a unit."""
    parser._negative_number_matcher = re.compile(r"-[0-9.]+(bps?|%)?$")


def costs_of(args: argparse.Namespace, bars: Bars) -> float | Costs | None:
    """Build the `fee` of `add_cost_arguments`; parts that are not stated keep their default.

    Raises:
        ArgumentError: --fee together with a part of it.
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
            f"--fee already sets the rate of every fill: got {', '.join(both)} as well; state "
            "--maker, --taker and --half-spread instead of --fee"
        )
    named = bars.market.asset_class if args.asset_class is None else args.asset_class
    base = COSTS[check_asset_class(named)] if every is None else Costs(fee_bps=every * 1e4)
    return replace(base, **{name: stated[flag] * 1e4 for flag, name, _ in _PARTS if flag in stated})


def volume_cap_of(args: argparse.Namespace) -> VolumeCap | None:
    """Build the `volume_cap` of `add_cost_arguments`; None without one."""
    if args.volume_cap is None:
        return None
    from marketsim.walkforward import VolumeCap

    return VolumeCap(**args.volume_cap)


def as_rate(text: str) -> float:
    """Parse a rate of the command line as a fraction."""
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
            "expected CAPITAL:SHARE with a share of the bar's volume in (0, 1], such as 1e6:5%: "
            f"got {text!r}"
        )
    return {"capital": value, "share": part}
