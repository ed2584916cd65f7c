"""marketsim search list, summary, best, compare, heatmap, export, promote: what a ledger holds."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketsim.arguments import check_new_file
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


def add_behind(group: argparse._ActionsContainer) -> None:
    """Which trials stand behind a single result."""
    group.add_argument(
        "--ledger", type=Path, metavar="PATH",
        help="say how many trials of this file led to the result, and how much of it is luck; a "
        "result that no search made is recorded there as one more trial",
    )  # fmt: skip
    group.add_argument(
        "--study", metavar="NAME",
        help="its search in the ledger (default: the one that made it, or strategy and symbol)",
    )  # fmt: skip


def with_trials(
    result: Any, args: argparse.Namespace, study: str, params: dict[str, Any] | None = None
) -> Any:
    """The result with what the trials of --ledger say of it; says where it was recorded.

    Args:
        study: where it is recorded if no search made it.
    """
    if args.ledger is None:
        if args.study is not None:
            raise ArgumentError("--study is a search of a ledger: state --ledger too")
        return result
    from marketsim.search import Ledger, trials_of, with_ledger

    with Ledger(args.ledger) as ledger:
        made = trials_of(result, ledger)
        if args.study is None and len(made) > 1:
            raise ArgumentError(
                f"{len(made)} searches of {args.ledger} made this result: state --study, one of "
                f"{', '.join(repr(one.study) for one in made)}"
            )
        name = args.study if args.study or made else study
        before = ledger.summary(name).attempts if name else 0
        found = with_ledger(result, ledger, name, params=params)
        if name and ledger.summary(name).attempts > before:
            print(f"recorded in {args.ledger} as a trial of {name!r}", file=sys.stderr)
    return found


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
        _add_direction(group)
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
        _add_direction(group)


def _add_direction(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--direction", choices=("maximize", "minimize"), help="the best (default: as searched)"
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
    names = ", ".join(map(repr, known)) or "none"
    if args.study is None:
        raise ArgumentError(f"which study of {args.ledger}? state one: it has {names}")
    if args.study not in known:
        raise ArgumentError(f"study {args.study!r} is not in {args.ledger}, which has {names}")
    return str(args.study)


def evidence_facts(ledger: Ledger, study: str, trial: Trial | None) -> dict[str, Any]:
    """How much of the best is luck: empty where it kept no returns."""
    from marketsim.search import evidence
    from marketsim.search.evidence import same_run

    if trial is None or not any(same_run(one, trial) for one in ledger.kept(study)):
        return {}
    found = evidence(ledger, study, trial=trial)
    overfitting = found.overfitting
    return {
        "trials_behind": found.trials,
        "trials_elsewhere": found.elsewhere,
        "effective_trials": found.effective,
        "deflated_sharpe": finite(found.deflated.probability),
        "probability_of_overfitting": (
            None if overfitting is None else finite(overfitting.probability)
        ),
    }


def evidence_lines(facts: dict[str, Any]) -> list[str]:
    """The same in words."""
    if "deflated_sharpe" not in facts:
        return []
    deflated, overfitting = facts["deflated_sharpe"], facts["probability_of_overfitting"]
    elsewhere = facts["trials_elsewhere"]
    besides = f"; {elsewhere:,} more on other bars or with other settings" if elsewhere else ""
    return [
        f"behind it      {facts['trials_behind']:,} trials on these bars with these settings, "
        f"about {facts['effective_trials']:,} independent by their returns{besides}",
        f"deflated Sharpe ratio {number(deflated)}: the probability that the best has skill after "
        "so many trials",
        f"probability of backtest overfitting {number(overfitting)}",
    ]


def finite(value: float) -> float | None:
    """A number as JSON has it: None where it is NaN or infinite."""
    return float(value) if math.isfinite(value) else None


def number(value: float | None) -> str:
    """A probability in words."""
    return "unknown" if value is None else f"{value:.3f}"


def _table(header: list[str], rows: list[list[str]]) -> None:
    from marketsim.text import aligned

    print("\n".join(aligned(header, rows)))


def _facts(
    ledger: Ledger, study: str, direction: str | None = None, *, luck: bool = True
) -> dict[str, Any]:
    """Counts of a search, the best of its newest question, and how much of that is luck."""
    from marketsim.search import champion

    found = ledger.summary(study, direction=direction)._asdict()
    best: Trial | None = found.pop("best")
    present = champion(ledger, study)
    asked = ledger.question(study)
    return {
        "study": study,
        **found,
        "question": None if asked is None else asked._asdict(),
        "best": None if best is None else dict(best.params),
        "score": None if best is None else best.score,
        "champion": None if present is None else dict(present.params),
        **(evidence_facts(ledger, study, best) if luck else {}),
    }


def _question_lines(ledger: Ledger, study: str) -> list[str]:
    """Which question is answered, and which others the study has."""
    [first, *others] = ledger.questions(study).items()
    lines = [f"of the question {first[0].words()}"]
    if others:
        lines.append(f"and not of {len(others):,} other question{'s' * (len(others) > 1)}:")
        lines += [f"  {count:,} attempts: {one.words(first[0])}" for one, count in others[:5]]
        if len(others) > 5:
            lines.append(f"  and {len(others) - 5:,} more; export has them all")
    return lines


def _list(args: argparse.Namespace) -> int:
    with _opened(args) as ledger:
        rows = [_facts(ledger, study, luck=False) for study in ledger.studies()]
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
        facts = _facts(ledger, study, args.direction)
        asked = _question_lines(ledger, study)
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
    print("\n".join(asked))
    if facts["champion"] is not None:
        print(f"champion       {_params(facts['champion'])}")
    lines = evidence_lines(facts)
    print("\n".join(lines) if lines else "the best kept no returns: nothing is known of its luck")
    return 0


def _best(args: argparse.Namespace) -> int:
    with _opened(args) as ledger:
        study = _study(args, ledger)
        rows = ledger.best(study, args.count, direction=args.direction)
        asked = _question_lines(ledger, study)
    if args.json:
        print_json(
            [
                {
                    "params": dict(trial.params),
                    "score": trial.score,
                    "question": trial.question._asdict(),
                    "metrics": {n: finite(v) for n, v in trial.metrics.items()},
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
        print("\n".join(asked))
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
        rows = [_facts(ledger, name, args.direction) for name in args.studies or known]
    if args.json:
        print_json(rows)
        return 0
    _table(
        ["study", "trials", "score", "deflated Sharpe", "overfitting", "best"],
        [
            [r["study"], f"{r['trials']:,}", "-" if r["score"] is None else f"{r['score']:.6g}",
             number(r.get("deflated_sharpe")), number(r.get("probability_of_overfitting")),
             _params(r["best"])]
            for r in rows
        ],
    )  # fmt: skip
    return 0


def _heatmap(args: argparse.Namespace) -> int:
    from marketsim.search import ledger_grid

    if args.out is not None:
        check_new_file("--out", args.out)
    with _opened(args) as ledger:
        study = _study(args, ledger)
        found = ledger_grid(ledger, study, direction=args.direction)
        asked = _question_lines(ledger, study)
    frame = found.heatmap(args.rows, args.columns)
    if args.out is not None:
        found.save_heatmap(args.out, args.rows, args.columns)
    if args.json:
        print_json(
            {
                "rows": {args.rows: list(frame.index)},
                "columns": {args.columns: list(frame.columns)},
                "scores": [[finite(v) for v in row] for row in frame.to_numpy().tolist()],
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
    print("\n".join(asked))
    return 0


def _export(args: argparse.Namespace) -> int:
    from marketsim.atomic import replace_file

    suffix = args.out.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise ArgumentError(f"--out must end in .csv or .parquet: got {args.out.name!r}")
    check_new_file("--out", args.out)
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
