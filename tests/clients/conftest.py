"""The clients are also tried against the real service: the fixtures of its own tests."""

from tests.service.conftest import _shared_server, redis_server  # noqa: F401
from tests.service.web.conftest import new_answering_worker, repository, start_web  # noqa: F401
