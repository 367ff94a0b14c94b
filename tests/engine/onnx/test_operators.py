"""What ONNX's node tests do not show of single operators: saving, folding, branches, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import engine
from engine import GradientTape, ops
from engine.layers import ReLU
from tests.engine.onnx.graphs import by_onnxruntime, graph, imported, run
from tests.engine.onnx.test_order_of_axes import CASES, KERNEL, SHAPE

node = helper.make_node
RNG = np.random.default_rng(7)


def _everything() -> Any:
    """One network of all the operators of another test, each with its own names."""
    nodes = [node("Conv", ["x", "w"], ["c"])]
    constants: dict[str, Any] = {"w": KERNEL}
    outputs = []
    for index, (case, held, _) in enumerate(CASES.values()):
        for item in case:
            copy = type(item).FromString(item.SerializeToString())
            copy.input[:] = [name if name in ("c", "") else f"{name}_{index}" for name in item.input]
            copy.output[:] = [f"{name}_{index}" for name in item.output]
            nodes.append(copy)
        constants.update({f"{name}_{index}": array for name, array in held.items()})
        outputs.append(f"y_{index}")
    return graph(nodes, {"x": ["N", *SHAPE[1:]]}, outputs, constants)


def test_a_network_of_many_operators_is_saved_and_loaded(tmp_path: Path) -> None:
    model = imported(_everything())
    x = RNG.normal(size=SHAPE).astype(np.float32)
    path = tmp_path / "imported.keras"
    model.save(path)
    loaded = engine.models.load_model(path)
    for before, after in zip(run(model, x), run(loaded, x), strict=True):
        np.testing.assert_array_equal(after, before)


def test_limits_are_a_relu_where_they_are_one() -> None:
    network = graph([node("Clip", ["x", "a", "b"], ["y"])], {"x": ["N", 5]}, ["y"], {
        "a": np.float32(0), "b": np.float32(6),
    })  # fmt: skip
    (layer,) = [item for item in imported(network).layers if isinstance(item, ReLU)]
    assert layer.max_value == 6


def test_constants_alone_are_computed_once_by_layers_too() -> None:
    rows = RNG.normal(size=(2, 3)).astype(np.float32)
    nodes = [node("Gemm", ["k", "w"], ["g"], alpha=2.0), node("Mul", ["g", "g"], ["h"]), node("Add", ["x", "h"], ["y"])]
    network = graph(nodes, {"x": ["N", 2]}, ["y"], {"k": rows[:1], "w": rows.T.copy()})
    x = RNG.normal(size=(4, 2)).astype(np.float32)
    np.testing.assert_allclose(run(imported(network), x)[0], by_onnxruntime(network, x)[0], rtol=1e-5)


def _branches(condition: Any) -> Any:
    value = helper.make_tensor_value_info
    then = helper.make_graph([node("Add", ["x", "k"], ["t"])], "then", [], [value("t", 1, None)])
    other = helper.make_graph([node("Mul", ["x", "k"], ["o"])], "else", [], [value("o", 1, None)])
    return graph(
        [node("If", ["flag"], ["z"], then_branch=then, else_branch=other), node("Neg", ["z"], ["y"])],
        {"x": ["N", 2]},
        ["y"],
        {"k": np.asarray([2, 3], np.float32), "flag": condition},
    )


@pytest.mark.parametrize("condition", [True, False])
def test_of_an_if_that_is_known_one_branch_stays(condition: bool) -> None:
    network = _branches(np.asarray(condition))
    x = RNG.normal(size=(3, 2)).astype(np.float32)
    np.testing.assert_allclose(run(imported(network), x)[0], by_onnxruntime(network, x)[0], rtol=1e-6)


def test_integers_are_divided_towards_zero_and_leave_what_c_leaves() -> None:
    numbers = np.asarray([-128, -7, -1, 0, 1, 7, 127], np.int8)
    nodes = [
        node("Div", ["x", "k"], ["quotient"]),
        node("Mod", ["x", "k"], ["modulus"]),
        node("Mod", ["x", "k"], ["remainder"], fmod=1),
    ]
    for divisor in (3, -3):
        network = graph(nodes, {"x": ["N"]}, ["quotient", "modulus", "remainder"], {"k": np.int8(divisor)},
                        dtypes={"x": TensorProto.INT8})  # fmt: skip
        quotient, modulus, remainder = (np.asarray(item) for item in imported(network)(numbers))
        wide = numbers.astype(int)
        np.testing.assert_array_equal(quotient, np.trunc(wide / divisor))
        np.testing.assert_array_equal(modulus, np.mod(wide, divisor))
        np.testing.assert_array_equal(remainder, np.fmod(wide, divisor))


@pytest.mark.parametrize("shape", [(), (1,), (6,)])
def test_slopes_belong_to_a_row_without_a_batch(shape: tuple[int, ...]) -> None:
    nodes = [node("Reshape", ["x", "all"], ["r"]), node("PRelu", ["r", "k"], ["y"])]
    constants = {"all": np.asarray([-1]), "k": RNG.normal(size=shape).astype(np.float32)}
    network = graph(nodes, {"x": [2, 3]}, ["y"], constants)
    x = RNG.normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_allclose(run(imported(network), x)[0], by_onnxruntime(network, x)[0], rtol=1e-6)


def test_an_axis_is_resized_that_lies_first_in_ours() -> None:
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 2, 0, 3]),
        node("Resize", ["t", "", "k"], ["y"], mode="linear", coordinate_transformation_mode="align_corners"),
    ]
    network = graph(nodes, {"x": [3, 2, 4, 5]}, ["y"], {"k": np.asarray([1, 1, 2, 3], np.float32)})
    x = RNG.normal(size=(3, 2, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(run(imported(network), x)[0], by_onnxruntime(network, x)[0], rtol=1e-5, atol=1e-6)


REFUSED: dict[str, tuple[Any, str]] = {
    "broadcasting of old": (node("Add", ["x", "k"], ["y"], broadcast=1, axis=0), "before 7"),
    "places of what is not zero": (node("NonZero", ["x"], ["y"]), "depends on the data"),
    "an unknown operator": (node("Det", ["x"], ["y"]), "Det is not supported"),
    "too far an index": (node("Gather", ["x", "far"], ["y"], axis=1), "go from 9 to 9"),
    "a split that does not add up": (node("Split", ["x", "far"], ["y"], axis=1), r"3 entries into \[9\]"),
    "an unknown padding": (node("Pad", ["x", "far"], ["y"], mode="mirror"), "pads must be"),
    "a reduction named twice": (node("ReduceSum", ["x", "twice"], ["y"]), "name one twice"),
    "too few inputs": (node("Add", ["x"], ["y"]), "has 1 inputs; expected 2 to 2"),
    "an attribute that became an input": (node("Clip", ["x"], ["y"], min=0.0), "'min' is of versions before 11"),
    "an operator of later": (node("Swish", ["x"], ["y"]), "has none of this name"),
    "an expansion that does not fit": (node("Expand", ["x", "far"], ["y"]), "does not expand"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_name(name: str) -> None:
    item, message = REFUSED[name]
    item.name = "the_node"
    constants = {"k": np.float32(2), "far": np.asarray([9]), "twice": np.asarray([1, -1])}
    network = graph([item], {"x": ["N", 3]}, ["y"], constants)
    with pytest.raises(ValueError, match=f"'the_node'.*{message}"):
        imported(network)


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Tile", "Range", "Pad"])
def test_a_few_numbers_make_no_gigantic_constant(operator: str) -> None:
    big = np.asarray([1 << 20, 1 << 20])
    inputs = {"ConstantOfShape": ["big"], "Expand": ["k", "big"], "Tile": ["k", "big"], "Range": ["zero", "far", "one"],
              "Pad": ["k", "pads"]}[operator]  # fmt: skip
    constants = {"big": big, "k": np.ones((1, 1), np.float32), "pads": np.asarray([0, 0, 1 << 20, 1 << 20]),
                 "zero": np.asarray(0), "far": np.asarray(1 << 50), "one": np.asarray(1)}  # fmt: skip
    nodes = [
        node(operator, inputs, ["huge"]),
        node("Cast", ["huge"], ["floats"], to=1),
        node("Add", ["x", "floats"], ["y"]),
    ]
    with pytest.raises(ValueError, match=operator):
        imported(graph(nodes, {"x": ["N", 3]}, ["y"], constants))


def test_gradients_reach_what_lies_in_front_of_integers_that_are_pooled_and_flattened() -> None:
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("QuantizeLinear", ["c", "scale", "zero"], ["q"]),
        node("MaxPool", ["q"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], ["f"]),
        node("DequantizeLinear", ["f", "scale", "zero"], ["y"]),
    ]
    constants = {"w": RNG.normal(size=(4, 3, 1, 1)).astype(np.float32), "scale": np.float32(0.05), "zero": np.uint8(9)}
    network = graph(nodes, {"x": ["N", 3, 4, 6]}, ["y"], constants)
    model = imported(network)
    x = RNG.normal(size=(2, 3, 4, 6)).astype(np.float32)
    np.testing.assert_allclose(run(model, x)[0], by_onnxruntime(network, x)[0], rtol=1e-5, atol=1e-5)
    with GradientTape() as tape:
        loss = ops.sum(model(x, training=True))
    (gradient,) = tape.gradient(loss, model.trainable_variables)
    assert np.abs(np.asarray(gradient)).max() > 1


@pytest.mark.parametrize("versions", [[("", 0)], [("", 1 << 40)], [("", 13), ("ai.onnx", 18)]])
def test_versions_that_do_not_exist_or_contradict_each_other_are_refused(versions: list[tuple[str, int]]) -> None:
    network = graph([node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, ["y"])
    del network.opset_import[:]
    network.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in versions)
    with pytest.raises(ValueError, match="the file declares"):
        imported(network)


def test_rows_keep_two_free_lengths_when_their_entries_are_split_into_heads() -> None:
    nodes = [node("Reshape", ["x", "heads"], ["h"]), node("ReduceMax", ["h", "last"], ["m"], keepdims=0),
             node("Gather", ["m", "index"], ["y"], axis=1)]  # fmt: skip
    constants = {"heads": np.asarray([0, 0, 2, -1]), "last": np.asarray([-1]), "index": np.asarray(-1)}
    network = graph(nodes, {"x": ["N", "T", 6]}, ["y"], constants)
    model = imported(network)
    for shape in ((2, 3, 6), (1, 5, 6)):
        x = RNG.normal(size=shape).astype(np.float32)
        np.testing.assert_allclose(np.asarray(model(x)), by_onnxruntime(network, x)[0], rtol=1e-6)


def test_of_zeros_alone_the_scale_that_is_found_is_one() -> None:
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "w", "z"], ["m"]),
        node("Cast", ["m"], ["f"], to=1),
        node("Mul", ["f", "s"], ["y"]),
    ]
    network = graph(nodes, {"x": ["N", 3]}, ["y"], {"w": np.ones((3, 2), np.int8)})
    np.testing.assert_array_equal(run(imported(network), np.zeros((2, 3), np.float32))[0], np.zeros((2, 2)))


def test_a_number_without_axes_is_observed_in_calibration() -> None:
    nodes = [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]), node("MatMulInteger", ["q", "w", "z"], ["m"]),
             node("Cast", ["m"], ["f"], to=1), node("Mul", ["f", "s"], ["y"])]  # fmt: skip
    model = imported(graph(nodes, {"x": ["N", 3]}, ["y"], {"w": np.ones((3, 2), np.int8)}))
    x = RNG.normal(size=(4, 3)).astype(np.float32)
    session = engine.InferenceSession(model, batch_sizes=(4,), precision="int8", calibration=x)
    np.testing.assert_allclose(np.asarray(session.run(x)), run(model, x)[0], atol=1e-5)
