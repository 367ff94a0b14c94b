"""A TCP proxy between the service and the queue server that delays, swallows replies, and cuts connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 65536


class Proxy:
    """Passes a port of loopback on to a Unix socket, in a thread of its own; a context manager.

    Attributes:
        port: where it listens.
        delay_s: how long each reply is held back.
        losing: whether replies are thrown away, and their connections cut.
        silent: whether replies are thrown away, and nothing else happens while it lasts; then they are cut.
        connections: how many were made through it.
    """

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        self.port = 0
        self.delay_s = 0.0
        self.losing = False
        self.silent = False
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """End every connection that goes through it, at once and without a word."""
        self._do(self._cut_all)

    def _do(self, action: Callable[[], None]) -> None:
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        done.wait()

    def _cut_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None, "it was entered"
        self._server.close()
        self._cut_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        except OSError:  # as where nobody listens
            writer.transport.abort()
            return
        self.connections += 1
        both = {writer, server_writer}
        self._writers |= both
        ways = [
            asyncio.ensure_future(self._requests(reader, server_writer)),
            asyncio.ensure_future(self._replies(server_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # asyncio's streams would log it as an error
            pass
        finally:
            for way in ways:
                way.cancel()
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                writer.write(data)
                await writer.drain()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lost = False
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                # The command was carried out, and nobody hears of it.
                lost = lost or self.silent or self.losing
                if lost and self.silent:
                    continue
                if lost:  # another reply now would be taken for the lost one
                    return
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(data)
                await writer.drain()
