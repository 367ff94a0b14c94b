"""Images: what is refused with which code, and that every mode, orientation and fit comes out right."""

from __future__ import annotations

import base64
import functools
import io
import json
import random
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service import images
from service.errors import ServiceError
from service.images import FORMATS, ImageLimits, encode_payload, open_image, prepare_image, read_base64, require_steps
from service.repository import RepositoryError, ServedModel

LIMITS = ImageLimits(max_bytes=1_000_000, max_pixels=1_000_000)


@pytest.fixture(autouse=True, scope="module")
def _all_formats() -> None:
    Image.init()


def model(width: int = 8, height: int = 8, **changes: Any) -> ServedModel:
    return ServedModel("m", "1", Path("m"), Path("m/model.keras"), width, height, ("a", "b"), **changes)


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def prepared(data: bytes, served: ServedModel | None = None) -> np.ndarray:
    return np.asarray(prepare_image(open_image(data, LIMITS), served or model(), LIMITS))


def code_of(data: bytes, limits: ImageLimits = LIMITS, served: ServedModel | None = None) -> str:
    with pytest.raises(ServiceError) as caught:
        prepare_image(open_image(data, limits), served or model(), limits)
    return caught.value.code


def outcome(data: bytes) -> str:
    try:
        prepared(data)
    except ServiceError as error:
        return "refused" if 400 <= error.status < 500 else error.code
    return "prepared"


@functools.cache
def noise(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data, b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_an_image_of_the_models_size_comes_through_bit_for_bit() -> None:
    image = noise("RGB", (8, 8))
    assert np.array_equal(prepared(saved(image)), np.asarray(image))
    assert np.array_equal(prepared(saved(image.convert("L")), model(color="grey")), np.asarray(image.convert("L")))


@pytest.mark.parametrize(
    "form", ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF", "JPEG2000", "ICO", "PPM", "QOI", "PCX", "SGI", "TGA"]
)
def test_formats_that_pillow_reads_safely_are_read(form: str) -> None:
    smooth = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    difference = prepared(saved(smooth, form)).astype(int) - prepared(saved(smooth)).astype(int)
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("form", ["EPS", "PDF", "WMF", "MPEG", "HDF5", "GRIB", "BUFR", "FPX", "MIC"])
def test_formats_that_need_other_programs_are_not_even_asked(form: str) -> None:
    assert form not in FORMATS


def test_postscript_is_unreadable_rather_than_interpreted() -> None:
    assert code_of(saved(noise(), "EPS")) == "image_unreadable"


def test_a_phones_multi_picture_jpeg_is_its_first_picture() -> None:
    two = saved(noise(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    assert open_image(two, LIMITS).format == "MPO"
    assert np.abs(prepared(two).astype(int) - prepared(saved(noise(), "JPEG")).astype(int)).max() <= 2


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert prepared(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "image_empty"),
        (b"hello", "image_unreadable"),
        (b"\0" * 5000, "image_unreadable"),
        (b"%PDF-1.4", "image_unreadable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image_unreadable"),
        (b"\x89PNG\r\n\x1a\n", "image_unreadable"),
        (b"x" * 1_000_001, "image_too_large"),
        (png_header(1001, 1000), "image_too_many_pixels"),
        (png_header(2**31 - 1, 2**31 - 1), "image_too_many_pixels"),
        (png_header(0, 10), "image_unreadable"),
        (png_header(100, 100), "image_truncated"),
    ],
    ids=["empty", "text", "zeros", "pdf", "svg", "signature", "bytes", "pixels", "bomb", "no-pixels", "short"],
)
def test_bad_files_are_refused_with_a_code(data: bytes, code: str) -> None:
    assert code_of(data) == code


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PPM"])
def test_a_file_that_was_cut_is_truncated(form: str) -> None:
    data = saved(noise(), form)
    assert code_of(data[: len(data) * 9 // 10]) == "image_truncated"


def test_pixels_are_counted_before_any_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    assert code_of(saved(Image.new("1", (1100, 1000)))) == "image_too_many_pixels"


def test_a_jpeg_that_goes_over_its_picture_again_and_again_is_refused() -> None:
    file = saved(Image.new("L", (3000, 3000), 100), "JPEG", progressive=True)
    scan = file[file.rindex(b"\xff\xda") : -2]
    for extra in (0, 20):
        assert open_image(file[:-2] + scan * extra + file[-2:], ImageLimits()).size == (3000, 3000)
    assert code_of(file[:-2] + scan * 2000 + file[-2:], ImageLimits()) == "image_unreadable"


def test_what_is_decoded_in_python_may_have_fewer_pixels() -> None:
    plain = b"P2 %d %d 1 " + b"1 " * 64
    assert code_of(plain % (3000, 3000), ImageLimits()) == "image_too_many_pixels"
    assert code_of(plain % (8, 9), ImageLimits()) == "image_truncated"
    assert open_image(saved(Image.new("L", (3000, 3000)), "PPM"), ImageLimits()).size == (3000, 3000)


def test_an_icon_that_hides_a_larger_image_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    limits = ImageLimits(max_bytes=1_000_000, max_pixels=10_000)
    limits.install()
    inner = png_header(5000, 5000)
    directory = struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22)
    assert code_of(directory + inner, limits) == "image_too_many_pixels"


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_no_damaged_file_escapes_as_anything_but_a_client_error() -> None:
    rng = random.Random(7)
    for form in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "ICO", "TGA", "PCX", "QOI", "JPEG2000", "AVIF"):
        whole = saved(noise("RGB", (24, 16)), form)
        for _ in range(25):
            data = bytearray(whole)
            for _ in range(rng.randint(1, 8)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            assert outcome(bytes(data)) in ("prepared", "refused"), form


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(orientation: int, form: str) -> None:
    # Upright: left half black, upper right quarter grey, lower right quarter white.
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, 16:], upright[8:, 16:] = 128, 255
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transposition that the camera would have made
    image = Image.fromarray(upright)
    if orientation > 1:
        image = image.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if form == "WEBP" else {"quality": 100} if form == "JPEG" else {}
    result = prepared(saved(image, form, exif=exif, **options), model(32, 16))
    assert np.abs(result.astype(int) - upright).mean() < 6


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_does_not_spoil_the_picture() -> None:
    data = saved(noise("RGB", (8, 8)), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    assert prepared(data).shape == (8, 8, 3)


GREY = 100


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (Image.new("L", (8, 8), GREY), {}),
        (Image.new("RGB", (8, 8), (GREY,) * 3).quantize(4), {}),
        (Image.new("LA", (8, 8), (GREY, 255)), {}),
        (Image.new("RGBA", (8, 8), (GREY, GREY, GREY, 255)), {}),
        (Image.new("CMYK", (8, 8), (0, 0, 0, 255 - GREY)), {"form": "TIFF"}),
        (Image.new("CMYK", (8, 8), (0, 0, 0, 255 - GREY)), {"form": "JPEG"}),
        (Image.fromarray(np.full((8, 8), GREY * 257, np.uint16)), {}),
        (Image.fromarray(np.full((8, 8), GREY * 257, np.uint16)), {"form": "TIFF"}),
        (Image.fromarray(np.full((8, 8), GREY * 257, np.uint16)), {"form": "PPM"}),
        (Image.fromarray(np.full((8, 8), GREY / 255, np.float32)), {"form": "TIFF"}),
        (Image.fromarray(np.full((8, 8), GREY, np.float32)), {"form": "TIFF"}),
    ],
    ids=["L", "P", "LA", "RGBA", "CMYK", "CMYK-jpeg", "I;16", "I;16-tiff", "I-ppm", "F-unit", "F-bytes"],
)
@pytest.mark.parametrize("color", ["grey", "rgb"])
def test_every_mode_keeps_its_brightness(image: Image.Image, options: dict[str, str], color: str) -> None:
    result = prepared(saved(image, **options), model(color=color))
    assert result.ndim == (2 if color == "grey" else 3)
    assert np.abs(result.astype(int) - GREY).max() <= 2


