"""A strategy of your own: search its parameter on early bars, judge it on later ones.

    python examples/own_strategy.py                 # the S&P 500 from 1999 to 2018 (extra demo)
    python examples/own_strategy.py AAPL.csv --plot equity.png

The parameter is chosen on the bars before the last 500, and judged on these 500 with costs, beside
buy and hold. A search's best score is mostly luck: only the second table says what it is worth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import marketsim as ms

TESTED = 500


class BuyDips:
    """Hold a long for one bar after a fall, if the close is forecast to rise.

    Args:
        fall: the smallest fall of the last bar, as a fraction of its price.
    """

    name, targets, fitted = "buy_dips", ("close",), False

    def __init__(self, fall: float) -> None:
        self.fall = fall

    def decide(self, view: ms.DecisionView) -> ms.Hold:
        """Decide each bar from what is known before it."""
        return ms.Hold(np.where((view.last_return < -self.fall) & (view.close > 0.0), 1.0, 0.0))


def main() -> None:
    """Search, judge, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, help="CSV or Parquet file of bars")
    parser.add_argument("--model", default="ewma", help="forecasting model")
    parser.add_argument("--plot", type=Path, help="PNG file for the equity (extra plots)")
    args = parser.parse_args()
    bars = ms.demo_bars() if args.file is None else ms.read_bars(args.file)
    assert ms.check_lookahead(BuyDips(0.01), bars).ok

    dates = bars.frame.index
    model = ms.load_model(args.model)
    early = ms.prepare(
        bars, model, simulations="all", end=dates[-TESTED - 1], store=False, progress=False
    )
    objective = ms.search.walk_forward_objective(early, BuyDips, metric="sharpe", keep_net=True)
    found = ms.search.grid(objective, {"fall": [0.0, 0.0025, 0.005, 0.01, 0.02]})
    print(f"Sharpe ratios up to {dates[-TESTED - 1]:%Y-%m-%d}, where the parameter is chosen:")
    print(found.to_frame()[["fall", "score"]].round(4).to_string(index=False))

    best = BuyDips(**found.best_params)
    result = ms.walk_forward(
        bars, model, simulations="all", start=dates[-TESTED], strategies=[best, "simple"],
        store=False, progress=False,
    )  # fmt: skip
    print(f"\nfall={best.fall}, judged on the {TESTED} bars after them:")
    print(result.summary())
    if args.plot:
        result.figure("equity", backend="matplotlib").savefig(args.plot)
        print(f"\nplot: {args.plot}")


if __name__ == "__main__":
    main()
