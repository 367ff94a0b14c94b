"""What one web process holds for all of its requests."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app

from service.broker import WebBroker
from service.images import ImageLimits
from service.repository import ModelRepository
from service.settings import Settings
from service.web import EXTENSION
from service.web.decoder import Decoder
from service.web.disconnects import DisconnectWatcher


@dataclass(frozen=True)
class WebContext:
    """Settings, models and the long-lived parts of a web process."""

    settings: Settings
    repository: ModelRepository
    broker: WebBroker
    limits: ImageLimits
    decoder: Decoder
    watcher: DisconnectWatcher

    def close(self) -> None:
        """Stop the watcher and close the broker's connections."""
        self.watcher.close()
        self.broker.close()


def current_context() -> WebContext:
    """Return the context of the application that handles the present request."""
    context: WebContext = current_app.extensions[EXTENSION]
    return context
