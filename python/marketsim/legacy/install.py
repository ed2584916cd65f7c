"""Puts the old functions under their old import paths."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from marketsim.errors import (
    ArgumentError,
    LegacyInstallError,
    MissingDependencyError,
    UnknownNameError,
)

__all__ = ["MODULES", "install"]

# Old import path: the module that takes its place.
MODULES = {
    "loss_utils": "marketsim.legacy.stock.loss_utils",
    "disk_cache": "marketsim.legacy.stock.disk_cache",
    "backtest_test3_inline": "marketsim.legacy.stock.backtest_test3_inline",
    "src.optimization_utils": "marketsim.legacy.stock.optimization_utils",
    "src.prediction_cache": "marketsim.legacy.stock.prediction_cache",
    "src.models.toto_aggregation": "marketsim.legacy.stock.toto_aggregation",
    "src.models.toto_wrapper": "marketsim.legacy.stock.toto_wrapper",
    "src.models.kronos_wrapper": "marketsim.legacy.stock.kronos_wrapper",
}
PACKAGES = ("src", "src.models")
_BACKTEST = "backtest_test3_inline"


def install(system: str = "stock", **quirks: Any) -> tuple[str, ...]:
    """Register marketsim's modules under the old import paths.

    From here on `import backtest_test3_inline` and the like find them, so call it before anything
    imports the old ones. Everything else in a `src` (`core`, `scripts`) package of one's own stays
    as it is: that package is imported now, and where there is none, what comes onto sys.path later
    is found, too. A second call changes nothing; a module that is dropped from sys.modules and
    imported again is ours again, as the program left it. The settings of the environment are
    checked, and logged; fees are those of the program's own `loss_utils.py`, where it has one.

    Args:
        system: "stock", or "genesis": the second old system, `core.*` and `scripts.*`.
        quirks: of "genesis" alone, such as variant="E": see `marketsim.legacy.genesis`.

    Returns:
        The old import paths.

    Raises:
        LegacyInstallError: an old module has been imported already; nothing is changed.
        MissingDependencyError: torch is not installed (stock).
        UnknownNameError: there is no such system, or a quirk has no such value.
        ArgumentError: an environment variable has a value that it does not know.
    """
    if system == "genesis":
        from marketsim.legacy.genesis import modules as genesis
        from marketsim.legacy.genesis.quirks import use_quirks

        _refuse_imported(genesis.MODULES)
        use_quirks(**quirks)
        return _install(genesis.MODULES, genesis.PACKAGES)
    if system != "stock":
        raise UnknownNameError("system", system, ("stock", "genesis"))
    if quirks:
        raise ArgumentError(f'{", ".join(quirks)}: expected with install("genesis") alone')
    if find_spec("torch") is None:
        raise MissingDependencyError(
            "the old functions work on tensors, and torch is not installed: "
            "pip install '.[models]' in the checkout"
        )
    from marketsim.legacy.stock.settings import current_settings

    _refuse_imported(MODULES)
    current_settings()
    first = sys.modules.get("loss_utils") is None
    imported = _BACKTEST in sys.modules
    paths = _install(MODULES, PACKAGES)
    if _BACKTEST in MODULES and not imported:
        # Found at its first import, which takes what was assigned to the others before it.
        from marketsim.legacy.stock.assignments import await_import

        del sys.modules[_BACKTEST]
        await_import(_BACKTEST)
    if first and "loss_utils" in MODULES:
        from marketsim.legacy.stock.program_fees import use_fees_of_program

        use_fees_of_program()
    return paths


def _install(paths: Mapping[str, str], names: Sequence[str]) -> tuple[str, ...]:
    modules = {old: importlib.import_module(new) for old, new in paths.items()}
    added = [name for name in (*names, *modules) if name not in sys.modules]
    # Before the packages, whose own code may import them.
    sys.modules.update(modules)
    try:
        packages = {name: _package(name) for name in names}
    except BaseException:
        for name in added:
            sys.modules.pop(name, None)
        raise
    if not any(isinstance(finder, _Finder) and finder.paths == paths for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(paths))
    for name, module in (packages | modules).items():
        above, _, last = name.rpartition(".")
        if above:
            setattr(packages[above], last, module)
    return tuple(paths)


def _refuse_imported(paths: Mapping[str, str]) -> None:
    """Raise if one of the old modules has been imported, and is not ours."""
    taken = []
    for old, new in paths.items():
        module = sys.modules.get(old)
        if module is not None and module is not sys.modules.get(new):
            taken.append(f"{old} (from {getattr(module, '__file__', None) or 'no file'})")
    if taken:
        raise LegacyInstallError(
            f"imported already: {', '.join(taken)}; call marketsim.legacy.install() at the top of "
            "the program, before anything imports them"
        )


def _package(name: str) -> ModuleType:
    """The package of that name: one's own, or one that is made for what is put into it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # one's own package lacks something
            raise
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = _Folders(name)  # type: ignore[assignment]
    module = module_from_spec(spec)
    sys.modules[name] = module
    return module


class _Finder(MetaPathFinder, Loader):
    """Gives our module again to a program that drops an old one from sys.modules and imports it."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self.paths = dict(paths)
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in self.paths else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.paths[spec.name])
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None  # the import system has just set it
        name = module.__spec__.name
        module.__spec__ = self._specs[name]
        if name == _BACKTEST:
            from marketsim.legacy.stock.assignments import take_assigned

            take_assigned(name, module)


class _Folders:
    """Where a package's modules may be: the folders of its name, looked up anew each time.

    So a folder `src` that comes onto sys.path later is not hidden.
    """

    def __init__(self, name: str) -> None:
        self._above, _, self._last = name.rpartition(".")

    def _now(self) -> list[str]:
        package = sys.modules.get(self._above)
        above = getattr(package, "__path__", ()) if self._above else sys.path
        folders = [Path(entry or ".", self._last) for entry in above]
        return [str(folder) for folder in folders if folder.is_dir()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def __getitem__(self, index: int) -> str:
        return self._now()[index]

    def __contains__(self, item: object) -> bool:
        return item in self._now()

    def __repr__(self) -> str:
        return f"_Folders({self._now()!r})"
