"""Training in PyTorch, eager, with the order of axes and the implementation of Adam that are fastest here."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from engine.threads import available_processors
from tests.benchmarks.contestants.answering import Prepared, answer, fastest
from tests.benchmarks.networks.torch_networks import load, trained

_FORMATS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
_ADAMS: dict[str, dict[str, Any]] = {"Adam": {}, "Adam, foreach": {"foreach": True}, "Adam, fused": {"fused": True}}


class _Run:
    """A network with its optimizer."""

    def __init__(self, network: torch.nn.Module, layout: torch.memory_format, adam: dict[str, Any]) -> None:
        self.layout = layout
        self.network = network.to(memory_format=layout).train()
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3, eps=1e-7, **adam)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        """One step on a batch; its loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(self.network(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Training(Prepared):
    """A network, its optimizer and its data; arguments as `keras_training`'s."""

    def __init__(self, network: str, dropout: float, weights: str, data: str, batch: int, way: str) -> None:
        super().__init__()
        torch.set_num_threads(available_processors())
        self._name, self._weights, self._batch, self._way = network, weights, batch, way
        with np.load(data) as arrays:
            x, self._y = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"]).long()
        self._x = x.long() if x.dtype == torch.int32 else x
        self._steps = len(self._x) // batch
        self._next = 0
        has_images = self._x.ndim == 4
        if has_images:
            self._x = self._x.permute(0, 3, 1, 2)
        candidates = {
            f"{layout}, {adam}" if has_images else adam: (_FORMATS[layout], _ADAMS[adam])
            for layout in (_FORMATS if has_images else ["channels first"])
            for adam in _ADAMS
        }
        runs = {name: self._make(dropout, *settings) for name, settings in candidates.items()}
        chosen = fastest({name: lambda run=run: run.step(*self._rows(0, run.layout)) for name, run in runs.items()})  # type: ignore[misc]
        self._run = self._make(dropout, *candidates[chosen])
        if has_images:
            self._x = self._x.contiguous(memory_format=self._run.layout)
        self.notes.append(f"{chosen} is fastest")

    def _make(self, dropout: float, layout: torch.memory_format, adam: dict[str, Any]) -> _Run:
        with np.load(self._weights) as arrays:
            return _Run(load(trained(self._name, dropout), arrays), layout, adam)

    def _rows(self, step: int, layout: torch.memory_format) -> tuple[torch.Tensor, torch.Tensor]:
        start = step % self._steps * self._batch
        x = self._x[start : start + self._batch]
        return x.contiguous(memory_format=layout) if x.ndim == 4 else x, self._y[start : start + self._batch]

    def run(self) -> Any:
        if self._way == "fit":
            order = torch.randperm(len(self._x))
            for rows in order.split(self._batch):
                self._run.step(self._x[rows], self._y[rows])
            return None
        self._next += 1
        return self._run.step(*self._rows(self._next, self._run.layout))

    def measure(self, times: int, warm_up: bool = True) -> list[float]:
        """Seconds of a step."""
        seconds = super().measure(times, warm_up)
        return [one / self._steps for one in seconds] if self._way == "fit" else seconds

    def losses(self, steps: int) -> list[float]:
        """The losses of the first steps, without dropout."""
        run = self._make(0.0, self._run.layout, {})
        return [run.step(*self._rows(step, run.layout)) for step in range(steps)]


if __name__ == "__main__":
    answer(Training)
