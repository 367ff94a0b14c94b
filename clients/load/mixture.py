"""Writes the requests of a plan, one by one: image, form, priority, and what is wrong with it on purpose."""

from __future__ import annotations

import random

from clients.load.bodies import body_of, request_of
from clients.load.exchange import Exchange
from clients.load.malformed import Draw, kinds
from clients.load.outcomes import Expectation
from clients.load.plan import Plan
from clients.load.targets import Target

_MOST_REMEMBERED = 256


class Mixture:
    """Draws requests by a plan's seed.

    Args:
        plan: What to send.
        targets: The plan's URLs, resolved.
    """

    def __init__(self, plan: Plan, targets: tuple[Target, ...]) -> None:
        self._plan = plan
        self.taken = 0
        """How many requests were written."""
        self._random = random.Random(plan.seed)
        self._draw = Draw(kinds(plan.malformed_kinds), plan.seed + 1)
        self._priorities = tuple(plan.priorities) or ("",)
        self._weights = tuple(plan.priorities.values()) or (1.0,)
        self._starts = {
            (url, priority): _start(plan, target, priority)
            for url, target in enumerate(targets)
            for priority in self._priorities
        }
        self._remembered: dict[tuple[int, str, str, str], tuple[bytes, bytes]] = {}

    def take(self, planned: float, url: int) -> Exchange:
        """Write the next request, due at `planned`, for the URL of that index."""
        plan, draw = self._plan, self._random
        number = self.taken
        self.taken += 1
        picture = plan.pictures.take()
        form = plan.forms[number % len(plan.forms)]
        priority = self._priorities[0]
        if len(self._priorities) > 1:
            priority = draw.choices(self._priorities, self._weights)[0]
        malformed = plan.malformed_share and draw.random() < plan.malformed_share
        kind = self._draw.kind(form) if malformed else None
        if kind is not None:
            return Exchange(
                number,
                kind.build(self._starts[url, priority], form, picture.content),
                kind.expectation(picture.label),
                picture=picture.name,
                form=form,
                url=url,
                priority=priority,
                malformed=kind.name,
                tail=kind.tail,
                planned=planned,
            )
        draws_hang_up = plan.hang_up_share and draw.random() < plan.hang_up_share
        return Exchange(
            number,
            self._request(url, form, priority, picture.name, picture.content),
            Expectation(picture.label, picture.statuses),
            picture=picture.name,
            form=form,
            url=url,
            priority=priority,
            hangs_up_after_s=plan.hang_up_after_s if draws_hang_up else None,
            planned=planned,
        )

    def _request(self, url: int, form: str, priority: str, name: int | str, image: bytes) -> bytes:
        if not isinstance(name, str):  # numbered images are many
            return request_of(self._starts[url, priority], body_of(form, image))
        key = (url, form, priority, name)
        found = self._remembered.get(key)
        if found is not None and found[0] is image:
            return found[1]
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        request = request_of(self._starts[url, priority], body_of(form, image))
        self._remembered[key] = image, request
        return request


def _start(plan: Plan, target: Target, priority: str) -> bytes:
    headers = list(plan.headers)
    if plan.deadline_ms is not None:
        headers.append(("X-Deadline-Ms", f"{plan.deadline_ms:g}"))
    if priority:
        headers.append(("X-Priority", priority))
    if not plan.keep_alive:
        headers.append(("Connection", "close"))
    return target.start + "".join(f"{name}: {value}\r\n" for name, value in headers).encode("ascii")
