"""The inference worker: claim a batch, decode it, run the model, answer."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

import numpy as np
from numpy.typing import NDArray

from service.batching import BatchFormer, DecodedBatch, Queue, decode_batch
from service.broker import Batch, BrokerUnavailable, WorkerBroker, connect
from service.child import report_ready
from service.classifier import Classifier, ClassifierError, EngineLoader, Load
from service.errors import error_body
from service.repository import ModelRepository, RepositoryError, ServedModel
from service.settings import Settings, SettingsError
from service.telemetry import configure_logging, log_event
from service.watchdog import Watchdog

WAIT_S = 1.0  # longest wait for the doorbell; what a lost ring costs, and noticing SIGTERM when idle
FIRST_BACK_OFF_S = 0.05
LONGEST_BACK_OFF_S = 2.0
CANNOT_SERVE = 78  # exit status; EX_CONFIG of sysexits.h
WRONG_SETTINGS = 2

log = logging.getLogger("service.worker")  # __name__ is __main__ where this is the program


class Worker:
    """Serves models until it is told to stop.

    Args:
        broker: its side of the queue.
        models: the models to serve, each a queue.
        load: makes the session of a model, usually a `service.classifier.EngineLoader`.
    """

    def __init__(self, broker: WorkerBroker, models: Sequence[ServedModel], *, load: Load) -> None:
        self._broker = broker
        self._classifiers: dict[Queue, Classifier] = {
            (model.name, model.version): Classifier(model, load) for model in models
        }
        self._batches = BatchFormer(broker, {queue: c.served.max_batch for queue, c in self._classifiers.items()})
        self._watchdog = Watchdog(2 * max(model.compute_limit_s for model in models) + 5)
        self._stopping = threading.Event()
        self._away_since: float | None = None
        self._was_idle = False

    def stop(self) -> None:
        """Claim no more; `run` returns when the batch in work is answered. Safe in a signal handler."""
        self._stopping.set()

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`. `ready` is called once, when the queue knows this worker."""
        self._watchdog.start()
        try:
            if self._persist(lambda: self._broker.serve(list(self._classifiers))):
                ready()
            while not self._stopping.is_set():
                self._persist(self._serve_one)
        finally:
            self._watchdog.stop()
            self._broker.close()

    def _persist(self, action: Callable[[], None]) -> bool:
        """Do `action`, again while the queue server is away; False where told to stop before it worked."""
        back_off_s = FIRST_BACK_OFF_S
        while True:
            try:
                action()
            except BrokerUnavailable as error:
                if self._away_since is None:
                    self._away_since = time.monotonic()
                    log_event(log, logging.WARNING, "the queue server is away", reason=str(error))
                if self._stopping.wait(back_off_s):
                    return False
                back_off_s = min(2 * back_off_s, LONGEST_BACK_OFF_S)
            else:
                if self._away_since is not None:
                    away_s = round(time.monotonic() - self._away_since, 1)
                    log_event(log, logging.WARNING, "the queue server is back", away_s=away_s)
                    self._away_since = None
                return True

    def _serve_one(self) -> None:
        if self._was_idle:
            self._was_idle = False
            self._broker.wait(WAIT_S)
        batch = self._batches.next()
        # Where a batch of one was all that waited, whatever came since has rung: no need to look before listening.
        self._was_idle = batch is None or len(batch.jobs) == 1
        if batch is None:
            return
        if self._stopping.is_set():
            self._broker.give_back(batch)
        else:
            self._process(batch)

    def _process(self, batch: Batch) -> None:
        started = time.monotonic()
        classifier = self._classifiers[batch.model, batch.version]
        decoded = decode_batch(batch.jobs, classifier.served.shape)
        answers = {uuid: error_body("internal_error", message) for uuid, message in decoded.refused.items()}
        for uuid, message in decoded.refused.items():
            log_event(log, logging.ERROR, "bad payload", model=batch.model, uuid=uuid, reason=message)
        if decoded.uuids:
            answers |= self._classify(classifier, batch, decoded)
        if batch.lost:
            jobs = len(batch.jobs)
            log_event(log, logging.WARNING, "the lease ran out, batch abandoned", batch=batch.id, jobs=jobs)
            return
        self._finish(batch, answers, time.monotonic() - started)

    def _classify(self, classifier: Classifier, batch: Batch, decoded: DecodedBatch) -> Mapping[str, bytes]:
        try:
            return dict(zip(decoded.uuids, self._run(classifier, decoded.images, decoded.top_ks), strict=True))
        except Exception as error:
            if len(decoded.uuids) > 1:
                log_event(
                    log,
                    logging.WARNING,
                    "the model failed on a batch, which is run one by one",
                    model=batch.model,
                    images=len(decoded.uuids),
                    reason=repr(error),
                )
                return self._classify_one_by_one(classifier, batch, decoded)
            return {decoded.uuids[0]: self._model_failed(classifier, decoded.uuids[0], error)}

    def _classify_one_by_one(self, classifier: Classifier, batch: Batch, decoded: DecodedBatch) -> dict[str, bytes]:
        """Answers of the images on their own, so that only the one that breaks the model gets the error.

        Told to stop meanwhile, it leaves the rest without an answer.
        """
        answers: dict[str, bytes] = {}
        for row, (uuid, top_k) in enumerate(zip(decoded.uuids, decoded.top_ks, strict=True)):
            if batch.lost or self._stopping.is_set():
                break
            try:
                [answers[uuid]] = self._run(classifier, decoded.images[row : row + 1], [top_k])
            except Exception as error:
                answers[uuid] = self._model_failed(classifier, uuid, error)
        return answers

    def _run(self, classifier: Classifier, images: NDArray[np.uint8], top_ks: Sequence[int]) -> list[bytes]:
        served = classifier.served
        what = f"model {served.name} version {served.version} on a batch of {len(images)}"
        with self._watchdog.limit(served.compute_limit_s, what):
            return classifier.answers(images, top_ks)

    @staticmethod
    def _model_failed(classifier: Classifier, uuid: str, error: Exception) -> bytes:
        name = classifier.served.name
        log_event(log, logging.ERROR, "the model failed", model=name, uuid=uuid, reason=repr(error))
        return error_body("model_failed", "the model failed on this image")

    def _finish(self, batch: Batch, answers: Mapping[str, bytes], seconds: float) -> None:
        """Hand in the answers and give back what has none; tries again while the lease holds."""

        def hand_in() -> None:
            if batch.lost:
                return
            self._broker.finish(batch, answers, seconds=seconds)
            rest = [job.uuid for job in batch.jobs if job.uuid not in answers]
            if rest:
                self._broker.give_back(batch, rest)

        self._persist(hand_in)


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
        broker = WorkerBroker(connect(settings.connection_url))
        worker = Worker(broker, models, load=load or EngineLoader(settings.threads, settings.workers))
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
