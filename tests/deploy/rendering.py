"""deploy/nginx/nginx.conf made fit for a machine without containers."""

from __future__ import annotations

from pathlib import Path

from tests.service.processes import ROOT

CONFIGURATION = ROOT / "deploy" / "nginx" / "nginx.conf"


def render(ports: tuple[int, int], listen: int, folder: Path) -> str:
    """Our configuration with nothing but addresses, ports and folders changed.

    Args:
        ports: of the two web processes. listen: port of nginx; all on loopback.
        folder: where nginx writes; its worker processes may run as another user.
    """
    text = CONFIGURATION.read_text()
    for name, port in zip(("web-1", "web-2"), ports, strict=True):
        text = text.replace(f"server {name}:5000 ", f"server 127.0.0.1:{port} ")
    return text.replace("listen 8080;", f"listen 127.0.0.1:{listen};").replace("/tmp/", f"{folder}/")
