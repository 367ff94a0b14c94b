"""MNIST's files: read, downloaded, refused."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.datasets import mnist
from engine.examples.augmentation import Ranges, augment


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">2xBB{array.ndim}I", 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Four small arrays in place of MNIST's, known by their checksums."""
    rng = np.random.default_rng(0)
    arrays = {}
    for name in mnist.FILES:
        shape = (6, 28, 28) if "images" in name else (6,)
        arrays[name] = rng.integers(0, 10, shape)
    digests = {name: hashlib.sha256(idx(array)).hexdigest() for name, array in arrays.items()}
    monkeypatch.setattr(mnist, "FILES", digests)
    return arrays


@pytest.fixture
def origin(small: dict[str, np.ndarray], tmp_path: Path) -> Iterator[str]:
    """A server on loopback that has the files; one of them is cut short."""
    folder = tmp_path / "origin"
    folder.mkdir()
    for name, array in small.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_files_are_read_plain_and_gzipped(small: dict[str, np.ndarray], tmp_path: Path) -> None:
    for index, (name, array) in enumerate(small.items()):
        if index % 2:
            (tmp_path / name).write_bytes(idx(array))
        else:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    (x_train, y_train), (x_test, y_test) = mnist.load_data(tmp_path)
    for got, name in zip((x_train, y_train, x_test, y_test), small, strict=True):
        np.testing.assert_array_equal(got, small[name])
        assert got.dtype == np.uint8


def test_absent_files_are_downloaded_once(
    small: dict[str, np.ndarray], origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEAGLE_MNIST_ORIGIN", origin)
    (x_train, _), _ = mnist.load_data(tmp_path / "data")
    np.testing.assert_array_equal(x_train, small["train-images-idx3-ubyte"])
    monkeypatch.setenv("BEAGLE_MNIST_ORIGIN", "http://127.0.0.1:9/")  # nobody listens there
    mnist.load_data(tmp_path / "data")


def test_without_a_network_the_error_says_where_to_put_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEAGLE_MNIST_ORIGIN", "http://127.0.0.1:9/")
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:9.*train-images-idx3-ubyte\.gz"):
        mnist.load_data(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_download_leaves_an_error_that_names_the_file(small: dict[str, np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(small["train-images-idx3-ubyte"]))[:50])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is damaged"):
        mnist.load_data(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "expected unsigned bytes"),
        (b"\0\0\x08\x02\0\0\0\x01", "ends within its header"),
        (b"\0\0\x08\x01\0\0\0\x05abc", "needs 5 bytes, got 3"),
    ],
)
def test_what_is_no_idx_file_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mnist.read_idx(content, "file")


def test_augmentation_is_a_function_of_its_generator_and_keeps_the_range() -> None:
    images = np.random.default_rng(0).integers(0, 256, (16, 28, 28)).astype(np.float32)
    first = augment(images, np.random.default_rng(5), Ranges())
    again = augment(images, np.random.default_rng(5), Ranges())
    np.testing.assert_array_equal(first, again)
    assert first.shape == images.shape
    assert first.min() >= 0
    assert first.max() <= 255
    assert not np.array_equal(first, augment(images, np.random.default_rng(6), Ranges()))


def test_augmentation_by_nothing_changes_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28)).astype(np.float32)
    np.testing.assert_allclose(augment(images, np.random.default_rng(0), Ranges().scaled(0)), images, atol=0.1)
