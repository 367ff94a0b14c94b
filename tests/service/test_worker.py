"""Worker processes on a real queue server: answers, isolation, hanging, being killed, draining, outages."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.broker import Waiting, WebBroker, WorkerBroker, connect, worker_name
from service.child import crashed
from service.images import encode_payload
from service.repository import ModelRepository
from service.watchdog import HUNG
from service.worker import CANNOT_SERVE, WRONG_SETTINGS
from tests.service import marked_worker
from tests.service.conftest import RedisServer
from tests.service.marked_worker import CRASHES, EXITS, HANGS, HANGS_LOCKED, NOT_FINITE, RAISES, write_repository
from tests.service.processes import Running, eventually, python, running

DEADLINE_S = 20.0


class Service:
    """A repository of marked models on a queue, the web side's broker, and workers."""

    def __init__(self, url: str, folder: Path, repository: Path) -> None:
        self.url = url
        self.folder = folder
        self.repository = repository
        self.broker = WebBroker(connect(url))
        self._stack = contextlib.ExitStack()
        self._models = {model.name: model for model in ModelRepository(repository)}

    def worker(self, *, ready: bool = True, **environ: str) -> Running:
        """Start a worker process and wait until it serves."""
        variables = {"BEAGLE_REDIS_URL": self.url, "BEAGLE_MODEL_REPOSITORY": str(self.repository)} | environ
        command = python("-m", marked_worker.__name__)
        worker = self._stack.enter_context(running(command, self.folder, variables))
        if ready:
            eventually(lambda: "serving" in worker.err, "the worker serves")
        return worker

    def bury(self, worker: Running) -> None:
        """Do what a supervisor does that saw a worker die: its jobs return at once."""
        status = worker.process.poll()
        assert status is not None
        WorkerBroker(connect(self.url)).reap_worker(worker_name(worker.pid), crashed=crashed(status))

    def submit(self, marker: int, model: str = "marked", top_k: int = 1) -> Waiting:
        pixels = np.zeros((2, 2), np.uint8)
        pixels[0, 0] = marker
        payload = encode_payload(Image.fromarray(pixels), self._models[model], top_k)
        return self.broker.submit(model, "1", payload, deadline_s=DEADLINE_S)

    def close(self) -> None:
        self._stack.close()
        self.broker.close()


def answer(waiting: Waiting) -> Any:
    return json.loads(waiting.result())


def label(waiting: Waiting) -> str:
    result = answer(waiting)
    assert result["success"], result
    return str(result["predictions"][0]["label"])


@contextlib.contextmanager
def serving(url: str, folder: Path, **options: Any) -> Iterator[Service]:
    service = Service(url, folder, write_repository(folder / "models", "marked", "other", **options))
    try:
        yield service
    finally:
        service.close()


@pytest.fixture
def service(redis_server: RedisServer, tmp_path: Path) -> Iterator[Service]:
    with serving(redis_server.url, tmp_path) as made:
        yield made


def test_every_image_gets_the_answer_of_its_own_model(service: Service) -> None:
    service.worker()
    waiting = [service.submit(n % 10, ("marked", "other")[n % 2]) for n in range(100)]
    assert [label(one) for one in waiting] == [str(n % 10) for n in range(100)]


def test_what_waited_before_the_worker_came_is_batched(service: Service) -> None:
    waiting = [service.submit(n % 10) for n in range(64)]
    # A batch takes 0.3 s: one by one these would need 19 s.
    service.worker(MARKED_WORKER_SECONDS="0.3")
    eventually(lambda: service.broker.status().waiting == 0, "all are answered", patience_s=8)
    assert [label(one) for one in waiting] == [str(n % 10) for n in range(64)]


def test_an_image_that_breaks_the_model_gets_the_error_alone(service: Service) -> None:
    waiting = [service.submit(RAISES if n == 7 else 1) for n in range(20)]
    worker = service.worker()
    results = [answer(one) for one in waiting]
    assert [n for n, result in enumerate(results) if not result["success"]] == [7]
    assert results[7]["error"]["code"] == "model_failed"
    assert "ArithmeticError" in worker.err
    assert "broke the model" not in json.dumps(results), "what went wrong inside is for the log"


def test_an_output_that_is_no_number_is_an_error_of_its_image_alone(service: Service) -> None:
    waiting = [service.submit(NOT_FINITE if n == 3 else 2) for n in range(8)]
    service.worker()
    results = [answer(one) for one in waiting]
    assert [n for n, result in enumerate(results) if not result["success"]] == [3]


