"""Layer: variables, and a computation on them and the inputs. What every layer and model derives from."""

from __future__ import annotations

import functools
import inspect
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from engine import constraints, dtype_policies, initializers, regularizers, tree
from engine.dtypes import as_dtype, is_float
from engine.initialization import initialized
from engine.layers import calling, masks
from engine.layers.input_spec import assert_input_compatibility
from engine.layers.owner import VariableOwner
from engine.ops.operation import KerasTensor, Node, any_symbolic, infer_specs, inferring
from engine.registry import registered, serialize
from engine.scopes import autocasting, unrecorded
from engine.tensor import CaptureError
from engine.variable import Variable

# The layers whose last call added losses: where there are none, calls need not look for old ones.
_with_losses: weakref.WeakSet[Layer] = weakref.WeakSet()


def _built(build: Callable[..., None]) -> Callable[..., None]:
    """Wraps a class's `build`: variables are made at once, and the shapes are kept for archives."""

    @functools.wraps(build)
    def wrapped(self: Layer, *args: Any, **kwargs: Any) -> None:
        if self._building:  # a subclass calls its parent's
            build(self, *args, **kwargs)
            return
        bound = inspect.signature(build).bind(self, *args, **kwargs)
        self._building = True
        try:
            with calling.path_scope(self), unrecorded():
                self._path = calling.current_path()
                build(self, *args, **kwargs)
        finally:
            self._building = False
        self._build_shapes = dict(list(bound.arguments.items())[1:])
        self.built = True

    return wrapped


