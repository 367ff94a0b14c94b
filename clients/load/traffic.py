"""Sends a plan's requests: in a closed loop, whose clients wait for answers, or in an open one, which does not."""

from __future__ import annotations

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections import deque

from clients.load.arrivals import poisson
from clients.load.connection import RECEIVE_BYTES, Connection
from clients.load.exchange import Exchange, Tail
from clients.load.ledger import Ledger
from clients.load.mixture import Mixture
from clients.load.outcomes import OK_STATUSES, Ending
from clients.load.plan import Plan
from clients.load.tally import Tally
from clients.load.targets import Target

_SWEEP_S = 0.1
_REFUSED_PAUSE_S = 0.05
_MOST_OPENING = 32
# After so many requests answers have their turn, and the end: more may be due at once than can be sent.
_MOST_A_TURN = 64


class Traffic(ABC):
    """What both loops share: connections, time-outs, hang-ups, the end.

    Args:
        plan: What to send.
        targets: The plan's URLs, resolved.
        tally: Counts what ends.
        ledger: Records what ends; None: nothing does.
    """

    def __init__(self, plan: Plan, targets: tuple[Target, ...], tally: Tally, ledger: Ledger | None) -> None:
        self._plan = plan
        self._targets = targets
        self._tally = tally
        self._ledger = ledger
        self._mixture = Mixture(plan, targets)
        self._received = memoryview(bytearray(RECEIVE_BYTES))
        self._open: set[Connection] = set()
        self._busy: set[Connection] = set()
        self._turn = 0
        self._left = plan.requests
        self._measures_from = 0.0
        self._is_stopped = False
        self._waits_for_nothing = asyncio.Event()
        self._error: BaseException | None = None

    async def run(self) -> None:
        """Send until the plan is done or `stop` was called, and wait for the answers; measure until then at most.

        Raises:
            Exception: whatever the plan's pictures or the ledger raised.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._fail(context.get("exception"), context["message"]))
        began = time.monotonic()
        self._measures_from = began + self._plan.warm_up_s
        self._tally.open(self._measures_from)
        sweeper = loop.create_task(self._sweep())
        try:
            if self._plan.duration_s < math.inf:
                loop.call_at(self._measures_from + self._plan.duration_s, self.stop)
            self._begin(began)
            await self._waits_for_nothing.wait()
            if self._error is not None:
                raise self._error
        finally:
            self._is_stopped = True
            self._tally.shut(time.monotonic())
            sweeper.cancel()
            for connection in tuple(self._open):
                connection.close()
        if self._ledger is not None:
            self._ledger.expect(self._mixture.taken)
            self._ledger.twice += self._tally.surplus

    def stop(self) -> None:
        """Send no more; what is under way is waited for."""
        self._tally.shut(time.monotonic())
        self._is_stopped = True
        self._look_for_end()

    @abstractmethod
    def _begin(self, moment: float) -> None:
        """Send the first requests, or arrange for it."""

    def _opened(self, connection: Connection) -> None:  # noqa: B027 (only the closed loop has to know)
        """Take note of a connection that is open and has sent its first request."""

    @abstractmethod
    def _freed(self, connection: Connection, exchange: Exchange) -> None:
        """Take a connection whose exchange has ended, and is recorded."""

    def _look_for_end(self) -> None:
        if self._is_done():
            self._waits_for_nothing.set()

    def _is_done(self) -> bool:
        return self._is_stopped and not self._busy

    def _fail(self, error: BaseException | None, message: str = "") -> None:
        """End the run with an error of our own."""
        self._is_stopped = True
        self._error = self._error or error or RuntimeError(message)
        self._waits_for_nothing.set()

    def _next_url(self) -> int:
        url = self._turn
        self._turn = (url + 1) % len(self._targets)
        return url

    def _take(self, planned: float, url: int) -> Exchange:
        """Write the next request; the last one that the plan allows ends the sending."""
        exchange = self._mixture.take(planned, url)
        if self._left is not None and planned >= self._measures_from:
            self._left -= 1
            self._is_stopped = self._left == 0
        return exchange

    def _connection(self, url: int) -> Connection:
        connection = Connection(self._targets[url], self._received, self._opened, self._ended, self._surplus)
        self._open.add(connection)
        return connection

    def _send(self, connection: Connection, exchange: Exchange) -> None:
        self._busy.add(connection)
        connection.send(exchange)

    def _record(self, exchange: Exchange) -> None:
        self._tally.add(exchange)
        if self._ledger is not None:
            self._ledger.add(exchange)

    def _ended(self, connection: Connection, exchange: Exchange) -> None:
        self._busy.discard(connection)
        if not self._plan.keep_alive:
            connection.close()
        if not connection.is_idle:
            self._open.discard(connection)
        try:
            self._record(exchange)
            self._freed(connection, exchange)
        except Exception as error:  # asyncio would take a full disk for a broken connection
            self._fail(error)
        self._look_for_end()

    def _surplus(self) -> None:
        self._tally.surplus += 1

    async def _sweep(self) -> None:
        """End what has waited for too long."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            too_old = time.monotonic() - self._plan.timeout_s
            for connection in list(self._busy):
                exchange = connection.exchange
                if exchange is not None and exchange.sent < too_old:
                    connection.give_up()


