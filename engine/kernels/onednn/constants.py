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
    FLOAT16 = 1
    BFLOAT16 = 2
    FLOAT32 = 3
    INT32 = 4
    INT8 = 5
    UINT8 = 6


class Tag(IntEnum):
    ANY = 1


class Propagation(IntEnum):
    TRAINING = 64
    INFERENCE = 96
    BACKWARD = 128


class Algorithm(IntEnum):
    CONVOLUTION_DIRECT = 1
    DECONVOLUTION_DIRECT = 10
    MAX_POOLING = 511
    AVERAGE_POOLING_EXCLUDING_PADDING = 1023


class Elementwise(IntEnum):
    """Functions of one number, with the meaning of alpha and beta."""

    RELU = 32  # alpha: slope below 0
    TANH = 33
    ELU = 34  # alpha
    SQUARE = 35
    ABSOLUTE = 36
    SQUARE_ROOT = 37
    LINEAR = 38  # alpha · x + beta
    SOFTPLUS = 39  # log(1 + exp(alpha · x)) / alpha
    HARD_SIGMOID = 40  # clip(alpha · x + beta, 0, 1)
    SIGMOID = 41
    EXPONENTIAL = 42
    GELU_BY_TANH = 43
    SWISH = 44  # x · sigmoid(alpha · x)
    LOGARITHM = 45
    CLIP = 47  # to [alpha, beta], both included for the gradient
    POWER = 48  # alpha · x ** beta
    GELU_BY_ERF = 49
    ROUND = 50
    MISH = 51
    HARD_SWISH = 52  # x · clip(alpha · x + beta, 0, 1)


class ElementwiseByResult(IntEnum):
    """Functions whose gradient is computed from their result."""

    RELU = 256
    TANH = 257
    SIGMOID = 260


class BinaryAlgorithm(IntEnum):
    ADD = 131056
    MULTIPLY = 131057
    MAXIMUM = 131058
    MINIMUM = 131059
    DIVIDE = 131060
    SUBTRACT = 131061


class Direction(IntEnum):
    """In which order a recurrent layer goes through time."""

    FORWARDS = 1
    BACKWARDS = 2


class ReductionAlgorithm(IntEnum):
    SUM = 196596
    MEAN = 196598


class SoftmaxAlgorithm(IntEnum):
    ACCURATE = 196608
    LOGARITHM = 196609


class ResamplingAlgorithm(IntEnum):
    NEAREST = 196592
    LINEAR = 196593


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
    ANY_ARGUMENT = 255  # by the argument's number as index


class Argument(IntEnum):
    SOURCE = 1
    SECOND_SOURCE = 2
    THIRD_SOURCE = 3
    RESULT = 17
    SECOND_RESULT = 18
    THIRD_RESULT = 19
    WEIGHTS = 33
    SECOND_WEIGHTS = 34
    BIAS = 41
    MEAN = 49
    VARIANCE = 50
    SCALE = 51
    SHIFT = 52
    WORKSPACE = 64
    SCRATCHPAD = 80
    SOURCE_GRADIENT = 129
    SECOND_SOURCE_GRADIENT = 130
    THIRD_SOURCE_GRADIENT = 131
    RESULT_GRADIENT = 145
    SECOND_RESULT_GRADIENT = 146
    THIRD_RESULT_GRADIENT = 147
    WEIGHTS_GRADIENT = 161
    SECOND_WEIGHTS_GRADIENT = 162
    BIAS_GRADIENT = 169
    SCALE_GRADIENT = 255
    SHIFT_GRADIENT = 256
    MULTIPLE_SOURCES = 1024  # plus the number of the source, counted from 0
    SCALES = 4096  # or-ed with the argument that the scales belong to
    POST_OPERATION_DEPTHWISE = 16384  # or-ed with an argument of the appended depthwise convolution
    POST_OPERATION = 32768  # times the post-operation's number, counted from 1


CPU = 1
STREAM_IN_ORDER = 1
SCRATCHPAD_OF_USER = 1
MAXIMUM_RANK = 12

# Flags of batch normalisation.
GIVEN_STATISTICS = 1
WITH_SCALE = 2
WITH_SHIFT = 4

# Flag of recurrent layers: their gradient by weights overwrites what is there, rather than adding to it.
OVERWRITE_WEIGHTS_GRADIENT = 1
