"""Archives unpacked into a folder, nothing outside of it."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

_FORMATS = ("tar", "zip")


def extracted(archive: Path, folder: Path, formats: str | list[str] | None = "auto", anew: bool = False) -> Path:
    """The folder with an archive's contents, unpacked on first use.

    Args:
        archive: a tar file, compressed or not, or a zip file.
        folder: where to; it appears whole.
        formats: "tar", "zip", a list of them, or "auto" for both.
        anew: whether to unpack again what was unpacked.

    Raises:
        ValueError: an unknown format, or an archive of none of them, damaged, or with paths that lead outside.
    """
    wanted = _FORMATS if formats == "auto" else (formats,) if isinstance(formats, str) else tuple(formats or ())
    unknown = [name for name in wanted if name not in _FORMATS]
    if unknown:
        raise ValueError(f"`archive_format` must be 'tar', 'zip' or 'auto'. Received: {unknown[0]!r}")
    if folder.is_dir() and not anew:
        return folder
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        inner = Path(temporary) / "contents"
        try:
            _unpack(archive, inner, wanted)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"{archive} cannot be unpacked: {error}") from None
        if folder.exists():
            shutil.rmtree(folder)
        inner.rename(folder)
    return folder


def _unpack(archive: Path, folder: Path, formats: tuple[str, ...]) -> None:
    if "tar" in formats and tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")  # refuses absolute paths, links outside and devices
    elif "zip" in formats and zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened_zip:
            opened_zip.extractall(folder)  # drops drives, roots and ".."
    else:
        raise ValueError(f"{archive} is no archive of the formats {', '.join(formats) or '(none)'}.")
