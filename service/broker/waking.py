"""Sleeping and waking, with threads and with gevent's greenlets, at the least cost that each allows.

Under gevent a wait on a patched `threading.Event` with a timeout costs 13 µs; switching to the greenlet itself, 2.
"""

import functools
import select
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol


class Sleeper(Protocol):
    """One that sleeps until it is woken, once; waking may come first."""

    def sleep(self) -> None:
        """Wait to be woken."""

    def wake(self) -> None:
        """End the sleep; from any thread. Once is enough, more often does no harm."""


class Readiness(Protocol):
    """Waits until one socket can be read, or written where that was asked for."""

    def wait(self, writable: bool) -> None:
        """Block until it can be read or, if `writable`, written; may return early. One caller at a time."""

    def want_write(self) -> None:
        """Have who waits wait for writing as well; from the threads that send."""

    def close(self) -> None:
        """Forget the socket; before it is closed."""


class Kind(Protocol):
    """How this process runs many things at once."""

    def lock(self) -> Any:
        """One for short sections in which nothing waits."""

    def sleeper(self) -> Sleeper:
        """A new one, made by who will sleep."""

    def readiness(self, descriptor: int) -> Readiness:
        """For the socket with this number, made by who will wait."""

    def soon(self, call: Callable[[], None]) -> None:
        """Call it as soon as others of this moment have had their say; it must not wait."""


class _ThreadSleeper:
    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def sleep(self) -> None:
        self._lock.acquire()

    def wake(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            return  # it was woken before


class _ThreadReadiness:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._nudged, self._nudge = socket.socketpair()
        self._nudge.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._nudged, select.POLLIN)
        self._poll.register(descriptor, select.POLLIN)
        self._writable = False

    def wait(self, writable: bool) -> None:
        if writable != self._writable:
            self._writable = writable
            self._poll.modify(self._descriptor, select.POLLIN | (select.POLLOUT if writable else 0))
        for descriptor, _ in self._poll.poll():
            if descriptor != self._descriptor:
                self._nudged.recv(64)

    def want_write(self) -> None:
        try:
            self._nudge.send(b"\0")
        except BlockingIOError:
            return  # it has been nudged often enough

    def close(self) -> None:
        self._nudged.close()
        self._nudge.close()


class Threads:
    """Real threads."""

    lock = staticmethod(threading.Lock)
    sleeper = _ThreadSleeper
    readiness = _ThreadReadiness

    @staticmethod
    def soon(call: Callable[[], None]) -> None:
        """At once: other threads do not wait for this one."""
        call()


def _greenlets() -> Kind:
    from gevent import get_hub, monkey
    from gevent.hub import Waiter

    identity = monkey.get_original("_thread", "get_ident")
    real_lock = monkey.get_original("_thread", "allocate_lock")
    read, write = 1, 2  # libev's EV_READ and EV_WRITE

    class GreenletSleeper:
        __slots__ = ("_loop", "_thread", "_waiter")

        def __init__(self) -> None:
            hub = get_hub()
            self._loop = hub.loop
            self._thread = identity()
            self._waiter = Waiter(hub)

        def sleep(self) -> None:
            self._waiter.get()

        def wake(self) -> None:
            if identity() == self._thread:
                self._loop.run_callback(self._waiter.switch, None)
            else:
                self._loop.run_callback_threadsafe(self._waiter.switch, None)

    class GreenletReadiness:
        def __init__(self, descriptor: int) -> None:
            self._hub = get_hub()
            self._read = self._hub.loop.io(descriptor, read)
            self._write = self._hub.loop.io(descriptor, write)
            self._waiter: Any = None

        def wait(self, writable: bool) -> None:
            self._waiter = waiter = Waiter(self._hub)
            self._read.start(waiter.switch, None)
            if writable:
                self._write.start(waiter.switch, None)
            try:
                waiter.get()
            finally:
                self._waiter = None
                self._read.stop()
                self._write.stop()

        def want_write(self) -> None:
            if self._waiter is not None:
                self._write.start(self._waiter.switch, None)

        def close(self) -> None:
            self._read.close()
            self._write.close()

    class Greenlets:
        """gevent's greenlets; all but `Sleeper.wake` is for the thread that the loop runs in."""

        # No greenlet switches inside of a short section, so that a real lock keeps native threads out at least cost.
        lock = staticmethod(real_lock)
        sleeper = GreenletSleeper
        readiness = GreenletReadiness

        @staticmethod
        def soon(call: Callable[[], None]) -> None:
            """After the greenlet that runs now, in the hub."""
            get_hub().loop.run_callback(call)

    return Greenlets()


@functools.cache
def kind() -> Kind:
    """Greenlets where gevent patched the threads of this process, else threads."""
    if "gevent.monkey" in sys.modules and sys.modules["gevent.monkey"].is_module_patched("threading"):
        return _greenlets()
    return Threads()
