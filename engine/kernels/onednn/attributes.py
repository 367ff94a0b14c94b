"""Attributes of oneDNN's primitives: what is done to a result before it is stored, and the scales of its arrays."""

from __future__ import annotations

from collections.abc import Sequence

from engine.kernels.onednn.constants import SCRATCHPAD_OF_USER, Argument, BinaryAlgorithm, Elementwise
from engine.kernels.onednn.handles import MemoryDescriptor, Owned, created, library


class PostOperations(Owned):
    """Operations on a result while it is still in registers, in the order in which they are appended."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        super().__init__(created(library.dnnl_post_ops_create), library.dnnl_post_ops_destroy)
        self.count = 0

    def elementwise(self, algorithm: Elementwise, alpha: float = 0.0, beta: float = 0.0) -> None:
        """Applies a function of one number."""
        library.dnnl_post_ops_append_eltwise(self.handle, algorithm, alpha, beta)
        self.count += 1

    def binary(self, algorithm: BinaryAlgorithm, operand: MemoryDescriptor) -> int:
        """Combines with another array of the same lengths, or 1 where it is broadcast.

        Returns:
            The argument under which the array is given when the primitive runs.
        """
        library.dnnl_post_ops_append_binary(self.handle, algorithm, operand.handle)
        self.count += 1
        return Argument.POST_OPERATION * self.count | Argument.SECOND_SOURCE

    def sum(self, scale: float = 1.0, data_type: int = 0) -> None:
        """Adds what the result's memory held before, times `scale`, read as `data_type` (0: the result's)."""
        library.dnnl_post_ops_append_sum(self.handle, scale, 0, data_type)
        self.count += 1

    def depthwise(
        self, weights_type: int, bias_type: int, result_type: int, kernel: int, stride: int, padding: int
    ) -> int:
        """Appends a depthwise convolution with a square kernel.

        Returns:
            What to or with `Argument.WEIGHTS` and `Argument.BIAS` for its arrays.
        """
        library.dnnl_post_ops_append_dw(self.handle, weights_type, bias_type, result_type, kernel, stride, padding)
        self.count += 1
        return Argument.POST_OPERATION_DEPTHWISE


class Attributes(Owned):
    """Attributes of one primitive. Its scratch memory is always the caller's.

    Args:
        post_operations: copied.
        scales: arguments with a scale, each with a mask: 0 for one number, 1 << axis for one each along that axis.
    """

    __slots__ = ()

    def __init__(
        self, post_operations: PostOperations | None = None, scales: Sequence[tuple[Argument, int]] = ()
    ) -> None:
        super().__init__(created(library.dnnl_primitive_attr_create), library.dnnl_primitive_attr_destroy)
        # Scratch memory of the library's own would tie a primitive to the thread that created it.
        library.dnnl_primitive_attr_set_scratchpad_mode(self.handle, SCRATCHPAD_OF_USER)
        if post_operations is not None and post_operations.count:
            library.dnnl_primitive_attr_set_post_ops(self.handle, post_operations.handle)
        for argument, mask in scales:
            library.dnnl_primitive_attr_set_scales_mask(self.handle, argument, mask)
