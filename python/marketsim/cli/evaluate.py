"""marketsim evaluate: what fewer samples and lower precision cost in forecasts and decisions."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli.arguments import (
    add_data_arguments,
    add_model_arguments,
    loaded_model,
    read_folder_source,
    read_source,
)
from marketsim.cli.store_text import print_json
from marketsim.errors import ArgumentError

if TYPE_CHECKING:
    from marketsim.bars import Bars
    from marketsim.models import Distribution, Model

_EXAMPLES = """examples:
  marketsim evaluate demo --against exact
  marketsim evaluate bars/ --model checkpoints/toto --samples 32,128 --dtypes bfloat16
  marketsim evaluate AAPL.csv --model Datadog/Toto-2.0-22m --dtypes bfloat16,int8 --json

Each line compares a cheaper way to forecast with the exact distribution in float32: N random
samples of it, or the model in another precision. pinball is the mean quantile loss of the close,
high and low; point is the mean change of the point forecast; decisions are the days on which the
sign of the close forecast, or the side of the entry-and-exit strategy, is another one.

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, 130 interrupted
"""
_LEVELS = tuple(i / 10 for i in range(1, 10))
_COLUMNS = ("close", "high", "low")


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="what fewer samples or lower precision cost",
        description="Compares cheaper forecasts with the exact ones, per symbol.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", metavar="FILE|FOLDER|demo", help="CSV or Parquet file, folder of such, or demo"
    )
    add_model_arguments(parser.add_argument_group("the model"))
    group = parser.add_argument_group("the comparison")
    group.add_argument(
        "--against", choices=("exact",), default="exact", help="the reference: exact"
    )
    group.add_argument("--samples", default="32,128", metavar="N,N", help="draws: 32,128")
    group.add_argument(
        "--dtypes",
        default="",
        metavar="NAME,NAME",
        help="such as bfloat16, int8 (default: none)",
    )
    group.add_argument("--days", type=int, default=250, metavar="N", help="the last days: 250")
    group.add_argument(
        "--aggregate", default="trimmed_mean_10", metavar="SPEC", help="the point: trimmed_mean_10"
    )
    group.add_argument("--seed", type=int, default=0, help="of the draws: 0")
    add_data_arguments(parser.add_argument_group("the data"))
    output = parser.add_argument_group("the output")
    output.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def run(args: argparse.Namespace) -> int:
    """Compare, per symbol; returns 0."""
    counts = [_count(text) for text in args.samples.split(",") if text]
    dtypes = [text.strip() for text in args.dtypes.split(",") if text.strip()]
    if args.days < 1:
        raise ArgumentError(f"--days must be at least 1: got {args.days}")
    exact = loaded_model(args)
    others = {name: _in_precision(args, name) for name in dtypes}
    rows = [
        {"symbol": bars.symbol, **row}
        for bars in _sources(args)
        for row in _compare(bars, exact, others, counts, args)
    ]
    if args.json:
        print_json({"model": exact.name, "against": "exact", "rows": rows})
    else:
        print("\n".join(_table(rows)))
    return 0


def _count(text: str) -> int:
    if text.strip().isdecimal() and int(text) >= 2:
        return int(text)
    raise ArgumentError(
        f"--samples must be whole numbers of at least 2, as in 32,128: got {text!r}"
    )


def _in_precision(args: argparse.Namespace, dtype: str) -> Model:
    given = argparse.Namespace(**{**vars(args), "dtype": dtype})
    return loaded_model(given)


def _sources(args: argparse.Namespace) -> Iterator[Bars]:
    if args.source == "demo" or not Path(args.source).is_dir():
        yield read_source(args)
        return
    folder = read_folder_source(args)
    for symbol in folder:
        yield folder[symbol]


def _compare(
    bars: Bars, exact: Model, others: dict[str, Model], counts: list[int], args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """One row for each cheaper setting, after the exact distribution's."""
    import numpy as np

    from marketsim.metrics import pinball_loss

    prices = np.stack([bars.frame[name].to_numpy(dtype=float) for name in _COLUMNS])
    moves = prices[:, 1:] / prices[:, :-1] - 1.0
    start = max(moves.shape[1] - args.days, 1)
    if moves.shape[1] <= start:
        raise ArgumentError(f"{bars.symbol} has {len(bars)} bars: expected at least 3")
    came = moves[:, start:]

    def forecast(model: Model, draw: Callable[[Distribution, int], Any]) -> list[Any]:
        """(quantiles [column, day, level], points [column, day])."""
        made = [draw(model.predict_each(row, start), i) for i, row in enumerate(moves)]
        return [np.stack([part[i][:-1, 0] for part in made]) for i in range(2)]

    def whole(made: Distribution, _: int) -> Any:
        return made.quantile(_LEVELS), made.aggregate(args.aggregate)

    def drawn(count: int) -> Callable[[Distribution, int], Any]:
        from marketsim.models import SampleDistribution

        def draw(made: Distribution, column: int) -> Any:
            samples = np.moveaxis(made.sample(count, args.seed + column), 0, -1)
            few = SampleDistribution(np.moveaxis(samples, -1, 0))
            return few.quantile(_LEVELS), few.aggregate(args.aggregate)

        return draw

    reference = forecast(exact, whole)
    ways: dict[str, list[Any]] = {"exact": reference}
    ways |= {f"{count} samples": forecast(exact, drawn(count)) for count in counts}
    ways |= {name: forecast(model, whole) for name, model in others.items()}
    base = float(pinball_loss(came, reference[0], _LEVELS).mean())
    for name, (quantiles, points) in ways.items():
        pinball = float(pinball_loss(came, quantiles, _LEVELS).mean())
        changed = (points[0] > 0) != (reference[1][0] > 0)
        sides = (np.abs(points[1]) > np.abs(points[2])) != (
            np.abs(reference[1][1]) > np.abs(reference[1][2])
        )
        yield {
            "forecasts": name,
            "days": int(came.shape[1]),
            "pinball": pinball,
            "pinball_change": pinball / base - 1.0 if base else 0.0,
            "point_change": float(np.abs(points - reference[1]).mean()),
            "decisions_changed": float((changed | sides).mean()),
        }


def _table(rows: list[dict[str, Any]]) -> list[str]:
    from marketsim.walkforward.summary import aligned

    header = ["symbol", "forecasts", "days", "pinball", "change", "point", "decisions changed"]
    cells = [
        [
            row["symbol"],
            row["forecasts"],
            str(row["days"]),
            f"{row['pinball']:.6f}",
            f"{100 * row['pinball_change']:+.2f} %",
            f"{row['point_change']:.6f}",
            f"{100 * row['decisions_changed']:.1f} %",
        ]
        for row in rows
    ]
    return aligned(header, cells)
