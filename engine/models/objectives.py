"""What `compile` is told about outputs: the losses and metrics of each, matched to the model's structure by name."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine import losses, metrics, tree
from engine.losses.loss import Loss, LossFunctionWrapper
from engine.metrics import get as find_metric
from engine.metrics.metric import Metric
from engine.metrics.reduction import Mean, MeanMetricWrapper


def named_outputs(structure: Any, names: list[str] | None = None) -> dict[str, Any]:
    """The leaves of a model's outputs by name: keys of dictionaries, else the given names, else "output_1", …"""
    if isinstance(structure, dict) and not any(tree.is_nested(value) for value in structure.values()):
        return {key: structure[key] for key in sorted(structure)}
    leaves = tree.flatten(structure)
    if names is None or len(names) != len(leaves):
        names = [f"output_{index + 1}" for index in range(len(leaves))]
    found: dict[str, Any] = {}
    for name, leaf in zip(names, leaves, strict=True):
        count = sum(known == name or known.startswith(f"{name}_") for known in found)
        found[name if name not in found else f"{name}_{count}"] = leaf
    return found


def by_output(given: Any, names: list[str], what: str) -> dict[str, Any]:
    """What was given for outputs, as a dictionary by their names; outputs that are not mentioned are left out.

    Args:
        given: one for a single output; a list or tuple in the outputs' order; a dictionary by name.

    Raises:
        ValueError: a name that is no output, or another number of entries.
    """
    if given is None:
        return {}
    if isinstance(given, dict):
        unknown = [key for key in given if key not in names]
        if unknown:
            raise ValueError(f"{what}: there is no output {unknown[0]!r}. The model's outputs: {', '.join(names)}")
        return dict(given)
    if isinstance(given, (list, tuple)):
        leaves = list(given)
        if len(leaves) != len(names):
            raise ValueError(
                f"{what}: expected one entry for each output ({', '.join(names)}). Received: {len(leaves)} entries"
            )
        return dict(zip(names, leaves, strict=True))
    if len(names) != 1:
        raise ValueError(
            f"{what}: expected a list or dictionary with an entry for each output ({', '.join(names)}). "
            f"Received: {type(given).__name__}"
        )
    return {names[0]: given}


def targets_by_output(y: Any, y_pred: Any, names: list[str], what: str = "y") -> dict[str, Any]:
    """Targets, or sample weights, by output name; a list for one output is taken as its only entry."""
    if len(names) == 1 and not isinstance(y, dict):
        leaves = tree.flatten(y)
        return {names[0]: leaves[0]} if len(leaves) == 1 else by_output(y, names, what)
    if tree.is_nested(y) and not isinstance(y, dict) and tree.is_nested(y_pred):
        return by_output(tree.flatten(y), names, what)
    return by_output(y, names, what)


class Labels(NamedTuple):
    """What targets that are class numbers may be: 0..classes - 1, or `ignored`."""

    classes: int
    ignored: int | None


def _labels_of(loss: Any, shape: tuple[int, ...]) -> Labels | None:
    """What a loss takes as targets for an output of a shape, where they are class numbers."""
    if not isinstance(loss, LossFunctionWrapper) or loss.fn is not losses.sparse_categorical_crossentropy:
        return None
    classes = shape[loss.options.get("axis", -1)]
    return None if classes is None else Labels(classes, loss.options.get("ignore_class"))


class Objective(NamedTuple):
    """The loss of one output."""

    name: str
    loss: Any
    weight: float
    tracker: Mean | None  # of its value, where there are several outputs
    labels: Labels | None  # where targets are class numbers


