"""Geometries on which convolution and pooling are tested: (input, kernel or window, options)."""

from __future__ import annotations

from typing import Any


def convolution(
    x: tuple[int, ...],
    window: tuple[int, ...],
    filters: int,
    strides: int | tuple[int, ...] = 1,
    padding: tuple[tuple[int, int], ...] | None = None,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """An input shape, a kernel shape and the primitive's options."""
    rank = len(window)

    def each(value: int | tuple[int, ...]) -> tuple[int, ...]:
        return (value,) * rank if isinstance(value, int) else value

    options = {
        "strides": each(strides),
        "padding": padding or ((0, 0),) * rank,
        "dilation": each(dilation),
        "groups": groups,
    }
    return x, (*window, x[-1] // groups, filters), options


CONVOLUTIONS = {
    "digits, first layer": convolution((8, 28, 28, 1), (3, 3), 32),
    "digits, second layer": convolution((8, 13, 13, 32), (3, 3), 64),
    "batch of one": convolution((1, 14, 14, 16), (3, 3), 16, padding=((1, 1), (1, 1))),
    "odd channels, uneven strides and padding": convolution(
        (1, 13, 13, 7), (3, 3), 5, strides=(2, 1), padding=((1, 0), (0, 2))
    ),
    "one by one": convolution((2, 9, 9, 24), (1, 1), 40),
    "one by one, strided": convolution((2, 9, 9, 16), (1, 1), 32, strides=2),
    "even window, same padding": convolution((2, 10, 11, 8), (4, 2), 6, padding=((1, 2), (0, 1))),
    "dilated": convolution((2, 17, 15, 8), (3, 3), 8, dilation=(2, 3)),
    "dilated and padded": convolution((2, 12, 12, 4), (3, 3), 16, padding=((2, 2), (2, 2)), dilation=2),
    "stride beyond the window": convolution((2, 14, 14, 6), (2, 2), 8, strides=3),
    "groups": convolution((2, 13, 13, 8), (3, 3), 12, dilation=(2, 1), groups=4),
    "groups of many channels": convolution((2, 8, 8, 64), (3, 3), 32, padding=((1, 1), (1, 1)), groups=2),
    "depthwise": convolution((2, 13, 13, 16), (3, 3), 16, padding=((1, 1), (1, 1)), groups=16),
    "depthwise, odd channels, strided": convolution((2, 13, 13, 13), (3, 3), 13, strides=2, groups=13),
    "depthwise with a multiplier": convolution((2, 9, 9, 6), (3, 3), 12, groups=6),
    "one dimension": convolution((2, 33, 5), (4,), 8, strides=3, padding=((2, 1),)),
    "one dimension, causal": convolution((2, 20, 6), (3,), 9, padding=((4, 0),), dilation=2),
    "three dimensions": convolution((2, 7, 8, 9, 4), (3, 2, 3), 8, strides=(2, 1, 1), padding=((1, 1), (0, 1), (1, 0))),
    "window as large as the input": convolution((3, 5, 5, 10), (5, 5), 20),
}


def pooling(
    x: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...] | None = None,
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """An input shape and the primitive's options."""
    return x, {"window": window, "strides": strides, "padding": padding or ((0, 0),) * len(window)}


POOLINGS = {
    "halving": pooling((4, 26, 26, 32), (2, 2), (2, 2)),
    "rest left over": pooling((4, 11, 11, 64), (2, 2), (2, 2)),
    "overlapping and padded": pooling((4, 11, 11, 5), (3, 3), (2, 2), ((1, 1), (1, 1))),
    "uneven": pooling((3, 11, 12, 5), (3, 2), (1, 2), ((0, 1), (0, 1))),
    "batch of one, one channel": pooling((1, 9, 9, 1), (3, 3), (3, 3)),
    "whole image": pooling((2, 7, 7, 48), (7, 7), (7, 7)),
    "255 positions": pooling((1, 20, 20, 3), (15, 17), (2, 2)),
    "256 positions": pooling((1, 20, 20, 3), (16, 16), (2, 2)),
    "one dimension": pooling((2, 21, 3), (3,), (2,), ((1, 1),)),
    "three dimensions": pooling((2, 7, 8, 9, 16), (2, 2, 2), (2, 2, 2), ((0, 1), (0, 0), (0, 1))),
}


def recurrent(
    name: str, batch: int, time: int, features: int, units: int, **options: Any
) -> tuple[str, list[tuple[int, ...]], dict[str, Any]]:
    """The primitive's name, the shapes of its inputs and its options."""
    gates = {"lstm": 4, "gru": 3, "simple_rnn": 1}[name]
    blocks = 4 if options.get("reset_after") else gates
    states = [(batch, units)] * (2 if name == "lstm" else 1)
    weights = [(features, gates * units), (units, gates * units), (blocks * units,)]
    return name, [(batch, time, features), *states, *weights], options


RECURRENT = {
    "lstm": recurrent("lstm", 16, 6, 32, 64),
    "lstm, odd lengths": recurrent("lstm", 3, 5, 4, 7),
    "lstm, one of everything": recurrent("lstm", 1, 1, 1, 1),
    "lstm, backwards": recurrent("lstm", 5, 4, 17, 16, backwards=True),
    "lstm, batch of one": recurrent("lstm", 1, 10, 3, 33),
    "gru": recurrent("gru", 8, 6, 32, 48, reset_after=True),
    "gru, odd lengths": recurrent("gru", 3, 1, 5, 9, reset_after=True, backwards=True),
    "gru, reset before": recurrent("gru", 8, 6, 32, 48, reset_after=False),
    "gru, reset before, odd lengths": recurrent("gru", 1, 5, 3, 7, reset_after=False, backwards=True),
    "simple": recurrent("simple_rnn", 8, 6, 32, 48, activation="tanh"),
    "simple, relu, backwards": recurrent("simple_rnn", 3, 5, 5, 9, activation="relu", backwards=True),
}
