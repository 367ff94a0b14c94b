"""What a primitive is: a differentiable operation, declared once as a table of rules.

A declaration gives the reference (NumPy), the shape and dtype rule and the gradient rule:

    @primitive(rule=broadcast_rule, promote=True, ufunc=np.multiply)
    def multiply(a, b):
        return np.multiply(a, b)

    @multiply.gradient
    def _(needed, gradients, outputs, inputs, residuals):
        ...

Calling a primitive goes through `apply`. Kernels for a device register with `kernel` and are tried before the
reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


class Spec(NamedTuple):
    """What is known of an array before it exists."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    constant: bool = False  # its values do not change from run to run: a kernel may pack them once

    @property
    def nbytes(self) -> int:
        count = self.dtype.itemsize
        for length in self.shape:
            count *= length
        return count


class Executable(Protocol):
    """A kernel prepared for given specs.

    Attributes:
        implementation: the name of what runs, for tests and `describe()`.
        scratch_bytes: temporary memory it needs while it runs.
        packings: by index of a constant input, the function that turns its array into what `bind` takes in its place.
        inplace: pairs (output, input) that may share one buffer.
    """

    implementation: str
    scratch_bytes: int
    packings: dict[int, Callable[[Array], Any]]
    inplace: Sequence[tuple[int, int]]

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Array | None], scratch: Array | None) -> Callable[[], None]:
        """A function without arguments that runs the kernel on exactly these buffers.

        Inputs with a packing come packed. An output is None where `prepare` was told that nobody wants it.
        """
        ...


Prepare = Callable[[Sequence[Spec], Sequence[Spec | None], dict[str, Any]], Executable | None]
"""(input specs, output specs (None: unwanted), options) -> an executable, or None: the kernel declines."""

Rule = Callable[..., "Spec | tuple[Spec, ...]"]
GradientRule = Callable[..., Any]


class Primitive:
    """One operation: its reference, its rules, its kernels. Made by the decorator `primitive`."""

    # What calling a primitive does; `engine.primitives.apply` installs itself, since declarations come before it.
    application: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        reference: Callable[..., Any],
        rule: Rule,
        *,
        outputs: int = 1,
        residuals: int = 0,
        promote: bool = False,
        view: bool = False,
        into: Callable[..., None] | None = None,
        inplace: Sequence[tuple[int, int]] = (),
        differentiable: bool = True,
        checked: bool = True,
    ) -> None:
        self.name = reference.__name__
        self.__doc__ = reference.__doc__
        self.reference = reference
        self.rule = rule
        self.outputs = outputs  # how many results a caller gets
        self.residuals = residuals  # how many more the reference returns, for the gradient rule alone
        self.promote = promote  # whether `apply` brings all inputs to their common dtype first
        self.view = view  # the reference returns a view of its first input
        self.into = into  # into(inputs, outputs, **options): the reference, writing to given arrays
        self.inplace = tuple(inplace)  # pairs (output, input) that may share one buffer
        self.differentiable = differentiable
        self.checked = checked  # the rule refuses what the reference would take: it is asked before each eager run
        self.gradient_rule: GradientRule | None = None
        self.kernels: dict[str, Prepare] = {}
        self.smallest: dict[str, int] = {}  # by device: the elements from which on its kernel gains

    def gradient(self, rule: GradientRule) -> GradientRule:
        """Registers the gradient rule.

        rule(needed, gradients, outputs, inputs, residuals, **options) -> one gradient an input, None where not needed.
        """
        self.gradient_rule = rule
        return rule

    def infer(self, specs: Sequence[Spec], options: dict[str, Any]) -> tuple[Spec, ...]:
        """Specs of all outputs and residuals; raises ValueError where the inputs do not fit."""
        result = self.rule(*specs, **options)
        return (result,) if isinstance(result, Spec) else tuple(result)

    def evaluate(self, arrays: Sequence[Array], options: dict[str, Any]) -> tuple[Array, ...]:
        """Runs the reference; always a tuple of arrays (outputs, then residuals)."""
        result = self.reference(*arrays, **options)
        results = result if isinstance(result, tuple) else (result,)
        return tuple(item if isinstance(item, np.ndarray) else np.asarray(item) for item in results)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Runs or records the operation, through `engine.primitives.apply`."""
        return Primitive.application(self, *inputs, **options)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def primitive(
    rule: Rule,
    *,
    outputs: int = 1,
    residuals: int = 0,
    promote: bool = False,
    view: bool = False,
    ufunc: np.ufunc | None = None,
    into: Callable[..., None] | None = None,
    inplace: Sequence[tuple[int, int]] = (),
    differentiable: bool = True,
) -> Callable[[Callable[..., Any]], Primitive]:
    """Declares a primitive; the decorated function is its reference over NumPy arrays.

    Args:
        rule: (specs…, **options) -> Spec, or a tuple of the specs of all outputs and residuals.
        outputs, residuals: how many arrays the reference returns for the caller, and for the gradient rule alone.
        promote: inputs are cast to their common dtype before the call.
        view: the reference returns a view of its first input and costs nothing.
        ufunc: the NumPy function that equals the reference; lets plans write results in place.
        into: (inputs, outputs, **options), writing the results to `outputs`; for references that are no ufunc.
        inplace: pairs (output, input) that may share memory when the input is not used again.
        differentiable: False for operations whose gradient is nothing (comparisons, draws).
    """

    def declare(reference: Callable[..., Any]) -> Primitive:
        writer, sharing = into, tuple(inplace)
        if ufunc is not None:

            def writer(inputs: Sequence[Array], results: Sequence[Array], **_: Any) -> None:
                ufunc(*inputs, out=results[0])

            sharing = tuple((0, index) for index in range(ufunc.nin))
        return Primitive(
            reference,
            rule,
            outputs=outputs,
            residuals=residuals,
            promote=promote,
            view=view,
            into=writer,
            inplace=sharing,
            differentiable=differentiable,
            checked=not view and ufunc is None,  # NumPy checks these itself
        )

    return declare


def kernel(target: Primitive, device: str, smallest: int = 0) -> Callable[[Prepare], Prepare]:
    """Registers `prepare(input specs, output specs, options) -> Executable | None` for a primitive on a device.

    Where the largest input has fewer than `smallest` elements the kernel is not even asked.
    """

    def register(prepare: Prepare) -> Prepare:
        target.kernels[device] = prepare
        target.smallest[device] = smallest
        return prepare

    return register


# Rules that many primitives share --------------------------------------------------------------------------------


def same_rule(spec: Spec, *_: Spec, **__: Any) -> Spec:
    """One output like the first input."""
    return Spec(spec.shape, spec.dtype)


def broadcast_rule(*specs: Spec, **_: Any) -> Spec:
    """Shapes by NumPy's broadcasting; the first input's dtype."""
    return Spec(broadcast_shapes(*(spec.shape for spec in specs)), specs[0].dtype)


def predicate_rule(*specs: Spec, **_: Any) -> Spec:
    """Shapes by NumPy's broadcasting; bool."""
    return Spec(broadcast_shapes(*(spec.shape for spec in specs)), np.dtype(bool))


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcasting of shapes, with an error that names them."""
    first = shapes[0]
    if all(shape == first or not shape for shape in shapes[1:]):
        return first
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"Shapes do not broadcast together: {', '.join(map(str, shapes))}") from None
