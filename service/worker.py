"""The inference worker: claim a batch, decode it, run the model, answer."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from service.broker import Batch, BrokerUnavailable, Finished, WorkerBroker, connect
from service.child import report_ready
from service.classifier import Classifier, ClassifierError, EngineLoader, Load
from service.errors import error_body
from service.lookahead import Lookahead
from service.outage import Outage
from service.pace import Duration, Pace
from service.preparation import PreparedBatch, prepare
from service.repository import ModelRepository, RepositoryError, ServedModel
from service.settings import Settings, SettingsError
from service.telemetry import configure_logging, log_event
from service.watchdog import Pulse, Watchdog

WAIT_S = 1.0  # longest wait for a job; what a lost hand-over costs, and noticing SIGTERM when idle
OVERLAP_FROM_S = 0.002  # a batch computed faster gains less by a second thread than the threads cost each other
FIRST_PREPARING_S = 0.005  # what claiming and decoding is taken to last until it was measured
OUTAGE_S = 0.5  # a call to the queue server that took longer met an outage, which no batch is to pay for
STEP_LIMIT_S = 10.0  # for each step but computing
STEP_LIMIT_PER_PARTITION_S = 4.0  # added: each may be tried twice, for a second or two
CANNOT_SERVE = 78  # exit status; EX_CONFIG of sysexits.h
WRONG_SETTINGS = 2

log = logging.getLogger("service.worker")  # __name__ is __main__ where this is the program


class Worker:
    """Serves models until it is told to stop.

    While a model computes for long enough, a second thread claims the next batch and makes it ready, as late as still
    hides it, so that it is as full as if it had been claimed afterwards. Fast models are served by one thread, which
    hands in a batch and claims the next one in a single round trip.

    Args:
        broker: its side of the queue.
        models: the models to serve, each a queue.
        load: makes the session of a model, usually a `service.classifier.EngineLoader`.
        step_limit_s: a step other than computing that takes longer hangs, and the process ends.
    """

    def __init__(
        self, broker: WorkerBroker, models: Sequence[ServedModel], *, load: Load, step_limit_s: float = STEP_LIMIT_S
    ) -> None:
        self._broker = broker
        self._classifiers = {(model.name, model.version): Classifier(model, load) for model in models}
        self._paces = {queue: Pace() for queue in self._classifiers}
        self._preparing = Duration(FIRST_PREPARING_S)
        self._step_limit_s = step_limit_s
        self._busy_since = 0.0  # on the monotonic clock: what came before is told as the time of other batches, or idle
        # The interpreter lock may be held for as long as computing may take.
        self._watchdog = Watchdog(1.25 * max(model.compute_limit_s for model in models) + 2.5)
        self._stopping = threading.Event()
        self._outage = Outage(self._stopping)
        self._lookahead = Lookahead(self._get_ahead, self._watchdog)

    def stop(self) -> None:
        """Claim no more; `run` returns when the batch in work is answered. Safe in a signal handler."""
        self._stopping.set()

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`. `ready` is called once, when the queue knows this worker."""
        pulse = self._watchdog.pulse()
        self._watchdog.start()
        try:
            if self._outage.persist(lambda: self._announce(pulse)):
                ready()
            self._serve(pulse)
            pulse.step(2 * self._step_limit_s, "leaving")
            self._lookahead.close()
        finally:
            self._broker.close()  # what is still held goes back to the queue
            self._watchdog.stop()

    def _step(self, pulse: Pulse, what: str) -> None:
        pulse.step(self._step_limit_s, what)

    # The thread that computes

    def _announce(self, pulse: Pulse) -> bool:
        self._step(pulse, "announcing")
        self._broker.serve({queue: classifier.served.max_batch for queue, classifier in self._classifiers.items()})
        return True

    def _serve(self, pulse: Pulse) -> None:
        batch: Batch | None = None
        ready: PreparedBatch | None = None
        while not self._stopping.is_set():
            if ready is None:
                if batch is None:
                    batch = self._outage.persist(lambda: self._wait(pulse))
                    continue
                self._step(pulse, "decoding")
                ready, batch = self._prepare(batch), None
            ready, batch = self._process(ready, pulse)

    def _wait(self, pulse: Pulse) -> Batch | None:
        pulse.step(self._step_limit_s + WAIT_S, "waiting for jobs")
        batch = self._broker.wait(WAIT_S)
        self._busy_since = time.monotonic()
        return batch

    def _prepare(self, batch: Batch) -> PreparedBatch:
        return prepare(batch, self._classifiers[batch.model, batch.version])

    def _process(self, ready: PreparedBatch, pulse: Pulse) -> tuple[PreparedBatch | None, Batch | None]:
        """Compute and answer a batch; returns the next one, if there is one, either ready or as it was claimed."""
        batch = ready.batch
        if batch.lost:
            return None, self._abandon(batch)
        ready.drop_late()
        rows = len(ready.uuids)
        pace = self._paces[batch.model, batch.version]
        started = time.monotonic()
        expected_s = pace.at_least_s(rows)
        # A suspect is computed while nothing else is held: what it takes with it would be under suspicion, too.
        overlapping = expected_s >= OVERLAP_FROM_S and not ready.suspect and not self._stopping.is_set()
        if overlapping:
            self._lookahead.ask(started + max(expected_s - self._preparing.at_most_s, expected_s / 2))
        answers = ready.answers
        if ready.uuids:
            answers |= self._classify(ready, pulse)
            pace.add(rows, time.monotonic() - started)
        following = None
        if overlapping:
            pulse.rest()  # for the other thread, which has a pulse of its own
            following = self._lookahead.take()
        # What the batch cost this worker: claiming, decoding and handing in count as far as nothing was computed.
        now = time.monotonic()
        seconds, self._busy_since = now - self._busy_since, now
        if batch.lost:
            return following, self._abandon(batch)
        if following is not None:
            self._lookahead.send(lambda pulse: self._finish(batch, answers, seconds, pulse, claim=False))
            return following, None
        return None, self._finish(batch, answers, seconds, pulse, claim=not self._stopping.is_set())

    @staticmethod
    def _abandon(batch: Batch) -> None:
        jobs = len(batch.jobs)
        log_event(log, logging.WARNING, "the lease ran out, batch abandoned", batch=batch.id, jobs=jobs)

    def _classify(self, ready: PreparedBatch, pulse: Pulse) -> dict[str, bytes]:
        try:
            return dict(zip(ready.uuids, self._run(ready, slice(None), pulse), strict=True))
        except Exception as error:
            if len(ready.uuids) == 1:
                return {ready.uuids[0]: self._model_failed(ready, ready.uuids[0], error)}
            log_event(
                log,
                logging.WARNING,
                "the model failed on a batch, which is run one by one",
                model=ready.batch.model,
                images=len(ready.uuids),
                reason=repr(error),
            )
            return self._classify_one_by_one(ready, pulse)

    def _classify_one_by_one(self, ready: PreparedBatch, pulse: Pulse) -> dict[str, bytes]:
        """Answers of the images on their own, so that only the one that breaks the model gets the error.

        Told to stop meanwhile, it leaves the rest without an answer.
        """
        answers: dict[str, bytes] = {}
        for row, uuid in enumerate(ready.uuids):
            if ready.batch.lost or self._stopping.is_set():
                break
            try:
                [answers[uuid]] = self._run(ready, slice(row, row + 1), pulse)
            except Exception as error:
                answers[uuid] = self._model_failed(ready, uuid, error)
        return answers

    @staticmethod
    def _run(ready: PreparedBatch, rows: slice, pulse: Pulse) -> list[bytes]:
        served = ready.classifier.served
        x = ready.x[rows]
        pulse.step(served.compute_limit_s, f"model {served.name} version {served.version} on a batch of {len(x)}")
        return ready.classifier.classify(x, ready.top_ks[rows])

    @staticmethod
    def _model_failed(ready: PreparedBatch, uuid: str, error: Exception) -> bytes:
        log_event(log, logging.ERROR, "the model failed", model=ready.batch.model, uuid=uuid, reason=repr(error))
        return error_body("model_failed", "the model failed on this image")

    # Either thread

    def _finish(
        self, batch: Batch, answers: dict[str, bytes], seconds: float, pulse: Pulse, *, claim: bool
    ) -> Batch | None:
        """Hand in the answers, as long as the lease holds; returns the next batch where it was asked to claim one."""

        def hand_in() -> Finished:
            self._step(pulse, "handing in answers")
            return self._broker.finish(batch, answers, seconds=seconds, claim=claim)

        began = time.monotonic()
        finished = self._outage.persist(hand_in)
        if claim and (now := time.monotonic()) - began > OUTAGE_S:
            self._busy_since = now
        if finished is None:
            return None
        if finished.refused:
            log_event(log, logging.DEBUG, "answers came too late", model=batch.model, jobs=len(finished.refused))
        return finished.next

    # The second thread

    def _get_ahead(self, pulse: Pulse) -> PreparedBatch | None:
        """Claim the next batch and make it ready; None where nothing waits, or the queue server is away."""
        started = time.monotonic()
        self._step(pulse, "claiming ahead")
        try:
            batch = None if self._stopping.is_set() else self._broker.claim(ahead=True)
        except BrokerUnavailable:  # the other thread will meet it, and wait until it is back
            return None
        if batch is None:
            return None
        self._step(pulse, "decoding ahead")
        ready = self._prepare(batch)
        self._preparing.add(time.monotonic() - started)
        return ready


