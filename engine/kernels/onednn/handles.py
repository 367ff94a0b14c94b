"""oneDNN's objects as Python objects that own them: memory descriptors, primitive descriptions, primitives."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from ctypes import byref, c_char_p, c_void_p
from typing import Any

import ml_dtypes
import numpy as np

from engine.kernels.onednn.constants import (
    CPU,
    SCRATCHPAD_OF_USER,
    STREAM_IN_ORDER,
    DataType,
    Query,
    Tag,
)
from engine.kernels.onednn.library import Dims, load

library = load()

DATA_TYPES = {
    np.dtype(np.float32): DataType.FLOAT32,
    np.dtype(ml_dtypes.bfloat16): DataType.BFLOAT16,
    np.dtype(np.int32): DataType.INT32,
    np.dtype(np.int8): DataType.INT8,
    np.dtype(np.uint8): DataType.UINT8,
}
_FLOAT32 = np.dtype(np.float32)


def created(function: Any, *arguments: Any) -> int:
    """Calls a C function whose first parameter receives a new handle, and returns that handle."""
    handle = c_void_p()
    function(byref(handle), *arguments)
    assert handle.value is not None
    return handle.value


def dims(values: Sequence[int]) -> Any:
    """`dnnl_dims_t`, which always is as long as the highest rank."""
    return Dims(*values)


class Owned:
    """A handle that is destroyed with this object."""

    __slots__ = ("__weakref__", "handle")

    def __init__(self, handle: int, destroy: Callable[[int], Any]) -> None:
        self.handle = handle
        # At exit the process's memory goes anyway, and the library's own state may be gone before.
        weakref.finalize(self, destroy, handle).atexit = False


class MemoryDescriptor(Owned):
    """Lengths, data type and layout of an array. Two are equal where the bytes lie alike."""

    __slots__ = ()

    def __init__(self, handle: int) -> None:
        super().__init__(handle, library.dnnl_memory_desc_destroy)

    @classmethod
    def strided(cls, lengths: Sequence[int], strides: Sequence[int], dtype: np.dtype[Any]) -> MemoryDescriptor:
        """A plain layout; strides count elements."""
        create = library.dnnl_memory_desc_create_with_strides
        return cls(created(create, len(lengths), dims(lengths), DATA_TYPES[dtype], dims(strides)))

    @classmethod
    def any_layout(cls, lengths: Sequence[int], dtype: np.dtype[Any] = _FLOAT32) -> MemoryDescriptor:
        """Whatever layout a primitive prefers."""
        create = library.dnnl_memory_desc_create_with_tag
        return cls(created(create, len(lengths), dims(lengths), DATA_TYPES[dtype], Tag.ANY))

    @property
    def nbytes(self) -> int:
        """The memory that an array needs, padding of its blocks included."""
        return int(library.dnnl_memory_desc_get_size(self.handle))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MemoryDescriptor):
            return NotImplemented
        return bool(library.dnnl_memory_desc_equal(self.handle, other.handle))

    def __hash__(self) -> int:
        return hash(self.nbytes)


class PrimitiveDescriptor(Owned):
    """What a primitive will do and how: the chosen implementation and the layouts that it wants.

    Args:
        name: the operation in the function's name, as in "convolution_forward".
        arguments: what the function takes between the engine and the attributes.
        attributes: an `Attributes`; default: none but the caller's scratch memory.

    Raises:
        UnimplementedError: the library cannot do this.
        OneDnnError: the library refuses it.
    """

    __slots__ = ()

    def __init__(self, name: str, *arguments: Any, attributes: Owned | None = None) -> None:
        create = getattr(library, f"dnnl_{name}_primitive_desc_create")
        first = () if name == "reorder" else (engine,)
        plain = [argument.handle if isinstance(argument, Owned) else argument for argument in arguments]
        super().__init__(
            created(create, *first, *plain, (attributes or _plain_attributes).handle),
            library.dnnl_primitive_desc_destroy,
        )

    @property
    def implementation(self) -> str:
        """The library's name for its implementation, such as "brgconv:avx512_core"."""
        text = c_char_p()
        library.dnnl_primitive_desc_query(self.handle, Query.IMPLEMENTATION, 0, byref(text))
        return (text.value or b"").decode()

    def descriptor(self, query: Query, index: int = 0) -> MemoryDescriptor | None:
        """The layout of one argument; None where the primitive has no such argument."""
        borrowed = library.dnnl_primitive_desc_query_md(self.handle, query, index)
        if not borrowed or not library.dnnl_memory_desc_get_size(borrowed):
            return None
        return MemoryDescriptor(created(library.dnnl_memory_desc_clone, borrowed))


class Primitive(Owned):
    """A compiled primitive: safe to execute from several threads at once, each with scratch memory of its own."""

    __slots__ = ()

    def __init__(self, descriptor: PrimitiveDescriptor) -> None:
        super().__init__(created(library.dnnl_primitive_create, descriptor.handle), library.dnnl_primitive_destroy)


def reorder(source: MemoryDescriptor, target: MemoryDescriptor, attributes: Owned | None = None) -> PrimitiveDescriptor:
    """The description of a copy from one layout or data type to another."""
    return PrimitiveDescriptor("reorder", source, engine, target, engine, attributes=attributes)


def _user_scratchpad() -> Owned:
    handle = created(library.dnnl_primitive_attr_create)
    library.dnnl_primitive_attr_set_scratchpad_mode(handle, SCRATCHPAD_OF_USER)
    return Owned(handle, library.dnnl_primitive_attr_destroy)


# One engine and one stream for the process; with the runtimes that `load` admits a stream has no state.
engine = created(library.dnnl_engine_create, CPU, 0)
stream = created(library.dnnl_stream_create, engine, STREAM_IN_ORDER)
# Scratch memory of the library's own would tie a primitive to the thread that created it.
_plain_attributes = _user_scratchpad()


def address(array: np.ndarray[Any, Any]) -> int:
    """Where an array's bytes lie.

    Raises:
        ValueError: the array is not contiguous in row-major order, as kernels take it.
    """
    if not array.flags.c_contiguous:
        raise ValueError(
            f"Kernels take arrays that are contiguous in row-major order; received strides {array.strides} "
            f"for shape {array.shape}."
        )
    return int(array.__array_interface__["data"][0])


def memory(descriptor: MemoryDescriptor, where: int) -> int:
    """A memory object over existing bytes; the caller destroys it with `destroy_memories`."""
    return created(library.dnnl_memory_create, descriptor.handle, engine, where)


def destroy_memories(handles: Sequence[int]) -> None:
    """Destroys memory objects, not the bytes that they describe."""
    for handle in handles:
        library.dnnl_memory_destroy(handle)
