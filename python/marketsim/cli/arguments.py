"""Arguments that several sub-commands share: where bars come from, and which store is used."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marketsim.bars import Bars
    from marketsim.forecasts import StoreLike


class Names(argparse.Action):
    """Names as separate arguments, with commas, or both."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any
    ) -> None:
        """Keep the names, or say that there are none."""
        names = [name for value in values for name in value.split(",") if name]
        if not names:
            parser.error(f"{self.option_strings[0]}: expected at least one name")
        setattr(namespace, self.dest, names)


# Options of an argument that takes names.
NAMES: dict[str, Any] = {"nargs": "+", "action": Names}


def add_data_arguments(group: argparse._ArgumentGroup) -> None:
    """Which symbols are read, and how."""
    group.add_argument(
        "--symbols", **NAMES, metavar="SYMBOL", help="which of a folder (default: all)"
    )
    group.add_argument(
        "--timezone", default="UTC", metavar="ZONE", help="of bare timestamps (default: UTC)"
    )
    group.add_argument(
        "--adjusted", choices=("yes", "no"), help="scale prices by adj close, or ignore it"
    )
    group.add_argument(
        "--repair", **NAMES, metavar="NAME", help="mend defects; an error names them"
    )


def add_store_arguments(group: argparse._ArgumentGroup) -> None:
    """Where forecasts are kept."""
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--store",
        type=Path,
        metavar="PATH",
        help="folder of kept forecasts (default: MARKETSIM_STORE, or marketsim/store in the "
        "user's cache folder)",
    )
    choice.add_argument(
        "--no-store", action="store_true", help="forget the forecasts when the run is over"
    )


def store_of(args: argparse.Namespace) -> StoreLike:
    """What `add_store_arguments` was told, as `store=` takes it."""
    chosen: Path | None = args.store
    return False if args.no_store else chosen


def read_source(args: argparse.Namespace) -> Bars:
    """The bars of one symbol: a file, or the demo."""
    from marketsim.bars import demo_bars, read_bars

    if args.source == "demo":
        return demo_bars()
    return read_bars(
        args.source, timezone=args.timezone, adjusted=adjusted(args), repair=args.repair or ()
    )


def read_folder_source(args: argparse.Namespace) -> Mapping[str, Bars]:
    """The bars of a folder by symbol, read when they are asked for."""
    from marketsim.bars import read_folder

    return read_folder(
        args.source,
        symbols=args.symbols,
        timezone=args.timezone,
        adjusted=adjusted(args),
        repair=args.repair or (),
    )


def adjusted(args: argparse.Namespace) -> bool | None:
    """What --adjusted says, as `adjusted=` takes it."""
    return None if args.adjusted is None else bool(args.adjusted == "yes")
