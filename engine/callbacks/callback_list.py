"""Several callbacks as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.callbacks.callback import Callback, Logs
from engine.callbacks.history import History
from engine.callbacks.progress import ProgbarLogger


class CallbackList:
    """Calls the hooks of several callbacks in order.

    Args:
        callbacks: a list, a single callback, a `CallbackList` or None.
        add_history: whether to add a `History` if there is none; it is then also `model.history`.
        add_progbar: whether to add a `ProgbarLogger` if there is none.
        model: given to the callbacks.
        params: given to the callbacks.

    Only callbacks that override a batch hook are called at batches. `logs` of the end hooks may be a function: it is
    called once, and only if a callback wants logs.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        if isinstance(callbacks, CallbackList):
            callbacks = callbacks.callbacks
        self.callbacks: list[Callback] = (
            list(callbacks) if isinstance(callbacks, Sequence) else [] if callbacks is None else [callbacks]
        )
        for item in self.callbacks:
            if not isinstance(item, Callback):
                raise TypeError(f"Expected callbacks, received {item!r} of type {type(item).__name__}.")
        if add_progbar and not any(isinstance(item, ProgbarLogger) for item in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        if add_history:
            history = next((item for item in self.callbacks if isinstance(item, History)), None)
            if history is None:
                history = History()
                self.callbacks.append(history)
            model.history = history
        self.params = params
        for item in self.callbacks:
            item.set_params(params)
            if model is not None:
                item.set_model(model)
        self._hooks: dict[str, list[Callback]] = {}

    def append(self, callback: Callback) -> None:
        self.callbacks.append(callback)
        self._hooks.clear()

    def _overriding(self, *names: str) -> list[Callback]:
        found = self._hooks.get(names[0])
        if found is None:
            found = [
                item
                for item in self.callbacks
                if any(getattr(type(item), name, None) is not getattr(Callback, name) for name in names)
                or any(name in vars(item) for name in names)
            ]
            self._hooks[names[0]] = found
        return found

    def _batch_end(self, hooks: list[Callback], hook: str, batch: int, logs: Any) -> None:
        if not hooks:
            return
        if callable(logs):
            logs = logs() if any(item.needs_batch_logs() for item in hooks) else None
        for item in hooks:
            getattr(item, hook)(batch, logs)

    def _call(self, hook: str, *arguments: Any, logs: Logs | None) -> None:
        for item in self.callbacks:
            getattr(item, hook)(*arguments, logs)  # by position: users name it as they like

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._call("on_train_begin", logs=logs or {})

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._call("on_train_end", logs=logs or {})

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._call("on_epoch_begin", epoch, logs=logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._call("on_epoch_end", epoch, logs=logs if logs is not None else {})

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for item in self._overriding("on_train_batch_begin", "on_batch_begin"):
            item.on_train_batch_begin(batch, logs or {})

    def on_train_batch_end(self, batch: int, logs: Logs | Callable[[], Logs] | None = None) -> None:
        hooks = self._overriding("on_train_batch_end", "on_batch_end")
        self._batch_end(hooks, "on_train_batch_end", batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._call("on_test_begin", logs=logs or {})

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._call("on_test_end", logs=logs or {})

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for item in self._overriding("on_test_batch_begin"):
            item.on_test_batch_begin(batch, logs or {})

    def on_test_batch_end(self, batch: int, logs: Logs | Callable[[], Logs] | None = None) -> None:
        self._batch_end(self._overriding("on_test_batch_end"), "on_test_batch_end", batch, logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._call("on_predict_begin", logs=logs or {})

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._call("on_predict_end", logs=logs or {})

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for item in self._overriding("on_predict_batch_begin"):
            item.on_predict_batch_begin(batch, logs or {})

    def on_predict_batch_end(self, batch: int, logs: Logs | Callable[[], Logs] | None = None) -> None:
        self._batch_end(self._overriding("on_predict_batch_end"), "on_predict_batch_end", batch, logs)
