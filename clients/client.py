"""The Python client: predictions for files, bytes or Pillow images, with timeouts, retries and typed errors."""

from __future__ import annotations

import io
import os
import random
import time
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeAlias, overload
from urllib.parse import quote

import requests

if TYPE_CHECKING:
    from PIL import Image

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image"
ImageList: TypeAlias = "list[Any] | tuple[Any, ...]"

DEFAULT_URL = "http://localhost:5000"
FIRST_PAUSE_S = 0.1


class Prediction(NamedTuple):
    """One class of an answer; an answer lists the best first."""

    label: str
    probability: float


class BeagleError(Exception):
    """The service refused or failed; subclasses say in what way.

    Attributes:
        code: The service's stable code, such as `image_unreadable`; `connection_failed` and `invalid_answer`
            are the client's own.
        status: HTTP status, 0 when there was no answer.
        message: The reason for people.
    """

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = status
        self.message = message


class ImageError(BeagleError):
    """The image is missing, empty, damaged, too large, or of an unsupported kind."""


class RequestError(BeagleError):
    """A parameter is wrong, or there is no such model."""


class BusyError(BeagleError):
    """The queue is full or away, after all retries."""


class DeadlineError(BeagleError):
    """No answer came by the deadline."""


class ServerError(BeagleError):
    """The model or the service failed."""


class UnreachableError(BeagleError):
    """The service could not be reached, or did not answer within the timeout."""


