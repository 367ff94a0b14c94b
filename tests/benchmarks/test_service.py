"""The benchmarks of the service, as far as they run without the peers, and that what they compare is comparable."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.images import ImageLimits, open_image, prepare_image
from service.repository import ModelRepository
from tests.benchmarks import request, service, settings
from tests.benchmarks.load import LoadError, ask, labels_of, warm_up
from tests.benchmarks.models import noop_worker
from tests.benchmarks.peers import tasks
from tests.benchmarks.pictures import digit, photograph
from tests.benchmarks.processor_time import SharesError, family, seconds_by_role
from tests.benchmarks.rounds import Figures
from tests.benchmarks.servers import Beagle
from tests.service.processes import children, eventually, python, running

pytestmark = pytest.mark.alone


def test_the_photograph_has_the_size_that_the_cases_speak_of() -> None:
    assert 180_000 < len(photograph()) < 200_000


@pytest.mark.parametrize(("posted", "picture"), [("digit", digit), ("photo", photograph)])
def test_peers_decode_to_the_pixels_that_beagle_computes_on(
    posted: str, picture: Callable[[], bytes], tmp_path: Path
) -> None:
    [model] = ModelRepository(noop_worker.write_repository(tmp_path, posted))
    limits = ImageLimits()
    ours = np.asarray(prepare_image(open_image(picture(), limits), model, limits), np.float32)
    theirs = tasks.make(posted).decode(picture())
    assert theirs.shape == ours.shape
    assert np.abs(theirs - ours).mean() < 1


def test_beagle_answers_what_the_peers_do_from_processes_of_one_session(tmp_path: Path) -> None:
    case = service.CASES["photo"]
    with Beagle(web_processes=1).serving(case.task, tmp_path) as serving:
        body = serving.body(case.picture())
        expected = ask(serving.url, body)
        service.check(case, expected)
        warm_up(serving.url, body, expected=expected, clients=4, seconds=0.0)
        used = seconds_by_role(serving.pid, serving.roles)
        assert set(used) == {"supervisor", "queue server", "web", "worker"}
        assert all(used[role] > 0 for role in ("web", "worker"))
        with pytest.raises(LoadError, match="expected the answer"):
            warm_up(serving.url, body, expected=expected.replace(b'"7"', b'"8"'), clients=1, seconds=0.0)


def test_the_steps_of_a_request_add_up_to_its_time() -> None:
    measured = request.measure("digit", requests=40, warm_up=5)
    assert measured.passed >= 0.9 * measured.requests
    assert sum(measured.steps.values()) == pytest.approx(measured.total_us)
    assert min(measured.steps.values()) > 0
    assert measured.commands["evalsha"][0] >= 1
    assert measured.processor_us["web"] > 0


def test_a_server_with_a_session_more_than_its_rivals_is_refused(tmp_path: Path) -> None:
    program = "import subprocess; subprocess.Popen(['sleep', '60'], start_new_session=True).wait()"
    with running(python("-c", program), tmp_path) as process:
        [child] = eventually(lambda: list(children(process.pid)), "the child is there")
        eventually(lambda: os.getsid(child) == child, "it has its session")
        try:
            with pytest.raises(SharesError, match=rf"session {child}\b"):
                family(process.pid)
        finally:
            os.kill(child, signal.SIGKILL)


def test_answers_are_compared_without_their_probabilities() -> None:
    ours = b'{"success": true, "predictions": [{"label": "7", "probability": 0.8}]}'
    assert labels_of(ours) == labels_of(ours.replace(b"0.8", b"1e-06"))
    assert labels_of(ours) != labels_of(ours.replace(b"7", b"6"))
    compact = b'{"label":"7","probability":0.8}'
    assert labels_of(compact) == labels_of(compact.replace(b"0.8", b"0.81"))


def test_an_answer_with_other_labels_or_numbers_is_no_answer() -> None:
    case = service.CASES["digit"]
    with pytest.raises(LoadError, match="expected the labels"):
        service.check(case, b'{"success": true, "predictions": [{"label": "7", "probability": 0.8}]}')


@pytest.mark.parametrize(("p50", "rate", "kept"), [(0.29, 1.7, "met"), (0.31, 1.5, "missed")])
def test_budgets_are_met_or_missed_by_the_median_of_the_ratios(p50: float, rate: float, kept: str) -> None:
    def figures(p50: float, rate: float) -> list[Figures]:
        return [{f"{name} {n}": value for n in (1, 32, 128) for name, value in (("p50", p50), ("rate", rate))}] * 3

    measured = {service.OURS: figures(p50, rate), service.LITSERVE: figures(1.0, 1.0)}
    rows = service.judge(service.CASES["digit"], measured)
    assert [row[-1] for row in rows] == [kept] * 3
    assert service.judge(service.CASES["digit"], {service.OURS: figures(p50, rate)}) == []


def test_every_contestant_has_a_name_and_settings_of_its_own() -> None:
    for case in service.CASES.values():
        names = [server.name for server in service.contestants(case, service.PEERS)]
        assert len(set(names)) == len(names)
    for by_task in settings.SEARCHED.values():
        for servers in by_task.values():
            assert len({str(server) for server in servers}) == len(servers)
