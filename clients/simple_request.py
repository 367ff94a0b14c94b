"""Send one picture to the service and print what it sees: `python clients/simple_request.py [IMAGE]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import requests

SEVEN = Path(__file__).resolve().parent / "seven.png"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per prediction, such as `1. 7: 0.9993`; returns 1 when there is none."""
    parser = argparse.ArgumentParser(description="Classify a picture.")
    parser.add_argument("image", nargs="?", type=Path, default=SEVEN, help="default: a drawn seven")
    parser.add_argument("--url", default="http://localhost:5000", help="address of the service (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        with options.image.open("rb") as file:
            response = requests.post(f"{options.url.rstrip('/')}/predict", files={"image": file}, timeout=60)
        answer = response.json()
    except (OSError, ValueError) as error:  # errors of requests are among these
        print(f"no answer: {error}", file=sys.stderr)
        return 1
    if not answer["success"]:
        print(f"{answer['error']['code']}: {answer['error']['message']}", file=sys.stderr)
        return 1
    for rank, prediction in enumerate(answer["predictions"], start=1):
        print(f"{rank}. {prediction['label']}: {prediction['probability']:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