def test_one_bit_images_are_black_and_white() -> None:
    pixels = np.eye(8, dtype=bool)
    assert np.array_equal(prepared(saved(Image.fromarray(pixels)), model(color="grey")), pixels * np.uint8(255))


def test_sixteen_bits_are_scaled_rather_than_clipped() -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    expected = np.rint(ramp / 257)
    assert np.abs(prepared(saved(Image.fromarray(ramp)), model(color="grey")) - expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint16])
def test_deep_images_come_out_the_same_however_they_are_cut_into_bands(
    dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    ramp = np.linspace(0 if dtype is np.uint16 else -700, 40_000, 56).astype(dtype).reshape(8, 7)
    whole = prepared(saved(Image.fromarray(ramp), "TIFF"), model(7, 8, color="grey"))
    assert np.unique(whole).size > 20
    monkeypatch.setattr(images, "BAND_PIXELS", 21)
    assert np.array_equal(prepared(saved(Image.fromarray(ramp), "TIFF"), model(7, 8, color="grey")), whole)


def test_a_large_deep_image_takes_little_more_memory_than_its_samples() -> None:
    side, limits = 2500, ImageLimits(max_pixels=10_000_000)
    data = saved(Image.fromarray(np.zeros((side, side), np.float32)), "TIFF", compression="tiff_adobe_deflate")
    image = open_image(data, limits)
    tracemalloc.start()
    try:
        prepare_image(image, model(), limits)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * side * side  # 8 hold the samples twice, 1 the result; at once it would be 40


def test_floats_that_are_no_numbers_do_no_harm() -> None:
    values = np.full((8, 8), np.nan, np.float32)
    values[0] = np.inf
    assert prepared(saved(Image.fromarray(values), "TIFF")).max() == 0


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "L-key", "RGB-key"])
def test_transparency_is_put_on_white(kind: str) -> None:
    options: dict[str, Any] = {}
    if kind in ("RGBA", "LA"):
        image = Image.new(kind, (8, 8))
    elif kind == "P":
        image, options = Image.new("P", (8, 8)), {"transparency": 0}
        image.putpalette([0, 0, 0] * 256)
    else:
        image = Image.new(kind.removesuffix("-key"), (8, 8))
        options = {"transparency": 0 if kind == "L-key" else (0, 0, 0)}
    assert prepared(saved(image, **options)).min() == 255


