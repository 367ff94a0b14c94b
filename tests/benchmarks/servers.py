"""The contestants of the service's benchmark: how each is started, and what to know of it while it runs."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

import requests

from tests.benchmarks.load import Body, LoadError
from tests.benchmarks.models import noop_worker, one_session, resnet50
from tests.benchmarks.processor_time import Roles
from tests.service.processes import Running, eventually, free_port, python, running

START_PATIENCE_S = 120.0

_NO_ENVIRON: Mapping[str, str] = MappingProxyType({})
_READY = re.compile(r"ready on (http://\S+)")
_QUEUE_SERVER = ("queue.sock", "queue server")
_SUPERVISOR = (("one_session", "supervisor"), (" serve ", "supervisor"))
_ROLES = (*_SUPERVISOR, _QUEUE_SERVER, ("service.web", "web"), (" web ", "web"), ("worker", "worker"))


@dataclass(frozen=True)
class Serving:
    """A server that runs.

    Attributes:
        url: where to post.
        pid: of the process that started all of its others.
        roles: see `processor_time`.
        form: of the bodies that it takes, whatever is natural for it: `multipart` or `raw`.
        scratch: the folder where it has its temporary files.
    """

    url: str
    pid: int
    roles: Roles
    form: Literal["multipart", "raw"]
    scratch: Path

    def body(self, image: bytes) -> Body:
        """A request's body with an image."""
        return Body.raw(image) if self.form == "raw" else Body.form(image)


class Server(Protocol):
    """A contestant; `str` of it tells its settings."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def serving(
        self, task: str, files: Path, environ: Mapping[str, str] = ...
    ) -> contextlib.AbstractContextManager[Serving]:
        """Run it for the length of a block.

        Args:
            task: one of `peers.tasks.NAMES`.
            files: the folder with ResNet50's files; not looked at for other tasks.
            environ: added to its environment.
        """
        ...


@dataclass(frozen=True)
class Beagle:
    """`beagle serve`; the defaults are its own."""

    precision: str = "float32"
    web_processes: int = 2
    workers: int = 1

    @property
    def name(self) -> str:
        return _name("Beagle", self.precision)

    def __str__(self) -> str:
        changed = [f"web processes {self.web_processes}"] if self.web_processes != 2 else []
        changed += [f"workers {self.workers}"] if self.workers != 1 else []
        return ", ".join([self.name, *changed])

    @contextlib.contextmanager
    def serving(self, task: str, files: Path, environ: Mapping[str, str] = _NO_ENVIRON) -> Iterator[Serving]:
        with tempfile.TemporaryDirectory(prefix="b-") as name:
            models = Path(name, "models")
            if task == "resnet50":
                resnet50.write_repository(models, files, self.precision)
            else:
                noop_worker.write_repository(models, task)
            with self.serving_repository(models, noop=task != "resnet50", environ=environ) as serving:
                yield serving

    @contextlib.contextmanager
    def serving_repository(
        self,
        repository: Path,
        *,
        noop: bool = False,
        program: Sequence[str] = (),
        environ: Mapping[str, str] = _NO_ENVIRON,
    ) -> Iterator[Serving]:
        """Run it with a model repository.

        Args:
            repository: the folder.
            noop: whether its models do nothing, and have no files.
            program: the module to run in place of `models.one_session`, with its arguments.
            environ: added to its environment.
        """
        workers = [noop_worker.__name__] if noop else []
        # The path of the queue server's socket must be short.
        with tempfile.TemporaryDirectory(prefix="b-") as name:
            settings = {
                "BEAGLE_MODEL_REPOSITORY": str(repository),
                "BEAGLE_PORT": "0",
                "BEAGLE_WEB_PROCESSES": str(self.web_processes),
                "BEAGLE_WORKERS": str(self.workers),
                "TMPDIR": name,
            }
            command = python("-m", *(program or (one_session.__name__, *workers)))
            with running(command, Path(name), {**settings, **environ}) as process:
                eventually(lambda: _said_ready(process), "Beagle is ready", START_PATIENCE_S)
                [address] = _READY.findall(process.out)
                yield Serving(f"{address}/predict", process.pid, _ROLES, "multipart", Path(name))
                process.terminate()


def _said_ready(process: Running) -> bool:
    _check_running(process, "Beagle")
    return _READY.search(process.out) is not None


@dataclass(frozen=True)
class LitServe:
    """LitServe; attributes are its own settings, and those of ONNX Runtime in each of its workers."""

    max_batch_size: int = 32
    batch_timeout: float = 0.0
    workers_per_device: int = 1
    num_api_servers: int = 1
    api_server_worker_type: str = "process"
    fast_queue: bool = False
    threads: int = 0
    spinning: bool = True
    precision: str = "float32"

    @property
    def name(self) -> str:
        return _name("LitServe", self.precision)

    def __str__(self) -> str:
        return (
            f"{self.name}, batch {self.max_batch_size}, "
            f"timeout {self.batch_timeout:g}, workers {self.workers_per_device}"
            f"{f' with {self.threads} threads' if self.threads else ''}, "
            f"API {self.api_server_worker_type} x{self.num_api_servers}{', fast_queue' if self.fast_queue else ''}"
            f"{'' if self.spinning else ', no spinning'}"
        )

    @contextlib.contextmanager
    def serving(self, task: str, files: Path, environ: Mapping[str, str] = _NO_ENVIRON) -> Iterator[Serving]:
        port = free_port()
        command = python("-m", "tests.benchmarks.peers.litserve_server", "--port", str(port), "--task", task)
        command += _onnx(task, files, self.precision, self.threads, self.spinning)
        command += ["--max-batch-size", str(self.max_batch_size), "--batch-timeout", str(self.batch_timeout)]
        command += ["--workers-per-device", str(self.workers_per_device)]
        command += ["--num-api-servers", str(self.num_api_servers)]
        command += ["--api-server-worker-type", self.api_server_worker_type]
        command += ["--fast-queue"] if self.fast_queue else []
        with _peer("LitServe", command, environ) as (process, folder):
            _wait_for(process, "LitServe", f"http://127.0.0.1:{port}/health")
            roles = (("spawn_main", "worker"), ("litserve_server", "web"))
            yield Serving(f"http://127.0.0.1:{port}/predict", process.pid, roles, "multipart", folder)


@dataclass(frozen=True)
class Mosec:
    """mosec; attributes are its own settings, and those of ONNX Runtime in each process.

    `decoders`: processes of a first stage that decodes; 0 leaves that to the model's stage.
    """

    max_batch_size: int = 32
    max_wait_time: int = 1
    processes: int = 1
    decoders: int = 0
    threads: int = 0
    spinning: bool = True

    @property
    def name(self) -> str:
        return "mosec"

    def __str__(self) -> str:
        stages = f"{self.decoders} decoders, {self.processes} with the model" if self.decoders else self.processes
        return (
            f"{self.name}, batch {self.max_batch_size}, wait {self.max_wait_time} ms, processes {stages}"
            f"{f' of {self.threads} threads' if self.threads else ''}{'' if self.spinning else ', no spinning'}"
        )

    @contextlib.contextmanager
    def serving(self, task: str, files: Path, environ: Mapping[str, str] = _NO_ENVIRON) -> Iterator[Serving]:
        port = free_port()
        command = python("-m", "tests.benchmarks.peers.mosec_server", "--task", task)
        command += _onnx(task, files, "float32", self.threads, self.spinning)
        command += ["--max-batch-size", str(self.max_batch_size), "--max-wait-time", str(self.max_wait_time)]
        command += ["--processes", str(self.processes), "--decoders", str(self.decoders)]
        own = {
            "MOSEC_ADDRESS": "127.0.0.1",
            "MOSEC_PORT": str(port),
            "MOSEC_LOG_LEVEL": "warning",
            "MOSEC_TIMEOUT": "60000",
        }
        with _peer("mosec", command, {**own, **environ}) as (process, folder):
            _wait_for(process, "mosec", f"http://127.0.0.1:{port}/")
            roles = (("spawn_main", "worker"), ("config.json", "web"))
            yield Serving(f"http://127.0.0.1:{port}/predict", process.pid, roles, "raw", folder)


@dataclass(frozen=True)
class Naive:
    """Flask's own server, a list in Redis, and Keras on TensorFlow, each looking every quarter of a second."""

    @property
    def name(self) -> str:
        return "naive design"

    def __str__(self) -> str:
        return f"{self.name}, Keras"

    @contextlib.contextmanager
    def serving(self, task: str, files: Path, environ: Mapping[str, str] = _NO_ENVIRON) -> Iterator[Serving]:
        if task != "resnet50":
            raise ValueError(f"expected the task resnet50, got {task!r}")
        port = free_port()
        command = python("-m", "tests.benchmarks.peers.naive_web", "--port", str(port))
        command += ["--model", files / f"{resnet50.NAME}.keras"]
        own = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
        with _peer("naive", command, {**own, **environ}) as (process, folder):
            _wait_for(process, "the naive design", f"http://127.0.0.1:{port}/health")
            roles = (("naive_web", "web"), ("naive_worker", "worker"), _QUEUE_SERVER)
            yield Serving(f"http://127.0.0.1:{port}/predict", process.pid, roles, "multipart", folder)


