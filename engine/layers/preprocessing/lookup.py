"""Vocabularies: IntegerLookup and StringLookup give each token its place, or each place its token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.dtypes import as_dtype
from engine.layers.layer import Layer
from engine.layers.preprocessing.index_lookup import ABSENT, IndexLookup
from engine.ops.keras_tensor import KerasTensor
from engine.registry import registered
from engine.tensor import Tensor

Array = np.ndarray[Any, Any]


@registered("keras.layers")
class IntegerLookup(IndexLookup):
    """Integers as their places in a vocabulary (int64), or as vectors; works inside of models.

    Args: as for `IndexLookup`; with several places for unknown integers the remainder of the division decides.
    """

    vocabulary_dtype = "int64"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int | None = -1,
        vocabulary: Sequence[int] | None = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Sequence[float] | None = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if vocabulary_dtype != "int64":
            raise ValueError(f"IntegerLookup knows vocabulary_dtype='int64' only. Received: {vocabulary_dtype!r}")
        super().__init__(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            sparse,
            pad_to_max_tokens,
            oov_method,
            salt,
            name,
            **kwargs,
        )

    def _token(self, value: Any) -> int:
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ValueError(f"Layer {self.name!r}: expected an integer as a token. Received: {value!r}") from None

    def _found(self, values: Any) -> Any:
        """The places of int64 values."""
        first, unknown = self._mask_places, ops.full_like(values, self._mask_places)
        if self.num_oov_indices > 1:
            unknown = ops.mod(values, self.num_oov_indices) + first
        elif self.num_oov_indices == 0:
            unknown = ops.full_like(values, ABSENT)
        places = unknown
        if self._tokens:
            tokens = np.array(self._tokens, np.int64)
            order = np.argsort(tokens)
            near = ops.minimum(ops.searchsorted(tokens[order], values), len(tokens) - 1)
            known = ops.equal(ops.take(tokens[order], near), values)
            places = ops.where(known, ops.take(order + self._first, near), unknown)
        if self.mask_token is not None:
            hidden = 0 if self.output_mode == "int" else ABSENT
            places = ops.where(ops.equal(values, self.mask_token), hidden, places)
        if self.num_oov_indices == 0 and isinstance(places, Tensor) and self.mask_token is None:
            absent = values.numpy()[places.numpy() == ABSENT]
            if absent.size:
                raise ValueError(f"num_oov_indices=0 leaves no place for unknown tokens: {absent[:5].tolist()}")
        return places

    def call(self, inputs: Any) -> Any:
        values = ops.cast(inputs, "int64")
        if not self.invert:
            return self._encoded(self._found(values))
        tokens = np.array([*self.get_vocabulary(), self.oov_token], np.int64)
        outside = ops.logical_or(ops.less(values, 0), ops.greater_equal(values, len(tokens) - 1))
        return ops.take(tokens, ops.where(outside, len(tokens) - 1, values))

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        dtype = "int64" if self.output_mode == "int" else as_dtype(None).name
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype)


def string_array(values: Any, encoding: str = "utf-8") -> Array:
    """Strings or bytes, in lists or arrays, as an array of Python strings."""
    array = np.asarray(values)
    if array.dtype.kind not in "USO":
        raise ValueError(f"expected strings. Received: {type(values).__name__} of dtype {array.dtype}")
    flat = [item.decode(encoding) if isinstance(item, bytes) else str(item) for item in array.ravel().tolist()]
    result = np.empty(len(flat), object)
    result[:] = flat
    return result.reshape(array.shape)


class EagerOnStrings(Layer):
    """A layer that takes strings: it works on NumPy arrays and lists alone, not inside of models."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Computes at once.

        Raises:
            ValueError: placeholders or values that are no strings.
        """
        if isinstance(inputs, KerasTensor):
            raise ValueError(
                f"Layer {self.name!r} of class {type(self).__name__} cannot be part of a model: models compute with "
                "numbers, and strings are none. Call the layer on the texts first, and give the model what it returns."
            )
        return self.call(inputs, *args, **kwargs)


@registered("keras.layers")
class StringLookup(EagerOnStrings, IndexLookup):
    """Strings as their places in a vocabulary (int64), or as vectors; on NumPy arrays and lists, not inside of models.

    Args: as for `IndexLookup`; at most one place for unknown strings. `encoding` is that of bytes.
    """

    vocabulary_dtype = "string"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str | None = "[UNK]",
        vocabulary: Sequence[str] | None = None,
        idf_weights: Sequence[float] | None = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        self.encoding = encoding
        super().__init__(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            sparse,
            pad_to_max_tokens,
            salt=salt,
            name=name,
            **kwargs,
        )
        if num_oov_indices > 1:
            raise ValueError(
                f"Layer {self.name!r}: several places for unknown strings need a hash that is not supported. "
                f"Received: num_oov_indices={num_oov_indices}"
            )

    def _token(self, value: Any) -> str:
        return value.decode(self.encoding) if isinstance(value, bytes) else str(value)

    def places(self, strings: Array) -> Array:
        """The places (int64) of an array of strings; raises ValueError where one has none."""
        table = {token: place for place, token in enumerate(self._tokens, self._first)}
        if self.mask_token is not None:
            table[self.mask_token] = 0 if self.output_mode == "int" else ABSENT
        absent = self._mask_places if self.num_oov_indices else None
        found = [table.get(token, absent) for token in strings.ravel().tolist()]
        if None in found:
            unknown = [t for t, place in zip(strings.ravel().tolist(), found, strict=True) if place is None]
            raise ValueError(
                f"Layer {self.name!r}: num_oov_indices=0 leaves no place for unknown tokens: {unknown[:5]}"
            )
        return np.array(found, np.int64).reshape(strings.shape)

    def call(self, inputs: Any) -> Any:
        if self.invert:
            tokens, values = self.get_vocabulary(), np.asarray(ops.convert_to_numpy(inputs))
            found = [tokens[i] if 0 <= i < len(tokens) else self.oov_token for i in values.ravel().tolist()]
            return np.array(found, object).reshape(values.shape)
        return self._encoded(ops.convert_to_tensor(self.places(string_array(inputs, self.encoding))))

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "encoding": self.encoding}
        del config["vocabulary_dtype"]
        return config
