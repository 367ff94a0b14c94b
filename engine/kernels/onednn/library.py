"""Finds and loads libdnnl, checks that it is usable, and declares the C functions that are called.

`BEAGLE_ONEDNN_LIBRARY` names a library file; otherwise the wheel's (`onednn-cpu-gomp`) is taken, then the system's.
Whoever loads it must not fork afterwards: a forked child waits for OpenMP threads that it does not have.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

from engine.kernels.onednn.constants import MAXIMUM_RANK, Runtime, Status
from engine.threads import limit_blas, openmp_environment, thread_count

logger = logging.getLogger("engine")

SETTING = "BEAGLE_ONEDNN_LIBRARY"
FILE_NAME = "libdnnl.so.3"
DISTRIBUTION = "onednn-cpu-gomp"
MAJOR_VERSION = 3

Dims = c_int64 * MAXIMUM_RANK


class OneDnnError(RuntimeError):
    """A oneDNN function returned a status other than success."""


class UnimplementedError(OneDnnError):
    """oneDNN has no implementation for what was asked: the kernel declines."""


class Version(ctypes.Structure):
    """`dnnl_version_t`."""

    _fields_ = (
        ("major", c_int),
        ("minor", c_int),
        ("patch", c_int),
        ("hash", c_char_p),
        ("cpu_runtime", c_uint),
        ("gpu_runtime", c_uint),
    )


class ExecutionArgument(ctypes.Structure):
    """`dnnl_exec_arg_t`: which argument of a primitive, and its memory."""

    _fields_ = (("argument", c_int), ("memory", c_void_p))


_new = POINTER(c_void_p)
_dims = POINTER(c_int64)
# Argument types of every function that returns a status.
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "dnnl_engine_create": (_new, c_int, c_size_t),
    "dnnl_stream_create": (_new, c_void_p, c_uint),
    "dnnl_memory_desc_create_with_strides": (_new, c_int, _dims, c_int, _dims),
    "dnnl_memory_desc_create_with_tag": (_new, c_int, _dims, c_int, c_int),
    "dnnl_memory_desc_clone": (_new, c_void_p),
    "dnnl_memory_desc_destroy": (c_void_p,),
    "dnnl_memory_create": (_new, c_void_p, c_void_p, c_void_p),
    "dnnl_memory_destroy": (c_void_p,),
    "dnnl_primitive_attr_create": (_new,),
    "dnnl_primitive_attr_destroy": (c_void_p,),
    "dnnl_primitive_attr_set_scratchpad_mode": (c_void_p, c_int),
    "dnnl_primitive_attr_set_post_ops": (c_void_p, c_void_p),
    "dnnl_primitive_attr_set_scales_mask": (c_void_p, c_int, c_int),
    "dnnl_post_ops_create": (_new,),
    "dnnl_post_ops_destroy": (c_void_p,),
    "dnnl_post_ops_append_eltwise": (c_void_p, c_int, c_float, c_float),
    "dnnl_post_ops_append_binary": (c_void_p, c_int, c_void_p),
    "dnnl_post_ops_append_sum": (c_void_p, c_float, c_int, c_int),
    # The types of weights, bias and result; kernel, stride, padding.
    "dnnl_post_ops_append_dw": (c_void_p, c_int, c_int, c_int, c_int64, c_int64, c_int64),
    "dnnl_primitive_desc_query": (c_void_p, c_int, c_int, c_void_p),
    "dnnl_primitive_desc_destroy": (c_void_p,),
    "dnnl_primitive_create": (_new, c_void_p),
    "dnnl_primitive_destroy": (c_void_p,),
    "dnnl_reorder_primitive_desc_create": (_new, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    # Engine, propagation, algorithm, source, weights, bias, result; strides, dilations, paddings; attributes.
    "dnnl_convolution_forward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_int, c_void_p, c_void_p, c_void_p, c_void_p),
        *(_dims, _dims, _dims, _dims, c_void_p),
    ),
    # Engine, algorithm, the gradients and operands; geometry; the forward description as a hint; attributes.
    "dnnl_convolution_backward_data_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_void_p, c_void_p, c_void_p),
        *(_dims, _dims, _dims, _dims, c_void_p, c_void_p),
    ),
    "dnnl_convolution_backward_weights_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_void_p),
        *(_dims, _dims, _dims, _dims, c_void_p, c_void_p),
    ),
    "dnnl_deconvolution_forward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_int, c_void_p, c_void_p, c_void_p, c_void_p),
        *(_dims, _dims, _dims, _dims, c_void_p),
    ),
    "dnnl_matmul_primitive_desc_create": (_new, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
    # Strides, window, dilations, paddings.
    "dnnl_pooling_forward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_int, c_void_p, c_void_p),
        *(_dims, _dims, _dims, _dims, _dims, c_void_p),
    ),
    "dnnl_pooling_backward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_void_p, c_void_p),
        *(_dims, _dims, _dims, _dims, _dims, c_void_p, c_void_p),
    ),
    "dnnl_eltwise_forward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_int, c_void_p, c_void_p, c_float, c_float, c_void_p),
    ),
    "dnnl_eltwise_backward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_float, c_float, c_void_p, c_void_p),
    ),
    "dnnl_batch_normalization_forward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_void_p, c_void_p, c_float, c_uint, c_void_p),
    ),
    "dnnl_batch_normalization_backward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_float, c_uint, c_void_p, c_void_p),
    ),
    "dnnl_layer_normalization_forward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_float, c_uint, c_void_p),
    ),
    "dnnl_layer_normalization_backward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_float, c_uint, c_void_p, c_void_p),
    ),
    # Propagation, algorithm; source, result, axis.
    "dnnl_softmax_forward_primitive_desc_create": (_new, c_void_p, c_int, c_int, c_void_p, c_void_p, c_int, c_void_p),
    "dnnl_softmax_backward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p, c_void_p),
    ),
    "dnnl_binary_primitive_desc_create": (_new, c_void_p, c_int, c_void_p, c_void_p, c_void_p, c_void_p),
    # Algorithm; source, result; p and epsilon of norms.
    "dnnl_reduction_primitive_desc_create": (_new, c_void_p, c_int, c_void_p, c_void_p, c_float, c_float, c_void_p),
    # Result, how many sources, axis, the sources.
    "dnnl_concat_primitive_desc_create": (_new, c_void_p, c_void_p, c_int, c_int, _new, c_void_p),
    # Propagation, algorithm, factors; source, result.
    "dnnl_resampling_forward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_int, POINTER(c_float), c_void_p, c_void_p, c_void_p),
    ),
    "dnnl_resampling_backward_primitive_desc_create": (
        *(_new, c_void_p, c_int, POINTER(c_float), c_void_p, c_void_p, c_void_p, c_void_p),
    ),
    # Propagation, direction; source, states, weights, peephole, projection, bias, results; flags, attributes.
    "dnnl_lstm_forward_primitive_desc_create": (*(_new, c_void_p, c_int, c_int), *(c_void_p,) * 11, c_uint, c_void_p),
    # The same arrays, then their gradients; the forward description as a hint.
    "dnnl_lstm_backward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_int),
        *(c_void_p,) * 22,
        *(c_uint, c_void_p, c_void_p),
    ),
    # Propagation, direction; source, state, weights, bias, results.
    "dnnl_gru_forward_primitive_desc_create": (*(_new, c_void_p, c_int, c_int), *(c_void_p,) * 7, c_uint, c_void_p),
    "dnnl_gru_backward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_int),
        *(c_void_p,) * 14,
        *(c_uint, c_void_p, c_void_p),
    ),
    "dnnl_lbr_gru_forward_primitive_desc_create": (*(_new, c_void_p, c_int, c_int), *(c_void_p,) * 7, c_uint, c_void_p),
    "dnnl_lbr_gru_backward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_int),
        *(c_void_p,) * 14,
        *(c_uint, c_void_p, c_void_p),
    ),
    # Also the activation, before the direction, and its alpha and beta.
    "dnnl_vanilla_rnn_forward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_int, c_int),
        *(c_void_p,) * 7,
        *(c_uint, c_float, c_float, c_void_p),
    ),
    "dnnl_vanilla_rnn_backward_primitive_desc_create": (
        *(_new, c_void_p, c_int, c_int, c_int),
        *(c_void_p,) * 14,
        *(c_uint, c_float, c_float, c_void_p, c_void_p),
    ),
}


def _check(status: int, function: Any, arguments: Any) -> int:
    if status != Status.SUCCESS:
        raise failure(function.__name__, status)
    return status


def failure(function: str, status: int) -> OneDnnError:
    """The exception for a status other than success."""
    known = status in list(Status)
    reason = Status(status).name.lower().replace("_", " ") if known else "unknown"
    kind = UnimplementedError if status == Status.UNIMPLEMENTED else OneDnnError
    return kind(f"{function} failed: {reason} (status {status})")


@cache
def load() -> ctypes.CDLL:
    """The library, loaded once with its functions declared; NumPy's BLAS is limited to one thread from then on.

    Raises:
        OSError: no usable library was found; the message gives the reason for each file that was tried.
    """
    reasons = []
    threads = thread_count()
    for path in _candidates():
        try:
            with openmp_environment(threads):
                library = ctypes.CDLL(path)
            version = _version(library)
            refuse_unusable(version)
            _declare(library)
        except OSError as error:
            reasons.append(f"{path}: {error}" if path not in str(error) else str(error))
            continue
        if version.cpu_runtime == Runtime.OPENMP:
            _set_threads(library, threads)
        limit_blas()
        return library
    raise OSError("; ".join(reasons))


def _candidates() -> Iterator[str]:
    setting = os.environ.get(SETTING)
    if setting:
        yield setting
        return
    usual = Path(sys.prefix, "lib", FILE_NAME)
    if usual.exists():
        yield str(usual)
    yield from (path for path in _recorded() if path != str(usual))
    yield FILE_NAME


def _recorded() -> list[str]:
    """Where the wheel's installation record says that the library lies."""
    import importlib.metadata  # slow to import, and seldom needed

    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = {os.path.abspath(str(file.locate())) for file in files if file.name == FILE_NAME}
    return sorted(path for path in found if os.path.exists(path))