def test_half_transparent_pixels_are_mixed_with_white() -> None:
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 128))
    assert np.abs(prepared(saved(image))[0, 0].astype(int) - [227, 127, 127]).max() <= 1


def test_steps_see_the_alpha_channel_before_it_is_flattened() -> None:
    ink = Image.new("RGBA", (40, 40), (0, 0, 0, 0))  # black on transparent black: the ink is in the alpha alone
    ink.paste((0, 0, 0, 255), (18, 8, 22, 32))
    result = prepared(saved(ink), model(28, 28, color="grey", steps=("digit",)))
    assert result[14, 14] > 200
    assert result[:, 0].max() == 0


def test_unknown_steps_are_refused_with_the_file_that_names_them() -> None:
    with pytest.raises(
        RepositoryError, match=r"m/serving\.toml: input\.steps: expected some of .*digit.*, got 'dance'"
    ):
        require_steps([model(steps=("dance",))])


def test_fits_stretch_cut_or_pad() -> None:
    # A wide image of three thirds: red, green, blue.
    thirds = np.zeros((10, 30, 3), np.uint8)
    for i in range(3):
        thirds[:, 10 * i : 10 * i + 10, i] = 255
    data = saved(Image.fromarray(thirds))
    stretched, cut, padded = (prepared(data, model(9, 9, fit=fit)) for fit in ("stretch", "crop", "pad"))
    assert stretched[4, 0].argmax() == 0
    assert stretched[4, 8].argmax() == 2
    assert (cut[:, 1:8] == [0, 255, 0]).all()
    assert padded[0].max() == 0
    assert padded[8].max() == 0
    assert padded[4, 1].argmax() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_extreme_shapes_come_out_at_the_models_size(size: tuple[int, int], fit: str) -> None:
    assert prepared(saved(Image.new("RGB", size)), model(12, 7, fit=fit)).shape == (7, 12, 3)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_large_jpeg_decoded_at_reduced_size_looks_the_same(fit: str) -> None:
    smooth = Image.merge(
        "RGB", [Image.radial_gradient("L"), Image.linear_gradient("L"), Image.new("L", (256, 256), 80)]
    )
    large = smooth.resize((1200, 800))
    exif = Image.Exif()
    exif[0x0112] = 6
    served = model(60, 90, fit=fit)
    jpeg = prepared(saved(large, "JPEG", quality=95, exif=exif), served).astype(int)
    png = prepared(saved(large, "PNG", exif=exif), served).astype(int)
    assert np.abs(jpeg - png).mean() < 2


def test_the_payload_tells_shape_type_pixels_and_top_k() -> None:
    image = prepare_image(open_image(saved(noise("RGB", (8, 8))), LIMITS), model(), LIMITS)
    payload = json.loads(encode_payload(image, model(), 2))
    assert {key: payload[key] for key in ("shape", "dtype", "top_k")} == {
        "shape": [8, 8, 3],
        "dtype": "uint8",
        "top_k": 2,
    }
    pixels = np.frombuffer(base64.b64decode(payload["image"]), np.uint8).reshape(payload["shape"])
    assert np.array_equal(pixels, np.asarray(noise("RGB", (8, 8))))


def test_bgr_models_get_blue_first() -> None:
    served = model(1, 1, color="bgr")
    payload = json.loads(encode_payload(Image.new("RGB", (1, 1), (1, 2, 3)), served, 1))
    assert list(base64.b64decode(payload["image"])) == [3, 2, 1]


@pytest.mark.parametrize("wrap", ["{}", "data:image/png;base64,{}", " {}\n"])
def test_base64_may_be_a_data_uri_or_broken_into_lines(wrap: str) -> None:
    data = bytes(range(256))
    lines = base64.encodebytes(data).decode()
    assert read_base64(wrap.format(base64.b64encode(data).decode()), LIMITS) == data
    assert read_base64(wrap.format(lines), LIMITS) == data


@pytest.mark.parametrize("text", ["*", "abc", "data:image/png,abcd", "data:image/png;base64", "äöü=", "ab==cd"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_base64(text, LIMITS)
    assert caught.value.code == "invalid_base64"


def test_too_long_base64_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ServiceError) as caught:
        read_base64("*" * 2_000_000, LIMITS)
    assert caught.value.code == "image_too_large"
