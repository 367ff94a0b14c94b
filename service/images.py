"""From an uploaded file to a model's input: decode safely, convert, run steps, bring to size, encode."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pybase64
from PIL import ExifTags, Image, ImageChops, ImageMode

from service.errors import ServiceError
from service.repository import DESCRIPTION_FILE, RepositoryError, ServedModel
from service.scaling import Extent, draft, resize, upright
from service.settings import MIB
from service.steps import STEPS

# Formats that Pillow decodes itself or by its bundled libraries; JPEG includes MPO. Left out: EPS (runs
# Ghostscript), WMF (asks the operating system), FPX and MIC (OLE containers), MPEG, BUFR, GRIB and HDF5
# (recognised, never decoded), GBR, MCIDAS, XVTHUMB, IPTC, IMT (no users). Each is asked in turn: usual first.
FORMATS = (
    "PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "DIB", "TIFF", "JPEG2000", "ICO", "ICNS", "CUR", "PPM",
    "QOI", "PCX", "DCX", "SGI", "DDS", "PSD", "SUN", "IM", "MSP", "XBM", "XPM", "FITS", "FLI", "FTEX",
    "BLP", "PCD", "PIXAR", "SPIDER", "TGA",
)  # fmt: skip

# How files of the usual formats begin: only that one decoder is asked, the others where it declines.
_BEGINNINGS = {b"\x89PNG": "PNG", b"GIF8": "GIF", b"RIFF": "WEBP"}
_BEGINNINGS |= {b"\xff\xd8\xff" + marker: "JPEG" for marker in (b"\xdb", b"\xe0", b"\xe1", b"\xe2", b"\xee")}
BAND_PIXELS = 1024 * 1024
# Of what Pillow decodes in Python: up to 6 microseconds a pixel, and the interpreter's lock is held.
MAX_PYTHON_PIXELS = 1920 * 1088
_QUICK_IN_PYTHON = frozenset({"MSP", "SGI16"})
# A JPEG may go over its picture again and again, in a few bytes each time. Encoders do so about ten times.
MAX_SCANS = 100
# Bytes times pixels of a JPEG below which so many scans could take no more than seconds: they are not counted.
_HARMLESS = 10**11

_WHITE = 255
_OPAQUE = 255


@dataclass(frozen=True)
class ImageLimits:
    """How large an uploaded image may be, in bytes of the file and in pixels (width times height)."""

    max_bytes: int = 16 * MIB
    max_pixels: int = 64_000_000

    def install(self) -> None:
        """Make Pillow itself refuse what is larger, for images inside of images (icons); once per process."""
        # Pillow warns above this figure and raises above twice of it.
        Image.MAX_IMAGE_PIXELS = max(1, self.max_pixels // 2)
        # What Pillow merely wonders about in clients' files is nothing for the operator.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        Image.init()

    def check_bytes(self, count: int) -> None:
        """Raise ServiceError image_too_large when a file has more bytes than allowed."""
        if count > self.max_bytes:
            raise ServiceError("image_too_large", f"the image may have up to {self.max_bytes} bytes, it has {count}")

    def check_pixels(self, width: int, height: int) -> None:
        """Raise ServiceError image_too_many_pixels when an image has more pixels than allowed."""
        if width * height > self.max_pixels:
            raise ServiceError(
                "image_too_many_pixels",
                f"the image may have up to {self.max_pixels} pixels, it has {width}x{height}",
            )


def require_steps(models: Iterable[ServedModel]) -> None:
    """Raise RepositoryError when a model names a step that there is not."""
    for model in models:
        for step in model.steps:
            if step not in STEPS:
                path = model.folder / DESCRIPTION_FILE
                raise RepositoryError(f"{path}: input.steps: expected some of {', '.join(STEPS)}, got {step!r}")


def open_image(data: bytes, limits: ImageLimits) -> Image.Image:
    """Read an image's header; pixels are decoded later.

    Raises:
        ServiceError: image_empty, image_too_large, image_too_many_pixels, image_truncated, image_unreadable.
    """
    if not data:
        raise ServiceError("image_empty", "the image has no bytes")
    limits.check_bytes(len(data))
    image = _open_known(data) or _open_any(data, limits)
    if image.width < 1 or image.height < 1:
        raise ServiceError("image_unreadable", f"the image has no pixels: {image.width}x{image.height}")
    limits.check_pixels(image.width, image.height)
    _check_effort(image, data)
    return image


def prepare_image(image: Image.Image, model: ServedModel, limits: ImageLimits) -> Image.Image:
    """Decode an opened image and bring it to a model's input.

    Returns:
        An image of the model's size, mode L for `grey`, else RGB.

    Raises:
        ServiceError: image_too_many_pixels, image_truncated, image_unreadable.
    """
    image, extent, orientation = _decode(image, model, limits)
    if model.steps:
        image, orientation = upright(image, orientation), 1
        for step in model.steps:
            image = STEPS[step](image)
        extent = image.size
    mode = "L" if model.channels == 1 else "RGB"
    image = _flatten(image)
    if mode == "L" and image.mode == "RGB":  # the fewer channels are resized the better
        image = image.convert(mode)
    image = resize(image, extent, model, orientation)
    return image if image.mode == mode else image.convert(mode)


def encode_payload(image: Image.Image, model: ServedModel, top_k: int) -> bytes:
    """Return the job payload (JSON) for an image that `prepare_image` made."""
    pixels = image.tobytes("raw", "BGR") if model.color == "bgr" else image.tobytes()
    return b'%b%b","top_k":%d}' % (model.payload_head, pybase64.b64encode(pixels), top_k)


def read_base64(text: str, limits: ImageLimits) -> bytes:
    """Return the bytes of an image given as base64 or as a `data:…;base64,…` URI; white space is skipped.

    Raises:
        ServiceError: invalid_base64, image_too_large.
    """
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise ServiceError("invalid_base64", "a data: URI must be data:<type>;base64,<base64>")
    limits.check_bytes(len(text) * 3 // 4 - 2)
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        pass
    try:
        return pybase64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise ServiceError("invalid_base64", f"the image is not valid base64: {error}") from error


def _unreadable(error: Exception) -> ServiceError:
    reason = str(error) or type(error).__name__
    early = ("truncated", "not enough image data")
    if isinstance(error, EOFError) or any(words in reason.lower() for words in early):
        return ServiceError("image_truncated", f"the image ends too early: {reason}")
    return ServiceError("image_unreadable", f"the image cannot be decoded: {reason}")


def _too_many_pixels(limits: ImageLimits) -> ServiceError:
    return ServiceError("image_too_many_pixels", f"the image may have up to {limits.max_pixels} pixels")


def _open_known(data: bytes) -> Image.Image | None:
    """Open a file by the format that its first bytes tell; None where they tell none, or it is damaged."""
    form = _BEGINNINGS.get(data[:4])
    if form is None or form not in Image.OPEN:
        return None
    opener, _ = Image.OPEN[form]
    try:
        image = opener(io.BytesIO(data), "")
        image.decodermaxblock = max(image.decodermaxblock, len(data))  # one turn without the interpreter's lock
        return image
    except MemoryError:
        raise
    except Exception:  # the long way says what is wrong
        return None


def _check_effort(image: Image.Image, data: bytes) -> None:
    """Refuse what takes far longer to decode than its pixels tell."""
    pixels = image.width * image.height
    if image.format in ("JPEG", "MPO"):
        if pixels * len(data) > _HARMLESS and (scans := _count_scans(data)) > MAX_SCANS:
            raise ServiceError("image_unreadable", f"a JPEG may have up to {MAX_SCANS} scans, this one has {scans}")
    elif pixels > MAX_PYTHON_PIXELS and any(map(_is_slow, getattr(image, "tile", ()))):
        raise ServiceError(
            "image_too_many_pixels",
            f"a {image.format} image of this kind may have up to {MAX_PYTHON_PIXELS} pixels, "
            f"it has {image.width}x{image.height}",
        )


def _is_slow(tile: Sequence[Any]) -> bool:
    return tile[0] in Image.DECODERS and tile[0] not in _QUICK_IN_PYTHON


def _count_scans(data: bytes) -> int:
    # A scan begins with FF DA 00; what else is in a file has these bytes once in 16 MiB.
    values = np.frombuffer(data, np.uint8)
    begins = (values[:-2] == 0xFF) & (values[1:-1] == 0xDA)
    begins &= values[2:] == 0
    return int(np.count_nonzero(begins))


def _open_any(data: bytes, limits: ImageLimits) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(limits) from error
    except Image.UnidentifiedImageError as error:
        raise ServiceError(
            "image_unreadable",
            f"the {len(data)} bytes are no image of a known format, or its header is damaged",
        ) from error
    except MemoryError:
        raise
    except Exception as error:
        if data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 > len(data):
            raise ServiceError("image_truncated", "the image ends before the size in its header") from error
        raise _unreadable(error) from error


def _decode(image: Image.Image, model: ServedModel, limits: ImageLimits) -> tuple[Image.Image, Extent, int]:
    """Decode and bring to L, LA, RGB or RGBA; also the extent of the picture in it, and its EXIF orientation."""
    try:
        extent = draft(image, model, _orientation(image)) if image.format in ("JPEG", "MPO") else None
        image.load()
        limits.check_pixels(image.width, image.height)
        return _expand(image), extent or image.size, _orientation(image)
    except ServiceError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(limits) from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise all sorts for damaged files
        raise _unreadable(error) from error


def _orientation(image: Image.Image) -> int:
    """Return EXIF's orientation, 1 when there is none; damaged EXIF data do not spoil the picture."""
    if "exif" not in image.info and image.format != "TIFF":
        return 1
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) else 1


