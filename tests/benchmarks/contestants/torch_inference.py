"""PyTorch, eager, in inference mode; images in the order of axes that is faster here."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from engine.threads import available_processors
from tests.benchmarks.contestants.answering import Prepared, answer, fastest
from tests.benchmarks.networks.torch_networks import APPLICATIONS, load


class Module(Prepared):
    """A network and one batch."""

    def __init__(self, network: str, weights: str, images: str) -> None:
        super().__init__()
        torch.set_num_threads(available_processors())
        with np.load(weights) as arrays:
            self._network = torch.nn.Sequential(load(APPLICATIONS[network](), arrays), torch.nn.Softmax(1)).eval()
        self._images = torch.from_numpy(np.load(images)).permute(0, 3, 1, 2)
        formats = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
        order = fastest({name: lambda layout=layout: self._in(layout).run() for name, layout in formats.items()})  # type: ignore[misc]
        self._in(formats[order])
        self.notes.append(f"{order} is faster")

    def _in(self, layout: torch.memory_format) -> Module:
        self._network.to(memory_format=layout)
        self._images = self._images.contiguous(memory_format=layout)
        return self

    def run(self) -> Any:
        with torch.inference_mode():
            return self._network(self._images).numpy()


if __name__ == "__main__":
    answer(Module)