class Client:
    """Talks to one service over reused connections; a context manager.

    Args:
        url: Address of the service.
        timeout: Seconds to wait for a connection, and then for the answer, of each attempt.
        retries: How often to try again when the service is busy (503) or cannot be reached.
        longest_pause: Most seconds to pause before one retry, whatever `Retry-After` says.
    """

    def __init__(
        self, url: str = DEFAULT_URL, *, timeout: float = 35.0, retries: int = 3, longest_pause: float = 5.0
    ) -> None:
        if timeout <= 0 or retries < 0 or longest_pause < 0:
            raise ValueError(
                f"expected timeout > 0, retries >= 0 and longest_pause >= 0, got {timeout}, {retries}, {longest_pause}"
            )
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.retries = retries
        self.longest_pause = longest_pause
        self._session = requests.Session()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @overload
    def predict(
        self,
        image: ImageSource,
        *,
        model: str | None = ...,
        version: int | str | None = ...,
        top_k: int | None = ...,
        deadline: float | None = ...,
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        image: ImageList,
        *,
        model: str | None = ...,
        version: int | str | None = ...,
        top_k: int | None = ...,
        deadline: float | None = ...,
    ) -> list[list[Prediction]]: ...

    def predict(
        self,
        image: ImageSource | ImageList,
        *,
        model: str | None = None,
        version: int | str | None = None,
        top_k: int | None = None,
        deadline: float | None = None,
    ) -> list[Prediction] | list[list[Prediction]]:
        """Classify one image, or several in one request.

        Args:
            image: A path, the bytes of a file, a file opened in binary mode, a Pillow image; or a list or
                tuple of these.
            model, version: Which model; the service's default, and its highest version, unless given.
            top_k: How many predictions; the model's own number unless given.
            deadline: Seconds after which the answer is worth nothing; the model's own unless given.

        Returns:
            Predictions, best first; for a list or tuple, one such list per image.

        Raises:
            BeagleError: one of its subclasses.
            ValueError: `image` is an empty list.
            OSError: a file cannot be read.
        """
        several = isinstance(image, list | tuple)
        sources: list[ImageSource] = list(image) if isinstance(image, list | tuple) else [image]
        if not sources:
            raise ValueError("expected an image or more, got an empty list")
        contents = [_read(source) for source in sources]
        params = {"model": model, "version": version, "top_k": top_k}
        headers = {} if deadline is None else {"X-Deadline-Ms": f"{deadline * 1000:.0f}"}
        body: dict[str, Any]
        if several:
            body = {"files": [("image", (f"image{i}", data)) for i, data in enumerate(contents)]}
        else:
            headers["Content-Type"] = "application/octet-stream"
            body = {"data": contents[0]}
        answer = self._send("POST", "/predict", params=params, headers=headers, **body)
        try:
            found = answer["predictions"]
            if not several:
                return _predictions(found)
            return [_predictions(each) for each in (found if len(contents) > 1 else [found])]
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError("invalid_answer", f"the answer has no predictions: {answer!r}", 200) from error

    def models(self) -> list[dict[str, Any]]:
        """Return what `GET /models` lists: name, versions, input, number of labels of each model."""
        listed: list[dict[str, Any]] = self._send("GET", "/models")["models"]
        return listed

    def model(self, name: str) -> dict[str, Any]:
        """Return what `GET /models/<name>` says; raises RequestError when there is no such model."""
        return self._send("GET", f"/models/{quote(name, safe='')}")

    def is_ready(self) -> bool:
        """Say whether the service can answer predictions now; never retries, never raises BeagleError."""
        try:
            return self._session.get(self.url + "/readyz", timeout=self.timeout).status_code == 200
        except requests.RequestException:
            return False

    def _send(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        attempts_left = self.retries
        while True:
            try:
                response = self._session.request(method, self.url + path, timeout=self.timeout, **options)
            except requests.ConnectionError as error:
                if not attempts_left or isinstance(error, requests.ConnectTimeout):
                    raise UnreachableError("connection_failed", str(error)) from error
                asked = None
            except requests.RequestException as error:
                raise UnreachableError("connection_failed", str(error)) from error
            else:
                if response.status_code != 503 or not attempts_left:
                    return _checked(response)
                asked = response.headers.get("Retry-After")
            time.sleep(self._pause_s(asked, self.retries - attempts_left))
            attempts_left -= 1

    def _pause_s(self, asked: str | None, retries_made: int) -> float:
        """Return seconds to pause: what the service asked for, else doubling ones, at random a bit longer."""
        try:
            pause = float(asked) if asked is not None else FIRST_PAUSE_S * 2**retries_made
        except ValueError:  # Retry-After may also be a date
            pause = FIRST_PAUSE_S * 2**retries_made
        return max(0.0, min(self.longest_pause, pause * random.uniform(1.0, 1.25)))


def _read(source: ImageSource) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return Path(source).read_bytes()
    if hasattr(source, "read"):
        data = source.read()
        if not isinstance(data, bytes):
            raise TypeError(f"expected a file opened in binary mode, got one that reads {type(data).__name__}")
        return data
    if hasattr(source, "save") and hasattr(source, "mode"):
        buffer = io.BytesIO()
        # PNG holds most modes without loss; TIFF the others.
        source.save(buffer, "TIFF" if source.mode in ("CMYK", "F", "YCbCr", "LAB") else "PNG")
        return buffer.getvalue()
    raise TypeError(f"expected a path, bytes, a binary file or a Pillow image, got {type(source).__name__}")


def _predictions(items: Any) -> list[Prediction]:
    return [Prediction(str(item["label"]), float(item["probability"])) for item in items]


def _checked(response: requests.Response) -> dict[str, Any]:
    """Return the JSON of an answer, or raise the error that it holds."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.ok and isinstance(body, dict) and body.get("success", True):
        return body
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):  # a proxy answered
        error = {"code": "invalid_answer", "message": f"HTTP {response.status_code} without the service's JSON"}
    code, message, status = str(error.get("code")), str(error.get("message")), response.status_code
    raise _error_class(code, status)(code, message, status)


def _error_class(code: str, status: int) -> type[BeagleError]:
    if status == 503:
        return BusyError
    if status == 504:
        return DeadlineError
    if not 400 <= status < 500:
        return ServerError
    refusals = ("image_", "unsupported_media_type", "too_many_images", "invalid_base64")
    return ImageError if code.startswith(refusals) else RequestError
