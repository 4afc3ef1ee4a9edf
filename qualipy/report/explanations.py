"""Pictures of where a filter sees it, for the photos that it has flagged: `Explanations`.

They are drawn as results come, while other processes judge the next photos, and go to files
beside the page: it holds their names, and shows one when it is asked to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from qualipy.report.thumbnails import Thumbnails

if TYPE_CHECKING:
    from qualipy_core import Result
    from qualipy_core.criterion import Criterion

_SIDE = 960  # pixels at most: they are looked at one at a time, as large as the window


class Explanations:
    """The explanations of one page.

    Parameters
    ----------
    filters : mapping of str to Criterion
        Those of the run, by their key in results.
    folder : str
        The folder that relative paths start from.
    files : Thumbnails
        Where files beside the page go.
    """

    def __init__(self, filters: Mapping[str, Criterion], folder: str, files: Thumbnails) -> None:
        self._filters = filters
        self._folder = folder
        self._files = files
        self.described: dict[str, dict[int, dict[str, str]]] = {}

    def add(self, number: int, result: Result) -> None:
        """Draw what was seen in a photo by those filters that have flagged it and can show it."""
        from qualipy.explaining import explained, shows
        from qualipy_core import Image

        path = os.path.join(self._folder, result.image)
        if not result.flagged or not os.path.isfile(path):
            return
        image = None
        for label in result.flagged:
            item = self._filters.get(label)
            if item is None or not shows(item):
                continue
            try:
                image = image or Image.open(path, result.ROI)
                drawn = explained(item, image, side=_SIDE)
            except Exception:  # noqa: S112 (a picture less: what a filter says stands without it)
                continue
            if drawn is not None:
                name = f"where/{number}-{re.sub(r'[^0-9A-Za-z_]', '-', label)}.jpg"
                told = self.described.setdefault(label, {})
                told[number] = {"file": self._files.place(name, drawn.data), "text": drawn.summary}
