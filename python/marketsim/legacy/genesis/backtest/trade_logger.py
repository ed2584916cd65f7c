"""`core.backtest.trade_logger`: results as files in the old layout."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from marketsim.legacy.genesis.atomic_files import write_json, write_text
from marketsim.legacy.genesis.root import project_root


class TradeLogger:
    """Writes results, trades and equity.

    A name that is taken gets a number: two runs in one second keep both their files.
    """

    def __init__(self, output_dir: str | Path = "results/backtests") -> None:
        given = Path(output_dir)
        self.output_dir = given if given.is_absolute() else project_root() / given

    def save_results(
        self, results: Mapping[str, Any], filename_prefix: str | None = None
    ) -> dict[str, Path]:
        """Everything, as JSON."""
        path = self._free(self.output_dir, f"{self._prefix(results, filename_prefix)}_", ".json")
        write_json(path, results)
        print(f"[SAVED] Results: {path}")
        return {"json": path}

    def save_trades_csv(
        self, results: Mapping[str, Any], filename_prefix: str | None = None
    ) -> Path | None:
        """The trades; None where there are none."""
        import pandas as pd

        if not results.get("trades"):
            print("[WARN] No trades to export")
            return None
        folder = self.output_dir.parent / "trades"
        path = self._free(folder, f"{self._prefix(results, filename_prefix)}_trades_", ".csv")
        frame = pd.DataFrame(results["trades"])
        if "entry_reasons" in frame.columns:
            frame["entry_reasons"] = [
                ";".join(reasons) if isinstance(reasons, list) else reasons
                for reasons in frame["entry_reasons"]
            ]
        write_text(path, frame.to_csv(index=False))
        print(f"[SAVED] Trades CSV: {path}")
        return path

    def save_equity_curve_csv(
        self, results: Mapping[str, Any], filename_prefix: str | None = None
    ) -> Path | None:
        """The equity rows; None where there are none."""
        import pandas as pd

        if not results.get("equity_curve"):
            print("[WARN] No equity curve to export")
            return None
        prefix = self._prefix(results, filename_prefix)
        path = self._free(self.output_dir, f"{prefix}_equity_", ".csv")
        write_text(path, pd.DataFrame(results["equity_curve"]).to_csv(index=False))
        print(f"[SAVED] Equity curve CSV: {path}")
        return path

    def save_all(
        self, results: Mapping[str, Any], filename_prefix: str | None = None
    ) -> dict[str, Path]:
        """All three; the paths by kind."""
        paths = self.save_results(results, filename_prefix)
        for kind, path in (
            ("trades_csv", self.save_trades_csv(results, filename_prefix)),
            ("equity_csv", self.save_equity_curve_csv(results, filename_prefix)),
        ):
            if path is not None:
                paths[kind] = path
        return paths

    def _prefix(self, results: Mapping[str, Any], given: str | None) -> str:
        info = results.get("backtest_info") or {}
        return given or f"{info.get('symbol', 'unknown')}_{info.get('timeframe', 'unknown')}"

    def _free(self, folder: Path, start: str, end: str) -> Path:
        stamp = datetime.now().strftime("%Y%m%d_%H%M%S")
        path, number = folder / f"{start}{stamp}{end}", 1
        while path.exists():
            number += 1
            path = folder / f"{start}{stamp}_{number}{end}"
        return path
