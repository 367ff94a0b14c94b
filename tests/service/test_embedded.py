"""The embedded queue server: found, on its socket alone, neither saving nor evicting."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import redis

from service import embedded
from tests.service.processes import eventually, running


@pytest.mark.parametrize("server", ["embedded", "redis-server"])
def test_it_listens_on_its_socket_alone_and_neither_saves_nor_evicts(server: str, tmp_path: Path) -> None:
    if server == "redis-server" and shutil.which(server) is None:
        pytest.skip("redis-server is not installed")
    with running(embedded.server_command(embedded.find_binary(server), tmp_path), tmp_path) as process:
        eventually(lambda: embedded.answers(tmp_path), "the server answers")
        client = redis.Redis.from_url(embedded.server_url(tmp_path), decode_responses=True)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.config_get("port") == {"port": "0"}
        assert embedded.socket_path(tmp_path).stat().st_mode & 0o077 == 0
        client.close()
        assert process.terminate() == 0
        assert not embedded.answers(tmp_path)
        assert process.out == process.err == ""
        assert "exit" in embedded.last_words(tmp_path)


def test_a_server_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(embedded.ServerStartError, match="redis-server"):
        embedded.find_binary("redis-server")


def test_a_socket_path_that_the_system_cannot_take_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(embedded.ServerStartError, match="TMPDIR"):
        embedded.server_command(Path("server"), tmp_path / ("x" * 100))
