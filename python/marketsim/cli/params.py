"""marketsim params: show and edit the hyperparameter files of the legacy functions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli.arguments import NAMES
from marketsim.cli.store_text import name_text, plural, print_json
from marketsim.errors import ArgumentError
from marketsim.text import printable

if TYPE_CHECKING:
    from marketsim.legacy.stock.parameter_files import SamplingEdit
    from marketsim.legacy.stock.settings import LegacySettings

_EXAMPLES = """examples:
  marketsim params show                         parameters of each symbol, and their origin
  marketsim params show --symbols AAPL --json
  marketsim params set --samples 256 --batch 64 --dry-run
  marketsim params set --samples 256 --symbols AAPL,MSFT
  marketsim params set --kind kronos --samples 32

Files: FOLDER/toto/SYMBOL.json, FOLDER/kronos/SYMBOL.json, ...; FOLDER is --root, else
HYPERPARAM_ROOT, else hyperparams. Forecasts of marketsim are exact distributions: num_samples and
samples_per_batch set the number of draws in sample output, and change neither the forecast nor its
time. The old code, which may read the same files, draws all samples.

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or files, 130 interrupted
"""
_SHOW = "Print the parameters in use for each symbol, after clamping to the bounds."
_SET = """Change num_samples and samples_per_batch in the files of Toto, or sample_count in those
of Kronos, and nothing else: the successor of reduce_toto_samples.py.
All files are checked before the first is written; each is replaced atomically, and the old one is
kept as SYMBOL.json.bak-<time>. A warning names numbers that a bound overrides."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its own sub-commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "params",
        help="hyperparameter files of the legacy functions: show, set",
        description="Show and edit the hyperparameter files of the legacy functions.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    below = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    show = below.add_parser(
        "show", help="parameters of each symbol", description=_SHOW, epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    change = below.add_parser(
        "set", help="change the numbers of samples", description=_SET, epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    change.add_argument("--samples", type=int, metavar="N", help="num_samples")
    change.add_argument(
        "--kind", choices=("toto", "kronos"), default="toto", help="model (default: toto)"
    )
    change.add_argument("--batch", type=int, metavar="M", help="samples_per_batch")
    change.add_argument("--dry-run", action="store_true", help="print changes without writing")
    for sub, perform in ((show, _run_show), (change, _run_set)):
        _add_common_arguments(sub)
        sub.set_defaults(perform=perform)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    perform: Callable[[argparse.Namespace], int] = args.perform
    return perform(args)


def _add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--symbols", **NAMES, metavar="SYMBOL", help="symbols (default: all with a file)"
    )
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="folder of the files")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(  # accepted before and after the sub-command
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print the traceback of an error",
    )


def _settings(args: argparse.Namespace) -> LegacySettings:
    """Read the settings of the environment, with the folder of --root."""
    from dataclasses import replace

    from marketsim.legacy.stock.settings import current_settings

    settings = current_settings()
    return settings if args.root is None else replace(settings, hyperparam_root=args.root)


def _run_show(args: argparse.Namespace) -> int:
    """Print the parameters of each symbol; returns 0."""
    from marketsim.legacy.stock.parameter_files import list_symbols
    from marketsim.legacy.stock.parameters import SamplingBounds

    settings = _settings(args)
    root = settings.hyperparam_root
    known = {name for kind in ("toto", "kronos", "best") for name in list_symbols(kind, root=root)}
    rows = [_row(symbol, settings) for symbol in args.symbols or sorted(known)]
    if args.json:
        bounds = SamplingBounds.of(settings)._asdict()
        print_json({"root": str(root), "bounds": bounds, "symbols": rows})
        return 0
    if not rows:
        print(f"there are no parameter files in {root}: all symbols use the defaults")
        return 0
    _print_table(rows)
    for row in rows:
        for reason in row["reasons"]:
            print(f"{row['symbol']}: {reason}")
    return 0


