"""The web workers: Flask application, uploads, waiting for answers. Never loads the engine."""

EXTENSION = "beagle"
"""Key of `Flask.extensions` under which an application keeps its `WebContext`."""
