"""Evidence of a search: number of trials, deflated Sharpe ratio, overfitting."""

from __future__ import annotations

from typing import Any, NamedTuple

from marketsim.metrics.overfitting import BacktestOverfitting
from marketsim.metrics.sharpe import DeflatedSharpe


class Evidence(NamedTuple):
    """Evidence that the trials of a search give about one of its results.

    Attributes:
        study: the name of the search.
        trials: number of different runs on the same bars with the same settings, each set with
            each version of the code, failed and pruned ones included.
        effective: groups of those whose returns move together, of the ones that kept their returns;
            None where none did.
        params: parameters of the result.
        deflated: its deflated Sharpe ratio, by `trials`.
        overfitting: probability of backtest overfitting; None below two sets or 32 bars, or where
            the trials kept no returns.
        elsewhere: number of runs on other bars or with other settings, which do not count.
    """

    study: str
    trials: int
    effective: int | None
    params: dict[str, Any]
    deflated: DeflatedSharpe
    overfitting: BacktestOverfitting | None
    elsewhere: int = 0

    def sentence(self) -> str:
        """Return the evidence as a sentence for tables and reports."""
        if self.trials == 1:
            return f"the only trial of the search {self.study!r}"
        overfitting = "unknown" if self.overfitting is None else (
            f"{self.overfitting.probability:.3f}"
        )  # fmt: skip
        different = (
            "which kept no returns"
            if self.effective is None
            else f"{self.effective:,} different by their returns"
        )
        if self.elsewhere:
            different += f", besides {self.elsewhere:,} on other bars or with other settings"
        return (
            f"chosen among {self.trials:,} trials of the search {self.study!r} ({different}): "
            f"deflated Sharpe ratio {self.deflated.probability:.3f} "
            "(the probability of skill after so many trials), probability of backtest overfitting "
            f"{overfitting}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON can represent; NaN becomes None."""
        figures = {
            "deflated_sharpe": self.deflated.probability,
            "probability_of_overfitting": (
                float("nan") if self.overfitting is None else self.overfitting.probability
            ),
        }
        return {
            "study": self.study,
            "trials": self.trials,
            "effective_trials": self.effective,
            "params": self.params,
            **{name: None if value != value else float(value) for name, value in figures.items()},
        }
