"""ONNX files that lie, lead elsewhere or ask for too much: refused by name, in bounded time and memory.

| What | Where |
|---|---|
| external data: absolute, `../`, link, device, pipe, offset out of range | here |
| cycles, order, doubled names, missing inputs, calls of themselves | here |
| nested branches, attributes and shapes of gigantic numbers, claims | here |
| constants that grow while the file is read, tables of gigantic axes | here |
| many nodes, inputs and outputs | here |
| zip bombs, traversal, HDF5 links, virtual datasets, storage elsewhere | tests/engine/saving/test_damaged_files.py |
| links in folders, pipes | tests/engine/saving/test_archive_places.py |
| lambdas, foreign modules, TorchModuleWrapper, TFSMLayer | tests/engine/saving/test_hostile_configs.py |
| everything, changed at random | tests/engine/fuzz |
"""

from __future__ import annotations

import contextlib
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from engine.inspection import inspect_file
from engine.models import load_model
from engine.onnx.reading import network
from tests.engine.onnx.graphs import graph

MEBIBYTE = 1 << 20
_node = helper.make_node


def _integers(*numbers: int) -> np.ndarray:
    return np.asarray(numbers, np.int64)


def _saved(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def _with_external(location: str, folder: Path, **entries: str) -> Path:
    model = graph([_node("Add", ["x", "c"], ["y"])], {"x": ["N", 4]}, ["y"], {"c": np.zeros(4, np.float32)})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)
    return _saved(model, folder / "m.onnx")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/etc/hostname", "expected a file beside the model"),
        ("../secret", "outside the model's folder"),
        ("sub/../../secret", "outside the model's folder"),
        ("link", "outside the model's folder"),
        ("device", "outside the model's folder"),
        ("pipe", "is not there"),
        (".", "is not there"),
        ("", "expected a file beside the model"),
        ("a\0b", "expected a file beside the model"),
        ("absent", "is not there"),
    ],
)
def test_external_data_lie_in_files_of_the_models_folder(location: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(64))
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "device").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    path = _with_external(location, folder)
    with pytest.raises(ValueError, match=rf"m\.onnx.*{said}"):
        load_model(path)
    assert inspect_file(path).problems


@pytest.mark.parametrize("entries", [{"offset": str(1 << 63)}, {"offset": "-1"}, {"offset": "8"}, {"length": "15"}])
def test_external_data_lie_inside_their_file(entries: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(16))
    with pytest.raises(ValueError, match=r"m\.onnx.*do not fit"):
        load_model(_with_external("data", tmp_path, **entries))


def _branches(depth: int) -> onnx.ModelProto:
    """Branches in branches."""
    body = helper.make_graph([_node("Relu", ["x"], ["r"])], "b", [], [onnx.ValueInfoProto(name="r")])
    for number in range(depth):
        node = _node("If", ["c"], [f"o{number}"], then_branch=body, else_branch=body)
        next(item for item in node.attribute if item.name == "else_branch").g.Clear()
        body = helper.make_graph([node], "b", [], [onnx.ValueInfoProto(name=f"o{number}")])
    return graph(list(body.node), {"x": ["N", 3]}, [body.output[0].name], {"c": np.asarray(True)})


def _recursive() -> onnx.ModelProto:
    model = graph([_node("F", ["x"], ["y"], domain="own")], {"x": ["N", 3]}, ["y"])
    inner = [_node("F", ["a"], ["b"], domain="own")]
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    model.functions.append(helper.make_function("own", "F", ["a"], ["b"], inner, sets))
    model.opset_import.add(domain="own", version=1)
    return model


def _claiming() -> onnx.ModelProto:
    model = graph([_node("Add", ["x", "c"], ["y"])], {"x": ["N", 4]}, ["y"], {"c": np.zeros(4, np.float32)})
    model.graph.initializer[0].dims[:] = [1 << 40, 1 << 40]
    return model


def _one(node: onnx.NodeProto, shape: list, **constants: np.ndarray) -> Callable[[], onnx.ModelProto]:
    return lambda: graph([node], {"x": shape}, ["y"], constants)


