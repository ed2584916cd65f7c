"""The paper broker fills by the backtest's rules, and loses nothing."""

from __future__ import annotations

import math
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from market import random_frame

import marketsim as ms
from marketsim.bars import Bars
from marketsim.live import Broker, PaperBroker, compare_fills, next_orders

STRATEGIES = ("maxdiff", "maxdiff_always_on", "high_low", "entry_takeprofit", "simple")
FIRST, STOP = 1440, 1480


@pytest.fixture(scope="module")
def bars() -> Bars:
    # Its own dates as a calendar: the next bar of each evening is known.
    return Bars(ms.demo_bars().frame.iloc[:STOP], "SPX")


def evening(bars: Bars, stop: int, store: ms.MemoryStore) -> pd.DataFrame:
    """The orders made at the close of row stop - 1, with the date that the next bar really had."""
    orders = next_orders(
        Bars(bars.frame.iloc[:stop], bars.symbol), "ewma", STRATEGIES, equity=10_000.0,
        targets="own", store=store, progress=False,
    )  # fmt: skip
    orders["bar"] = bars.frame.index[stop]
    return orders


@pytest.fixture(scope="module")
def run(bars: Bars, tmp_path_factory: pytest.TempPathFactory) -> tuple[PaperBroker, ms.MemoryStore]:
    store, path = ms.MemoryStore(), tmp_path_factory.mktemp("paper") / "paper.sqlite"
    for stop in range(FIRST, STOP):
        broker = PaperBroker(path)  # a new process each evening
        broker.settle(Bars(bars.frame.iloc[:stop], bars.symbol))
        orders = evening(bars, stop, store)
        assert len(broker.submit(orders)) == (orders["order"] != "none").sum()
        assert broker.submit(orders) == []  # the same evening again
    broker.settle(bars)
    assert broker.settle(bars) == []
    return broker, store


def test_fills_are_those_of_the_backtest(
    run: tuple[PaperBroker, ms.MemoryStore], bars: Bars
) -> None:
    broker, store = run
    assert isinstance(broker, Broker)
    result = ms.walk_forward(
        bars, "ewma", strategies=STRATEGIES, start=bars.frame.index[FIRST], store=store,
        targets="own", progress=False,
    )  # fmt: skip
    fills, trades = broker.fills(), result.trades
    for name in ("maxdiff", "maxdiff_always_on", "high_low"):
        mine = fills[fills["strategy"] == name]
        entries, exits = (mine[mine["leg"] == leg].reset_index() for leg in ("entry", "exit"))
        expected = trades[trades["strategy"] == name].sort_values(["entry_time", "side"])
        got = entries.assign(exit=exits["price"]).sort_values(["bar", "side"])
        assert len(got) == len(expected) > 5
        np.testing.assert_allclose(got["price"], expected["entry_price"], rtol=1e-7)
        np.testing.assert_allclose(got["exit"], expected["exit_price"], rtol=1e-7)
        sign = np.where(mine["side"] == "buy", -1.0, 1.0)
        gross = float((sign * mine["quantity"] * mine["price"]).sum()) / 10_000.0
        days = result.days[result.days["strategy"] == name]
        assert gross == pytest.approx(days["gross"].sum(), abs=1e-6)
        # The backtest charges by the close before, a broker by the price of the fill.
        assert mine["cost"].sum() / 10_000.0 == pytest.approx(days["fee"].sum(), rel=0.03)


def test_cash_and_positions_add_up(run: tuple[PaperBroker, ms.MemoryStore]) -> None:
    broker, _ = run
    fills = broker.fills()
    cash = 100_000.0
    held = 0.0
    for row in fills.itertuples():
        sign = 1.0 if row.side == "buy" else -1.0
        cash -= sign * row.quantity * row.price + row.cost
        held += sign * row.quantity
    assert broker.cash == pytest.approx(cash)
    assert broker.positions.get("SPX", 0.0) == pytest.approx(held)
    status = broker.orders()["status"].value_counts()
    assert status["filled"] > 20 and status["expired"] > 20 and "open" not in status


def test_orders_wait_until_their_bar_has_come(bars: Bars, tmp_path: Path) -> None:
    broker = PaperBroker(tmp_path / "p")
    broker.submit(evening(bars, FIRST, ms.MemoryStore()))
    assert broker.settle(Bars(bars.frame.iloc[:FIRST], "SPX")) == []
    assert broker.settle(Bars(bars.frame, "OTHER")) == []
    assert set(broker.orders()["status"]) == {"open"}


def test_revised_history_is_refused(bars: Bars, tmp_path: Path) -> None:
    broker = PaperBroker(tmp_path / "p")
    broker.submit(evening(bars, FIRST, ms.MemoryStore()))
    with pytest.raises(ms.ArgumentError, match="history was revised"):
        broker.settle(Bars(bars.frame * [1.5, 1.5, 1.5, 1.5, 1.0], "SPX"))
    assert set(broker.orders()["status"]) == {"open"}  # nothing of it is half done
    missing = bars.frame.drop(bars.frame.index[FIRST])
    with pytest.raises(ms.ArgumentError, match="lacks although it has later"):
        broker.settle(Bars(missing, "SPX"))


