"""The Flask application factory."""

from __future__ import annotations

from flask import Flask

from service.broker import QueueLimits, WebBroker, connect
from service.images import ImageLimits, require_steps
from service.repository import ModelRepository
from service.settings import Settings
from service.web import EXTENSION, health, models, predict
from service.web.context import WebContext
from service.web.decoder import Decoder
from service.web.disconnects import DisconnectWatcher
from service.web.failures import register_error_handlers
from service.web.lane import PredictionLane


def create_app(
    settings: Settings, *, repository: ModelRepository | None = None, broker: WebBroker | None = None
) -> Flask:
    """Make the application of one web process; call it after fork.

    Args:
        settings: All settings.
        repository: Served models; read from `settings.model_repository` by default.
        broker: Connected to `settings.connection_url` by default. Nothing is sent before the first request.

    Raises:
        RepositoryError: the repository is wrong, or names a step that there is not.
    """
    if repository is None:
        repository = ModelRepository(
            settings.model_repository, models=settings.models, default_model=settings.default_model
        )
    require_steps(repository)
    if broker is None:
        queue_limits = QueueLimits(max_jobs=settings.max_queue_jobs, max_bytes=settings.max_queue_bytes)
        broker = WebBroker(connect(settings.connection_url), limits=queue_limits)
    limits = ImageLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_pixels)
    limits.install()

    app = Flask("service.web", static_folder=None)
    context = WebContext(settings, repository, broker, limits, Decoder(limits), DisconnectWatcher())
    app.extensions[EXTENSION] = context
    for part in (predict, models, health):
        app.register_blueprint(part.blueprint)
    register_error_handlers(app)
    app.wsgi_app = PredictionLane(app.wsgi_app, context)  # type: ignore[method-assign]
    return app
