"""The numbers of oneDNN's C interface, version 3 (the same in all 3.x releases), as far as they are used here."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    SUCCESS = 0
    OUT_OF_MEMORY = 1
    INVALID_ARGUMENTS = 2
    UNIMPLEMENTED = 3
    LAST_IMPLEMENTATION_REACHED = 4
    RUNTIME_ERROR = 5
    NOT_REQUIRED = 6
    INVALID_GRAPH = 7


class Runtime(IntEnum):
    """Threading of a build, as `dnnl_version` reports it."""

    NONE = 0
    SEQUENTIAL = 1
    OPENMP = 2
    TBB = 4
    THREADPOOL = 8
    SYCL = 512


class DataType(IntEnum):
    FLOAT32 = 3
    INT32 = 4
    UINT8 = 6


class Tag(IntEnum):
    ANY = 1


class Propagation(IntEnum):
    TRAINING = 64
    INFERENCE = 96
    BACKWARD = 128


class Algorithm(IntEnum):
    CONVOLUTION_DIRECT = 1
    RELU_BY_RESULT = 256
    MAX_POOLING = 511
    AVERAGE_POOLING_EXCLUDING_PADDING = 1023


class Query(IntEnum):
    IMPLEMENTATION = 8
    SOURCE = 129
    SOURCE_GRADIENT = 130
    WEIGHTS = 131
    WEIGHTS_GRADIENT = 132
    RESULT = 133
    RESULT_GRADIENT = 134
    WORKSPACE = 135
    SCRATCHPAD = 136


class Argument(IntEnum):
    SOURCE = 1
    RESULT = 17
    WEIGHTS = 33
    BIAS = 41
    MEAN = 49
    VARIANCE = 50
    SCALE = 51
    SHIFT = 52
    WORKSPACE = 64
    SCRATCHPAD = 80
    SOURCE_GRADIENT = 129
    RESULT_GRADIENT = 145
    WEIGHTS_GRADIENT = 161
    BIAS_GRADIENT = 169
    SCALE_GRADIENT = 255
    SHIFT_GRADIENT = 256


CPU = 1
STREAM_IN_ORDER = 1
SCRATCHPAD_OF_USER = 1
MAXIMUM_RANK = 12

# Flags of batch normalisation.
GIVEN_STATISTICS = 1
WITH_SCALE = 2
WITH_SHIFT = 4
