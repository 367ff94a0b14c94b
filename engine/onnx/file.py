"""An ONNX file as a message, and its tensors as arrays: opened with suspicion.

Tensors may lie in files beside the model, never outside its folder. What a tensor claims is compared with what it
brings before anything is allocated.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.dtypes import BFLOAT16
from engine.onnx.package import onnx_package

MESSAGE_LIMIT = 2 << 30
"""Bytes above which protocol buffers cannot be read at all."""
OLDEST_OPSET, NEWEST_OPSET = 7, 21
"""The versions of ONNX's operators that the reader knows; newer files are read where operators kept their meaning."""

_EXTERNAL = 1  # TensorProto.DataLocation
_STRING = 8  # TensorProto.DataType


def read_message(path: Path) -> Any:
    """The ModelProto in a file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is no ONNX file, or too large for one.
    """
    onnx = onnx_package()
    if not path.is_file():
        raise FileNotFoundError(f"There is no ONNX file at {str(path)!r}.")
    if path.stat().st_size > MESSAGE_LIMIT:
        raise ValueError(f"{str(path)!r} has {path.stat().st_size} bytes; an ONNX file has {MESSAGE_LIMIT} at most.")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError has no public base
        raise ValueError(f"{str(path)!r} is no readable ONNX file: {error}. It may be truncated.") from None
    if not model.ir_version or not model.opset_import or not model.HasField("graph"):
        raise ValueError(f"{str(path)!r} is no ONNX model: it has no graph, no version or no operator sets.")
    unreadable = next((text for text in _texts(model) if isinstance(text, bytes)), None)
    if unreadable is not None:
        raise ValueError(f"{str(path)!r} has a name that is no UTF-8: {unreadable!r:.100}. It may be damaged.")
    return model


def _texts(model: Any) -> Iterator[Any]:
    """The names in a model, which protobuf gives as bytes where they are no UTF-8."""
    graph = model.graph
    yield from (model.producer_name, model.producer_version, graph.name)
    for entry in (*model.opset_import, *model.metadata_props):
        yield from (entry.domain,) if hasattr(entry, "domain") else (entry.key, entry.value)
    for item in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        yield item.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)


def opsets(model: Any) -> dict[str, int]:
    """The version of each operator set that a model uses; the standard one is called "".

    Raises:
        ValueError: there is no such version of the standard one, or a set has two.
    """
    newest = onnx_package().defs.onnx_opset_version()
    found: dict[str, int] = {}
    for item in model.opset_import:
        domain, version = ("" if item.domain == "ai.onnx" else item.domain), int(item.version)
        if found.setdefault(domain, version) != version:
            raise ValueError(f"the file declares the versions {found[domain]} and {version} of operator set {domain!r}")
        if not domain and not 1 <= version <= newest:
            raise ValueError(f"the file declares version {version} of ONNX's operators; 1 to {newest} are known")
    return found


def dtype_of(element_type: int, name: str) -> np.dtype[Any]:
    """The dtype of ONNX's element type.

    Raises:
        ValueError: strings, complex numbers, or types of fewer than eight bits.
    """
    onnx = onnx_package()
    kinds = onnx.TensorProto
    known = {
        kinds.FLOAT: np.float32, kinds.DOUBLE: np.float64, kinds.FLOAT16: np.float16, kinds.INT8: np.int8,
        kinds.INT16: np.int16, kinds.INT32: np.int32, kinds.INT64: np.int64, kinds.UINT8: np.uint8,
        kinds.UINT16: np.uint16, kinds.UINT32: np.uint32, kinds.UINT64: np.uint64, kinds.BOOL: np.bool_,
        kinds.BFLOAT16: BFLOAT16,
    }  # fmt: skip
    if element_type not in known:
        names = {number: text for text, number in kinds.DataType.items()}
        raise ValueError(f"tensor {name!r} holds {names.get(element_type, element_type)}, which is not supported")
    return np.dtype(known[element_type])


def read_tensor(tensor: Any, folder: Path | None) -> NDArray[Any]:
    """The values of a TensorProto.

    Args:
        folder: where the model's file lies: external data are read from it alone. None: there are none.

    Raises:
        ValueError: it claims other data than it brings, points outside the folder, or has an unsupported dtype.
    """
    name = tensor.name
    shape = tuple(int(length) for length in tensor.dims)
    if tensor.data_type == _STRING:
        if len(tensor.string_data) != math.prod(shape):
            raise ValueError(f"tensor {name!r} of shape {shape} brings {len(tensor.string_data)} texts")
        return np.asarray([item.decode("utf-8", "replace") for item in tensor.string_data], dtype=str).reshape(shape)
    dtype = dtype_of(tensor.data_type, name)
    if any(length < 0 for length in shape):
        raise ValueError(f"tensor {name!r} has a negative length: {shape}")
    size = math.prod(shape) * dtype.itemsize
    if tensor.data_location == _EXTERNAL:
        return _external(tensor, folder, shape, dtype, size)
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != size:
            raise ValueError(f"tensor {name!r} of shape {shape} takes {size} bytes and brings {len(tensor.raw_data)}")
        return _from_bytes(tensor.raw_data, shape, dtype)
    fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
    brought = max(len(getattr(tensor, field)) for field in fields)
    if brought != math.prod(shape):
        raise ValueError(f"tensor {name!r} of shape {shape} takes {math.prod(shape)} numbers and brings {brought}")
    onnx = onnx_package()
    return np.asarray(onnx.numpy_helper.to_array(tensor)).astype(dtype, copy=False).reshape(shape)


def external_location(tensor: Any, folder: Path | None) -> Path:
    """The file that holds an external tensor.

    Raises:
        ValueError: it lies outside the model's folder (links followed), or is missing.
    """
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    if folder is None or not location or "\0" in location or os.path.isabs(location):
        raise ValueError(f"tensor {tensor.name!r} takes its values from {location!r}; expected a file beside the model")
    root = Path(os.path.realpath(folder))
    path = Path(os.path.realpath(root / location))
    if not path.is_relative_to(root):
        raise ValueError(f"tensor {tensor.name!r} takes its values from {location!r}, outside the model's folder")
    if not path.is_file():
        raise ValueError(f"tensor {tensor.name!r} takes its values from {location!r}, which is not there")
    return path


def _external(
    tensor: Any, folder: Path | None, shape: tuple[int, ...], dtype: np.dtype[Any], size: int
) -> NDArray[Any]:
    path = external_location(tensor, folder)
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or size)
    except ValueError:
        raise ValueError(f"tensor {tensor.name!r}: offset and length of external data must be numbers") from None
    available = path.stat().st_size
    if length != size or offset < 0 or offset + size > available:
        raise ValueError(
            f"tensor {tensor.name!r} of shape {shape} takes {size} bytes; its {length} bytes from {offset} on do not "
            f"fit {path.name!r} of {available} bytes"
        )
    with path.open("rb") as stream:
        stream.seek(offset)
        return _from_bytes(stream.read(size), shape, dtype)


def _from_bytes(content: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    little = dtype.newbyteorder("<") if dtype.isbuiltin == 1 else dtype
    return np.frombuffer(content, little).reshape(shape).astype(dtype, copy=True)
