"""marketsim evaluate: forecast skill of models, and the loss of accuracy of cheaper forecasts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli.arguments import (
    NAMES,
    add_data_arguments,
    add_model_arguments,
    add_store_arguments,
    folder_exit,
    loaded_model,
    model_names,
    opened_store,
    read_all,
    read_folder_source,
    read_source,
)
from marketsim.cli.parser import Source
from marketsim.cli.store_text import name_text, print_json
from marketsim.errors import ArgumentError
from marketsim.text import printable

if TYPE_CHECKING:
    from marketsim.bars import Bars
    from marketsim.metrics.evaluation_result import ForecastEvaluation
    from marketsim.models import Distribution, Model

_EXAMPLES = """examples: (`marketsim demo-data` writes demo.csv)
  marketsim evaluate demo.csv --model ewma range   skill of two models
  marketsim evaluate bars/ --model range checkpoints/toto --horizons 1,5,20 --start 2022-01-01
  marketsim evaluate AAPL.csv --model Datadog/Toto-2.0-22m --cutoffs Toto-2.0-22m=2025-06-30
  marketsim evaluate demo.csv --model ewma range --report skill.html
  marketsim evaluate demo --against exact          accuracy lost by fewer samples
  marketsim evaluate bars/ --model checkpoints/toto --samples 32,128 --dtypes bfloat16
  marketsim evaluate AAPL.csv --model Datadog/Toto-2.0-22m --dtypes bfloat16,int8 --json

Without --against, forecasts are scored on the actual moves: ratios below 1 are better than no
change (MAE) or than the quantiles of the last 250 moves (pinball, CRPS).

With --against exact, implied by --samples, --dtypes and --days, each line compares a cheaper
forecast with the exact distribution in float32: N random samples of it, or the model in another
precision. pinball is the mean quantile loss of the close, high and low; point is the mean change of
the point forecast; decisions is the share of bars on which the sign of the close forecast, or the
side of the entry-and-exit strategy, changes.

exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or data, 3 some symbols of a folder
failed, 130 interrupted
"""
_LEVELS = tuple(i / 10 for i in range(1, 10))
_COLUMNS = ("close", "high", "low")


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the sub-command and its arguments."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="evaluate forecasts, or the accuracy lost by fewer samples or lower precision",
        description=(
            "Evaluate the forecasts of models: skill against no change and climatology, "
            "calibration, and a comparison of models. With --against exact: the accuracy that "
            "cheaper forecasts of one model lose."
        ),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        action=Source,
        metavar="FILE|FOLDER|demo",
        help="CSV or Parquet file, folder of files, or demo",
    )
    add_model_arguments(parser.add_argument_group("the models"), several=True)
    judged = parser.add_argument_group("the evaluation, without --against")
    judged.add_argument(
        "--horizons",
        default="1",
        metavar="H[,H...]",
        help="steps ahead, such as 1,5,20 (default: 1)",
    )
    judged.add_argument(
        "--start", metavar="DATE", help="first date to evaluate (default: the newest 1,000 bars)"
    )
    judged.add_argument("--end", metavar="DATE", help="last date to evaluate (default: the last)")
    judged.add_argument(
        "--cutoffs",
        **NAMES,
        metavar="MODEL=DATE",
        help="end of a model's training data: bars up to it are evaluated separately",
    )
    group = parser.add_argument_group("the comparison, with --against exact")
    group.add_argument(
        "--against", choices=("exact",), help="compare cheaper forecasts with the exact ones"
    )
    group.add_argument("--samples", metavar="N,N", help="numbers of draws (default: 32,128)")
    group.add_argument(
        "--dtypes",
        default="",
        metavar="NAME,NAME",
        help="precisions, such as bfloat16, int8 (default: none)",
    )
    group.add_argument("--days", type=int, metavar="N", help="number of last bars (default: 250)")
    group.add_argument(
        "--aggregate",
        default="trimmed_mean_10",
        metavar="SPEC",
        help="point forecast (default: trimmed_mean_10)",
    )
    group.add_argument("--seed", type=int, default=0, help="seed of the draws (default: 0)")
    add_data_arguments(parser.add_argument_group("the data"))
    add_store_arguments(parser.add_argument_group("the store"))
    output = parser.add_argument_group("the output")
    output.add_argument("--json", action="store_true", help="print JSON instead of a table")
    output.add_argument("--report", metavar="PAGE.html", help="write a page, too")
    output.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def run(args: argparse.Namespace) -> int:
    """Evaluate the models, or compare cheaper forecasts of one; returns the exit code."""
    models = model_names(args)
    if args.against is None and not (args.samples or args.dtypes or args.days is not None):
        return _judge(args, models)
    if args.report:
        raise ArgumentError("--report is of an evaluation: leave --against and its options out")
    if len(models) > 1:
        raise ArgumentError(f"--against compares forecasts of one model: got {', '.join(models)}")
    args.model = models[0]
    args.days = 250 if args.days is None else args.days
    counts = [_count(text) for text in (args.samples or "32,128").split(",") if text]
    dtypes = [text.strip() for text in args.dtypes.split(",") if text.strip()]
    if args.days < 1:
        raise ArgumentError(f"--days must be at least 1: got {args.days}")
    from marketsim.models.load import is_statistical

    if dtypes and is_statistical(args.model):
        raise ArgumentError(
            f"--dtypes compares precisions of a network, and {args.model} is computed in float64 "
            "alone: name a network with --model, or leave --dtypes out"
        )
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


def _judge(args: argparse.Namespace, names: list[str]) -> int:
    from marketsim.metrics.evaluation import evaluate_forecasts

    if args.report:
        from marketsim.report.files import check_page_path

        check_page_path(args.report)  # before the forecasts, which take long
    models = [loaded_model(args, name) for name in names]
    store = opened_store(args)
    bars, errors = read_all(args)
    for symbol, why in errors.items():
        print(f"error: {name_text(symbol)}: {printable(why)}", file=sys.stderr)
    found = evaluate_forecasts(
        bars,
        models,
        horizons=[_step(text) for text in args.horizons.split(",")],
        start=args.start,
        end=args.end,
        cutoffs=_pairs(args.cutoffs or []),
        targets=args.targets,
        store=False if store is None else store,
        progress=not args.quiet,
    )
    if args.report:
        from marketsim.walkforward.evaluation_page import write_evaluation

        write_evaluation(found, args.report)
    if args.json:
        print_json(found.to_dict() | {"errors": errors})
    else:
        print(found)
        if len(models) > 1:
            print("\n".join(["", *_beside(found)]))
    return folder_exit(len(bars), len(errors))


def _beside(found: ForecastEvaluation) -> list[str]:
    """Compare the models by the pinball loss of each target; returns lines of a table."""
    from marketsim.bars import TARGETS
    from marketsim.text import aligned

    rows = []
    for target in TARGETS:
        for row in found.compare(target).to_dict("records"):
            p_value = "–" if row["p_value"] != row["p_value"] else f"{row['p_value']:.2f}"
            rows.append([target, row["model"], f"{row['ratio']:.3f}", p_value])
    lines = aligned(["target", "model", "to the best", "p"], rows)
    return [*lines, "", "Pinball loss relative to the best model's; p: of equal accuracy."]


def _step(text: str) -> int:
    if text.strip().isdecimal():
        return int(text)
    raise ArgumentError(f"--horizons must be whole numbers, as in 1,5,20: got {text!r}")


def _pairs(entries: list[str]) -> dict[str, str]:
    wrong = [entry for entry in entries if "=" not in entry]
    if wrong:
        raise ArgumentError(f"--cutoffs takes MODEL=DATE: got {', '.join(wrong)}")
    return dict(entry.rsplit("=", 1) for entry in entries)


def _count(text: str) -> int:
    if text.strip().isdecimal() and int(text) >= 2:
        return int(text)
    raise ArgumentError(
        f"--samples must be whole numbers of at least 2, as in 32,128: got {text!r}"
    )


def _in_precision(args: argparse.Namespace, name: str) -> Model:
    """Load the model with matrix products of that precision, or with weights in 8 bits."""
    changed = {"quantize": name} if name == "int8" else {"dtype": name}
    return loaded_model(argparse.Namespace(**{**vars(args), **changed}))


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
    """Yield the row of the exact distribution, then one per cheaper setting."""
    import numpy as np

    from marketsim.bars import TARGETS
    from marketsim.forecasts import ReturnTable
    from marketsim.metrics import pinball_loss
    from marketsim.models import traits_of

    table = ReturnTable.for_model(bars, exact, args.targets).returns
    chosen = [TARGETS.index(name) for name in _COLUMNS]
    start = max(table.shape[1] - args.days, 1)
    if table.shape[1] <= start:
        raise ArgumentError(f"{bars.symbol} has {len(bars)} bars: expected at least 3")
    actual = table[chosen, start:]
    joint = traits_of(exact).joint

    def forecast(model: Model, draw: Callable[[Distribution, int], Any]) -> list[Any]:
        """Return (quantiles [column, bar, level], points [column, bar])."""
        if joint:
            parts = draw(model.predict_each(table, start), 0)
            return [np.moveaxis(part[:-1, chosen, 0], 1, 0) for part in parts]
        made = [draw(model.predict_each(table[row], start), i) for i, row in enumerate(chosen)]
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
    base = float(pinball_loss(actual, reference[0], _LEVELS).mean())
    for name, (quantiles, points) in ways.items():
        pinball = float(pinball_loss(actual, quantiles, _LEVELS).mean())
        changed = (points[0] > 0) != (reference[1][0] > 0)
        sides = (np.abs(points[1]) > np.abs(points[2])) != (
            np.abs(reference[1][1]) > np.abs(reference[1][2])
        )
        yield {
            "forecasts": name,
            "days": int(actual.shape[1]),
            "pinball": pinball,
            "pinball_change": pinball / base - 1.0 if base else 0.0,
            "point_change": float(np.abs(points - reference[1]).mean()),
            "decisions_changed": float((changed | sides).mean()),
        }


def _table(rows: list[dict[str, Any]]) -> list[str]:
    from marketsim.text import aligned

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
