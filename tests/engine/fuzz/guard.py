"""What a reader must never do, noticed by Python's audit events while a file is read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

_FORBIDDEN = (
    "code.__new__", "cpython._PySys_ClearAuditHooks", "ctypes.", "ftplib.", "glob.glob", "http.", "mmap.", "os.chmod",
    "os.exec", "os.fork", "os.kill", "os.link", "os.mkdir", "os.posix_spawn", "os.putenv", "os.remove", "os.rename",
    "os.rmdir", "os.spawn", "os.symlink", "os.system", "os.truncate", "os.unsetenv", "pickle.", "pty.spawn", "shutil.",
    "smtplib.", "socket.", "subprocess.", "tempfile.", "urllib.", "webbrowser.",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LIBRARIES = sys.stdlib_module_names | {
    *("engine", "google", "h5py", "ml_dtypes", "numpy", "onnx", "typing_extensions", "yaml")
}
_REPOSITORY = Path(__file__).resolve().parents[3]


class Guard:
    """Watches this process from its making on; `violations` grows while it is armed.

    Args:
        folder: the only one from which files may be read, beside Python's own modules.
    """

    def __init__(self, folder: Path) -> None:
        self.violations: list[str] = []
        self.armed = False
        self._folder = folder.resolve()
        self._modules = tuple(os.path.realpath(place) for place in {sys.prefix, sys.base_prefix, str(_REPOSITORY)})
        sys.addaudithook(self._notice)

    def _notice(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        self.armed = False  # what is done here is not the reader's
        try:
            said = self._problem(event, arguments)
            if said is not None and len(self.violations) < 20:
                self.violations.append(said)
        finally:
            self.armed = True

    def _problem(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        if event.startswith(_FORBIDDEN):
            return f"{event} {arguments!r:.200}"
        if event == "import" and str(arguments[0]).split(".")[0] not in _LIBRARIES:
            return f"imports {arguments[0]!r}"
        if event in ("exec", "compile", "marshal.loads") and not _is_importing():
            return f"{event} {arguments!r:.200}"
        if event == "open":
            return self._opening(*arguments)
        return None

    def _opening(self, path: Any, mode: Any, flags: Any) -> str | None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return None
        place = os.path.realpath(os.fsdecode(path))
        if isinstance(flags, int) and flags & _WRITING and not _is_importing():
            return f"opens {place!r} for writing"
        if place.startswith((str(self._folder), *self._modules)):
            return None
        return f"opens {place!r}"


def _is_importing() -> bool:
    """Whether a module is being imported: its code comes from where Python's modules lie, not from a file read."""
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