def _name(program: str, precision: str) -> str:
    return program if precision == "float32" else f"{program} {precision}"


def _onnx(task: str, files: Path, precision: str, threads: int, spinning: bool) -> list[str | Path]:
    """The arguments for ONNX Runtime, where the task needs it."""
    if task != "resnet50":
        return []
    file = f"{resnet50.NAME}.onnx" if precision == "float32" else f"{resnet50.NAME}-{precision}.onnx"
    return ["--model", files / file, "--threads", str(threads), *([] if spinning else ["--no-spinning"])]


@contextlib.contextmanager
def _peer(name: str, command: Sequence[str | Path], environ: Mapping[str, str]) -> Iterator[tuple[Running, Path]]:
    """A peer's program with a folder for its temporary files."""
    with (
        tempfile.TemporaryDirectory(prefix=f"{name}-", ignore_cleanup_errors=True) as scratch,
        running(command, Path(scratch), {"TMPDIR": scratch, **environ}) as process,
    ):
        yield process, Path(scratch)


def _check_running(process: Running, name: str) -> None:
    if process.process.poll() is not None:
        raise LoadError(f"{name} ended with {process.process.returncode}: {process.err[-2000:]}")


def _wait_for(process: Running, name: str, url: str) -> None:
    """Return once a peer answers at a URL.

    Raises:
        LoadError: its program ended.
    """

    def healthy() -> bool:
        _check_running(process, name)
        with contextlib.suppress(requests.RequestException):
            return requests.get(url, timeout=1).ok
        return False

    eventually(healthy, f"{name} is healthy", START_PATIENCE_S)
