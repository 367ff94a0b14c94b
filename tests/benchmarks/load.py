"""The client of the measurements: wrk, posting one image as a form and comparing every answer."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import requests

TIMEOUT_S = 10  # of one request; a wrk without an answer for so long counts it as failed

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
  return labels_only and body:gsub('"probability": [%d.e-]+', "") or body
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
class Form:
    """A request body with one file in the field `image`."""

    content_type: str
    body: bytes

    @classmethod
    def of(cls, image: bytes) -> Form:
        """Write the form for a PNG file, as curl's `-F image=@…` does."""
        boundary = f"------------------------{uuid.uuid4().hex[:16]}"
        head = (
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="image"; filename="image.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        )
        body = head.encode() + image + f"\r\n--{boundary}--\r\n".encode()
        return cls(f"multipart/form-data; boundary={boundary}", body)


@dataclass(frozen=True)
class Load:
    """What the client saw.

    Attributes:
        requests: answers that came.
        rate: answers a second.
        p50_ms, p99_ms: time from request to answer, milliseconds.
    """

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float


def ask(url: str, form: Form) -> bytes:
    """Return the body of one answer; LoadError unless it has status 200."""
    headers = {"Content-Type": form.content_type}
    response = requests.post(url, data=form.body, headers=headers, timeout=TIMEOUT_S)
    if response.status_code != 200:
        raise LoadError(f"{url}: expected status 200, got {response.status_code}: {response.text[:500]}")
    return response.content


def put_load(
    url: str, form: Form, *, expected: bytes, connections: int, seconds: float, labels_only: bool = False
) -> Load:
    """Post the form again and again over so many connections, each waiting for its answer.

    Args:
        url: where to post.
        form: what to post.
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
        (folder / "body").write_bytes(form.body)
        (folder / "content_type").write_text(form.content_type)
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
        finished = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    lines = [line for line in finished.stdout.splitlines() if line.startswith("{")]
    if finished.returncode or not lines:
        raise LoadError(f"wrk ended with {finished.returncode}: {finished.stdout}{finished.stderr}")
    seen = json.loads(lines[0])
    if seen["failed"] or not seen["requests"]:
        raise LoadError(f"{url}: {seen['failed']} of {seen['requests']} answers were missing or wrong")
    return Load(seen["requests"], seen["requests"] / seen["seconds"], seen["p50_ms"], seen["p99_ms"])
