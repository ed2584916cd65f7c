"""install() in new processes, beside a `src` package of one's own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("torch")

from marketsim.legacy.install import MODULES


def run(code: str, folder: Path, before: str = "") -> str:
    """The output of a program in a folder; its errors are the test's."""
    code = before + textwrap.dedent(code)
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


# Without the modules that import torch: what is tested then is where modules go.
LIGHT = """
import sys
import marketsim.legacy
from marketsim.legacy.install import install
home = sys.modules["marketsim.legacy.install"]
names = ("disk_cache", "src.prediction_cache", "src.models.toto_aggregation")
home.MODULES = {name: home.MODULES[name] for name in names}
"""


def write(folder: Path, files: dict[str, str]) -> None:
    """Modules by their paths."""
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def test_old_names_lead_here_and_a_second_call_changes_nothing(tmp_path: Path) -> None:
    run(
        f"""
        import importlib, sys
        import marketsim.legacy
        names = marketsim.legacy.install()
        before = dict(sys.modules)
        assert marketsim.legacy.install() == names
        assert sys.modules == before
        for old, new in {MODULES!r}.items():
            assert importlib.import_module(old) is sys.modules[old] is sys.modules[new], old
        from src.models.toto_wrapper import TotoPipeline
        from src.models import toto_aggregation
        import src.models.kronos_wrapper
        import src.optimization_utils as optimizers
        assert src.models.kronos_wrapper.KronosForecastingWrapper
        assert src.optimization_utils is optimizers
        from src import prediction_cache
        assert toto_aggregation.aggregate_with_spec([1.0, 2.0], "mean") == [1.5]
        """,
        tmp_path,
    )


@pytest.mark.parametrize("with_init", [True, False])
def test_a_src_package_of_one_s_own_stays(tmp_path: Path, with_init: bool) -> None:
    files = {
        "src/other": "VALUE = 1",
        "src/models/models": "VALUE = 2",
        "src/models/toto_aggregation": "raise RuntimeError('the old module')",
        "src/deep/er": "VALUE = 3",
    }
    if with_init:  # its own code may use what is replaced, whichever comes first
        files["src/__init__"] = (
            "from src.models.toto_aggregation import aggregate_with_spec; VALUE = 0"
        )
        files["src/models/__init__"] = "from src import other; from .models import VALUE"
    write(tmp_path, files)
    run(
        f"""
        install()
        import src, src.other, src.models.models
        from src.deep.er import VALUE
        import src.models.toto_aggregation
        assert (src.other.VALUE, src.models.models.VALUE, VALUE) == (1, 2, 3)
        assert src.models.toto_aggregation.aggregate_with_spec.__module__.startswith("marketsim.")
        assert getattr(src, "VALUE", None) == (0 if {with_init} else None)
        assert src.__name__ == "src" and src.models.__name__ == "src.models"
        """,
        tmp_path,
        LIGHT,
    )


def test_a_src_folder_that_comes_onto_the_path_later_is_found(tmp_path: Path) -> None:
    write(tmp_path, {"later/src/other": "VALUE = 1", "later/src/models/mine": "VALUE = 2"})
    run(
        """
        install()
        sys.path.insert(0, "later")
        import src.other, src.models.mine, src.models.toto_aggregation
        assert (src.other.VALUE, src.models.mine.VALUE) == (1, 2)
        assert len(src.__path__) == 1 and "later/src" in src.__path__[0]
        try:
            import src.nothing
        except ModuleNotFoundError as error:
            assert error.name == "src.nothing"
        """,
        tmp_path,
        LIGHT,
    )


def test_a_src_module_that_is_no_package(tmp_path: Path) -> None:
    write(tmp_path, {"src": "VALUE = 1"})
    run(
        """
        install()
        import src, src.models.toto_aggregation
        from src.prediction_cache import PredictionCache
        assert src.VALUE == 1
        """,
        tmp_path,
        LIGHT,
    )


def test_a_module_that_is_dropped_and_imported_again_is_ours(tmp_path: Path) -> None:
    write(tmp_path, {"disk_cache": "OLD = True", "src/models/toto_aggregation": "OLD = True"})
    run(
        """
        import importlib
        install()
        install()
        for name in ("disk_cache", "src.models.toto_aggregation"):
            ours = sys.modules.pop(name)
            spec = ours.__spec__
            assert importlib.import_module(name) is ours and ours.__spec__ is spec, name
            assert importlib.reload(ours) is ours and not hasattr(ours, "OLD"), name
        assert importlib.util.find_spec("disk_cache") is sys.modules["disk_cache"].__spec__
        """,
        tmp_path,
        LIGHT,
    )


