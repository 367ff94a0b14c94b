"""What Keras publishes for its applications: files of ImageNet weights and the names of the classes, kept in the cache.

Files and checksums are those that Keras 3.15.1 names; for the MobileNets it names no checksums.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from engine.utils.files import get_file

ORIGIN = "https://storage.googleapis.com"
"""Where the files are fetched from; `BEAGLE_WEIGHTS_URL` names another place with the same paths below it."""
CACHE_FOLDER = "models"

_WEIGHTS = "tensorflow/keras-applications"


class WeightsFile(NamedTuple):
    """One file.

    Attributes:
        path: below the origin.
        md5: of its bytes, in hexadecimal; None: not published.
    """

    path: str
    md5: str | None

    @property
    def name(self) -> str:
        """The file's name, which it has in the cache as well."""
        return self.path.rpartition("/")[2]


CLASS_INDEX = WeightsFile("download.tensorflow.org/data/imagenet_class_index.json", "c2c37ea517e94d9795004a39431a14cb")

# By architecture: the folder, then the MD5 with and without the top.
_FILES = {
    "densenet121": ("densenet", "9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    "densenet169": ("densenet", "d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "densenet201": ("densenet", "1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
    "inception_v3": ("inception_v3", "9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"),
    "resnet50": ("resnet", "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101": ("resnet", "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152": ("resnet", "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet50v2": ("resnet", "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    "resnet101v2": ("resnet", "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152v2": ("resnet", "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
    "vgg16": ("vgg16", "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": ("vgg19", "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"),
    "xception": ("xception", "0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97"),
}


def weights_files(architecture: str) -> tuple[WeightsFile, WeightsFile]:
    """The files of an architecture, with and without the top."""
    folder, top, no_top = _FILES[architecture]
    stem = f"{_WEIGHTS}/{folder}/{architecture}_weights_tf_dim_ordering_tf_kernels"
    return WeightsFile(f"{stem}.h5", top), WeightsFile(f"{stem}_notop.h5", no_top)


def mobilenet_files(version: int, alpha: float, size: int) -> tuple[WeightsFile, WeightsFile]:
    """The files of MobileNet 1 or 2 of a width and an image size, with and without the top."""
    if version == 1:
        whole, tenths = divmod(round(alpha * 100), 100)
        width = f"{whole}_0" if whole else f"{tenths // 10}_{tenths % 10}"
        stem = f"{_WEIGHTS}/mobilenet/mobilenet_{width}_{size}_tf"
    else:
        stem = f"{_WEIGHTS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{size}"
    return WeightsFile(f"{stem}.h5", None), WeightsFile(f"{stem}_no_top.h5", None)


def fetch(file: WeightsFile) -> str:
    """The local path of a file, downloaded on first use.

    Raises:
        ConnectionError: it cannot be fetched; names the address and where to put the file by hand.
        ValueError: its bytes are not those expected.
    """
    origin = os.environ.get("BEAGLE_WEIGHTS_URL", ORIGIN).rstrip("/")
    return get_file(file.name, f"{origin}/{file.path}", file_hash=file.md5, cache_subdir=CACHE_FOLDER)
