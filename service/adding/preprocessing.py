"""How pixels become a model's input: keras.applications' modes, and a guess which of them a model file wants."""

from __future__ import annotations

from typing import Any, Literal

from service.adding.decision import Decision
from service.adding.evidence import Evidence
from service.adding.order import AddError
from service.architectures import Preprocessing, read_preprocessing

Color = Literal["rgb", "bgr", "grey"]

FLAG = "--preprocess"
SMALL = 64
"""Images up to this width are those of teaching data sets, whose pixels are usually divided by 255."""

MODE_OF_NAME = (
    dict.fromkeys(("resnet_50", "resnet_101", "resnet_152", "vgg_16", "vgg_19"), "caffe")
    | dict.fromkeys(("densenet", "densenet_121", "densenet_169", "densenet_201"), "torch")
    | dict.fromkeys(("resnet_50_v2", "resnet_101_v2", "resnet_152_v2", "mobilenet", "mobilenet_v2"), "tf")
    | dict.fromkeys(("xception", "inception_v3", "inception_resnet_v2", "nasnet", "nasnet_mobile"), "tf")
    | dict.fromkeys(("efficientnet", "efficientnet_v2", "mobilenet_v3", "convnext"), "none")
)
"""What the networks of keras.applications were trained with."""

_MODE_OF_WRITER = {
    "torch": ("torch", "PyTorch's networks take ImageNet's mean and deviation"),
    "mxnet": ("torch", "MXNet's networks take ImageNet's mean and deviation"),
    "paddle": ("torch", "Paddle's networks take ImageNet's mean and deviation"),
    "caffe": ("caffe", "Caffe's networks take BGR without ImageNet's mean"),
}
_MODE_OF_RANGE = {"NominalRange_0_255": "none", "Normalized_0_1": "scale", "Normalized_1_1": "tf"}
_COLOR_OF_FORMAT = {"Bgr8": "bgr", "Rgb8": "rgb", "Gray8": "grey"}
_SCALES = {"none": (), "scale": (255.0,)}


def guess_mode(asked: str | None, evidence: Evidence) -> Decision:
    """Which mode a model file wants, from the surest evidence there is.

    Raises:
        AddError: the user asks for a mode of three channels, and the model takes one.
    """
    if asked is not None:
        if asked in ("caffe", "torch") and evidence.channels == 1:
            raise AddError(f"{FLAG} {asked} is for images in colour, but the model takes grey ones")
        return Decision("preprocessing", asked, "as asked")
    mode, reason = _guess(evidence)
    if evidence.channels == 1 and mode in ("caffe", "torch"):
        mode, reason = "scale", "grey images"
    return Decision("preprocessing", mode, reason, FLAG)


def _guess(evidence: Evidence) -> tuple[str, str]:
    if evidence.rescales:
        return "none", f"its {evidence.rescales} in front scales pixels"
    if evidence.whole_numbers:
        return "none", "its input takes whole numbers"
    range_ = evidence.metadata.get("Image.NominalPixelRange", "")
    if range_ in _MODE_OF_RANGE:
        return _MODE_OF_RANGE[range_], f"the file says Image.NominalPixelRange = {range_}"
    written = next((guess for writer, guess in _MODE_OF_WRITER.items() if writer in evidence.written_by), None)
    if written and max(evidence.size) > SMALL:
        return written
    name = evidence.is_called(*MODE_OF_NAME)
    if name and evidence.from_keras:
        return MODE_OF_NAME[name], f"it is called as keras.applications' {name.replace('_', '')}"
    if evidence.fitting:
        return evidence.fitting, "the statistics of its first batch normalisation fit that best"
    if max(evidence.size) <= SMALL:
        return "scale", f"small images of {evidence.size[0]}x{evidence.size[1]}"
    if evidence.from_keras:
        return "tf", "nothing tells; usual for Keras's networks"
    return "torch", "nothing tells; usual for ONNX files"


def guess_color(asked: str | None, mode: str, evidence: Evidence) -> Decision:
    """Which order of channels a model file wants.

    Raises:
        AddError: the user asks for a colour that the model has too many or too few channels for.
    """
    if asked is not None:
        if (asked == "grey") != (evidence.channels == 1):
            raise AddError(f"--color {asked} does not fit: the model takes {evidence.channels} channels")
        return Decision("colour", asked, "as asked")
    if evidence.channels == 1:
        return Decision("colour", "grey", "the model takes one channel")
    form = evidence.metadata.get("Image.BitmapPixelFormat", "")
    if _COLOR_OF_FORMAT.get(form, "grey") != "grey":
        return Decision("colour", _COLOR_OF_FORMAT[form], f"the file says Image.BitmapPixelFormat = {form}", "--color")
    if mode == "caffe":
        return Decision("colour", "bgr", "caffe's order", "--color")
    return Decision("colour", "rgb", "usual for three channels", "--color")


def preprocessing_of(mode: str, color: Color) -> Preprocessing:
    """The numbers of a mode; `caffe` and `torch` have one for each channel, in the order of the colours."""
    if mode in _SCALES:
        return Preprocessing(color, (), _SCALES[mode])
    from engine.applications.imagenet_utils import preprocess_input

    def preprocess(x: Any) -> Any:
        return preprocess_input(x, data_format="channels_last", mode=mode)

    known = read_preprocessing(preprocess)
    step = 1 if known.color == color or color == "grey" else -1
    return Preprocessing(color, known.mean[::step], known.std[::step])