def main(*, load: Load | None = None) -> int:
    """Serve as the variables of the environment say, until SIGTERM; returns the exit status.

    0 after SIGTERM or SIGINT, 78 when a model cannot be served, 2 for wrong settings.

    Args:
        load: makes the sessions; None loads with the engine.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: sys.exit(0))  # while loading there is nothing to finish
    try:
        settings = Settings.load(os.environ)
    except SettingsError as error:
        print(f"beagle: {error}", file=sys.stderr)
        return WRONG_SETTINGS
    configure_logging(settings.log_level, settings.log_format)
    started = time.monotonic()
    try:
        models = list(ModelRepository(settings.model_repository, models=settings.models))
        partitions = connect(settings.connection_url)
        broker = WorkerBroker(partitions)
        loader = load or EngineLoader(settings.threads, settings.workers)
        step_limit_s = STEP_LIMIT_S + STEP_LIMIT_PER_PARTITION_S * len(partitions)
        worker = Worker(broker, models, load=loader, step_limit_s=step_limit_s)
    except (RepositoryError, ClassifierError) as error:
        log_event(log, logging.ERROR, "cannot serve", reason=str(error))
        return CANNOT_SERVE

    def stop(number: int, frame: FrameType | None) -> None:
        worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    def ready() -> None:
        names = ",".join(f"{model.name}/{model.version}" for model in models)
        log_event(log, logging.INFO, "serving", models=names, start_s=round(time.monotonic() - started, 2))
        report_ready(broker.worker_id)

    worker.run(ready)
    return 0


if __name__ == "__main__":
    sys.exit(main())
