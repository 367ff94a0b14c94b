"""What the programs import is what `pip install` of the distribution brings, without the packages of the tests."""

from __future__ import annotations

import subprocess
import tomllib
from importlib.metadata import distribution, packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.service.processes import ROOT, python

PROGRAMS = {
    "web": "import service.web.gunicorn_app as web; web.gevent_worker_class(); import service.web.app",
    "worker": "import service.worker, engine; engine.models, engine.InferenceSession",
    "command": "import service.cli, service.serve, service.classifier, service.images",
    "clients": "import clients.client, clients.simple_request",
}
TOP_LEVEL = "import sys; print(*{n.partition('.')[0] for n, m in [*sys.modules.items()] if hasattr(m, '__file__')})"


def installed_with_us() -> set[str]:
    """The distributions that ours requires here, and those that they require, extras as asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    left = [Requirement(text) for text in project["dependencies"]]
    while left:
        requirement = left.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                left.append(needed)
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_imports_nothing_that_an_installation_lacks(program: str) -> None:
    result = subprocess.run(
        python("-S", "-c", f"import sys; sys.path[:0] = {site_folders()!r}; {PROGRAMS[program]}; {TOP_LEVEL}"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    owners = packages_distributions()
    imported = {canonicalize_name(owner) for name in result.stdout.split() for owner in owners.get(name, ())[:1]}
    assert imported - {"beagle-serve"} <= installed_with_us()


def site_folders() -> list[str]:
    """Where packages lie; given by hand, so that no .pth file imports packages of its own."""
    import site

    return site.getsitepackages()
