"""Machine code of strategies on disk, so that one is compiled once a machine.

A file is found by a digest of everything that its code depends on: the strategy's own content, the
records it reads, marketsim's and Numba's sources and versions, the processor and Numba's settings.
Its head names the function and the symbols that the code calls; all of it is covered by a digest.
The folder belongs to the user and is writable by nobody else: code in it runs as the user does.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import stat
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from marketsim.atomic import replace_file

_MAGIC = b"marketsim code 1\n"
_MOST = 256  # files that are kept
# What a strategy may call of ours is compiled from these.
_ROOMS = ("replay", "indicators", "features", "kernels")


class LoadedCode:
    """Machine code in memory; the address is good for as long as this object lives."""

    def __init__(self, code: bytes, name: str) -> None:
        import llvmlite.binding as llvm

        machine = _machine()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.address = int(self._engine.get_function_address(name))


def digest_of(content: str) -> str:
    """The name of a strategy's file."""
    return hashlib.blake2b(f"{_surroundings()}\n{content}".encode(), digest_size=20).hexdigest()


def load(digest: str) -> LoadedCode | None:
    """The code of this digest; None where it is not there or cannot be used."""
    folder = _folder(make=False)
    if folder is None:
        return None
    path = folder / f"{digest}.code"
    try:
        content = path.read_bytes()
        head, code = _parsed(content)
        if head is None or head["digest"] != digest:
            return None
        if not _resolved(head["symbols"]):
            return None
        found = LoadedCode(code, head["name"])
    except (OSError, RuntimeError, ValueError, KeyError):
        return None
    if not found.address:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the least recently used go first
    return found


def save(digest: str, library: Any, name: str) -> None:
    """Keep the code of a Numba library whose C function has this name, where it can be kept.

    A full disk or a folder that cannot be written is no error: the next process compiles again.
    """
    found = None if library.has_dynamic_globals else _emitted(library, name)
    folder = _folder(make=True)
    if found is None or folder is None:
        return
    code, symbols = found
    head = {"digest": digest, "name": name, "symbols": symbols}
    text = json.dumps(head).encode() + b"\n"
    body = text + code
    with contextlib.suppress(OSError):
        check = hashlib.blake2b(body, digest_size=32).hexdigest().encode() + b"\n"
        replace_file(folder / f"{digest}.code", _MAGIC + check + body, 0o600, sync=False)
        _prune(folder)


def _parsed(content: bytes) -> tuple[dict[str, Any] | None, bytes]:
    magic, check, body = (
        content[: len(_MAGIC)], content[len(_MAGIC) : len(_MAGIC) + 65], content[len(_MAGIC) + 65 :]
    )  # fmt: skip
    expected = hashlib.blake2b(body, digest_size=32).hexdigest().encode() + b"\n"
    if magic != _MAGIC or check != expected:
        return None, b""
    head, code = body.split(b"\n", 1)
    return json.loads(head), code


def _emitted(library: Any, name: str) -> tuple[bytes, list[str]] | None:
    """The object code of a library, and the names that it needs from outside.

    Every function but the C function becomes local to it, so that no two codes in one process can
    be taken for one another.
    """
    import llvmlite.binding as llvm

    text = library.get_llvm_str()
    # What keeps objects of Python, or is linked later, belongs to the process that compiled it.
    uses = [line for line in text.splitlines() if re.search(r"NumbaEnv|numba\.unresolved", line)]
    if any(not line.startswith("@") for line in uses):
        return None
    module = llvm.parse_assembly(text)
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name != name:
            value.linkage = llvm.Linkage.internal
    machine = _machine()
    if hasattr(llvm, "create_new_module_pass_manager"):  # llvmlite 0.44; without: larger files
        passes = llvm.create_new_module_pass_manager()
        passes.add_global_dead_code_eliminate_pass()
        passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    symbols = [
        value.name
        for value in (*module.functions, *module.global_variables)
        if value.is_declaration and not value.name.startswith("llvm.")
    ]
    return machine.emit_object(module), symbols


def _resolved(symbols: list[str]) -> bool:
    """Whether all of these are in this process; a missing one would end it."""
    import llvmlite.binding as llvm
    from numba.core.registry import cpu_target
    from numba.core.runtime import rtsys  # type: ignore[attr-defined]

    if all(llvm.address_of_symbol(name) for name in symbols):
        return True
    rtsys.initialize(cpu_target.target_context)  # hands the runtime's symbols to LLVM
    return all(llvm.address_of_symbol(name) for name in symbols)


@functools.cache
def _processor() -> tuple[str, str, str]:
    import llvmlite.binding as llvm
    import numba  # noqa: F401 - has LLVM set up

    return (
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
    )


def _machine() -> Any:
    import llvmlite.binding as llvm

    triple, cpu, features = _processor()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=3, jit=True, codemodel="jitdefault"
    )


@functools.cache
def _surroundings() -> str:
    root = Path(__file__).parent.parent
    sources = [
        (path.relative_to(root).as_posix(), path.stat().st_size, path.stat().st_mtime_ns)
        for room in _ROOMS
        for path in sorted((root / room).rglob("*.py"))
    ]
    versions = [version(name) for name in ("numba", "llvmlite", "numpy")]
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    return repr((sys.version, versions, _processor(), settings, sources))


def _folder(*, make: bool) -> Path | None:
    from marketsim.forecasts.store.location import user_cache_folder

    try:
        folder = user_cache_folder() / "strategies"
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except (OSError, RuntimeError):
        return None
    alone = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if stat.S_ISDIR(found.st_mode) and alone else None


def _prune(folder: Path) -> None:
    files = sorted(folder.glob("*.code"), key=lambda path: path.stat().st_mtime)
    for path in files[:-_MOST]:
        path.unlink(missing_ok=True)
