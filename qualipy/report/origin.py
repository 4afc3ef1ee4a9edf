"""Where the results of a report come from: `Origin`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from qualipy_core.criterion import Criterion


@dataclass(frozen=True)
class Origin:
    """What is known about a run beside its results.

    Attributes
    ----------
    filters : mapping of str to Criterion
        By their key in results; of a file that somebody brings, those it may have been judged by.
    certain : bool
        Whether these are the very filters of the run, not what is likely.
    paths : sequence of str
        What was asked to be judged, as on the command line; nothing where that is not known.
    options : sequence of sequences of str
        What else to repeat of the command line: each option with its value, if it has one.
    folder : str
        The folder that relative paths start from.
    stop_early : bool
        Whether an image's other filters were left out once one was positive.
    """

    filters: Mapping[str, Criterion] = field(default_factory=dict)
    certain: bool = True
    paths: Sequence[str] = ()
    options: Sequence[Sequence[str]] = ()
    folder: str = field(default_factory=os.getcwd)
    stop_early: bool = False

    def places(self, page: Path) -> dict[str, Any]:
        """Return where a page finds the photos on disk, as URLs that end in a slash.

        A relative one lets page and photos move together; the absolute one finds photos that
        stayed where they are. Between drives of Windows there is no relative one.
        """
        absolute = Path(self.folder).absolute().as_uri().rstrip("/") + "/"
        try:
            relative = os.path.relpath(self.folder, page.absolute().parent)
        except ValueError:
            return {"absolute": absolute, "relative": None}
        parts = [quote(os.fsencode(part)) for part in Path(relative).parts]
        return {"absolute": absolute, "relative": "".join(f"{part}/" for part in parts)}