@registered("keras.layers")
class Layer(VariableOwner):
    """The base class of layers.

    Subclasses make their variables in `build(input_shape)` with `add_weight`, and compute in `call(inputs)`.

    Args:
        activity_regularizer: a regularizer of the outputs.
        trainable: whether optimizers update the variables.
        dtype: a dtype name or a `DTypePolicy`; default: the global policy.
        autocast: float inputs are cast to the compute dtype.
        name: default: the class's name in snake case, numbered.
    """

    # The attributes that make up the config of a class and its subclasses; None: the constructor's arguments do.
    _config_attributes: ClassVar[tuple[str, ...] | None] = None
    _set_later = ("name", "trainable", "dtype", "activity_regularizer")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _built(cls.__dict__["build"])  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        for argument in ("input_shape", "input_dim"):
            if kwargs.get(argument) is not None:
                shape = kwargs[argument]
                self._input_shape_arg = (shape,) if argument == "input_dim" else tuple(shape)
                warnings.warn(f"Layer {self.name!r}: use an `Input` object instead of `{argument}`.", stacklevel=3)
            kwargs.pop(argument, None)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}")
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.input_spec: Any = None
        self.built = False
        self.autocast = autocast
        self._dtype_policy = dtype_policies.get(dtype)
        self._supports_masking = type(self).compute_mask is not Layer.compute_mask
        self._losses: list[Any] = []
        self._path: str | None = None
        self._building = False
        self._build_shapes: dict[str, Any] | None = None
        self._call_signature = calling.CallSignature(self.call)

    # State -----------------------------------------------------------------------------------------------------------

    @_built
    def build(self, input_shape: Any) -> None:
        """Makes the layer's variables for inputs of a shape (None where free).

        Layers that make none themselves keep this one: it builds the layers that `call` uses by inferring its outputs.
        """
        if any(not layer.built for layer in self._flatten_layers(include_self=False)):
            inputs = calling.map_shapes(lambda shape: KerasTensor(shape, self.compute_dtype), input_shape)
            infer_specs(self._run, (inputs,), {})

    def add_weight(
        self,
        shape: Sequence[int] | int | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """A new variable of the layer.

        Args:
            shape: default: a scalar.
            initializer: default: "glorot_uniform" for floats, "zeros" for the rest.
            dtype: default: the layer's variable dtype.
            trainable: whether optimizers update it, as long as the layer is trainable.
            autocast: in mixed precision, operations see it in the layer's compute dtype.
            regularizer, constraint: names, objects or configs.
            aggregation, overwrite_with_gradient: taken for compatibility; they concern several devices and float8.
            name: default "variable".
        """
        lengths = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        if any(length is None for length in lengths):
            raise ValueError(f"Layer {self.name!r}: weight {name!r} needs a full shape, received {lengths}.")
        kind = as_dtype(self.variable_dtype if dtype is None else dtype)
        if initializer is None:
            initializer = "glorot_uniform" if is_float(kind) else "zeros"
        with unrecorded(), calling.path_scope(self):
            try:
                variable = initialized(
                    initializers.get(initializer), shape=lengths, dtype=kind, trainable=trainable, name=name
                )
            except ValueError as error:
                raise ValueError(f"Layer {self.name!r}: {error}") from error
            variable.path = f"{calling.current_path()}/{variable.name}"
        variable.autocast = autocast
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._track_variable(variable)
        if not self._trainable:
            variable.trainable = False
        return variable

    # Configuration -------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to make an equal layer, without its weights.

        Classes that define no `get_config` of their own get the arguments of their constructor.
        """
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": serialize(self.dtype_policy)}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize(self.activity_regularizer)
        if self._config_attributes is not None:
            config.update({key: serialize(getattr(self, key)) for key in self._config_attributes})
        elif type(self).get_config is Layer.get_config:
            config.update(self._constructor_config(skip=self._set_later))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer made from what `get_config` returned."""
        recorded = cls._config_attributes is None and cls.get_config is Layer.get_config
        return cls._from_recorded(config) if recorded else cls(**config)

    def _set_recorded(self, key: str, value: Any) -> None:
        if key == "dtype":
            self.dtype_policy = value
        elif key == "activity_regularizer":
            self.activity_regularizer = regularizers.get(value)
        elif getattr(self, key) != value:  # `trainable` holds for all layers inside: left alone where it is the same
            setattr(self, key, value)

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes with which the layer was built, or None."""
        shapes = self._build_shapes
        if not shapes:
            return None
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": shapes}

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Builds the layer for the shapes of `get_build_config`."""
        if "input_shape" in config:
            self.build(calling.as_shapes(config["input_shape"]))
        elif "shapes_dict" in config:
            self.build(**{name: calling.as_shapes(shape) for name, shape in config["shapes_dict"].items()})

    # Precision -------------------------------------------------------------------------------------------------------

    @property
    def dtype_policy(self) -> dtype_policies.DTypePolicy:
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        self._dtype_policy = dtype_policies.get(value)

    @property
    def dtype(self) -> str:
        """The dtype of the variables."""
        return self.variable_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of the variables."""
        return self._dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype in which the layer computes."""
        return self._dtype_policy.compute_dtype

    @property
    def input_dtype(self) -> str:
        """The dtype to which float inputs are cast."""
        return self.compute_dtype

    @property
    def path(self) -> str:
        """The names of the layers around this one and its own, joined by "/"."""
        return self._path or self.name

    # Losses ----------------------------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Adds scalar losses of the current call to the layer's `losses`."""
        if not inferring():
            self._losses.extend(tree.flatten(loss))
            _with_losses.add(self)

    @property
    def losses(self) -> list[Any]:
        """The scalars added by the last call of this layer and those below, then those of weight regularizers."""
        layers = self._flatten_layers()
        added = [loss for layer in layers for loss in layer._losses]
        return added + [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._losses.clear()
            _with_losses.discard(layer)

    # Calls -----------------------------------------------------------------------------------------------------------

    @property
    def supports_masking(self) -> bool:
        """Whether the layer passes masks on."""
        return self._supports_masking

    @supports_masking.setter
    def supports_masking(self, value: bool) -> None:
        self._supports_masking = value

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs."""
        return previous_mask

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs, building the layer first; on placeholders, records the call.

        Raises:
            ValueError: the inputs do not fit; names the layer, what it expects and what came.
        """
        signature = getattr(self, "_call_signature", None)
        if signature is None:
            raise RuntimeError(f"{type(self).__name__}.__init__() must call super().__init__().")
        try:
            arguments = signature.bind(args, kwargs)
        except TypeError as error:
            raise TypeError(f"Layer {self.name!r} of class {type(self).__name__}: call() {error}") from None
        symbolic = any_symbolic((args, kwargs))
        for value in tree.flatten(args):
            if value is not None and not hasattr(value, "shape"):
                raise ValueError(
                    f"Layer {self.name!r}: only arrays and tensors may be passed as positional arguments; pass "
                    f"{value!r} (of type {type(value).__name__}) by name."
                )
        if self.input_spec is not None and arguments:
            assert_input_compatibility(self.input_spec, next(iter(arguments.values())), self.name)
        if calling.is_outermost() and _with_losses:
            self._clear_losses()
        training = arguments.get("training")
        if training is None:
            training = calling.inherited_training()
        if training is None:
            training = signature.default_training
        mask = masks.mask_for(arguments)
        run_kwargs = {**kwargs, "training": training} if signature.takes_training else kwargs
        if mask is not None and signature.takes_mask and len(calling.shapes_of(arguments)) == 1:
            # As in Keras, not where the call has other tensors too.
            run_kwargs = {**run_kwargs, "mask": mask}
            kwargs = kwargs or {"mask": mask}
        if signature.mask_names:
            run_kwargs = {**run_kwargs, **masks.masks_by_name(signature.mask_names, arguments)}
        with calling.call_scope(training), calling.path_scope(self):
            if not self.built:
                self._build_for(arguments)
            outputs = (self.compute_output_spec if symbolic else self._run)(*args, **run_kwargs)
        if symbolic:
            Node(self, args, kwargs, outputs)
        if mask is not None or type(self).compute_mask is not Layer.compute_mask:
            masks.pass_on(self, mask, arguments, outputs)
        return outputs

    def _operands(self, nest: Any) -> Any:
        dtype = as_dtype(self.input_dtype) if self.autocast else None
        return tree.map_structure(lambda leaf: calling.as_operand(leaf, dtype), nest)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        """`call`, with inputs and variables in the layer's precision."""
        mixed = self.compute_dtype != self.variable_dtype and self.autocast
        with autocasting(as_dtype(self.compute_dtype) if mixed else None):
            outputs = self._explained_call(*self._operands(args), **self._operands(kwargs))
        if self.activity_regularizer is not None and not inferring():
            for output in tree.flatten(outputs):
                loss = self.activity_regularizer(output)
                self.add_loss(loss / output.shape[0] if output.ndim else loss)  # by example, whatever the batch's size
        return outputs

    def _explained_call(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self.call(*args, **kwargs)
        except (ValueError, TypeError) as error:
            if getattr(error, "layer", None) is not None or isinstance(error, CaptureError):
                raise
            shapes = calling.shapes_of(self._call_signature.bind(args, kwargs))
            kind = ValueError if isinstance(error, ValueError) else TypeError
            explained = kind(f"Layer {self.name!r} of class {type(self).__name__}, called on {shapes}: {error}")
            vars(explained)["layer"] = self  # said once, by the innermost layer
            raise explained from error

    def _build_for(self, arguments: dict[str, Any]) -> None:
        """Builds the layer for the shapes of call arguments."""
        shapes = calling.shapes_of(arguments)
        if type(self).build is Layer.build:
            # It makes no variables itself, and the call that follows builds the layers inside.
            names = list(shapes) if len(shapes) == 1 else [f"{name}_shape" for name in shapes]
            self._build_shapes = dict(zip(names, shapes.values(), strict=True))
            self.built = True
        else:
            args, kwargs = calling.build_arguments(self.build, shapes, self.name)
            self.build(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Placeholders like what a call on these arguments returns; nothing is computed."""
        if type(self).compute_output_shape is Layer.compute_output_shape:
            return self._inferred_spec(args, kwargs)
        shapes = calling.shapes_of(self._call_signature.bind(args, kwargs))
        shape = self.compute_output_shape(next(iter(shapes.values())))
        return calling.map_shapes(lambda item: KerasTensor(item, self.compute_dtype), shape)

    def _inferred_spec(self, args: Any, kwargs: Any) -> Any:
        """Placeholders like what a call returns, found by a call on a graph that is thrown away."""
        try:
            return infer_specs(self._run, args, kwargs)
        except CaptureError as error:
            raise ValueError(
                f"The output shape of layer {self.name!r} of class {type(self).__name__} cannot be inferred: "
                f"{error} Use operations of `engine.ops` only in call(), or define `compute_output_shape()`."
            ) from error

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape, or nest of shapes, of what a call on inputs of a shape returns. Builds the layer if need be."""
        inputs = calling.map_shapes(
            lambda shape: KerasTensor(shape, self.compute_dtype), calling.as_shapes(input_shape)
        )
        if not self.built:
            self._build_for(self._call_signature.bind((inputs,), {}))
        return tree.map_structure(lambda output: output.shape, infer_specs(self._run, (inputs,), {}))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"
