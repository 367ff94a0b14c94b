"""What the broker raises: each says what happened to the one job, or the one call, that it is raised for."""


class BrokerError(Exception):
    """Base of all that the broker raises by itself."""


class QueueFull(BrokerError):  # noqa: N818
    """The queue is at its bound, or the deadline cannot be met; nothing was queued.

    Attributes:
        retry_after: seconds (float, >= 0) after which a new attempt has a chance.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BrokerUnavailable(BrokerError):  # noqa: N818
    """No partition can be reached at the moment; trying again later may help."""


class UnsuitableServer(BrokerUnavailable):
    """The server answers, but is too old or may evict keys; an operator has to change it."""


class DeadlineExceeded(BrokerError):  # noqa: N818
    """The job was accepted, but its deadline passed before an answer came."""


class Cancelled(BrokerError):  # noqa: N818
    """The job was cancelled by its own side, because the client went away."""
