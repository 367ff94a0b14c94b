"""docker-compose.yml and the Dockerfile: what they run exists, and the parts find each other."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from service.cli import main
from service.settings import Settings
from tests.service.processes import ROOT, clean_environ

DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def of_beagle(services: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in services.items() if service["image"] == "beagle"}


def arguments(instructions: list[tuple[str, str]], name: str) -> list[str]:
    return [argument for instruction, argument in instructions if instruction == name]


def test_it_runs_nginx_two_webs_a_worker_and_redis(services: dict[str, Any]) -> None:
    assert set(services) == {"nginx", "web-1", "web-2", "worker", "redis"}


def test_every_command_is_one_that_beagle_has(services: dict[str, Any], instructions: list[tuple[str, str]]) -> None:
    [default] = [command for command in arguments(instructions, "CMD") if "beagle" in command]
    commands = [service["command"] for service in of_beagle(services).values()] + [json.loads(default)]
    for program, *rest in commands:
        assert program == "beagle"
        result = CliRunner().invoke(main, [*rest, "--help"])
        assert result.exit_code == 0, result.output


def test_every_variable_is_a_setting_with_a_value_it_allows(
    services: dict[str, Any], instructions: list[tuple[str, str]]
) -> None:
    in_image = dict(pair.split("=", 1) for line in arguments(instructions, "ENV") for pair in shlex.split(line))
    for service in of_beagle(services).values():
        environ = in_image | service["environment"]
        settings = Settings.load(environ)
        known = set(settings.to_environ()) | {"REDIS_URL", "PATH", "PYTHONUNBUFFERED"}
        assert set(environ) <= known
        assert settings.redis_url.startswith("redis://redis:")
        assert settings.host == "0.0.0.0"


def test_redis_never_evicts_and_never_saves(services: dict[str, Any]) -> None:
    command = " ".join(map(str, services["redis"]["command"]))
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly no" in command


def test_nobody_starts_before_what_it_needs_is_healthy(services: dict[str, Any]) -> None:
    needed = {"nginx": {"web-1", "web-2"}, "web-1": {"redis"}, "web-2": {"redis"}, "worker": {"redis"}}
    for name, needs in needed.items():
        conditions = services[name]["depends_on"]
        assert set(conditions) == needs
        assert all(condition["condition"] == "service_healthy" for condition in conditions.values())


def test_nginx_is_given_our_configuration_with_the_names_and_ports_of_the_webs(
    services: dict[str, Any], instructions: list[tuple[str, str]]
) -> None:
    [mount] = services["nginx"]["volumes"]
    source, target, mode = mount.split(":")
    configuration = (ROOT / source).read_text()
    assert (target, mode) == ("/etc/nginx/nginx.conf", "ro")
    upstreams = re.findall(r"server (\S+):(\d+)", configuration)
    [port] = arguments(instructions, "EXPOSE")
    assert upstreams == [("web-1", port), ("web-2", port)] * 2, "once to be balanced, once more as a last resort"
    [published] = services["nginx"]["ports"]
    assert f"listen {published.rpartition(':')[2]};" in configuration


def test_stopping_leaves_time_to_drain(services: dict[str, Any]) -> None:
    defaults = Settings()
    for name in ("web-1", "web-2"):
        assert int(services[name]["stop_grace_period"].rstrip("s")) > defaults.graceful_timeout_s


def test_what_the_dockerfile_copies_is_there_and_not_ignored(instructions: list[tuple[str, str]]) -> None:
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = [argument.split()[:-1] for argument in arguments(instructions, "COPY") if "--from" not in argument]
    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists(), name
        assert name in allowed


def test_the_image_does_not_run_as_root(instructions: list[tuple[str, str]]) -> None:
    [user] = arguments(instructions, "USER")
    assert user not in ("root", "0")
    names = [name for name, _ in instructions]
    assert names.index("USER") < len(names) - 1 - names[::-1].index("CMD")


@pytest.mark.parametrize("status", [200, 503])
def test_the_health_check_says_whether_the_web_answers(status: int, instructions: list[tuple[str, str]]) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    [check] = arguments(instructions, "HEALTHCHECK")
    command = json.loads(check[check.index("CMD") + len("CMD") :])
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environ = clean_environ() | {"BEAGLE_PORT": str(server.server_port)}
        result = subprocess.run([sys.executable, *command[1:]], env=environ, capture_output=True, timeout=20)
        server.shutdown()
    assert (result.returncode == 0) == (status == 200)
