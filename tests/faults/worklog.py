"""What the worker processes did, in their own words: one line of JSON an event, written before anything else happens.

Times are those of the system's monotonic clock, which all processes of a machine share. A line is one write to a file
opened for appending, so that a killed process leaves none half written.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class WorkLog:
    """The file of this process."""

    def __init__(self, folder: Path) -> None:
        path = folder / f"{os.getpid()}-{time.monotonic_ns()}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event: str, **fields: Any) -> None:
        """Add one event."""
        line = json.dumps({"at": time.monotonic(), "event": event, **fields})
        os.write(self._file, f"{line}\n".encode())


@dataclass(frozen=True)
class Claim:
    """One job that came to one worker; a repeated claim of the same batch counts once.

    Attributes:
        at: when, monotonic seconds.
        pid: of the worker's process.
        uuid, number: of the job and its image; the number is None where the image carries none.
    """

    at: float
    pid: int
    uuid: str
    number: int | None


@dataclass(frozen=True)
class Finish:
    """One answer that a worker handed in; `accepted` is None where the worker was not told about this one alone."""

    at: float
    pid: int
    uuid: str
    accepted: bool | None


@dataclass
class Work:
    """All that the workers of a deployment wrote down since `since`.

    Attributes:
        claims, finishes: in the order of time.
        computed: (when, process id, numbers) of each batch that the model was given.
    """

    claims: list[Claim] = field(default_factory=list)
    finishes: list[Finish] = field(default_factory=list)
    computed: list[tuple[float, int, tuple[int, ...]]] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path, since: float = 0.0) -> Work:
        """From the files of all processes, the dead ones included."""
        work = cls()
        for path in sorted(folder.glob("*.jsonl")):
            pid = int(path.name.partition("-")[0])
            seen: set[tuple[str, str]] = set()
            for event in _events(path):
                if event["at"] < since:
                    continue
                if event["event"] == "claimed":
                    for uuid, number in event["jobs"].items():
                        if (event["batch"], uuid) not in seen:
                            seen.add((event["batch"], uuid))
                            work.claims.append(Claim(event["at"], pid, uuid, number))
                elif event["event"] == "finished":
                    work.finishes += _finishes(event, pid)
                elif event["event"] == "computing":
                    work.computed.append((event["at"], pid, tuple(event["numbers"])))
        work.claims.sort(key=lambda claim: claim.at)
        work.finishes.sort(key=lambda finish: finish.at)
        work.computed.sort()
        return work

    def accepted_twice(self, lives: Sequence[float] = ()) -> list[str]:
        """UUIDs of which two finishes were accepted within one life of the server's data.

        Args:
            lives: the moments at which the server lost data, by restarting empty or failing over.
        """
        counts: Counter[tuple[str, int]] = Counter()
        for finish in self.finishes:
            if finish.accepted:
                counts[finish.uuid, sum(moment <= finish.at for moment in lives)] += 1
        return sorted(uuid for (uuid, _), count in counts.items() if count > 1)

    def refused(self) -> int:
        """How many answers came too late: their jobs were another worker's, or answered, by then."""
        return sum(finish.accepted is False for finish in self.finishes)

    def attempts(self) -> dict[int, int]:
        """By number of the image, how often a worker took it on."""
        counts: dict[int, int] = defaultdict(int)
        for claim in self.claims:
            if claim.number is not None:
                counts[claim.number] += 1
        return counts

    def held(self, pid: int, at: float) -> list[Claim]:
        """What a process had claimed and not handed in at that moment."""
        finished = {finish.uuid for finish in self.finishes if finish.pid == pid and finish.at <= at}
        return [claim for claim in self.claims if claim.pid == pid and claim.at <= at and claim.uuid not in finished]

    def computed_images(self) -> int:
        """How many images the model was given, those computed twice counted twice."""
        return sum(len(numbers) for _, _, numbers in self.computed)


def _finishes(event: dict[str, Any], pid: int) -> Iterator[Finish]:
    uuids, accepted, refused = event["uuids"], event["accepted"], event["refused"]
    for uuid in uuids:
        # Of a batch that was given up unasked none is accepted and none is refused.
        taken = {len(uuids): True, 0: False}.get(accepted)
        if taken is None and refused is not None:
            taken = uuid not in refused
        yield Finish(event["at"], pid, uuid, taken)


def _events(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