class ClosedLoop(Traffic):
    """Clients that each send the next request when the last one has ended."""

    def _begin(self, moment: float) -> None:
        for _ in range(self._plan.clients):
            self._send_next(None)

    def _freed(self, connection: Connection, exchange: Exchange) -> None:
        if exchange.tail == Tail.STALL:  # no client waits for this one
            return
        kept = connection if connection.is_idle else None
        pause_s = 0.0
        if exchange.ending == Ending.REFUSED:
            pause_s = max(_REFUSED_PAUSE_S, self._plan.back_off_s)
        elif exchange.status not in OK_STATUSES:
            pause_s = self._plan.back_off_s
        if pause_s and not self._is_stopped:
            asyncio.get_running_loop().call_later(pause_s, self._send_next, kept)
        else:
            self._send_next(kept)

    def _send_next(self, connection: Connection | None) -> None:
        if connection is not None and not connection.is_idle:
            connection = None
        url = self._next_url() if connection is None else self._targets.index(connection.target)
        while not self._is_stopped:
            exchange = self._take(time.monotonic(), url)
            if exchange.malformed and connection is not None:  # it may spoil the connection for others
                connection.close()
                connection = None
            if connection is None:
                connection = self._connection(url)
            self._send(connection, exchange)
            if exchange.tail != Tail.STALL:
                return
            connection = None  # it will take long: the client goes on without it
        if connection is not None:
            connection.close()


class OpenLoop(Traffic):
    """Requests at random moments, over as many connections as it takes.

    Few connections are opened at the same time, since opening one takes longer than answering over another: a
    request that finds none free waits for the first that is, and its latency counts from when it was due.
    """

    def _begin(self, moment: float) -> None:
        self._began = moment
        self._arrivals = poisson(self._plan.rate, self._plan.seed)
        self._idle: list[list[Connection]] = [[] for _ in self._targets]
        self._waiting: list[deque[Exchange]] = [deque() for _ in self._targets]
        self._opening: set[Connection] = set()
        self._next_at = moment + next(self._arrivals)
        asyncio.get_running_loop().call_at(self._next_at, self._send_due)

    def _is_done(self) -> bool:
        return super()._is_done() and not any(self._waiting)

    def _send_due(self) -> None:
        now = time.monotonic()
        for _ in range(_MOST_A_TURN):
            if self._next_at > now or self._is_stopped:
                break
            self._launch(self._next_at)
            self._next_at = self._began + next(self._arrivals)
        if not self._is_stopped:
            asyncio.get_running_loop().call_at(self._next_at, self._send_due)

    def _launch(self, planned: float) -> None:
        url = self._next_url()
        exchange = self._take(planned, url)
        if len(self._busy) + sum(map(len, self._waiting)) >= self._plan.connections:
            self._record(exchange)
            self._look_for_end()
            return
        if not exchange.malformed:  # one that is may spoil a connection for others
            idle = self._idle[url]
            while idle:
                connection = idle.pop()
                if connection.is_idle:
                    self._send(connection, exchange)
                    return
        self._waiting[url].append(exchange)
        self._open_for(url)

    def _open_for(self, url: int) -> None:
        """Open a connection for the request that has waited longest, unless enough are being opened."""
        if self._waiting[url] and len(self._opening) < _MOST_OPENING:
            connection = self._connection(url)
            self._opening.add(connection)
            self._send(connection, self._waiting[url].popleft())

    def _opened(self, connection: Connection) -> None:
        self._opening.discard(connection)
        for url in range(len(self._waiting)):
            self._open_for(url)

    def _freed(self, connection: Connection, exchange: Exchange) -> None:
        waiting = self._waiting[exchange.url]
        if not connection.is_idle:
            self._opened(connection)
        elif waiting and not waiting[0].malformed:
            self._send(connection, waiting.popleft())
        else:
            self._idle[exchange.url].append(connection)