_KERNEL = np.ones((2, 3, 3, 3), np.float32)
_IMAGE = ["N", 3, 8, 8]

HOSTILE: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "a cycle": (
        lambda: graph([_node("Add", ["x", "b"], ["a"]), _node("Relu", ["a"], ["b"])], {"x": ["N", 3]}, ["b"]),
        "cycle",
    ),
    "nodes out of order": (
        lambda: graph([_node("Relu", ["a"], ["y"]), _node("Relu", ["x"], ["a"])], {"x": ["N", 3]}, ["y"]),
        "out of order",
    ),
    "a name for two values": (
        lambda: graph([_node("Relu", ["x"], ["y"]), _node("Abs", ["x"], ["y"])], {"x": ["N", 3]}, ["y"]),
        "twice",
    ),
    "a missing input": (_one(_node("Relu", [], ["y"]), ["N", 3]), "y"),
    "too few inputs of a pattern": (_one(_node("Mul", ["x"], ["y"]), ["N", 3]), "Mul 'y'"),
    "an output that nothing makes": (lambda: graph([], {"x": ["N", 3]}, ["y"]), "'y'"),
    "a function that calls itself": (_recursive, "'own'|recurs|itself"),
    "a negative length": (_one(_node("Relu", ["x"], ["y"]), ["N", -5]), "length of -5"),
    "a tensor that claims more than it brings": (_claiming, "brings 16"),
    "a flattened image of gigabytes": (
        lambda: graph(
            [_node("Conv", ["x", "w"], ["c"], pads=[1] * 4), _node("Flatten", ["c"], ["y"])],
            {"x": ["N", 3, 20_000, 20_000]},
            ["y"],
            {"w": _KERNEL},
        ),
        "table of 800000000 places",
    ),
    "a mask of gigabytes": (_one(_node("Trilu", ["x"], ["y"]), ["N", 10**5, 10**5]), "too large"),
    "a window over more channels than any": (_one(_node("LRN", ["x"], ["y"], size=1 << 40), _IMAGE), "from 1 to 1024"),
    "constants that grow together": (
        lambda: graph(
            [
                *(_node("ConstantOfShape", ["s"], [f"c{number}"]) for number in range(99)),
                _node("Sum", ["x", *(f"c{number}" for number in range(99))], ["y"]),
            ],
            {"x": ["N", 3]},
            ["y"],
            {"s": _integers(50_000_000)},
        ),
        "are left",
    ),
    "a constant that doubles": (
        lambda: graph(
            [
                *(_node("Concat", [f"c{n}"] * 2, [f"c{n + 1}"], axis=0) for n in range(60)),
                _node("Add", ["x", "c60"], ["y"]),
            ],
            {"x": ["N", 3]},
            ["y"],
            {"c0": np.zeros(2, np.float32)},
        ),
        "are allowed|are left",
    ),
    "a constant repeated": (
        lambda: graph(
            [_node("Tile", ["c", "r"], ["d"]), _node("Add", ["x", "d"], ["y"])],
            {"x": ["N", 3]},
            ["y"],
            {"c": np.zeros((1, 3), np.float32), "r": _integers(1, 10**10)},
        ),
        "120000000000 bytes",
    ),
    "a layer without weights for it": (
        _one(_node("Gemm", ["x", "w"], ["y"]), ["N", 10**12], w=np.eye(3, dtype=np.float32)),
        "takes",
    ),
    "thousands of outputs": (
        lambda: graph([_node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, ["y"] * 1001),
        "1001 outputs",
    ),
    "thousands of inputs": (
        lambda: graph([_node("Relu", ["x0"], ["y"])], {f"x{number}": ["N", 3] for number in range(1001)}, ["y"]),
        "1001 inputs",
    ),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_graph_is_refused(hostile: str, tmp_path: Path) -> None:
    make, said = HOSTILE[hostile]
    path = _saved(make(), tmp_path / "m.onnx")
    inspect_file(path)
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, TypeError), match=rf"(?s)m\.onnx.*({said})"):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 640 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_a_graph_of_very_many_nodes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "NODES_LIMIT", 100)
    nodes = [_node("Relu", [f"x{number}"], [f"x{number + 1}"]) for number in range(101)]
    with pytest.raises(ValueError, match=r"m\.onnx.*101 nodes; 100 are supported"):
        load_model(_saved(graph(nodes, {"x0": ["N", 3]}, ["x101"]), tmp_path / "m.onnx"))


