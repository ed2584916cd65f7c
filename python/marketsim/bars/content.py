"""What bytes are that are no table of text: workbooks, archives, pictures, other formats."""

from __future__ import annotations

import zipfile

_CSV = "save the sheet as CSV, or pass the DataFrame of pandas.read_excel"
_UNPACK = "unpack it first"
_OTHER = "export the bars as CSV or Parquet"
_FRAME = "load it with the library that wrote it, and pass the DataFrame"
_AGAIN = "download the file again"

_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (xls)", _CSV),
    (b"%PDF", "a PDF document", _OTHER),
    (b"\x89PNG", "a picture (PNG)", _OTHER),
    (b"\xff\xd8\xff", "a picture (JPEG)", _OTHER),
    (b"GIF8", "a picture (GIF)", _OTHER),
    (b"SQLite format 3", "an SQLite database", _FRAME),
    (b"\x89HDF", "an HDF5 file", _FRAME),
    (b"CDF\x01", "a NetCDF file", _FRAME),
    (b"\x93NUMPY", "an array of NumPy (npy)", _FRAME),
    (b"ORC", "an ORC file", _FRAME),
    (b"Obj\x01", "an Avro file", _FRAME),
    (b"\x80\x03", "a pickle of Python", _FRAME),
    (b"\x80\x04", "a pickle of Python", _FRAME),
    (b"\x80\x05", "a pickle of Python", _FRAME),
    (b"PARE", "an encrypted Parquet file", _FRAME),
    (b"DBN", "a DBN file of Databento", _FRAME),
    (b"RDX", "a file of R (rda)", _OTHER),
    (b"\xfd7zXZ", "packed by xz", _UNPACK),
    (b"BZh", "packed by bzip2", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "packed by Zstandard", _UNPACK),
    (b"\x04\x22\x4d\x18", "packed by LZ4", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x1f\x8b", "packed by gzip once more", _UNPACK),
    (b"PK\x03\x04", "a zip archive within the archive", _UNPACK),
    (b"{\\rtf", "a text document (RTF)", _OTHER),
    (b"<?xml", "XML", _OTHER),
    (b"\x7fELF", "a program", _AGAIN),
    (b"MZ\x90", "a program", _AGAIN),
    (b"version https://git-lfs", "a pointer of Git LFS in place of the file", "git lfs pull"),
)


def kind_of_bytes(data: bytes) -> tuple[str, str]:
    """What a file is by its first bytes, and what to do about it; ("", "") if nothing is known.

    Example:
        >>> kind_of_bytes(b"%PDF-1.7")
        ('a PDF document', 'export the bars as CSV or Parquet')

    """
    head = data[:16].lstrip(b"\xef\xbb\xbf")
    for start, kind, advice in _KINDS:
        begins = head.startswith(start) or (len(start) > 16 and data.startswith(start))
        # ORC and DBN are symbols, too, which may begin a line of text.
        if begins and (len(start) > 4 or not start.isalnum() or b"\0" in data[:4096]):
            return kind, advice
    if data[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    return "", ""


def kind_of_archive(archive: zipfile.ZipFile) -> tuple[str, str]:
    """What a zip archive is by the names in it, and what to do; ("", "") if nothing is known."""
    names = [entry.filename for entry in archive.infolist()]
    if "[Content_Types].xml" in names or any(name.startswith("xl/") for name in names):
        word = next((w for w in ("xl", "word", "ppt") if any(n.startswith(f"{w}/") for n in names)),
                    "xl")  # fmt: skip
        if word == "xl":
            return "an Excel workbook (xlsx)", _CSV
        return "a document of an office program", _OTHER
    if "mimetype" in names and "content.xml" in names:
        return "an OpenDocument file (ods)", _CSV
    lower = [name.lower() for name in names]
    if names and all(name.endswith((".npy", "/")) for name in lower):
        return "arrays of NumPy (npz)", _FRAME
    inside = next((n for n in names if n.lower().endswith((".xlsx", ".xls", ".xlsm", ".ods"))), "")
    if inside:
        return f"an archive of a workbook ({inside!r})", f"unpack it, and {_CSV}"
    return "", ""
