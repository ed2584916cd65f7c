from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from marketsim.errors import InvalidNameError
from marketsim.legacy.stock import tensorboard
from marketsim.legacy.stock.tensorboard import NoWriter, log_averages, log_simulation, open_writer

STRATEGIES = {
    "simple": "simple_strategy",
    "all_signals": "all_signals_strategy",
    "buy_hold": "buy_hold",
    "unprofit_shutdown": "unprofit_shutdown",
    "entry_takeprofit": "entry_takeprofit",
    "highlow": "highlow",
    "maxdiff": "maxdiff",
    "maxdiffalwayson": "maxdiffalwayson",
}


class SummaryWriter:
    """As tensorboardX has it."""

    made: ClassVar[list[SummaryWriter]] = []

    def __init__(self, logdir: str) -> None:
        self.logdir, self.scalars, self.open = logdir, {}, True
        SummaryWriter.made.append(self)

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.scalars[tag, step] = value

    def close(self) -> None:
        self.open = False


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[SummaryWriter]:
    """tensorboardX, in a folder of one's own."""
    module: Any = types.ModuleType("tensorboardX")
    module.SummaryWriter = SummaryWriter
    module.__spec__ = ModuleSpec("tensorboardX", None)
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    monkeypatch.chdir(tmp_path)
    SummaryWriter.made = []
    return SummaryWriter.made


def row() -> dict[str, float]:
    values: dict[str, float] = {}
    for i, start in enumerate(STRATEGIES.values()):
        late = start in ("highlow", "maxdiff", "maxdiffalwayson")
        values |= {
            f"{start}_return": i + 0.1,
            f"{start}_sharpe": i + 0.2,
            f"{start}_finalday{'_return' if late else ''}": i + 0.3,
            f"{start}_avg_daily_return": i + 0.4,
            f"{start}_annual_return": i + 0.5,
        }
    return values


def test_the_old_tags(installed: list[SummaryWriter]) -> None:
    writer = open_writer("2026-01-31-12-00-00")
    assert not installed  # the first scalar makes the file
    log_simulation(writer, "AAPL", 3, row(), losses={"Close": 0.5}, returns={"simple": [0.1, 0.2]})
    (made,) = installed
    assert made.logdir == "logs/2026-01-31-12-00-00"
    expected = {
        ("AAPL/Close/val_loss", 3): 0.5,
        ("AAPL/returns_over_time/simple", 0): 0.1,
        ("AAPL/returns_over_time/simple", 1): 0.2,
    }
    for i, name in enumerate(STRATEGIES):
        for part, tag in enumerate(("total_return", "sharpe", "finalday"), 1):
            expected[f"AAPL/strategies/{name}/{tag}", 3] = i + part / 10
    assert made.scalars == pytest.approx(expected)
    made.scalars.clear()
    log_averages(writer, "AAPL", pd.DataFrame([row(), row()]))
    expected = {}
    for i, name in enumerate(list(STRATEGIES)[:6]):
        for tag, part in (("avg_return", 4), ("annual_return", 5), ("avg_sharpe", 2)):
            expected[f"AAPL/final_metrics/{name}_{tag}", 0] = i + part / 10
    assert made.scalars == pytest.approx(expected)
    writer.close()
    assert not made.open
    writer.close()
    writer.add_scalar("again", 1.0, 0)
    assert len(installed) == 2


def test_what_is_missing_is_left_out(installed: list[SummaryWriter]) -> None:
    writer = open_writer("run")
    log_simulation(writer, "AAPL", 0, {})
    log_averages(writer, "AAPL", pd.DataFrame({"highlow_sharpe": [float("nan")]}))
    assert not installed


@pytest.mark.parametrize(
    ("name", "text"), [("TESTING", "True"), ("MARKETSIM_TENSORBOARD", "0"), ("", "")]
)
def test_nothing_is_written(
    installed: list[SummaryWriter], name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name:
        monkeypatch.setenv(name, text)
    else:
        monkeypatch.setattr(tensorboard, "find_spec", lambda package: None)
    writer = open_writer("run")
    assert isinstance(writer, NoWriter)
    log_simulation(writer, "AAPL", 0, row())
    log_averages(writer, "AAPL", pd.DataFrame([row()]))
    writer.add_scalar("tag", 1.0, 0)
    writer.close()
    assert not installed


def test_torch_s_writer_where_tensorboard_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda package: package == "tensorboard" or None)
    module: Any = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    SummaryWriter.made = []
    open_writer("run").add_scalar("tag", 1.0, 0)
    assert SummaryWriter.made[0].scalars == {("tag", 0): 1.0}


@pytest.mark.parametrize("name", ["../run", "a/b", ""])
def test_a_run_s_name_is_checked(name: str) -> None:
    with pytest.raises(InvalidNameError):
        open_writer(name)


def test_a_real_event_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboardX")
    monkeypatch.chdir(tmp_path)
    writer = open_writer("run")
    writer.add_scalar("tag", 1.0, 0)
    writer.close()
    assert list((tmp_path / "logs" / "run").iterdir())