def test_a_payload_that_is_no_image_is_answered_with_an_error_and_harms_no_other(service: Service) -> None:
    bad = service.broker.submit("marked", "1", b'{"shape": [9]}', deadline_s=DEADLINE_S)
    good = service.submit(4)
    service.worker()
    assert answer(bad)["error"]["code"] == "internal_error"
    assert label(good) == "4"


@pytest.mark.parametrize(
    ("marker", "status", "said"),
    [(HANGS, HUNG, "a thread hangs"), (HANGS_LOCKED, 1, "Timeout"), (CRASHES, -signal.SIGSEGV, "serving")],
)
def test_a_culprit_gets_its_error_within_two_attempts_and_the_others_their_answers(
    redis_server: RedisServer, tmp_path: Path, marker: int, status: int, said: str
) -> None:
    with serving(redis_server.url, tmp_path, compute_limit_s=0.3) as service:
        waiting = [service.submit(marker if n == 2 else n) for n in range(4)]
        for _ in range(2):  # in company, alone
            worker = service.worker(ready=False)
            assert worker.wait() == status
            assert said in worker.err
            service.bury(worker)
        assert answer(waiting[2])["error"]["code"] == "model_failed"
        service.worker()
        assert [label(one) for n, one in enumerate(waiting) if n != 2] == ["0", "1", "3"]


def test_a_killed_worker_loses_no_request(service: Service) -> None:
    workers = [service.worker(MARKED_WORKER_SECONDS="0.05") for _ in range(2)]
    waiting = [service.submit(n % 10) for n in range(300)]
    assert label(waiting[40]) == "0"
    workers[0].process.kill()
    assert [label(one) for one in waiting] == [str(n % 10) for n in range(300)]
    assert workers[1].process.poll() is None


def test_an_image_that_ends_the_process_takes_no_other_with_it(service: Service) -> None:
    waiting = [service.submit(EXITS if n == 5 else n % 10) for n in range(16)]
    for _ in range(2):  # in a batch, alone
        worker = service.worker(ready=False)
        assert worker.wait() == marked_worker.EXIT_STATUS
        service.bury(worker)
    service.worker()
    results = [answer(one) for one in waiting]
    assert [n for n, result in enumerate(results) if not result["success"]] == [5]


def test_sigterm_lets_the_batch_in_work_finish_and_gives_back_the_rest(service: Service) -> None:
    waiting = [service.submit(n % 10) for n in range(64)]
    worker = service.worker(MARKED_WORKER_SECONDS="1.0")
    eventually(lambda: all(one.done for one in waiting[:32]), "the first batch is answered")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert [label(one) for one in waiting[:32]] == [str(n % 10) for n in range(32)]
    service.worker()
    assert [label(one) for one in waiting] == [str(n % 10) for n in range(64)]


def test_sigterm_ends_an_idle_worker_and_one_that_cannot_reach_the_server(service: Service, tmp_path: Path) -> None:
    idle = service.worker()
    away = service.worker(ready=False, BEAGLE_REDIS_URL=f"unix://{tmp_path}/nobody.sock")
    eventually(lambda: "away" in away.err, "the worker has noticed")
    assert idle.terminate() == 0
    assert away.terminate() == 0
    assert away.err.count("the queue server is away") == 1, "one line when the state changes, not one a try"


def test_a_worker_goes_on_when_the_server_comes_back_empty(
    new_redis_server: Callable[[], RedisServer], tmp_path: Path
) -> None:
    server = new_redis_server()
    with serving(server.url, tmp_path) as service:
        worker = service.worker()
        assert label(service.submit(3)) == "3"
        server.stop()
        eventually(lambda: "the queue server is away" in worker.err, "the worker has noticed")
        server.start()
        eventually(lambda: "the queue server is back" in worker.err, "the worker has noticed")
        eventually(lambda: service.broker.status().reachable, "the web side has noticed")
        assert label(service.submit(8)) == "8"


def test_a_model_that_cannot_be_served_is_named_and_ends_the_worker(service: Service) -> None:
    serving_toml = service.repository / "marked" / "1" / "serving.toml"
    serving_toml.write_text(serving_toml.read_text().replace('"9"', '"9", "10"'))
    worker = service.worker(ready=False)
    assert worker.wait() == CANNOT_SERVE
    assert "'marked'" in worker.err
    assert "expected [1, 11]" in worker.err


def test_wrong_settings_end_the_worker_with_what_is_wrong(service: Service) -> None:
    worker = service.worker(ready=False, BEAGLE_THREADS="many")
    assert worker.wait() == WRONG_SETTINGS
    assert "BEAGLE_THREADS" in worker.err