class CompiledLoss:
    """The losses of all outputs, weighted and added up.

    Args:
        loss, loss_weights: as given to `compile`.
        output_names: the model's, or None.
    """

    def __init__(self, loss: Any, loss_weights: Any = None, output_names: list[str] | None = None) -> None:
        self._loss = loss
        self._weights = loss_weights
        self._output_names = output_names
        self._objectives: list[Objective] | None = None
        self._names: list[str] = []
        self._nest: Any = None  # the form of the outputs
        for leaf in tree.flatten(loss):
            losses.get(leaf)  # unknown names are noticed by compile() already

    @property
    def metrics(self) -> list[Metric]:
        """The means of the outputs' losses, where there are several outputs."""
        return [item.tracker for item in self._objectives or () if item.tracker is not None]

    def build(self, y_pred: Any) -> None:
        """Matches losses to outputs, once the outputs' structure is known."""
        if self._objectives is not None:
            return
        outputs = named_outputs(y_pred, self._output_names)
        names = list(outputs)
        given = self._loss
        if len(names) > 1 and not tree.is_nested(given):
            given = dict.fromkeys(names, given)
        elif len(names) == 1 and isinstance(given, (list, tuple)) and len(given) == 1:
            given = given[0]
        chosen = by_output(given, names, "loss")
        weights = self._weights
        if len(names) == 1 and isinstance(weights, (list, tuple)) and len(weights) == 1:
            weights = weights[0]
        weights = by_output(weights, names, "loss_weights")
        self._objectives = []
        for name in names:
            loss = as_loss(chosen.get(name))
            if loss is None:
                continue
            weight = weights.get(name)
            tracker = Mean(name=f"{name}_loss") if len(names) > 1 else None
            weight = 1.0 if weight is None else float(weight)
            self._objectives.append(Objective(name, loss, weight, tracker, _labels_of(loss, outputs[name].shape)))
        self._names = names
        self._nest = tree.map_structure(lambda leaf: None, y_pred)

    def check_labels(self, y: Any) -> None:
        """Raises ValueError where targets that are class numbers, NumPy arrays, are none of the output's classes."""
        objectives = [item for item in self._objectives or () if item.labels is not None]
        if not objectives or y is None:
            return
        targets = targets_by_output(y, self._nest, self._names)
        for objective in objectives:
            given = targets.get(objective.name)
            if given is None or objective.labels is None:
                continue
            classes, ignored = objective.labels
            numbers = given if ignored is None else given[given != ignored]
            if numbers.size and not (numbers.min() >= 0 and numbers.max() < classes):
                raise ValueError(
                    f"Output {objective.name!r} has {classes} classes: expected targets from 0 to {classes - 1}. "
                    f"Received: targets from {numbers.min()} to {numbers.max()}"
                )

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The total loss, a scalar tensor, or None where no output has a loss. Updates the outputs' means."""
        self.build(y_pred)
        assert self._objectives is not None
        if not self._objectives:
            return None
        outputs = named_outputs(y_pred, self._output_names)
        names = list(outputs)
        if y is None:
            raise ValueError(f"Targets are needed: output {self._objectives[0].name!r} has a loss, but y is None.")
        targets = targets_by_output(y, y_pred, names)
        shared = sample_weight is not None and not tree.is_nested(sample_weight)
        weights = {} if shared else targets_by_output(sample_weight, y_pred, names, "sample_weight")
        total = None
        for name, loss, weight, tracker, _ in self._objectives:
            if targets.get(name) is None:
                raise ValueError(f"Targets are missing for output {name!r}, which has a loss.")
            try:
                value = loss(targets[name], outputs[name], sample_weight if shared else weights.get(name))
            except ValueError as error:
                raise ValueError(
                    f"Output {name!r} of shape {tuple(outputs[name].shape)} and its targets of shape "
                    f"{tuple(targets[name].shape)} do not fit the loss: {error}"
                ) from error
            if tracker is not None:
                tracker.update_state(value, sample_weight=outputs[name].shape[0])
            if weight != 1.0:
                value = value * weight
            total = value if total is None else total + value
        return total


def as_loss(identifier: Any) -> Any:
    """A loss object of a name, a config, a function or a loss; None for None."""
    loss = losses.get(identifier)
    if loss is None or isinstance(loss, Loss):
        return loss
    name = getattr(loss, "__name__", None)
    return LossFunctionWrapper(loss, name=name)


