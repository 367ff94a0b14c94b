"""A model's input as the service feeds it: one batch of images (n, height, width, channels) of a fixed size."""

from __future__ import annotations

from typing import Any

from service.adding.decision import Decision
from service.adding.order import AddError
from service.repository import MAX_SIDE

DEFAULT_SIDE = 224
FLAG = "--size"
_CHANNELS = (1, 3)

Shape = tuple[int | None, ...]


def with_image_input(model: Any, size: tuple[int, int] | None, color: str | None) -> tuple[Any, Decision]:
    """The model with such an input, and what was settled about its size.

    Channels first, no axis of channels (grey, square) and free sizes are brought into that form by layers in front.

    Args:
        model: As it was loaded.
        size: Width and height that the user asks for. color: Which colours the user asks for.

    Raises:
        AddError: it takes no image, several inputs, or images of another size.
    """
    inputs = getattr(model, "inputs", None) or ()
    if len(inputs) > 1:
        listed = ", ".join(f"{_name(value)} {_text(value.shape)}" for value in inputs)
        raise AddError(f"expected a model with one image input, but it has {len(inputs)}: {listed}")
    shape: Shape = tuple(inputs[0].shape) if inputs else (None, None, None, None)
    if not inputs and size is None:
        raise AddError(f"the file does not say what the model takes; {FLAG} does")
    layout, (height, width, channels) = _read(shape, size)
    if channels is None:
        channels = 1 if color == "grey" else 3
    (width, height), decision = _settle(size, (width, height))
    dtype = str(inputs[0].dtype) if inputs else "float32"
    if inputs and layout == "last" and shape == (None, height, width, channels) and dtype == "float32":
        return model, decision
    return _wrapped(model, layout, (height, width, channels), dtype, shape[0]), decision


def _read(shape: Shape, size: tuple[int, int] | None) -> tuple[str, Shape]:
    """How the axes lie, and (height, width, channels)."""
    if len(shape) == 4:
        _, first, middle, last = shape
        if last in _CHANNELS or (last is None and first not in _CHANNELS):
            return "last", (first, middle, last)
        if first in _CHANNELS:
            return "first", (middle, last, first)
    elif len(shape) == 3 and shape[1] is not None and (1 != shape[1] == shape[2] or size == (shape[2], shape[1])):
        return "none", (shape[1], shape[2], 1)
    elif len(shape) == 2 and size is not None:
        for channels in _CHANNELS:
            if shape[1] == size[0] * size[1] * channels:
                return "flat", (size[1], size[0], channels)
    hint = f"; where that is an image in one row, {FLAG} says of which size" if len(shape) == 2 else ""
    raise AddError(
        "expected a model that takes images (batch, height, width, 1 or 3 channels), but its input has the shape "
        f"{_text(shape)}{hint}"
    )


def _settle(asked: tuple[int, int] | None, own: tuple[int | None, int | None]) -> tuple[tuple[int, int], Decision]:
    """Width and height, and whose they are: the file's, else the user's, else the usual ones."""
    wanted = asked or (DEFAULT_SIDE, DEFAULT_SIDE)
    size = (own[0] or wanted[0], own[1] or wanted[1])
    text = f"{size[0]}x{size[1]}"
    if asked is not None and size != asked:
        sides = "x".join("any" if side is None else str(side) for side in own)
        raise AddError(f"{FLAG} {asked[0]}x{asked[1]} does not fit: the file says {sides}; leave {FLAG} out")
    if max(size) > MAX_SIDE:
        raise AddError(f"expected images of up to {MAX_SIDE} pixels a side, but the file says {text}")
    if None not in own:
        return size, Decision("input size", text, "from the file")
    if asked is not None:
        return size, Decision("input size", text, "as asked")
    return size, Decision("input size", text, "the file leaves it free, and it is usual", FLAG)


def _wrapped(model: Any, layout: str, shape: tuple[int, int, int], dtype: str, batch: int | None) -> Any:
    """The model behind an input of this shape, for any batch, though its own may be for `batch` alone."""
    from engine import Input, Model, layers

    images = Input(shape, name="images")
    x = images
    if layout == "first":
        x = layers.Permute((3, 1, 2))(x)
    elif layout == "none":
        x = layers.Reshape(shape[:2])(x)
    elif layout == "flat":
        x = layers.Flatten()(x)
    if dtype not in ("float32", "float16", "bfloat16", "float64"):
        x = layers.Rescaling(1.0, dtype="float32")(x)  # the file's integers are the same numbers
    try:
        return Model(images, model(x), name=getattr(model, "name", None))
    except ValueError as error:
        if batch is None:
            raise
        raise AddError(f"it is made for batches of {batch} alone; export it for any batch") from error


def _name(value: Any) -> str:
    return str(getattr(value, "name", "?"))


def _text(shape: Shape) -> str:
    return "(" + ", ".join("any" if length is None else str(length) for length in shape) + ")"
