"""The settings of every part of the service, declared once: fields, flags, variables, help, limits."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_MODEL_REPOSITORY = Path(__file__).resolve().parent / "models"
DEFAULT_REDIS_URL = "redis://localhost:6379/0"
KIB = 1024
MIB = 1024 * KIB

_SIZE_UNITS = {
    "": 1,
    "b": 1,
    "kib": KIB,
    "mib": MIB,
    "gib": 1024 * MIB,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
}
_SIZE = re.compile(r"(\d+)\s*([a-z]*)", re.IGNORECASE)
_MODEL_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[1-9][0-9]*)?")
_REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel")
_REDIS_SCHEME_START = re.compile(r",(?=[a-z+]+://)")


class SettingsError(ValueError):
    """A setting has a value that it cannot have; the message names setting, expectation and value."""


@dataclass(frozen=True)
class Setting:
    """One row of the table of settings.

    Attributes:
        name: Field of `Settings`, snake_case.
        default: Value when nothing is given.
        help: One line for people; the unit is in it.
        environ: Variables that may hold it, the first one set wins.
        metavar: What to call the value in `--help`, such as `BYTES`.
        expected: Allowed values in words, for error messages and help.
        read: Text to value; raises ValueError for text that is no such value.
        check: Says whether a value is allowed.
    """

    name: str
    default: Any
    help: str
    environ: tuple[str, ...]
    metavar: str
    expected: str
    read: Callable[[str], Any]
    check: Callable[[Any], bool]
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The command line flag, such as `--max-image-bytes`."""
        return "--" + self.name.replace("_", "-")

    @property
    def default_text(self) -> str:
        """The default as a user would write it."""
        return _to_text(self.default)

    def parse(self, value: Any, source: str | None = None) -> Any:
        """Return `value` (text, or already of the right type) as a checked value.

        Raises:
            SettingsError: it is not what the setting allows; `source` (flag or variable) is named in it.
        """
        try:
            parsed = self.read(value) if isinstance(value, str) else self.read(_to_text(value))
            allowed = self.check(parsed)
        except ValueError:
            allowed = False
        if not allowed:
            raise SettingsError(f"{source or self.flag}: expected {self.expected}, got {value!r}")
        return parsed


def _to_text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(str(item) for item in value)
    return str(value)


def _read_int(text: str) -> int:
    return int(text.strip().replace("_", ""))


def _read_size(text: str) -> int:
    match = _SIZE.fullmatch(text.strip().replace("_", ""))
    if match is None or match[2].lower() not in _SIZE_UNITS:
        raise ValueError(text)
    return int(match[1]) * _SIZE_UNITS[match[2].lower()]


def _read_names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _field(
    default: Any,
    help: str,
    *,
    metavar: str = "TEXT",
    expected: str = "text",
    read: Callable[[str], Any] = str,
    check: Callable[[Any], bool] = lambda value: True,
    choices: tuple[str, ...] = (),
    environ: tuple[str, ...] = (),
) -> Any:
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "metavar": metavar,
            "expected": expected,
            "read": read,
            "check": check,
            "choices": choices,
            "environ": environ,
        },
    )


def _whole(default: int, help: str, *, at_least: int, at_most: int | None = None) -> Any:
    limits = f"a whole number, {at_least} or more" if at_most is None else f"a whole number, {at_least} to {at_most}"
    return _field(
        default,
        help,
        metavar="N",
        expected=limits,
        read=_read_int,
        check=lambda value: value >= at_least and (at_most is None or value <= at_most),
    )


def _size(default: int, help: str) -> Any:
    expected = "a size of 1 byte or more, such as 16MiB or 16777216"
    return _field(default, help, metavar="BYTES", expected=expected, read=_read_size, check=lambda value: value >= 1)


def _seconds(default: float, help: str, *, at_most: float = 3600.0) -> Any:
    return _field(
        default,
        help,
        metavar="SECONDS",
        expected=f"a number of seconds above 0, at most {at_most:g}",
        read=float,
        check=lambda value: 0 < value <= at_most,
    )


def _choice(choices: tuple[str, ...], help: str) -> Any:
    return _field(
        choices[0],
        help,
        metavar="|".join(choices),
        expected="one of " + ", ".join(choices),
        read=lambda text: text.strip().lower(),
        check=lambda value: value in choices,
        choices=choices,
    )


def _are_redis_urls(text: str) -> bool:
    for url in _REDIS_SCHEME_START.split(text):
        scheme, _, rest = url.strip().partition("://")
        if scheme not in _REDIS_SCHEMES or not rest:
            return False
        if "," in rest and scheme in ("redis", "rediss"):  # only sentinels are several hosts
            return False
    return True


def _are_model_references(names: tuple[str, ...]) -> bool:
    return all(_MODEL_REFERENCE.fullmatch(name) for name in names)