class CompiledMetrics:
    """The metrics of all outputs.

    Args:
        metrics, weighted_metrics: as given to `compile`; the second are given the sample weights.
        output_names: the model's, or None.
    """

    name = "compile_metrics"

    def __init__(self, metrics: Any, weighted_metrics: Any = None, output_names: list[str] | None = None) -> None:
        self._given = (metrics, weighted_metrics)
        for leaf in tree.flatten([metrics, weighted_metrics]):
            if isinstance(leaf, str) and leaf.lower() not in _BY_SHAPE:
                find_metric(leaf)  # unknown names are noticed by compile() already
        self._output_names = output_names
        self._entries: list[tuple[str, str, Metric, bool]] | None = None  # output, name in logs, metric, weighted

    @property
    def metrics(self) -> list[Metric]:
        return [metric for _, _, metric, _ in self._entries or ()]

    def result(self) -> dict[str, Any]:
        """The values by their names in logs."""
        results: dict[str, Any] = {}
        for _, label, metric, _ in self._entries or ():
            value = metric.result()
            results.update(value if isinstance(value, dict) else {label: value})
        return results

    @property
    def variables(self) -> list[Any]:
        return [variable for metric in self.metrics for variable in metric.variables]

    def build(self, y: Any, y_pred: Any) -> None:
        """Makes the metrics, once the shapes of targets and outputs are known."""
        if self._entries is not None:
            return
        outputs = named_outputs(y_pred, self._output_names)
        names = list(outputs)
        targets = {} if y is None else targets_by_output(y, y_pred, names)
        entries: list[tuple[str, str, Metric, bool]] = []
        taken: set[str] = set()
        for weighted, given in zip((False, True), self._given, strict=True):
            chosen = self._by_output(given, names)
            for output, items in chosen.items():
                for item in items:
                    if item is None:
                        continue
                    metric = as_metric(item, targets.get(output), outputs[output])
                    label = metric.name
                    if weighted and (label if len(names) == 1 else f"{output}_{label}") in taken:
                        label = f"weighted_{label}"
                    if len(names) > 1:
                        label = f"{output}_{label}"
                    taken.add(label)
                    entries.append((output, label, metric, weighted))
        self._entries = entries

    @staticmethod
    def _by_output(given: Any, names: list[str]) -> dict[str, list[Any]]:
        if given is None:
            return {}
        if not isinstance(given, dict) and len(names) == 1:
            items = list(given) if isinstance(given, (list, tuple)) else [given]
            if len(items) == 1 and isinstance(items[0], (list, tuple)):
                items = list(items[0])
            return {names[0]: items}
        chosen = by_output(given, names, "metrics")
        return {name: list(items) if isinstance(items, (list, tuple)) else [items] for name, items in chosen.items()}

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch to every metric."""
        if self._entries is None:
            self.build(y, y_pred)
        if not self._entries:
            return
        outputs = named_outputs(y_pred, self._output_names)
        names = list(outputs)
        targets = targets_by_output(y, y_pred, names)
        shared = sample_weight is not None and not tree.is_nested(sample_weight)
        weights = {} if shared else targets_by_output(sample_weight, y_pred, names, "sample_weight")
        for output, _, metric, weighted in self._entries:
            weight = (sample_weight if shared else weights.get(output)) if weighted else None
            metric.update_state(targets[output], outputs[output], sample_weight=weight)

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def __repr__(self) -> str:
        return f"<CompiledMetrics name={self.name}>"


_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


def as_metric(identifier: Any, y: Any, y_pred: Any) -> Metric:
    """A metric object of a name, a config, a function or a metric.

    "accuracy" and "crossentropy" stand for the form that the shapes of targets and predictions call for.
    """
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        metric = _form_of(y, y_pred, _ACCURACIES)(name=identifier)
        return metric
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        return _form_of(y, y_pred, _CROSSENTROPIES)(name=identifier)
    metric = find_metric(identifier)
    if isinstance(metric, Metric):
        if isinstance(identifier, str):
            metric.name = identifier
        return metric
    label = identifier if isinstance(identifier, str) else getattr(metric, "__name__", type(metric).__name__)
    return MeanMetricWrapper(metric, name="lambda" if label == "<lambda>" else label)


_ACCURACIES = {
    "binary": metrics.BinaryAccuracy,
    "sparse": metrics.SparseCategoricalAccuracy,
    "categorical": metrics.CategoricalAccuracy,
}
_CROSSENTROPIES = {
    "binary": metrics.BinaryCrossentropy,
    "sparse": metrics.SparseCategoricalCrossentropy,
    "categorical": metrics.CategoricalCrossentropy,
}


def _form_of(y: Any, y_pred: Any, forms: dict[str, Any]) -> Any:
    predicted = tuple(y_pred.shape)
    true = tuple(y.shape) if y is not None else predicted
    if len(predicted) <= 1 or predicted[-1] == 1:
        return forms["binary"]
    if len(true) < len(predicted) or (true[-1] == 1 and predicted[-1] > 1):
        return forms["sparse"]
    return forms["categorical"]
