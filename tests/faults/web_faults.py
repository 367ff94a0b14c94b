"""Web processes, their masters, and the children of `beagle serve` that are killed or told to leave."""

from __future__ import annotations

import random
import signal
import time

from tests.faults.deployment import Death, Deployment
from tests.faults.family import none_alive, send
from tests.faults.faults import Fault
from tests.service.processes import children, eventually

LEFT_WITHIN_S = 40.0
LAST_ANSWERS_S = 0.05  # in which workers read what a server answered before it was killed


class WebProcessKilled(Fault):
    """`kill -9` of a random web process; its master starts another."""

    aftermath_s = 1.5
    breaks = True

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        pids = deployment.web_pids()
        if pids:
            send(choice.choice(pids), signal.SIGKILL)
            deployment.wait_until_whole()


class WebMasterKilled(Fault):
    """`kill -9` of a random master: its web processes answer what they have and end, a new master takes its place."""

    aftermath_s = 1.0
    breaks = True

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        with deployment.changing:
            master = choice.choice(deployment.master_pids())
            below = list(children(master))
            send(master, signal.SIGKILL)
            eventually(lambda: none_alive(below), "the web processes without a master end", LEFT_WITHIN_S)
            for web in deployment.webs:
                if web.pid == master:
                    web.start_again(signal.SIGKILL)
            deployment.wait_until_whole()


class WebsRolled(Fault):
    """SIGTERM of every web server, one after the other, the next one when the one before serves again."""

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        with deployment.changing:
            for web in deployment.webs:
                web.start_again(signal.SIGTERM, LEFT_WITHIN_S)
                deployment.wait_until_whole()


class EachChildKilled(Fault):
    """`kill -9` of each child of the supervisor of `beagle serve` in turn, the queue server included."""

    aftermath_s = 3.0
    breaks = True
    hurts = True

    def strike(self, deployment: Deployment, choice: random.Random) -> None:
        workers = deployment.worker_pids()
        for pid in children(deployment.supervisor.pid):
            send(pid, signal.SIGKILL)
            if pid in workers:
                deployment.deaths.append(Death(pid, time.monotonic()))
            else:  # it may have been the queue server, whose data is gone with it
                deployment.lives.append(time.monotonic() + LAST_ANSWERS_S)
            eventually(lambda pid=pid: none_alive([pid]), "it is dead")  # type: ignore[misc]
            deployment.wait_until_whole()