def _version(library: ctypes.CDLL) -> Version:
    try:
        function = library.dnnl_version
    except AttributeError:
        raise OSError("this is no oneDNN library (it has no dnnl_version)") from None
    function.argtypes = ()
    function.restype = POINTER(Version)
    version: Version = function().contents
    return version


def refuse_unusable(version: Version) -> None:
    """Raises OSError where a build's release or threading is not what the kernels need."""
    if version.major != MAJOR_VERSION:
        raise OSError(f"oneDNN {MAJOR_VERSION}.x is needed, this is {version.major}.{version.minor}.{version.patch}")
    # With these runtimes a primitive has finished when its execution returns, and plain memory may be given.
    if version.cpu_runtime not in (Runtime.SEQUENTIAL, Runtime.OPENMP, Runtime.TBB):
        known = version.cpu_runtime in list(Runtime)
        name = Runtime(version.cpu_runtime).name if known else str(version.cpu_runtime)
        raise OSError(f"a build for OpenMP, TBB or one thread is needed, this one is for {name}")


def _declare(library: ctypes.CDLL) -> None:
    for name, types in _SIGNATURES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise OSError(f"this build has no {name}") from None
        function.argtypes = types
        function.restype = c_int
        function.errcheck = _check
    library.dnnl_memory_desc_equal.argtypes = (c_void_p, c_void_p)
    library.dnnl_memory_desc_equal.restype = c_int
    library.dnnl_memory_desc_get_size.argtypes = (c_void_p,)
    library.dnnl_memory_desc_get_size.restype = c_size_t
    library.dnnl_primitive_desc_query_md.argtypes = (c_void_p, c_int, c_int)
    library.dnnl_primitive_desc_query_md.restype = c_void_p
    library.dnnl_get_effective_cpu_isa.argtypes = ()
    library.dnnl_get_effective_cpu_isa.restype = c_int
    # The hot call: whoever makes it looks at the status itself.
    library.dnnl_primitive_execute.argtypes = (c_void_p, c_void_p, c_int, c_void_p)
    library.dnnl_primitive_execute.restype = c_int


def _set_threads(library: ctypes.CDLL, count: int) -> None:
    """Covers an OpenMP runtime that something else loaded before, which therefore read another number."""
    try:
        started = openmp_thread_count(library)
    except AttributeError:  # linked into the library itself, which then read the environment
        return
    if started != count:
        logger.info("OpenMP was loaded with %d threads before the engine; it takes %d.", started, count)
        library.omp_set_num_threads.argtypes = (c_int,)
        library.omp_set_num_threads.restype = None
        library.omp_set_num_threads(count)


def openmp_thread_count(library: ctypes.CDLL) -> int:
    """How many threads the library's OpenMP runtime starts for the calling thread."""
    # The runtime is a dependency of the library, and is looked up through it.
    library.omp_get_max_threads.argtypes = ()
    library.omp_get_max_threads.restype = c_int
    return int(library.omp_get_max_threads())
