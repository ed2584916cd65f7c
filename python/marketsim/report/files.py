"""Atomic writing of pages: a reader sees the old page or the new one, never a part."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from marketsim.atomic import replace_file
from marketsim.errors import ArgumentError
from marketsim.report.text import clip

# A page replaces an existing file of its name: allow only suffixes that data files do not have.
_SUFFIXES = (".html", ".htm")


def check_page_path(path: str | os.PathLike[str]) -> Path:
    """`path` as a Path if a page could be written there; writes nothing.

    Raises:
        ArgumentError: it does not end in .html or .htm (nor may what a link leads to end
            otherwise), the folder does not exist, or it is or could be no regular file.
        OSError: the system does not let the folder be looked at.

    Example:
        >>> check_page_path("page.html").name
        'page.html'

    """
    given, target = _resolved(path)
    _existing_mode(given, target)
    return given


def write_atomically(path: str | os.PathLike[str], text: str) -> Path:
    """Write UTF-8 text to a file atomically, through a temporary file in the same folder.

    After any interruption the file holds its old content or the new one, and no temporary file
    remains. A symbolic link is followed; an existing file keeps its permissions.

    Raises:
        ArgumentError: as `check_page_path`.
        OSError: the system refuses, for example a full disk.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(f"{folder}/page.html", "<p>").read_text()
        '<p>'

    """
    given, target = _resolved(path)
    mode = _existing_mode(given, target)
    replace_file(target, text.encode(), mode)
    return given


def _resolved(path: object) -> tuple[Path, Path]:
    """Return (the path as given, its target)."""
    advice = "give a path such as 'report.html'"
    try:
        given = Path(path)  # type: ignore[arg-type]
        target = Path(os.path.realpath(given))
        target.is_dir()
    except (TypeError, ValueError) as error:  # no path at all, or a zero byte in it
        raise ArgumentError(f"cannot write a report to {path!r}: {error}; {advice}") from None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise ArgumentError(
            f"cannot write a report to {clip(str(path), 80)!r}: the name has "
            f"{len(given.name)} characters, more than a name may have; {advice}"
        ) from None
    for name, what in ((given, "the name"), (target, f"the file {str(target)!r} it leads to")):
        if name.suffix.lower() not in _SUFFIXES and not target.is_dir():
            raise ArgumentError(
                f"cannot write a report to {str(given)!r}: {what} must end in "
                f"{' or '.join(_SUFFIXES)}, so that no other file is replaced; {advice}"
            )
    return given, target


def _existing_mode(given: Path, target: Path) -> int | None:
    """Return the permissions of the file to be replaced; None if it does not exist."""
    if target.is_dir():
        raise ArgumentError(
            f"cannot write a report to {str(given)!r}: got a folder, expected a file; "
            f"give a file in it, such as {str(given / 'report.html')!r}"
        )
    if not target.parent.is_dir():
        kind = "is not a folder" if target.parent.exists() else "does not exist"
        raise ArgumentError(
            f"cannot write a report to {str(given)!r}: its folder {str(target.parent)!r} {kind}; "
            "create it first or give a path in an existing folder"
        )
    if not target.exists():
        return None
    mode = target.stat().st_mode
    if not stat.S_ISREG(mode):
        # Replacing would turn a device or a pipe into a file.
        raise ArgumentError(
            f"cannot write a report to {str(given)!r}: got a device, a pipe or a socket, "
            "expected a file; give another path"
        )
    return stat.S_IMODE(mode)
