"""marketsim search list, summary, best, compare, heatmap, export, promote: what a ledger holds."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.cli.arguments import add_with_default
from marketsim.cli.store_text import print_json
from marketsim.errors import ArgumentError

if TYPE_CHECKING:
    from marketsim.search import Ledger, Trial

DEFAULT_LEDGER = "marketsim-trials.sqlite"

_EXAMPLES = """examples:
  marketsim search list
  marketsim search summary "sma_cross AAPL" --json
  marketsim search best "sma_cross AAPL" --count 5
  marketsim search compare "sma_cross AAPL" "rsi_reversion AAPL"
  marketsim search heatmap "sma_cross AAPL" --rows fast --columns slow --out heat.svg
  marketsim search export "sma_cross AAPL" --out trials.csv
  marketsim search promote "sma_cross AAPL" --least-deflated 0.9

A study is what one search is called; its name may be left out where the ledger has one alone.
exit codes: 0 done, 1 a defect of marketsim, 2 wrong arguments or files, 130 interrupted
"""


def add_ledger(group: argparse._ActionsContainer) -> None:
    """Which ledger."""
    group.add_argument(
        "--ledger", type=Path, default=Path(DEFAULT_LEDGER), metavar="PATH",
        help=f"file of all trials (default: {DEFAULT_LEDGER})",
    )  # fmt: skip


def add_parsers(below: Any) -> None:
    """Add the commands that read a ledger."""
    for name, (perform, help) in COMMANDS.items():
        parser: argparse.ArgumentParser = below.add_parser(
            name, help=help, description=f"{help[0].upper()}{help[1:]}.", epilog=_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        if name == "compare":
            parser.add_argument("studies", nargs="*", metavar="STUDY", help="(default: all)")
        elif name != "list":
            parser.add_argument("study", nargs="?", metavar="STUDY", help="the search")
        add_ledger(parser)
        _add_own(name, parser)
        parser.add_argument("--json", action="store_true", help="print JSON instead of text")
        parser.set_defaults(perform=perform)


def _add_own(name: str, parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the command")
    if name in ("summary", "best", "compare", "heatmap"):
        add_with_default(
            group, "--direction", "the best", "maximize", choices=("maximize", "minimize")
        )
    if name == "best":
        add_with_default(group, "--count", "how many", 10, type=int, metavar="N")
    if name == "heatmap":
        group.add_argument("--rows", required=True, metavar="PARAMETER", help="down")
        group.add_argument("--columns", required=True, metavar="PARAMETER", help="across")
    if name in ("heatmap", "export"):
        group.add_argument(
            "--out", type=Path, metavar="PATH", required=name == "export",
            help="a picture, SVG" if name == "heatmap" else "CSV or Parquet, by its name",
        )  # fmt: skip
    if name == "promote":
        from marketsim.search.champion import PromotionRule

        rule = PromotionRule()
        for flag, help in (
            ("--least-deflated", "lowest deflated Sharpe ratio, a probability"),
            ("--most-overfitting", "highest probability of backtest overfitting"),
            ("--least-gain", "how far the score exceeds the champion's"),
        ):
            default = getattr(rule, flag[2:].replace("-", "_"))
            add_with_default(group, flag, help, default, type=float, metavar="X")
        add_with_default(
            group, "--least-bars", "bars of its returns", rule.least_bars, type=int, metavar="N"
        )
        add_with_default(
            group, "--direction", "the best", "maximize", choices=("maximize", "minimize")
        )


def _opened(args: argparse.Namespace, mode: str = "r") -> Ledger:
    from marketsim.search import Ledger

    if mode == "a" and not args.ledger.is_file():
        mode = "r"  # which says that there is none
    return Ledger(args.ledger, mode=mode)


def _study(args: argparse.Namespace, ledger: Ledger) -> str:
    known = ledger.studies()
    if args.study is None and len(known) == 1:
        return known[0]
    if args.study not in known:
        names = ", ".join(map(repr, known)) or "none"
        raise ArgumentError(f"study {args.study!r} is not in {args.ledger}, which has {names}")
    return str(args.study)


def evidence_facts(ledger: Ledger, study: str) -> dict[str, Any]:
    """How much of the best is luck: empty where the trials kept no returns."""
    from marketsim.search import evidence

    params, _ = ledger.returns(study)
    if not params:
        return {}
    found = evidence(ledger, study)
    overfitting = found.overfitting
    return {
        "trials": found.trials,
        "effective_trials": found.effective,
        "best_by_sharpe": found.params,
        "deflated_sharpe": _finite(found.deflated.probability),
        "probability_of_overfitting": (
            None if overfitting is None else _finite(overfitting.probability)
        ),
    }


def evidence_lines(facts: dict[str, Any]) -> list[str]:
    """The same in words."""
    if "deflated_sharpe" not in facts:
        return []
    deflated, overfitting = facts["deflated_sharpe"], facts["probability_of_overfitting"]
    return [
        f"behind it      {facts['trials']:,} trials, {facts['effective_trials']:,} of them "
        "different by their returns",
        f"deflated Sharpe ratio {_text(deflated)}: the probability that the best has skill after "
        "so many trials",
        f"probability of backtest overfitting {_text(overfitting)}",
    ]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _text(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _table(header: list[str], rows: list[list[str]]) -> None:
    from marketsim.text import aligned

    print("\n".join(aligned(header, rows)))


def _facts(ledger: Ledger, study: str, direction: str = "maximize") -> dict[str, Any]:
    from marketsim.search import champion

    found = ledger.summary(study, direction=direction)._asdict()
    best: Trial | None = found.pop("best")
    present = champion(ledger, study)
    return {
        "study": study,
        **found,
        "best": None if best is None else dict(best.params),
        "score": None if best is None else best.score,
        "champion": None if present is None else dict(present.params),
    }


def _list(args: argparse.Namespace) -> int:
    with _opened(args) as ledger:
        rows = [_facts(ledger, study) for study in ledger.studies()]
    if args.json:
        print_json(rows)
    elif not rows:
        print(f"{args.ledger} has no trial yet")
    else:
        _table(
            ["study", "trials", "attempts", "failed", "pruned", "champion"],
            [
                [r["study"], f"{r['trials']:,}", f"{r['attempts']:,}", f"{r['failed']:,}",
                 f"{r['pruned']:,}", _params(r["champion"])]
                for r in rows
            ],
        )  # fmt: skip
    return 0


def _summary(args: argparse.Namespace) -> int:
    with _opened(args) as ledger:
        study = _study(args, ledger)
        facts = _facts(ledger, study, args.direction) | evidence_facts(ledger, study)
    if args.json:
        print_json(facts)
        return 0
    print(f"{study}: {facts['trials']:,} trials in {facts['attempts']:,} attempts")
    print(
        f"complete       {facts['complete']:,} ({facts['without_score']:,} without a finite "
        f"score), failed {facts['failed']:,}, pruned {facts['pruned']:,}"
    )
    if facts["best"] is not None:
        print(f"best           {_params(facts['best'])}   score {facts['score']:.6g}")
    if facts["champion"] is not None:
        print(f"champion       {_params(facts['champion'])}")
    lines = evidence_lines(facts)
    print("\n".join(lines) if lines else "no trial kept its returns: nothing is known of its luck")
    return 0


def _best(args: argparse.Namespace) -> int:
    with _opened(args) as ledger:
        study = _study(args, ledger)
        rows = ledger.best(study, args.count, direction=args.direction)
    if args.json:
        print_json(
            [
                {
                    "params": dict(trial.params),
                    "score": trial.score,
                    "metrics": {n: _finite(v) for n, v in trial.metrics.items()},
                }
                for trial in rows
            ]
        )
    elif not rows:
        print(f"no complete trial of {study!r} has a finite score")
    else:
        names = list(rows[0].params)
        _table(
            ["score", *names, "seed", "seconds"],
            [
                [f"{t.score:.6g}", *(str(t.params.get(n, "")) for n in names), str(t.seed),
                 f"{t.seconds:.3g}"]
                for t in rows
            ],
        )  # fmt: skip
    return 0


def _compare(args: argparse.Namespace) -> int:
    with _opened(args) as ledger:
        known = ledger.studies()
        for name in args.studies:
            if name not in known:
                raise ArgumentError(
                    f"study {name!r} is not in {args.ledger}, which has "
                    f"{', '.join(map(repr, known)) or 'none'}"
                )
        rows = [
            _facts(ledger, name, args.direction) | evidence_facts(ledger, name)
            for name in args.studies or known
        ]
    if args.json:
        print_json(rows)
        return 0
    _table(
        ["study", "trials", "score", "deflated Sharpe", "overfitting", "best"],
        [
            [r["study"], f"{r['trials']:,}", "-" if r["score"] is None else f"{r['score']:.6g}",
             _text(r.get("deflated_sharpe")), _text(r.get("probability_of_overfitting")),
             _params(r["best"])]
            for r in rows
        ],
    )  # fmt: skip
    return 0


def _heatmap(args: argparse.Namespace) -> int:
    from marketsim.search import ledger_grid

    with _opened(args) as ledger:
        study = _study(args, ledger)
        found = ledger_grid(ledger, study, direction=args.direction)
    frame = found.heatmap(args.rows, args.columns)
    if args.out is not None:
        found.save_heatmap(args.out, args.rows, args.columns)
    if args.json:
        print_json(
            {
                "rows": {args.rows: list(frame.index)},
                "columns": {args.columns: list(frame.columns)},
                "scores": [[_finite(v) for v in row] for row in frame.to_numpy().tolist()],
                **{name: list(pair) for name, pair in frame.attrs.items()},
            }
        )
        return 0
    if args.out is not None:
        print(f"wrote {args.out}")
        return 0
    rows = [
        [str(name), *("" if math.isnan(v) else f"{v:.4g}" for v in row)]
        for name, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)
    ]
    _table([f"{args.rows} \\ {args.columns}", *map(str, frame.columns)], rows)
    for name, (row, column) in frame.attrs.items():
        print(f"{name}: {args.rows}={row} {args.columns}={column}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from marketsim.atomic import replace_file

    suffix = args.out.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ArgumentError(f"--out must end in .csv or .parquet: got {args.out.name!r}")
    with _opened(args) as ledger:
        frame = ledger.trials(_study(args, ledger))
    content = frame.to_csv(index=False).encode() if suffix == ".csv" else frame.to_parquet()
    replace_file(args.out, content)
    if args.json:
        print_json({"path": str(args.out), "attempts": len(frame)})
    else:
        print(f"wrote {len(frame):,} attempts to {args.out}")
    return 0


def _promote(args: argparse.Namespace) -> int:
    from marketsim.search import PromotionRule, promote

    rule = PromotionRule(
        least_deflated=args.least_deflated, most_overfitting=args.most_overfitting,
        least_bars=args.least_bars, least_gain=args.least_gain, direction=args.direction,
    )  # fmt: skip
    with _opened(args, "a") as ledger:
        study = _study(args, ledger)
        decision = promote(ledger, study, rule)
        trial = ledger.trial_of(decision.attempt)
        history = ledger.decisions(study)
    if args.json:
        print_json({**decision._asdict(), "params": dict(trial.params)})
        return 0
    print(f"{_params(dict(trial.params))}: {'promoted' if decision.accepted else 'not promoted'}")
    print("\n".join(f"  {reason}" for reason in decision.reasons) or "  the rule is met")
    for past in history:
        when = datetime.fromtimestamp(past.recorded, UTC)
        print(f"{when:%Y-%m-%d %H:%M}  attempt {past.attempt}  "
              f"{'promoted' if past.accepted else 'refused'}")  # fmt: skip
    return 0


def _params(params: dict[str, Any] | None) -> str:
    return "-" if params is None else " ".join(f"{name}={v}" for name, v in params.items())


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "list": (_list, "the searches of a ledger"),
    "summary": (_summary, "one search: counts, the best, and how much of it is luck"),
    "best": (_best, "the best trials of a search"),
    "compare": (_compare, "searches side by side"),
    "heatmap": (_heatmap, "best score by two parameters"),
    "export": (_export, "every attempt as a table"),
    "promote": (_promote, "make the best trial the champion where a rule allows it"),
}