def _expand(image: Image.Image) -> Image.Image:
    """Bring any mode to L, LA, RGB or RGBA."""
    mode = image.mode
    if mode in ("LA", "RGBA"):
        return image
    if mode in ("I", "F") or mode.startswith("I;16"):
        return Image.fromarray(_to_eight_bits(image))
    if (mode != "P" or image.palette) and image.has_transparency_data:
        return image.convert("LA" if mode in ("1", "L", "La") else "RGBA")
    if mode in ("L", "RGB"):
        return image
    return image.convert("L" if ImageMode.getmode(mode).basemode == "L" and mode != "P" else "RGB")


def _to_eight_bits(image: Image.Image) -> np.ndarray:
    """Scale deeper samples: 16 bits by 257, floats in 0..1 by 255, other ranges from their extremes."""
    values = np.asarray(image)
    # In bands: at eight bytes a sample, some copies of a large image at once are gigabytes.
    rows = max(1, BAND_PIXELS // image.width)
    bands = [slice(first, first + rows) for first in range(0, image.height, rows)]
    eight_bits = np.empty(values.shape, np.uint8)
    if image.mode.startswith("I;16"):
        for band in bands:
            eight_bits[band] = (values[band].astype(np.uint32) * 255 + 32767) // 65535
        return eight_bits
    extremes = [(part.min(), part.max()) for part in (_finite(values[band]) for band in bands)]
    low, high = float(min(low for low, _ in extremes)), float(max(high for _, high in extremes))
    whole = image.mode == "I"
    if low >= 0 and high <= 65535 and whole:
        # Pillow gives 16-bit PNM and PNG files as I; no 8-bit file comes as I.
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 1 and not whole:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    for band in bands:
        eight_bits[band] = np.rint((_finite(values[band]) - low) * (255.0 / ((high - low) or 1.0)))
    return eight_bits


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _flatten(image: Image.Image) -> Image.Image:
    """Put a transparent image on white; the result is L or RGB."""
    if image.mode not in ("LA", "RGBA"):
        return image
    alpha = image.getchannel("A")
    image = image.convert("L" if image.mode == "LA" else "RGB")
    if alpha.getextrema() != (_OPAQUE, _OPAQUE):
        image.paste(_WHITE if image.mode == "L" else (_WHITE,) * 3, mask=ImageChops.invert(alpha))
    return image