def test_the_backtest_imports_what_was_put_into_other_modules_before(tmp_path: Path) -> None:
    out = run(
        """
        import importlib, logging, sys
        import marketsim.legacy
        marketsim.legacy.install()
        marketsim.legacy.install()
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        import src.models.toto_wrapper, src.optimization_utils
        def mine(*_, **__): return 0.01, -0.01, 1.0
        theirs = src.optimization_utils.optimize_always_on_multipliers
        src.optimization_utils.optimize_entry_exit_multipliers = mine
        src.models.toto_wrapper.TotoPipeline = None
        import backtest_test3_inline as backtest
        assert backtest.optimize_entry_exit_multipliers is mine and backtest.TotoPipeline is None
        assert backtest.optimize_always_on_multipliers is theirs
        assert backtest.__spec__.name == backtest.__name__
        print("imported")
        src.optimization_utils.optimize_always_on_multipliers = mine
        assert backtest.optimize_always_on_multipliers is theirs
        """,
        tmp_path,
    )
    before, line = out.splitlines()
    assert before == "imported" and "optimize_always_on_multipliers was assigned" in line


@pytest.mark.parametrize("name", ["loss_utils", "src.models.toto_wrapper"])
def test_refuses_when_the_old_module_is_imported_already(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"loss_utils": "OLD = True", "src/models/toto_wrapper": "OLD = True"})
    out = run(
        f"""
        import importlib, sys
        importlib.import_module({name!r})
        import marketsim.legacy
        from marketsim.errors import LegacyInstallError
        before = set(sys.modules)
        try:
            marketsim.legacy.install()
        except LegacyInstallError as error:
            print(error)
        assert isinstance(LegacyInstallError(), ImportError)
        assert sys.modules[{name!r}].OLD and "backtest_test3_inline" not in sys.modules
        """,
        tmp_path,
    )
    assert out.startswith(f"imported already: {name} (from {tmp_path}")
    assert "before anything imports them" in out


def test_a_package_of_one_s_own_that_fails_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"src/__init__": "import not_installed_here"})
    run(
        """
        try:
            install()
        except ModuleNotFoundError as error:
            assert error.name == "not_installed_here", error
        else:
            raise AssertionError
        for name in ("disk_cache", "src", "src.models.toto_aggregation"):
            assert name not in sys.modules, name
        """,
        tmp_path,
        LIGHT,
    )


def test_without_torch_it_says_what_to_install(tmp_path: Path) -> None:
    run(
        """
        import importlib.util
        real = importlib.util.find_spec
        import marketsim.legacy, marketsim.legacy.stock.settings, sys
        sys.modules["marketsim.legacy.install"].find_spec = (
            lambda name: None if name == "torch" else real(name))
        from marketsim.errors import MissingDependencyError
        try:
            marketsim.legacy.install()
        except MissingDependencyError as error:
            assert ".[models]" in str(error)
        else:
            raise AssertionError
        assert "torch" not in sys.modules and "loss_utils" not in sys.modules
        """,
        tmp_path,
    )


def test_a_wrong_variable_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETSIM_MAX_HORIZON", "none")
    run(
        """
        import marketsim.legacy
        try:
            marketsim.legacy.install()
        except ValueError as error:
            assert "MARKETSIM_MAX_HORIZON" in str(error)
        else:
            raise AssertionError
        """,
        tmp_path,
    )


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("", "0.0005 0.0015 touched_both False"),
        ("TRADING_FEE = 0.0005\nCRYPTO_TRADING_FEE = 0.0015", "0.0005 0.0015 touched_both False"),
        ("CRYPTO_TRADING_FEE = 0.001", "0.0005 0.001 touched_both True"),
        ("TRADING_FEE = 1\nTRADING_FEE = 0", "0.0 0.0015 touched_both True"),
        ("TRADING_FEE = 0.0000278\nCRYPTO_TRADING_FEE = 0.008", "2.78e-05 0.008 per_entry False"),
        ("TRADING_FEE = float(3)\nCRYPTO_TRADING_FEE = '1'", "0.0005 0.0015 touched_both False"),
        ("not Python", "0.0005 0.0015 touched_both False"),
    ],
)
def test_fees_of_the_programs_own_file_are_charged(tmp_path: Path, own: str, expected: str) -> None:
    write(tmp_path, {"loss_utils": own})
    code = """
        import io, logging
        said = io.StringIO()
        logging.basicConfig(stream=said, level=logging.WARNING)
        import marketsim.legacy
        marketsim.legacy.install()
        import loss_utils as m
        print(m.TRADING_FEE, m.CRYPTO_TRADING_FEE, m.FEE_RULE, "are charged" in said.getvalue())
        m.TRADING_FEE = 0.01
        marketsim.legacy.install()
        assert m.TRADING_FEE == 0.01
        """
    assert run(code, tmp_path) == expected
