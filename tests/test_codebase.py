"""The codebase checks itself: layers, sizes, and what must not stand in it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "marketsim"
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the bottom up: a layer imports from itself and from those before it.
LAYERS = (
    "text",
    "errors",
    "arguments",
    "atomic",
    "_core",
    "_cuda",
    "_typing",
    "build_info",
    "hashing",
    "progress",
    "timing",
    "processes",
    "bars",
    "kernels",
    "indicators",
    "models",
    "forecasts",
    "features",
    "metrics",
    "cluster",
    "strategies",
    "report",
    "walkforward",
    "replay",
    "lookahead",
    "search",
    "live",
    "legacy",
    "testing",
    "cli",
    "__main__",
)


def layer_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports_of(path: Path) -> list[str]:
    """Every marketsim module that a file imports, wherever in the file it does."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            if module == "marketsim":
                found += [f"marketsim.{alias.name}" for alias in node.names]
            else:
                found.append(module)
    return [name for name in found if name.split(".")[0] == "marketsim"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if part == "__init__":  # hands out names of every layer
        return
    assert part in LAYERS, f"{part} has no layer: add it to LAYERS"
    for name in imports_of(path):
        layer = layer_of(name)
        assert layer in LAYERS, f"{path.name} imports {name}: from no layer"
        assert LAYERS.index(layer) <= LAYERS.index(part), f"{part} imports {layer}, which is above"


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


def import_graph() -> dict[str, set[str]]:
    """Which module imports which, wherever in the file it does, types included."""
    names = {module_name(path) for path in MODULES} - {"marketsim"}
    graph: dict[str, set[str]] = {name: set() for name in names}
    for path in MODULES:
        module = module_name(path)
        if module == "marketsim":  # hands out names of every layer
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                parts = {f"{node.module}.{alias.name}" for alias in node.names}
                found = parts & names or {node.module or ""}
            else:
                continue
            graph[module] |= (found & names) - {module}
    return graph


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules that reach one another."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for name in graph[todo.pop()] - seen:
                seen.add(name)
                todo.append(name)
        return seen

    reach = {name: reached(name) for name in graph}
    groups = {frozenset(other for other in reach[name] if name in reach[other]) for name in graph}
    return [set(group) for group in groups if group]


def test_no_import_circles() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [{"b", "c"}]  # it sees one
    found = [sorted(circle) for circle in circles(import_graph()) if len(circle) > 1]
    assert not found, f"modules import one another: {found}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    # A file of one topic may be long; one past this limit holds two.
    assert len(text.splitlines()) <= 800, f"{path.name} has {len(text.splitlines())} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body
            first = body[0]
            is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            start = (body[1] if is_text and len(body) > 1 else first).lineno
            length = (node.end_lineno or start) - start + 1
            assert length <= 70, f"{path.name}: {node.name} has {length} lines of code"


def test_no_pickle_and_no_eval() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {
                    "pickle",
                    "dill",
                    "cloudpickle",
                    "marshal",
                    "shelve",
                    "joblib",
                }, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), path


def test_kernels_know_no_python() -> None:
    for path in [*ROOT.glob("csrc/kernels/**/*.?pp"), *ROOT.glob("csrc/common/*")]:
        assert not re.search(r"#include\s*[<\"](pybind11|Python\.h)", path.read_text()), path


# Topics whose room in Python, tests or benchmarks is named after a larger one that they belong to.
ROOMS = {
    "bootstrap": ("metrics/bootstrap", "metrics/test_bootstrap", "metrics"),
    "climatology": ("metrics/scores", "metrics/test_scores", "metrics"),
    "cscv": ("metrics/overfitting", "metrics/test_overfitting", "metrics"),
    "day_trades": ("legacy", "kernels/test_day_trades", "legacy"),
    "features": ("features", "features", None),
    "genesis": ("legacy/genesis", "legacy/genesis", "genesis"),
    "indicators": ("indicators", "indicators", "indicators"),
    "keys": ("forecasts/digests", "forecasts/test_digests", "store"),
    "moves": ("bars/returns", "bars/test_moves", None),
    "performance": ("kernels/performance", "metrics/test_performance", "metrics"),
    "replay": ("replay", "replay", "replay"),
    "replay_shared": ("replay/symbols", "replay/test_replay_symbols", "replay"),
    "replay_grid": ("replay/grid", "replay/test_replay_grid", "search"),
    "scores": ("legacy", "legacy/test_legacy_scores", "legacy"),
    "statistical": ("models/statistical", "models/test_statistical", "models"),
    "store": ("forecasts/store", "forecasts/store", "store"),
    "student_t": ("models/mixture", "models/test_mixture", "models"),
}
NO_KERNEL = {"build", "tensors"}  # settings of the extension; DLPack


def test_every_kernel_topic_has_one_name_everywhere() -> None:
    """csrc/kernels, csrc/bindings, the Python room, its tests and its benchmark."""
    registered = {path.stem.removeprefix("register_") for path in ROOT.glob("csrc/bindings/r*.cpp")}
    for topic in registered - NO_KERNEL:
        sources = [*ROOT.glob("csrc/kernels/**/*.cpp"), *ROOT.glob("csrc/kernels/**/")]
        assert topic in {path.stem for path in sources}, f"csrc/kernels: nothing named {topic}"
        named = (f"kernels/{topic}", f"kernels/test_{topic}", topic)
        room, tests, benchmark = ROOMS.get(topic, named)
        for path in (f"python/marketsim/{room}", f"tests/{tests}"):
            assert (ROOT / path).is_dir() or (ROOT / f"{path}.py").is_file(), path
        used = list((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]
        assert any("_core" in path.read_text() for path in used), f"{room} calls no kernel"
        if benchmark is not None:
            assert (ROOT / f"benchmarks/bench_{benchmark}.py").is_file(), benchmark
    assert set(ROOMS) < registered


def test_lazy_names_exist_and_are_complete() -> None:
    import marketsim

    for name in marketsim.__all__:
        assert getattr(marketsim, name) is not None
    assert set(dir(marketsim)) >= set(marketsim.__all__)
    lazy = {"__version__", *marketsim._HOMES, *marketsim._SUBMODULES}
    assert lazy == set(marketsim.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = marketsim.nonsense


def test_import_loads_nothing_heavy() -> None:
    heavy = ("torch", "numba", "plotly", "optuna", "ray", "pandas", "numpy", "rich", "jinja2")
    code = f"import sys, marketsim; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_docstring_examples() -> None:
    import doctest
    import importlib

    import marketsim

    attempted = 0
    for path in MODULES:
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        if name.endswith("__main__"):
            continue
        module = importlib.import_module(name)
        registered = dict(marketsim.strategies.registry._registered)
        found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
        marketsim.strategies.registry._registered.clear()
        marketsim.strategies.registry._registered.update(registered)
        assert found.failed == 0, f"{name}: {found.failed} examples fail"
        attempted += found.attempted
    assert attempted > 20


def test_messages_name_extras_of_the_checkout_and_not_of_an_index() -> None:
    """The name belongs to nobody on an index: what a command there installs is not this package."""
    for path in PACKAGE.rglob("*.py"):
        found = re.findall(r"""pip install \\?['"]?marketsim""", path.read_text())
        assert not found, path


def test_names_of_test_files_differ() -> None:
    """pytest and processes that it spawns import them by name, whatever their folder."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