@dataclass(frozen=True)
class Settings:
    """All settings, read once at start. Durations in seconds, sizes in bytes."""

    host: str = _field("127.0.0.1", "Address to listen on; 0.0.0.0 is every IPv4 address.", check=bool)
    port: int = _whole(5000, "TCP port to listen on; 0 takes a free one.", at_least=0, at_most=65535)
    web_processes: int = _whole(2, "Web processes.", at_least=1, at_most=256)
    workers: int = _whole(1, "Inference workers that `serve` starts.", at_least=0, at_most=256)
    threads: int = _whole(0, "Engine threads per worker; 0 is the CPU quota.", at_least=0, at_most=1024)
    redis_url: str = _field(
        "",
        "Redis or Valkey: redis://, rediss://, unix:// or redis+sentinel://, several comma-separated. "
        f"Empty: `serve` starts its own, the parts use {DEFAULT_REDIS_URL}.",
        metavar="URL",
        expected="URLs that begin with redis://, rediss://, unix:// or redis+sentinel://, comma-separated",
        read=str.strip,
        check=lambda value: not value or _are_redis_urls(value),
        environ=("REDIS_URL",),
    )
    redis_server: str = _choice(
        ("embedded", "redis-server"),
        "Server that `serve` starts: the embedded Valkey, or redis-server on PATH.",
    )
    model_repository: Path = _field(  # noqa: RUF009 (a dataclasses.field like the others)
        DEFAULT_MODEL_REPOSITORY,
        "Folder of served models, <name>/<version>/serving.toml.",
        metavar="FOLDER",
        expected="a path",
        read=lambda text: Path(text).expanduser(),
        check=lambda value: value != Path(),
    )
    models: tuple[str, ...] = _field(
        (),
        "Models to serve, comma-separated, NAME or NAME/VERSION; empty: all.",
        metavar="NAMES",
        expected="model names, comma-separated, each NAME or NAME/VERSION",
        read=_read_names,
        check=_are_model_references,
    )
    default_model: str = _field(
        "",
        "Model of requests that name none; empty: the only one, else `digits`.",
        metavar="NAME",
        expected="one model name",
        read=str.strip,
        check=lambda value: not value or ("/" not in value and _are_model_references((value,))),
    )
    max_queue_jobs: int = _whole(1000, "Images that may wait in one partition's queue.", at_least=1)
    max_queue_bytes: int = _size(256 * MIB, "Bytes that may wait in one partition's queue.")
    max_image_bytes: int = _size(16 * MIB, "Largest image file accepted.")
    max_body_bytes: int = _size(64 * MIB, "Largest request body accepted.")
    max_pixels: int = _whole(64_000_000, "Most pixels of an image, width times height.", at_least=1)
    deadline_s: float = _seconds(300.0, "Longest deadline of any request; a model's own may be shorter.")
    upload_pause_s: float = _seconds(30.0, "Longest pause while the body of a request arrives.")
    worker_class: str = _choice(("gevent", "gthread"), "How a web process handles many requests at once.")
    web_connections: int = _whole(2000, "Open connections per web process.", at_least=1)
    web_threads: int = _whole(64, "Threads per web process, where it has threads (gthread).", at_least=1)
    graceful_timeout_s: float = _seconds(30.0, "How long a stopping web process may finish its requests.")
    log_level: str = _choice(("info", "debug", "warning", "error"), "Least level that is logged.")
    log_format: str = _choice(("text", "json"), "Form of the log lines.")

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
        """Read settings: flags before variables before defaults; None as a flag means not given.

        Args:
            environ: Usually `os.environ`; variables set to the empty string count as not given.
            **flags: By field name, as text or as values of the right type.

        Raises:
            SettingsError: a value is not allowed; names flag or variable, expectation, value.
            TypeError: there is no setting of a flag's name.
        """
        environ = environ or {}
        unknown = flags.keys() - _BY_NAME.keys()
        if unknown:
            raise TypeError(f"no setting is named {', '.join(sorted(unknown))}")
        values: dict[str, Any] = {}
        for setting in SETTINGS:
            given = flags.get(setting.name)
            if given is not None:
                values[setting.name] = setting.parse(given)
                continue
            variable = next((name for name in setting.environ if environ.get(name)), None)
            if variable is not None:
                values[setting.name] = setting.parse(environ[variable], variable)
        return cls(**values)

    def replace(self, **changes: Any) -> Settings:
        """Return a copy with other values, checked as `load` checks flags."""
        return dataclasses.replace(self, **{name: _BY_NAME[name].parse(value) for name, value in changes.items()})

    def to_environ(self) -> dict[str, str]:
        """Return variables from which `load` makes equal settings; for processes that are started."""
        return {
            setting.environ[0]: text
            for setting in SETTINGS
            if (text := _to_text(getattr(self, setting.name))) or setting.default_text
        }

    @property
    def connection_url(self) -> str:
        """The URL to connect to: `redis_url`, or the usual local one when that is empty."""
        return self.redis_url or DEFAULT_REDIS_URL


def _table() -> tuple[Setting, ...]:
    rows = []
    for field in dataclasses.fields(Settings):
        metadata = dict(field.metadata)
        environ = (f"BEAGLE_{field.name.upper()}", *metadata.pop("environ"))
        rows.append(Setting(name=field.name, default=field.default, environ=environ, **metadata))
    return tuple(rows)


SETTINGS: tuple[Setting, ...] = _table()
"""Every setting, in the order of `--help`."""

_BY_NAME = {setting.name: setting for setting in SETTINGS}
