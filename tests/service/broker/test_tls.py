"""The same over TLS: a socket may hold what no poll tells of, and two threads must not be inside of it at once."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.broker import connect
from service.broker.wire import pack
from tests.service.conftest import RedisServer
from tests.service.processes import free_port

from .answering import answering, until
from .test_submissions import CROWD

pytestmark = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("redis-server")), reason="needs openssl and redis-server"
)


@pytest.fixture(scope="module")
def tls_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server with a certificate of its own; the embedded one knows no TLS."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key, certificate, port = folder / "key.pem", folder / "certificate.pem", free_port()
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
        f" -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEAGLE_TEST_REDIS", "redis-server")
        options = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        try:
            server = RedisServer(*options, "--bind", "127.0.0.1", "--tls-auth-clients", "no")
        except RuntimeError:
            pytest.skip("this redis-server was built without TLS")
    yield f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}"
    server.remove()


def test_commands_and_answers_of_any_size_pass_whole(tls_url) -> None:
    partition = connect(tls_url)[0]
    pipeline = partition.new_pipeline(5.0)
    heard: list[object] = []
    texts = [b"x" * size for size in (1, 16_384, 65_536, 65_537, 1_000_000)]
    for text in texts:
        assert partition._connections.call("ECHO", text) == text
        pipeline.send(pack(("ECHO", text)), heard.append)
    until(lambda: len(heard) == len(texts))
    assert heard == texts
    pipeline.close()
    partition.close()


@pytest.mark.parametrize("kind", ["gevent", "threads"])
def test_a_crowd_is_answered(kind, tls_url, new_worker) -> None:
    command = [sys.executable, "-c", CROWD, tls_url, kind]
    with answering(new_worker(connect(tls_url))):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "all answered\n", ended.stderr
