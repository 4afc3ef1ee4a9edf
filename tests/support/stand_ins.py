"""The test's side of the pack of stand-ins: how its pictures are named, and what it has noted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

STAND_INS = Path(__file__).parent / "packs" / "stand_ins"
"""A folder to be put on the path: the pack is found there as installed ones are."""


def picture(number: int, word: str = "") -> str:
    """Return the name of a picture; ``broken``, ``hang``, ``poison`` are words with a meaning."""
    return f"stand-in://{word}/{number}" if word else f"stand-in://{number}"


def mean(number: int) -> float:
    """Return what the filter ``mean`` measures on a picture."""
    return number % 256 / 255


def runs(file: Path) -> Counter[str]:
    """Return how often the filter ``counted`` has seen each image."""
    lines = file.read_text().splitlines() if file.exists() else []
    return Counter(line.rsplit(" ", 2)[0] for line in lines)
