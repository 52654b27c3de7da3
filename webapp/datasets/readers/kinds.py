"""What a file really is, whatever its name says: told by its first bytes."""

from typing import NamedTuple

from webapp.datasets.readers.record import FileRefused, refusal

HEAD_BYTES = 4096

_TABLE = "Export it as CSV (in Excel or LibreOffice: Save as, “CSV UTF-8”) and upload that."
_UNPACK = "Unpack it and upload the CSV or JSONL file inside."
_NOT_ROWS = "Upload a CSV or JSONL file with one example a row."
_AS_JSONL = "Write its rows to a CSV or JSONL file and upload that."

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", f"A workbook: {_TABLE} An archive: {_UNPACK}"),
    (b"PK\x05\x06", "an empty zip archive", _NOT_ROWS),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file (.xls, .doc)", _TABLE),
    (b"\x1f\x8b", "compressed with gzip", _UNPACK),
    (b"BZh", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"PAR1", "a Parquet file", "Parquet is not read yet. " + _AS_JSONL),
    (b"ARROW1", "an Arrow or Feather file", _AS_JSONL),
    (b"\x93NUMPY", "a NumPy array", _AS_JSONL),
    (b"\x80\x02", "a Python pickle", "Pickles can run code and are never opened. " + _AS_JSONL),
    (b"\x80\x03", "a Python pickle", "Pickles can run code and are never opened. " + _AS_JSONL),
    (b"\x80\x04", "a Python pickle", "Pickles can run code and are never opened. " + _AS_JSONL),
    (b"\x80\x05", "a Python pickle", "Pickles can run code and are never opened. " + _AS_JSONL),
    (b"SQLite format 3\x00", "an SQLite database", _AS_JSONL),
    (b"\x89PNG", "a PNG image", _NOT_ROWS),
    (b"\xff\xd8\xff", "a JPEG image", _NOT_ROWS),
    (b"GIF8", "a GIF image", _NOT_ROWS),
    (b"%PDF-", "a PDF document", "Copy its text into a table and save that as CSV."),
    (b"{\\rtf", "an RTF document", "Copy its text into a table and save that as CSV."),
    (b"\x7fELF", "a program (ELF)", _NOT_ROWS),
    (b"MZ\x90", "a Windows program", _NOT_ROWS),
)

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\x00\x00", "utf-32-le"), (b"\x00\x00\xfe\xff", "utf-32-be"),
         (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))  # fmt: skip


class Encoding(NamedTuple):
    """How a file's bytes become text; the first `skip_bytes` are its byte order mark."""

    name: str
    skip_bytes: int


def encoding_of(head: bytes) -> Encoding:
    """UTF-8, or what a byte order mark says. Never guessed. Raises FileRefused for what is no text at all."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return Encoding(name, len(mark))
    for magic, what, hint in _MAGIC:
        if head.startswith(magic):
            raise refusal("wrong_type", f"The file is {what}, whatever its name says.", hint)
    start = head.lstrip()[:20].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise refusal("wrong_type", "The file is a web page or XML, whatever its name says.", _NOT_ROWS)
    if head.count(0) > len(head) // 5:
        raise _binary(head)
    return Encoding("utf-8", 0)


def _binary(head: bytes) -> FileRefused:
    if not any(head[1::2]) or not any(head[0::2]):
        hint = "Save it as UTF-8 (in Excel: “CSV UTF-8”, in Notepad: Save as, Encoding UTF-8)."
        return refusal("encoding", "The file looks like UTF-16 without its byte order mark.", hint)
    return refusal("wrong_type", "The file is binary data, not text.", _NOT_ROWS)
