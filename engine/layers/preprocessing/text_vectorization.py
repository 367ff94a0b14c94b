"""TextVectorization: texts cut into tokens, and these as their places in a vocabulary."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from engine import ops
from engine.layers.preprocessing.lookup import EagerOnStrings, StringLookup, string_array
from engine.registry import deserialize, registered

Array = np.ndarray[Any, Any]

_PUNCTUATION = re.compile(r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']""")
_STANDARDS = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLITS = ("whitespace", "character")


@registered("keras.layers")
class TextVectorization(EagerOnStrings):
    """Texts as the places of their tokens (int64, padded with 0), or as vectors; on NumPy arrays and lists only.

    Args:
        max_tokens: the most places, those for padding and unknown tokens included; default: no limit.
        standardize: "lower_and_strip_punctuation" (default), "lower", "strip_punctuation", None, or a function of an
            array of strings.
        split: "whitespace" (default), "character", None, or a function from an array of strings to lists of tokens.
        ngrams: n, for the runs of 1 to n tokens, or a tuple of lengths; default: single tokens.
        output_mode: "int" (default), "multi_hot", "count" or "tf_idf".
        output_sequence_length: for "int": texts are cut or padded to it; default: the longest text's.
        pad_to_max_tokens, vocabulary, idf_weights, encoding: as for `StringLookup`.
        sparse, ragged: only False is supported.

    Raises:
        ValueError: unknown or unsupported options.
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[[Array], Any] | None = "lower_and_strip_punctuation",
        split: str | Callable[[Array], Any] | None = "whitespace",
        ngrams: int | Sequence[int] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Sequence[str] | None = None,
        idf_weights: Sequence[float] | None = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        for label, value, known in (("standardize", standardize, _STANDARDS), ("split", split, _SPLITS)):
            if value is not None and not callable(value) and value not in known:
                raise ValueError(
                    f"Layer {self.name!r}: `{label}` is one of {', '.join(known)}, a function or None. "
                    f"Received: {value!r}"
                )
        if ragged:
            raise ValueError(f"Layer {self.name!r}: ragged=True is not supported; its outputs are dense.")
        if output_sequence_length is not None and output_mode != "int":
            raise ValueError(f"Layer {self.name!r}: `output_sequence_length` is for the output mode 'int'.")
        lengths = tuple(range(1, ngrams + 1)) if isinstance(ngrams, int) else tuple(ngrams or (1,))
        if any(not isinstance(length, int) or length < 1 for length in lengths):
            raise ValueError(f"Layer {self.name!r}: `ngrams` must be positive integers. Received: {ngrams!r}")
        self.standardize, self.split = standardize, split
        self.ngrams, self._ngram_lengths = ngrams, lengths
        self.output_sequence_length, self.ragged, self.encoding = output_sequence_length, ragged, encoding
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            pad_to_max_tokens=pad_to_max_tokens,
            mask_token="",
            output_mode=output_mode,
            sparse=sparse,
            encoding=encoding,
            vocabulary_size=vocabulary_size,
            has_input_vocabulary=has_input_vocabulary,
        )
        self.built = True

    def _tokens(self, inputs: Any) -> list[list[str]]:
        """The tokens of each text: of (batch,) or (batch, 1) texts, or without splitting of (batch, tokens)."""
        texts = string_array(inputs, self.encoding)
        if callable(self.standardize):
            texts = string_array(self.standardize(texts), self.encoding)
        if texts.ndim == 0:
            texts = texts[None]
        if self.split is not None and texts.ndim > 1 and texts.shape[-1] != 1:
            raise ValueError(f"expected texts of shape (batch,) or (batch, 1) to split. Received: {texts.shape}")
        standard = np.array([self._standardized(text) for text in texts.ravel()], object)
        if self.split is None:
            rows = [list(row) for row in standard.reshape(len(texts), -1)]
        elif callable(self.split):
            rows = [[str(token) for token in row] for row in self.split(standard)]
        else:
            rows = [text.split() if self.split == "whitespace" else list(text) for text in standard]
        if self.ngrams is None:
            return rows
        return [
            [" ".join(row[i : i + n]) for n in self._ngram_lengths for i in range(len(row) - n + 1)] for row in rows
        ]

    def _standardized(self, text: str) -> str:
        if self.standardize in ("lower", "lower_and_strip_punctuation"):
            text = text.lower()
        if self.standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
            text = _PUNCTUATION.sub("", text)
        return text

    # The vocabulary --------------------------------------------------------------------------------------------------

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Sets the vocabulary to the tokens of texts, the most frequent first.

        Args:
            data: an array or a list of texts, or another iterable of batches.
            batch_size: taken for compatibility.
            steps: how many batches to take; default: all.
        """
        self._lookup_layer.reset_state()
        whole = isinstance(data, (list, tuple, np.ndarray)) or not isinstance(data, Iterable)
        for index, batch in enumerate((data,) if whole else data):
            if steps is not None and index >= steps:
                break
            self._lookup_layer.update_state(self._tokens(batch))
        self._lookup_layer.finalize_state()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The tokens by their place."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def set_vocabulary(self, vocabulary: Sequence[str], idf_weights: Sequence[float] | None = None) -> None:
        """Sets the tokens; arguments and errors as for `StringLookup`."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def vocabulary_size(self) -> int:
        """How many places there are."""
        return self._lookup_layer.vocabulary_size()

    # Calls and files -------------------------------------------------------------------------------------------------

    def call(self, inputs: Any) -> Any:
        rows, lookup = self._tokens(inputs), self._lookup_layer
        if lookup.output_mode != "int":
            # One text at a time, since they differ in length.
            return ops.stack([lookup(np.array(row, object)) for row in rows])
        length = self.output_sequence_length
        if length is None:
            length = max(map(len, rows), default=0)
        padded = [[*row[:length], *[""] * (length - len(row))] for row in rows]
        return lookup(np.array(padded, object).reshape(len(rows), length))

    def get_config(self) -> dict[str, Any]:
        lookup = self._lookup_layer
        own = ("standardize", "split", "ngrams", "output_sequence_length", "ragged", "encoding")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in own},
            "max_tokens": lookup.max_tokens,
            "output_mode": lookup.output_mode,
            "pad_to_max_tokens": lookup.pad_to_max_tokens,
            "sparse": lookup.sparse,
            "vocabulary": lookup.input_vocabulary,
            "idf_weights": lookup.input_idf_weights,
            "vocabulary_size": self.vocabulary_size(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextVectorization:
        """The layer of a config; functions in it must be registered."""
        functions = {key: deserialize(config[key]) for key in ("standardize", "split") if key in config}
        return cls(**(config | functions))

    def save_assets(self, folder: str) -> None:
        """Writes the vocabulary to a folder; Keras expects it with this layer and with the lookup inside."""
        self._lookup_layer.save_assets(folder)

    def load_assets(self, folder: str) -> None:
        """Takes the vocabulary from a folder."""
        self._lookup_layer.load_assets(folder)
