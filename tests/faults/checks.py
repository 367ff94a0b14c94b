"""What must be true of single scenarios, beyond what always must: each check returns what is wrong, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from clients.load.outcomes import Verdict
from tests.faults.behaviour import Marker
from tests.faults.outcome import Outcome

LEFT_IN_TIME_S = 0.2
FELT_S = 0.3
MOST_ATTEMPTS = 2
# It cannot be seen to compute: its lease runs out first, which may be the network's fault, and tells less.
MOST_ATTEMPTS_LOCKED = 3


def late_finishes_were_refused(outcome: Outcome) -> Iterator[str]:
    """What a worker held when it was stopped was not taken from it when it went on."""
    held = {(claim.pid, claim.uuid) for death in outcome.deaths for claim in outcome.work.held(death.pid, death.at)}
    if not held:
        yield "the worker that was stopped held nothing: this proves nothing"
    first = min(death.at for death in outcome.deaths)
    late = [one for one in outcome.work.finishes if (one.pid, one.uuid) in held and one.at > first and one.accepted]
    if late:
        yield f"{len(late)} answers were taken from a worker that had been taken for dead"


def what_left_in_time_was_not_taken_on(outcome: Outcome) -> Iterator[str]:
    """No worker claimed what its client had left LEFT_IN_TIME_S before."""
    left = {row.picture: row.ended for row in outcome.rows if row.verdict is Verdict.HUNG_UP}
    claimed = [claim for claim in outcome.work.claims if claim.number in left]
    late = [claim.at - left[claim.number] for claim in claimed if claim.number is not None]
    if not left or len(claimed) == len(left):
        yield f"{len(left)} clients left, and {len(claimed)} of their images were claimed: this proves nothing"
    taken_on = [seconds for seconds in late if seconds > LEFT_IN_TIME_S]
    if taken_on:
        yield (
            f"{len(taken_on)} of {len(left)} images were claimed more than {LEFT_IN_TIME_S:g} s after their client "
            f"had left, up to {max(taken_on):.2f} s"
        )


def culprits_were_found_out(outcome: Outcome) -> Iterator[str]:
    """What broke the model got its error, soon, and some of it was in one batch with its like."""
    attempts = outcome.work.attempts()
    sent: Counter[Marker] = Counter()
    for row in outcome.rows:
        marker = Marker.of(row.picture) if isinstance(row.picture, int) else None
        if marker is None or not isinstance(row.picture, int):
            continue
        sent[marker] += 1
        if row.status != 500 or row.code != "model_failed":
            yield f"an image that {marker.name} got {row.status} {row.code}, expected 500 model_failed"
        most = MOST_ATTEMPTS_LOCKED if marker is Marker.HANGS_LOCKED else MOST_ATTEMPTS
        if attempts[row.picture] > most:
            yield f"an image that {marker.name} was taken on {attempts[row.picture]} times, expected at most {most}"
    if missing := [marker.name for marker in Marker if not sent[marker]]:
        yield f"no image was sent that {', '.join(missing)}"
    batches = [numbers for _, _, numbers in outcome.work.computed]
    if not any(sum(Marker.of(number) is not None for number in numbers) > 1 for numbers in batches):
        yield "no two images that break the model were in one batch"


def malformed_were_sent(outcome: Outcome) -> Iterator[str]:
    """There was something to refuse, in every form of body."""
    forms = {row.form for row in outcome.rows if row.malformed}
    if len(forms) < 3:
        yield f"malformed requests were sent in {len(forms)} forms, expected 3"


def the_fault_was_felt(outcome: Outcome) -> Iterator[str]:
    """It made the service refuse, or made requests wait."""
    if not outcome.audit.unavailable and not outcome.audit.recovery_largest_s > FELT_S:
        yield "nothing was refused, and nothing had to wait: the fault was not felt"
