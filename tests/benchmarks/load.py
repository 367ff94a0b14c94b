"""The client of the measurements: wrk, posting one image again and again and comparing every answer."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests

TIMEOUT_S = 60  # of one request; a wrk without an answer for so long counts it as failed

_PROBABILITY = re.compile(rb'"probability": ?[0-9.e-]+')

# Every answer is compared: a status alone would not tell a wrong answer from a right one.
_SCRIPT = """
local function read(name)
  local file = assert(io.open("FOLDER/" .. name, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

wrk.method = "POST"
wrk.body = read("body")
wrk.headers["Content-Type"] = read("content_type")
local labels_only = LABELS_ONLY
local function compared(body)
  return labels_only and body:gsub('"probability": ?[%d.e-]+', "") or body
end

local expected = compared(read("expected"))
local threads = {}
wrong = 0

function setup(thread)
  threads[#threads + 1] = thread
end

function response(status, headers, body)
  if status ~= 200 or compared(body) ~= expected then
    wrong = wrong + 1
  end
end

function done(summary, latency, requests)
  local failed = 0
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("wrong")
  end
  for _, kind in ipairs({"connect", "read", "write", "timeout"}) do
    failed = failed + summary.errors[kind]
  end
  print(string.format(
    '{"requests": %d, "failed": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f}',
    summary.requests, failed, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


class LoadError(RuntimeError):
    """The load could not be made, or not every answer was the expected one."""


@dataclass(frozen=True)
class Body:
    """A request's body."""

    content_type: str
    content: bytes

    @classmethod
    def form(cls, image: bytes) -> Body:
        """A form with the file in its field `image`, as curl's `-F image=@…` writes it."""
        boundary = f"------------------------{uuid.uuid4().hex[:16]}"
        kind = media_type(image)
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="image"; filename="image.{kind.rpartition("/")[2]}"\r\n'
            f"Content-Type: {kind}\r\n\r\n"
        )
        content = head.encode() + image + f"\r\n--{boundary}--\r\n".encode()
        return cls(f"multipart/form-data; boundary={boundary}", content)

    @classmethod
    def raw(cls, image: bytes) -> Body:
        """The file alone."""
        return cls(media_type(image), image)


def media_type(image: bytes) -> str:
    """Of a PNG or JPEG file."""
    return "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"


@dataclass(frozen=True)
class Load:
    """What the client saw.

    Attributes:
        requests: answers that came.
        rate: answers a second.
        p50_ms, p99_ms: time from request to answer, milliseconds.
        client_s: processor time of the client, seconds.
    """

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    client_s: float


def ask(url: str, body: Body) -> bytes:
    """Return the body of one answer; LoadError unless it has status 200."""
    headers = {"Content-Type": body.content_type}
    response = requests.post(url, data=body.content, headers=headers, timeout=TIMEOUT_S)
    if response.status_code != 200:
        raise LoadError(f"{url}: expected status 200, got {response.status_code}: {response.text[:500]}")
    return response.content


def labels_of(answer: bytes) -> bytes:
    """An answer without its probabilities."""
    return _PROBABILITY.sub(b"", answer)


def warm_up(url: str, body: Body, *, expected: bytes, clients: int, seconds: float) -> None:
    """Let every client ask once, and all go on for so many seconds; none hangs up on what is computed for it.

    Raises:
        LoadError: an answer was missing, or has other labels than `expected`.
    """
    until = time.monotonic() + seconds

    def ask_on() -> None:
        while True:
            answer = ask(url, body)
            if labels_of(answer) != labels_of(expected):
                raise LoadError(f"{url}: expected the answer {expected!r}, got {answer!r}")
            if time.monotonic() >= until:
                return

    with ThreadPoolExecutor(clients) as pool:
        for asking in [pool.submit(ask_on) for _ in range(clients)]:
            asking.result()


def put_load(
    url: str, body: Body, *, expected: bytes, connections: int, seconds: float, labels_only: bool = False
) -> Load:
    """Post the body again and again over so many connections, each waiting for its answer.

    Args:
        url: where to post.
        body: what to post.
        expected: the body that every answer must have.
        connections: kept open all the time.
        seconds: how long, in whole seconds.
        labels_only: whether probabilities may differ from the expected body's.

    Raises:
        LoadError: wrk is missing or failed, or an answer was missing or another one.
    """
    program = shutil.which("wrk")
    if program is None:
        raise LoadError("the load generator wrk is not on PATH; install the package wrk")
    with tempfile.TemporaryDirectory(prefix="beagle-load-") as name:
        folder = Path(name)
        (folder / "body").write_bytes(body.content)
        (folder / "content_type").write_text(body.content_type)
        (folder / "expected").write_bytes(expected)
        script = folder / "post.lua"
        text = _SCRIPT.replace("FOLDER", name).replace("LABELS_ONLY", str(labels_only).lower())
        script.write_text(text)
        command = [
            program,
            "--threads",
            "1",
            "--connections",
            connections,
            "--duration",
            f"{round(seconds)}s",
        ]
        command += ["--timeout", f"{TIMEOUT_S}s", "--script", script, url]
        before_s = _children_s()
        finished = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        client_s = _children_s() - before_s
    lines = [line for line in finished.stdout.splitlines() if line.startswith("{")]
    if finished.returncode or not lines:
        raise LoadError(f"wrk ended with {finished.returncode}: {finished.stdout}{finished.stderr}")
    seen = json.loads(lines[0])
    if seen["failed"] or not seen["requests"]:
        raise LoadError(f"{url}: {seen['failed']} of {seen['requests']} answers were missing or wrong")
    rate = seen["requests"] / seen["seconds"]
    return Load(seen["requests"], rate, seen["p50_ms"], seen["p99_ms"], client_s)


def _children_s() -> float:
    """Processor time of the children that have ended, seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
