"""Plays scenarios side by side: most of their time is waiting, and those of one layout share a deployment."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from tests.faults.deployment import Layout, deployed
from tests.faults.outcome import Outcome
from tests.faults.scenario import Scenario

LANES = 3


class Lanes:
    """A few threads, each with one deployment at a time; a context manager that waits for what it has begun.

    Args:
        scenarios: what to play; those that are to be alone come last, one by one.
        seed: of all that they draw.
    """

    def __init__(self, scenarios: Iterable[Scenario], seed: int) -> None:
        self._seed = seed
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="lane")
        self._outcomes: dict[str, Future[Outcome]] = {}
        groups: dict[tuple[Layout, bool], list[Scenario]] = defaultdict(list)
        for scenario in scenarios:
            self._outcomes[scenario.name] = Future()
            groups[scenario.layout, scenario.alone].append(scenario)
        # The longest first, so that the lanes end at about the same time.
        longest_first = sorted(groups, key=lambda key: -sum(one.seconds for one in groups[key]))
        beside = [self._pool.submit(self._play, groups[key]) for key in longest_first if not key[1]]
        alone = [groups[key] for key in longest_first if key[1]]
        self._pool.submit(self._play_alone, beside, alone)

    def outcome(self, name: str) -> Outcome:
        """What came of the scenario with this name, once it is over; raises what playing it raised."""
        return self._outcomes[name].result()

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def _play_alone(self, beside: list[Future[None]], groups: list[list[Scenario]]) -> None:
        wait(beside)
        for group in groups:
            self._play(group)

    def _play(self, group: list[Scenario]) -> None:
        waiting = list(group)
        try:
            with deployed(group[0].layout) as deployment:
                while waiting and not self._stopped.is_set():
                    outcome = waiting[0].run(deployment, self._seed)
                    outcome.failures  # noqa: B018 (worked out while the others wait)
                    self._outcomes[waiting.pop(0).name].set_result(outcome)
        except BaseException as error:  # told to whoever asks for them
            for scenario in waiting:
                self._outcomes[scenario.name].set_exception(error)
