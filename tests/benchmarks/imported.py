"""ResNet50 and MobileNetV2 from ONNX files, written by PyTorch and by Keras, beside the same networks of our own.

All have the same weights and do the same operations (see `networks.exported_files`), so that an imported network should
take as long as ours. It gets images in its file's order of axes: PyTorch's are channels first, and are transposed once,
which counts. Outputs are compared with ours and with ONNX Runtime's before anything is timed.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.contestant import Contestant, ContestantError, Entry
from tests.benchmarks.inference import (
    ONNX_RUNTIME,
    OURS,
    compared,
    make_files,
    name_of,
    our_entries,
    print_figures,
    take_turns,
)
from tests.benchmarks.networks.files import folder_for, make
from tests.benchmarks.networks.shapes import IMAGE_SIDE
from tests.benchmarks.networks.weights import images as random_images
from tests.benchmarks.rounds import Figures, median_of_ratios, print_table

MODELS = ("ResNet50", "MobileNetV2")
EXPORTERS = {"torch": ("PyTorch", ("torch", "onnx")), "keras": ("Keras", ("keras", "tensorflow", "tf2onnx"))}
"""What the tables call an exporter, and the libraries that it needs."""
BUDGET = 1.05
"""The share of our own network's time that an imported one may take."""

_SEED = 22
_PROGRAMS = "tests.benchmarks.contestants"


def imported_name(exporter: str) -> str:
    """What the table calls our session of an exporter's file."""
    return name_of(f"{OURS} from {EXPORTERS[exporter][0]}", "float32")


def available(exporters: Sequence[str]) -> list[str]:
    """Those whose libraries are installed; of the others a line is printed."""
    found = []
    for exporter in exporters:
        missing = [name for name in EXPORTERS[exporter][1] if importlib.util.find_spec(name) is None]
        if missing:
            print(f"{EXPORTERS[exporter][0]} exports nothing: {', '.join(missing)} is not installed")
        else:
            found.append(exporter)
    return found


def exported_file(model: str, exporter: str, folder: Path) -> Path:
    """The file that an exporter writes of a network, written if it is not there."""
    file = folder / (f"{model}.onnx" if exporter == "torch" else f"{model}-{exporter}.onnx")
    make("exported_files", f"{exporter}-{model}", folder, results=[file.name])
    return file


def entries(model: str, batch: int, folder: Path, images: Path, exporters: Sequence[str]) -> list[Entry]:
    """Our own network, the imported ones, and ONNX Runtime."""
    [ours] = our_entries(model, batch, folder, images, ["float32"])
    listed = [ours]
    for exporter in exporters:
        settings = {**ours.settings, "model": str(exported_file(model, exporter, folder))}
        listed.append(Entry(imported_name(exporter), ours.program, settings))
    if "torch" in exporters:
        settings = {"model": str(exported_file(model, "torch", folder)), "images": str(images)}
        listed.append(Entry(name_of(ONNX_RUNTIME, "float32"), f"{_PROGRAMS}.onnxruntime_inference", settings))
    return listed


def inner_transposes(contestants: dict[str, Contestant]) -> dict[str, int]:
    """How many transposes each of our plans has beside that of its input."""
    return {name: one.ask("inner_transposes") for name, one in contestants.items() if name.startswith(OURS)}


def judge(what: str, figures: dict[str, list[Figures]], transposes: dict[str, int]) -> list[tuple[str, float, str]]:
    """Rows of the budgets: what, measured, allowed."""
    own = name_of(OURS, "float32")
    rows: list[tuple[str, float, str]] = []
    for name in (imported_name(exporter) for exporter in EXPORTERS):
        if name in figures and own in figures:
            rows.append(
                (f"{what}: {name} / {own}", median_of_ratios(figures[name], figures[own], "ms"), f"<= {BUDGET:g}")
            )
            rows.append((f"{what}: transposes inside {name}", transposes[name], "0"))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks imported", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="in which all take their turns (default 5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a turn, about (default 1)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--exporters", nargs="+", choices=tuple(EXPORTERS), default=tuple(EXPORTERS))
    parser.add_argument("--files", type=Path, help="folder in which the networks' files are kept (default: none is)")
    options = parser.parse_args(arguments)
    exporters = available(options.exporters)
    if not exporters:
        raise ContestantError("there is no exporter, and nothing to import")
    judged: list[tuple[str, float, str]] = []
    with folder_for(options.files) as folder:
        for model in options.models:
            make_files(model, folder, ["float32"], peers=[])
            for batch in options.batches:
                images = folder / f"batch-{batch}.npy"
                np.save(images, random_images(batch, IMAGE_SIDE, 3, seed=_SEED))
                with compared(entries(model, batch, folder, images, exporters)) as (contestants, differences):
                    transposes = inner_transposes(contestants)
                    figures = take_turns(contestants, options.rounds, options.seconds)
                what = f"{model}, batch {batch}"
                print_figures(f"{what}: medians of {options.rounds} rounds", batch, figures, differences)
                judged += judge(what, figures, transposes)
    print_table("Imported beside our own", ("", "measured", "budget"), judged)