def test_files_and_arguments(bars: Bars, tmp_path: Path) -> None:
    other = tmp_path / "text"
    other.write_bytes(b"not a ledger" * 100)
    with pytest.raises(ms.FileFormatError):
        PaperBroker(other)
    with pytest.raises(ms.StoreWriteError):
        PaperBroker(tmp_path / "none" / "p")
    for cash in (0.0, math.nan, -5.0):
        with pytest.raises(ms.ArgumentError, match="cash"):
            PaperBroker(tmp_path / "p", cash=cash)
    orders = next_orders(bars, "ewma", "maxdiff", store=False, progress=False)
    with pytest.raises(ms.ArgumentError, match="no quantity"):
        PaperBroker(tmp_path / "p").submit(orders)


def test_compare_fills() -> None:
    rows = [
        ("A", "s", "d1", "entry", "buy", 10.0, 100.0),
        ("A", "s", "d1", "exit", "sell", 10.0, 101.0),
    ]
    columns = ["symbol", "strategy", "bar", "leg", "side", "quantity", "price"]
    assumed = pd.DataFrame(rows, columns=columns)
    real = pd.DataFrame(
        [("A", "s", "d1", "entry", "buy", 5.0, 100.1), ("B", "s", "d1", "entry", "buy", 1.0, 7.0)],
        columns=columns,
    )
    found = compare_fills(assumed, real).set_index(["symbol", "leg"])
    assert found.loc[("A", "entry"), "worse_bps"] == pytest.approx(10.0)
    assert found.loc[("A", "entry"), "share"] == 0.5
    assert found.loc[("A", "exit"), "outcome"] == "missed"
    assert found.loc[("B", "entry"), "outcome"] == "unexpected"
    worse = compare_fills(assumed, assumed.assign(price=[101.0, 100.0]))["worse_bps"]
    assert (worse > 0).all()
    with pytest.raises(ms.ArgumentError, match="lacks price"):
        compare_fills(assumed.drop(columns="price"), real)
    with pytest.raises(ms.ArgumentError, match="twice"):
        compare_fills(pd.concat([assumed, assumed]), real)


def test_the_example_runs_two_evenings(bars: Bars, tmp_path: Path) -> None:
    folder, ledger = tmp_path / "bars", tmp_path / "paper.sqlite"
    folder.mkdir()
    program = Path(__file__).parents[2] / "examples" / "paper_trading.py"
    said = []
    for stop in (1478, 1478, 1479):
        bars.frame.iloc[:stop].to_csv(folder / "SPX.csv")
        done = subprocess.run(
            [sys.executable, str(program), str(folder), "--ledger", str(ledger), "--tick", "0.01"],
            env=os.environ | {"MARKETSIM_STORE": str(tmp_path / "store")},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.splitlines()[0])
    assert said[:2] == [
        "0 fills of earlier orders, 1 new orders", "0 fills of earlier orders, 0 new orders",
    ]  # fmt: skip
    assert said[2].endswith("1 new orders")


class Recorded:
    """A provider whose recorded bars end where `now` says."""

    name, timeframe = "recorded", "1d"

    def __init__(self) -> None:
        self.frames = {name: random_frame(300, seed=i) for i, name in enumerate(("AAA", "BBB"))}
        self.now = 290

    def fetch(self, symbol: str, start: pd.Timestamp | None) -> pd.DataFrame:
        if symbol not in self.frames:
            raise ms.SourceError(f"recorded has no bars of {symbol!r}")
        frame = self.frames[symbol].iloc[: self.now]
        return frame if start is None else frame[frame.index >= start.tz_convert(frame.index.tz)]


def test_evenings_of_the_example_refresh_order_and_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = Path(__file__).parents[2] / "examples" / "paper_trading.py"
    evening: Any = runpy.run_path(str(program))["main"]
    source, ledger = Recorded(), str(tmp_path / "paper.sqlite")
    words = [str(tmp_path / "bars"), "--ledger", ledger, "--model", "ewma", "--tick", "0.01"]
    assert evening([*words, "--symbols", "AAA", "BBB"], source) == 0
    out = capsys.readouterr().out
    assert "580 new bars of 2 symbols" in out
    assert "0 fills of earlier orders" in out

    for _ in range(3):
        source.now += 1
        assert evening(words, source) == 0
        assert "2 new bars of 2 symbols" in capsys.readouterr().out
    fills = PaperBroker(ledger).fills()
    assert len(fills)  # the bars of the evenings have filled orders

    real = tmp_path / "real.csv"
    fills.assign(price=fills["price"] * 1.001).to_csv(real, index=False)
    assert evening([*words, "--real", str(real)], source) == 0
    out = capsys.readouterr().out
    assert "0 new bars of 2 symbols" in out and "worse_bps" in out and "both" in out

    assert evening([*words, "--symbols", "CCC"], source) == 3  # others are traded all the same
    assert "error: CCC: recorded has no bars of 'CCC'" in capsys.readouterr().err