def _row(symbol: str, settings: LegacySettings) -> dict[str, Any]:
    """Return the parameters in use for a symbol, and those in its file."""
    from marketsim.legacy.stock.parameter_files import read_parameters
    from marketsim.legacy.stock.parameters import SamplingBounds, explain_clamp, toto_params_of

    root = settings.hyperparam_root
    file = read_parameters("toto", symbol, root=root)
    best = read_parameters("best", symbol, root=root)
    where = "the defaults" if file is None else str(file.path)
    stated = toto_params_of({} if file is None else file.config, settings, where)
    numbers = (stated["num_samples"], stated["samples_per_batch"])
    used = SamplingBounds.of(settings).clamp(*numbers)
    return {
        "symbol": symbol,
        "model": "toto" if best is None else best.text("model", "toto").lower(),
        "file": None if file is None else str(file.path),
        "num_samples": numbers[0],
        "samples_per_batch": numbers[1],
        "aggregate": stated["aggregate"],
        "used": {"num_samples": used[0], "samples_per_batch": used[1]},
        "reasons": explain_clamp(*numbers, settings),
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from marketsim.text import aligned

    header = ["symbol", "model", "samples", "batch", "used", "aggregate", "from"]
    cells = [
        [
            row["symbol"],
            name_text(row["model"]),
            str(row["num_samples"]),
            str(row["samples_per_batch"]),
            "{num_samples}/{samples_per_batch}".format(**row["used"]),
            name_text(row["aggregate"]),
            "defaults" if row["file"] is None else printable(row["file"]),
        ]
        for row in rows
    ]
    print("\n".join(aligned(header, cells)))


def _run_set(args: argparse.Namespace) -> int:
    """Change the files; returns 0."""
    from marketsim.legacy.stock.parameter_files import set_sampling

    if args.samples is None and args.batch is None:
        raise ArgumentError("nothing to set: give --samples, --batch or both")
    settings = _settings(args)
    options: dict[str, Any] = {"root": settings.hyperparam_root, "symbols": args.symbols}
    options["kind"] = args.kind
    edits = set_sampling(args.samples, args.batch, dry_run=True, **options)
    bounded = args.kind == "toto"
    reasons = {e.symbol: _reasons(e, settings) if bounded else [] for e in edits}  # checks them
    if not args.dry_run:
        edits = set_sampling(args.samples, args.batch, **options)
    if args.json:
        listed = [_as_json(edit, reasons[edit.symbol]) for edit in edits]
        print_json({"dry_run": args.dry_run, "files": listed})
        return 0
    changed = [edit for edit in edits if edit.changes]
    for edit in changed:
        kept = "" if edit.backup is None else f" (backup: {edit.backup.name})"
        print(f"{edit.path}: {_numbers(edit.before)} -> {_numbers(edit.after)}{kept}")
    verb = "would be changed" if args.dry_run else "changed"
    print(f"{plural(len(changed), 'file')} {verb}, {len(edits) - len(changed)} unchanged")
    for reason in dict.fromkeys(reason for found in reasons.values() for reason in found):
        print(f"warning: {reason}", file=sys.stderr)
    return 0


def _reasons(edit: SamplingEdit, settings: LegacySettings) -> list[str]:
    from marketsim.legacy.stock.parameters import explain_clamp, toto_params_of

    stated = toto_params_of(edit.after, settings, edit.path)
    return explain_clamp(stated["num_samples"], stated["samples_per_batch"], settings)


def _numbers(config: dict[str, Any]) -> str:
    if "sample_count" in config:
        return str(config["sample_count"])
    return f"{config.get('num_samples', '-')}/{config.get('samples_per_batch', '-')}"


def _as_json(edit: SamplingEdit, reasons: list[str]) -> dict[str, Any]:
    names = [n for n in ("num_samples", "samples_per_batch") if "sample_count" not in edit.after]
    names = names or ["sample_count"]
    return {
        "symbol": edit.symbol,
        "file": str(edit.path),
        "before": {name: edit.before.get(name) for name in names},
        "after": {name: edit.after.get(name) for name in names},
        "backup": None if edit.backup is None else str(edit.backup),
        "reasons": reasons,
    }
