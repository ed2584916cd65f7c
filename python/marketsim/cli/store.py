"""marketsim store: list, check, maintain and export the prediction store."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketsim.cli import store_change, store_legacy, store_look

_EXAMPLES = """examples:
  marketsim store stat                     totals, and a row per model
  marketsim store show SP500 --last 5      the newest forecasts of a symbol
  marketsim store verify                   check every byte
  marketsim store gc --older-than 90d --dry-run

Each command has its own --help. The store is a folder: --store, else MARKETSIM_STORE, else
marketsim/store in the user's cache folder.

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments, a broken store, or a failed write,
130 interrupted
"""


@dataclass(frozen=True)
class StoreCommand:
    """A sub-command of `marketsim store`.

    Attributes:
        name: name on the command line.
        help: one-line help.
        description: long help with examples.
        arguments: function that adds its arguments.
        run: function that runs it; returns the exit code.
    """

    name: str
    help: str
    description: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _run_show(args: argparse.Namespace) -> int:
    """Print the records of a symbol or a file."""
    from marketsim.cli.store_show import show  # loads NumPy

    return show(args)


COMMANDS = (
    StoreCommand(
        "stat",
        "totals, and a row per model",
        store_look.STAT,
        store_look.add_filters,
        store_look.run_stat,
    ),
    StoreCommand(
        "ls", "list every file", store_look.LS, store_look.add_ls_arguments, store_look.run_ls
    ),
    StoreCommand(
        "show",
        "print the forecasts of a symbol or a file",
        store_look.SHOW,
        store_look.add_show_arguments,
        _run_show,
    ),
    StoreCommand(
        "verify",
        "check every byte",
        store_look.VERIFY,
        store_look.add_filters,
        store_look.run_verify,
    ),
    StoreCommand(
        "repair",
        "repair the defects that verify finds",
        store_change.REPAIR,
        store_change.add_repair_arguments,
        store_change.run_repair,
    ),
    StoreCommand(
        "compact",
        "rewrite files without broken and superseded records",
        store_change.COMPACT,
        store_change.add_compact_arguments,
        store_change.run_compact,
    ),
    StoreCommand(
        "gc",
        "remove files by model, age or size",
        store_change.GC,
        store_change.add_gc_arguments,
        store_change.run_gc,
    ),
    StoreCommand(
        "export",
        "write all forecasts as one Arrow or Parquet table",
        store_change.EXPORT,
        store_change.add_export_arguments,
        store_change.run_export,
    ),
    StoreCommand(
        "import-legacy",
        "import forecasts from the legacy cache",
        store_legacy.IMPORT,
        store_legacy.add_import_arguments,
        store_legacy.run_import,
    ),
)


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its own sub-commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "store",
        help="list, show, verify, repair, clean up and export the prediction store",
        description="List, check, repair, clean up and export the prediction store.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        text, _, examples = command.description.partition("\n\n")
        sub = below.add_parser(
            command.name,
            help=command.help,
            description=text,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(sub)
        _add_common_arguments(sub)
        sub.set_defaults(perform=command.run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    perform: Callable[[argparse.Namespace], int] = args.perform
    return perform(args)


def _add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store",
        type=Path,
        metavar="PATH",
        help="folder of the store (default: MARKETSIM_STORE, or marketsim/store in the user's "
        "cache folder)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(  # accepted before and after the sub-command
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print the traceback of an error",
    )