GIGANTIC: dict[str, Callable[[], onnx.ModelProto]] = {
    "lengths whose product overflows": _one(_node("Flatten", ["x"], ["y"]), [1 << 62] * 4),
    "attributes of 2^31": _one(
        _node("Conv", ["x", "w"], ["y"], pads=[1 << 31] * 4, dilations=[1 << 31] * 2), _IMAGE, w=_KERNEL
    ),
    "attributes of 2^62": _one(_node("MaxPool", ["x"], ["y"], kernel_shape=[1 << 62] * 2), _IMAGE),
    "an image interpolated": _one(
        _node("Resize", ["x", "", "s"], ["y"], mode="linear"),
        ["N", 3, 10**9, 10**9],
        s=np.asarray([1, 1, 0.5, 0.5], np.float32),
    ),
    "a vector padded": _one(_node("Pad", ["x", "p"], ["y"]), ["N", 3], p=_integers(0, 10**12, 0, 10**12)),
    "a vector repeated": _one(_node("Tile", ["x", "r"], ["y"]), ["N", 3], r=_integers(1, 10**12)),
    "a vector expanded": _one(_node("Expand", ["x", "s"], ["y"]), ["N", 1], s=_integers(1, 10**12)),
    "classes by number": _one(
        _node("OneHot", ["x", "d", "v"], ["y"]), ["N", 3], d=_integers(10**12), v=np.asarray([0, 1], np.float32)
    ),
    "a long sequence": _one(
        _node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2),
        [10**9, "N", 3],
        w=np.zeros((1, 8, 3), np.float32),
        r=np.zeros((1, 8, 2), np.float32),
    ),
    "branches in branches": lambda: _branches(15),
}


@pytest.mark.parametrize("gigantic", GIGANTIC)
def test_gigantic_shapes_without_weights_take_no_memory(gigantic: str, tmp_path: Path) -> None:
    path = _saved(GIGANTIC[gigantic](), tmp_path / "m.onnx")
    tracemalloc.start()
    try:
        with contextlib.suppress(ValueError):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 20 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_branches_in_branches_are_taken(tmp_path: Path) -> None:
    assert load_model(_saved(_branches(5), tmp_path / "m.onnx")).output_shape == (None, 3)


def test_products_of_constants_are_bounded(tmp_path: Path) -> None:
    nodes = [_node("MatMul", ["a", "b"], ["c"]), _node("MatMul", ["c", "c"], ["d"]), _node("Add", ["x", "d"], ["y"])]
    vector = np.zeros((5000, 1), np.float32)
    model = graph(nodes, {"x": ["N", 3]}, ["y"], {"a": vector, "b": vector.T})
    with pytest.raises(ValueError, match=r"m\.onnx.*multiplies constants 125000000000 times"):
        load_model(_saved(model, tmp_path / "m.onnx"))


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = _saved(graph([_node("Relu", ["x"], ["LongName"])], {"x": ["N", 3]}, ["LongName"]), tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes().replace(b"LongName", b"\xff\xfengName"))
    for read in (load_model, inspect_file):
        with pytest.raises(ValueError, match=r"m\.onnx.*no UTF-8"):
            read(path)


def test_unknown_types_of_tensors_are_inspected(tmp_path: Path) -> None:
    model = graph([_node("Add", ["x", "c"], ["y"])], {"x": ["N", 4]}, ["y"], {"c": np.zeros(4, np.float32)})
    model.graph.initializer[0].data_type = 1000
    path = _saved(model, tmp_path / "m.onnx")
    assert inspect_file(path).parts
    with pytest.raises(ValueError, match="holds 1000"):
        load_model(path)
