"""What lookups share: a vocabulary, given or found in data, and the places of its tokens."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import ops
from engine.dtypes import as_dtype
from engine.layers.layer import Layer
from engine.layers.preprocessing.category_encoding import MODES, check_dense, encoded, encoded_shape
from engine.tensor import Tensor

Array = np.ndarray[Any, Any]

_FILE = "vocabulary.txt"
ABSENT = -1  # the place of tokens that are nowhere: encodings show no trace of it


class IndexLookup(Layer):
    """What both lookups share: the vocabulary, how it is found in data, and how it is kept in files.

    The places are: the mask (0, only in the mode "int" and where there is a mask token), `num_oov_indices` places for
    tokens that are not in the vocabulary, then the vocabulary.

    Args:
        max_tokens: the most places; default: no limit.
        num_oov_indices: places for unknown tokens; 0: they are errors.
        mask_token, oov_token: what stands for padding and for unknown tokens.
        vocabulary: the tokens, in their order; default: `adapt` finds them.
        idf_weights: a weight for each token, for "tf_idf".
        invert: from places to tokens; only for "int".
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf" (counts times weights).
        sparse: only False is supported.
        pad_to_max_tokens: encodings are of length `max_tokens`, however many tokens there are.
        oov_method, salt: only "floormod" (the remainder of an integer) and no salt are supported.

    Raises:
        ValueError: options that contradict each other or are not supported.
    """

    vocabulary_dtype: str

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary: Sequence[Any] | None,
        idf_weights: Sequence[float] | None,
        invert: bool,
        output_mode: str,
        sparse: bool,
        pad_to_max_tokens: bool,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("dtype", None)  # files hold it, and it is always the same
        super().__init__(name=name, **kwargs)
        check_dense(self, sparse)
        output_mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(output_mode, output_mode)
        if output_mode not in ("int", *MODES, "tf_idf"):
            known = ("int", *MODES, "tf_idf")
            raise ValueError(f"Layer {self.name!r}: `output_mode` is one of {known}. Received: {output_mode!r}")
        if max_tokens is not None and max_tokens <= 1:
            raise ValueError(f"Layer {self.name!r}: `max_tokens` must be greater than 1. Received: {max_tokens}")
        if num_oov_indices < 0:
            raise ValueError(
                f"Layer {self.name!r}: `num_oov_indices` must not be negative. Received: {num_oov_indices}"
            )
        if pad_to_max_tokens and max_tokens is None:
            raise ValueError(f"Layer {self.name!r}: pad_to_max_tokens=True needs `max_tokens`.")
        if invert and output_mode != "int":
            raise ValueError(f"Layer {self.name!r}: invert=True needs the output mode 'int'. Received: {output_mode!r}")
        if idf_weights is not None and output_mode != "tf_idf":
            raise ValueError(f"Layer {self.name!r}: `idf_weights` are for the output mode 'tf_idf'.")
        if oov_method != "floormod" or salt is not None:
            raise ValueError(
                f"Layer {self.name!r}: unknown tokens are told apart by oov_method='floormod' without salt only. "
                f"Received: {oov_method!r} and salt={salt}"
            )
        self.max_tokens, self.num_oov_indices = max_tokens, num_oov_indices
        self.mask_token, self.oov_token = mask_token, oov_token
        self.invert, self.output_mode, self.sparse = invert, output_mode, sparse
        self.pad_to_max_tokens, self.oov_method, self.salt = pad_to_max_tokens, oov_method, salt
        if isinstance(vocabulary, str):
            raise ValueError(
                f"Layer {self.name!r}: `vocabulary` must be a list of tokens; files outside of a model are not read. "
                f"Received: {vocabulary!r}"
            )
        self.input_vocabulary = None if vocabulary is None else np.asarray(vocabulary).tolist()
        self.input_idf_weights = None if idf_weights is None else np.asarray(idf_weights).tolist()
        self._fixed = vocabulary is not None if has_input_vocabulary is None else has_input_vocabulary
        self._tokens: list[Any] = []
        self._idf: Array | None = None if idf_weights is None else np.asarray(idf_weights, np.float32)
        self._size = vocabulary_size
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(self.input_vocabulary or [], idf_weights)
        self.built = True

    # The vocabulary --------------------------------------------------------------------------------------------------

    @abstractmethod
    def _token(self, value: Any) -> Any:
        """A token of the layer's kind; raises ValueError for what is none."""

    @property
    def _mask_places(self) -> int:
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    @property
    def _first(self) -> int:
        """The place of the vocabulary's first token."""
        return self._mask_places + self.num_oov_indices

    def vocabulary_size(self) -> int:
        """How many places there are."""
        return len(self._tokens) + self._first

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens by their place; those for padding and unknown tokens first, unless they are left out."""
        special = [self.mask_token] * self._mask_places + [self.oov_token] * self.num_oov_indices
        return [*(special if include_special_tokens else []), *self._tokens]

    def set_vocabulary(self, vocabulary: Sequence[Any], idf_weights: Sequence[float] | None = None) -> None:
        """Sets the tokens, which may begin with those for padding and unknown tokens.

        Raises:
            ValueError: no tokens, too many, a token twice, or reserved ones among them; weights missing or too many.
        """
        tokens = [self._token(value) for value in vocabulary]
        special = self.get_vocabulary()[: self._first]
        complete = bool(special) and tokens[: len(special)] == special
        if complete:
            tokens = tokens[len(special) :]
        repeated = [token for token, count in Counter(tokens).items() if count > 1]
        reserved = [t for t in (self.mask_token, self.oov_token if self.invert else None) if t is not None]
        wrong = repeated or [token for token in tokens if token in reserved]
        if wrong:
            kind = "repeated" if repeated else "reserved"
            raise ValueError(f"Layer {self.name!r}: the vocabulary has {kind} tokens: {wrong[:5]}")
        if not tokens and not complete:
            raise ValueError(f"Layer {self.name!r}: the vocabulary is empty.")
        if self.max_tokens is not None and len(tokens) + self._first > self.max_tokens:
            raise ValueError(
                f"Layer {self.name!r}: `max_tokens` is {self.max_tokens}. Received: {len(tokens) + self._first} tokens"
            )
        if self.output_mode == "tf_idf":
            if idf_weights is None:
                raise ValueError(f"Layer {self.name!r}: the output mode 'tf_idf' needs `idf_weights`.")
            self._set_weights_of(np.asarray(idf_weights, np.float32), len(tokens))
        self._tokens = tokens
        self._size = self.vocabulary_size()

    def _set_weights_of(self, weights: Array, count: int) -> None:
        """Keeps a weight for each place, of weights for each token or each place."""
        if weights.shape == (count,):
            weights = np.concatenate([np.full(self._first, weights.mean() if count else 0.0, np.float32), weights])
        missing = (self.max_tokens or 0) - len(weights) if self.pad_to_max_tokens else 0
        if missing > 0:
            weights = np.concatenate([weights, np.zeros(missing, np.float32)])
        if weights.ndim != 1 or len(weights) != self._depth(count + self._first):
            raise ValueError(
                f"Layer {self.name!r}: expected a weight for each of {count} tokens. Received: shape {weights.shape}"
            )
        self._idf = weights

    def _depth(self, places: int | None = None) -> int:
        """The length of encodings, given how many places there are (default: as the config or the data say)."""
        if self.pad_to_max_tokens:
            return int(self.max_tokens or 0)
        return places or self._size or self.vocabulary_size()

    # Adapting --------------------------------------------------------------------------------------------------------

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Sets the vocabulary to the tokens of data, the most frequent first.

        Args:
            data: an array or a list, or another iterable of batches.
            steps: how many batches to take; default: all.

        Raises:
            ValueError: the layer was given its vocabulary.
        """
        self.reset_state()
        whole = isinstance(data, (list, tuple, np.ndarray, Tensor)) or not isinstance(data, Iterable)
        for index, batch in enumerate((data,) if whole else data):
            if steps is not None and index >= steps:
                break
            rows = np.asarray(ops.convert_to_numpy(batch))
            self.update_state(rows[:, None] if whole and rows.ndim == 1 else rows)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forgets the data seen."""
        self._counts: Counter[Any] = Counter()
        self._documents: Counter[Any] = Counter()
        self._seen = 0

    def update_state(self, data: Any) -> None:
        """Counts the tokens of a batch: an array (documents, tokens), or lists of tokens."""
        if self._fixed:
            raise ValueError(f"Layer {self.name!r} was given its vocabulary: it cannot adapt.")
        rows = data if isinstance(data, list) or np.ndim(data) > 1 else [data]
        for row in rows:
            tokens = [self._token(value) for value in (row if isinstance(row, list) else np.ravel(row).tolist())]
            self._counts.update(tokens)
            self._documents.update(set(tokens))
            self._seen += 1

    def finalize_state(self) -> None:
        """Sets the vocabulary from the data seen."""
        counted = [(n, token) for token, n in self._counts.items() if token not in (self.mask_token, self.oov_token)]
        if not counted:
            return
        limit = None if self.max_tokens is None else self.max_tokens - self._first
        self._tokens = [token for _, token in sorted(counted, reverse=True)[:limit]]
        if self.output_mode == "tf_idf":
            occurrences = np.array([self._documents[token] for token in self._tokens])
            weights = np.log(1 + self._seen / (1 + occurrences)).astype(np.float32)
            self._set_weights_of(weights, len(self._tokens))
        self.reset_state()
        self._size = self.vocabulary_size()

    # Calls -----------------------------------------------------------------------------------------------------------

    def _encoded(self, places: Any) -> Any:
        if self.output_mode == "int":
            return ops.cast(places, "int64")
        if not self._tokens and not self.pad_to_max_tokens:
            raise ValueError(f"Layer {self.name!r} has no vocabulary yet: give `vocabulary`, or call adapt() first.")
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        result = encoded(places, mode, self._depth(), as_dtype(None).name)
        if self.output_mode != "tf_idf":
            return result
        if self._idf is None:
            raise ValueError(f"Layer {self.name!r} has no `idf_weights` yet.")
        return result * self._idf

    def compute_output_shape(self, input_shape: Any) -> Any:
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return encoded_shape(input_shape, mode, self._depth())

    # Files -----------------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        names = ("invert", "max_tokens", "num_oov_indices", "oov_token", "mask_token", "output_mode", "sparse")
        more = ("pad_to_max_tokens", "vocabulary_dtype", "oov_method", "salt")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in (*names, *more)},
            "idf_weights": self.input_idf_weights,
            "vocabulary": self.input_vocabulary,
            "vocabulary_size": self._size,
        }

    def get_build_config(self) -> dict[str, Any]:
        """Nothing: the vocabulary makes the layer."""
        return {}

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Puts the weights of tokens into `store`, in the mode "tf_idf"."""
        if self._idf is not None:
            store["idf_weights"] = self._idf

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Takes the weights of tokens from `store`, in the mode "tf_idf"."""
        if self.output_mode == "tf_idf":
            weights = np.asarray(store["idf_weights"], np.float32)
            if weights.ndim != 1 or (self._idf is not None and weights.shape != self._idf.shape):
                raise ValueError(f"Layer {self.name!r}: its `idf_weights` do not fit: shape {weights.shape}.")
            self._idf = weights

    def save_assets(self, folder: str) -> None:
        """Writes the vocabulary to a folder, as one token a line, where the config does not hold it."""
        if self.input_vocabulary is None:
            text = "\n".join(str(token) for token in self.get_vocabulary())
            (Path(folder) / _FILE).write_text(text, encoding="utf-8", newline="\n")

    def load_assets(self, folder: str) -> None:
        """Takes the vocabulary from a folder where `save_assets` or Keras put it.

        Raises:
            ValueError: there is none, or it does not fit the layer.
        """
        if self.input_vocabulary is not None:
            return
        try:
            lines = (Path(folder) / _FILE).read_bytes().decode("utf-8").rstrip("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"Layer {self.name!r}: its {_FILE} cannot be read: {error}") from None
        declared = self._size
        numbers = self.vocabulary_dtype != "string"
        tokens = [line for line in lines if not (numbers and line == str(None))]
        self.set_vocabulary(tokens, None if self._idf is None else self._idf.tolist())
        if declared is not None and declared != self._size:
            raise ValueError(
                f"Layer {self.name!r}: its vocabulary file has {self._size} tokens, but its config says {declared}."
            )
