"""Published weights: the files that Keras fetches, from a server on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from engine import applications
from engine.applications import architecture, published
from engine.applications.published import WeightsFile
from tests.engine.applications.structures import FIXTURE
from tests.engine.saving.legacy_files import weights_of, write_layers
from tests.engine.utils.file_server import FileServer, serving

SMALL: dict[str, Any] = {"input_shape": (128, 128, 3), "alpha": 0.25}


def contents(model: Any, path: Path) -> bytes:
    """A model's weights as they are published: a weights file of Keras 2."""
    with h5py.File(path, "w") as file:
        write_layers(file, weights_of(model))
    return path.read_bytes()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """A server that has one file under every name, in place of the real one, and an empty cache."""
    monkeypatch.setenv("BEAGLE_HOME", str(tmp_path / "home"))
    with serving(b"") as file:
        monkeypatch.setenv("BEAGLE_WEIGHTS_URL", file.url.rpartition("/files")[0])
        yield file


@pytest.mark.parametrize(
    ("function", "arguments", "url", "md5"),
    json.loads(FIXTURE.read_text(encoding="utf-8"))["files"],
    ids=lambda item: item if isinstance(item, str) else None,
)
@pytest.mark.filterwarnings("ignore:Weights are published")
def test_the_files_are_those_that_keras_fetches(
    function: str, arguments: dict[str, Any], url: str, md5: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[WeightsFile] = []

    def fetch(file: WeightsFile) -> str:
        asked.append(file)
        raise ConnectionError("far enough")

    monkeypatch.setattr(architecture, "fetch", fetch)
    with pytest.raises(ConnectionError):
        getattr(applications, function)(weights="imagenet", **arguments)
    assert [(f"{published.ORIGIN}/{file.path}", file.md5) for file in asked] == [(url, md5)]


@pytest.mark.parametrize("include_top", [True, False])
def test_imagenet_weights_are_fetched_once_and_kept(include_top: bool, server: FileServer, tmp_path: Path) -> None:
    model = applications.MobileNet(weights=None, include_top=include_top, **SMALL)
    server.content = contents(model, tmp_path / "published.h5")
    first = applications.MobileNet(include_top=include_top, **SMALL)
    second = applications.MobileNet(include_top=include_top, **SMALL)
    assert len(server.requests) == 1
    kept = "mobilenet_2_5_128_tf.h5" if include_top else "mobilenet_2_5_128_tf_no_top.h5"
    assert [path.name for path in (tmp_path / "home" / "models").iterdir()] == [kept]
    for loaded in (first, second):
        for received, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(received, expected)


def test_a_file_with_another_checksum_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.content = b"something else"
    with pytest.raises(ValueError, match="MD5 is not 4d473c1dd8becc155b73f8504c6f6626"):
        applications.ResNet50(include_top=False)
    assert not list((tmp_path / "home" / "models").glob("*.h5"))


def test_a_file_that_is_not_there_names_its_address(server: FileServer) -> None:
    server.status = 404
    with pytest.raises(ConnectionError, match=r"vgg16/vgg16_weights_tf_dim_ordering_tf_kernels\.h5.*404"):
        applications.VGG16()


def test_without_a_network_the_error_says_where_to_put_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BEAGLE_HOME", str(tmp_path))
    with serving(b"") as gone:
        monkeypatch.setenv("BEAGLE_WEIGHTS_URL", gone.url.rpartition("/files")[0])
    place = tmp_path / "models" / "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with pytest.raises(ConnectionError, match=f"put the file at {place}"):
        applications.Xception(include_top=False)


def test_a_file_put_there_by_hand_needs_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BEAGLE_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    model = applications.MobileNet(weights=None, include_top=False, **SMALL)
    contents(model, tmp_path / "models" / "mobilenet_2_5_128_tf_no_top.h5")
    loaded = applications.MobileNet(include_top=False, **SMALL)
    np.testing.assert_array_equal(loaded.get_weights()[-1], model.get_weights()[-1])


def test_class_names_are_fetched_once_and_checked(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from engine.applications import imagenet_utils

    classes = {str(number): [f"n{number:08}", f"thing_{number}"] for number in range(1000)}
    server.content = json.dumps(classes).encode()
    scores = np.linspace(0, 1, 2000, dtype=np.float32).reshape(2, 1000)
    imagenet_utils.class_index.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"imagenet_class_index\.json does not hold the file expected"):
            imagenet_utils.decode_predictions(scores)
        known = WeightsFile(imagenet_utils.CLASS_INDEX.path, hashlib.md5(server.content).hexdigest())
        monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", known)
        rows = imagenet_utils.decode_predictions(scores, top=2)
        assert [[item[:2] for item in row] for row in rows] == [
            [("n00000999", "thing_999"), ("n00000998", "thing_998")]
        ] * 2
        asked = len(server.requests)
        assert imagenet_utils.decode_predictions(scores, top=1)[1][0][2] == 1.0
        assert len(server.requests) == asked
    finally:
        imagenet_utils.class_index.cache_clear()
