"""Pictures of an evaluation: ROC curve, threshold curve, contact sheet of the worst mistakes.

Needs matplotlib, the extra ``plots``; only its drawing is used, so no display is needed, and what
else in this process draws with matplotlib is left alone.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qualipy.evaluation import Evaluation, Photo
from qualipy_core import Image, metrics
from qualipy_core.errors import MissingLibraryError, QualipyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

ROC, THRESHOLD, MISTAKES = "roc.png", "threshold.png", "mistakes.png"

_DPI = 120
_BLUE, _ORANGE, _GREEN, _PURPLE, _GREY = "#2166ac", "#d6604d", "#35978f", "#762a83", "#777777"
_BACKGROUND = "#f0f0f0"  # around a thumbnail that is no square
_COLUMNS = 4  # of the contact sheet
_THUMBNAIL = 360  # pixels
_PATH_WIDTH = 44  # characters that fit under a thumbnail
_MARGIN = 0.04  # of the range of thresholds, on either side


def need_matplotlib() -> None:
    """Fail now, rather than after the work.

    Raises
    ------
    MissingLibraryError
        matplotlib is not installed.
    """
    try:
        import matplotlib.backends.backend_agg  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError(
            "Plots need matplotlib: `pip install 'qualipy[plots]'`. Everything else works "
            "without it."
        ) from error


def draw(result: Evaluation, folder: str | os.PathLike[str], worst: int = 12) -> list[Path]:
    """Draw all pictures that can be drawn of an evaluation.

    Parameters
    ----------
    result : Evaluation
        Of at least one photo.
    folder : str or path
        An existing folder, in which files of these names are replaced.
    worst : int
        How many mistakes the contact sheet shows.

    Returns
    -------
    list of Path
        The files: ``roc.png`` when there are photos of both labels, ``threshold.png`` when a
        threshold orders them, ``mistakes.png`` when there are mistakes.

    Raises
    ------
    MissingLibraryError
        matplotlib is not installed.
    OSError
        A file cannot be written.
    """
    need_matplotlib()
    drawings: dict[str, Drawing] = {}
    if result.figures["roc_auc"] is not None:
        drawings[ROC] = roc(result)
        if result.scores.cut is not None:
            drawings[THRESHOLD] = thresholds(result)
    if worst and result.mistakes:
        drawings[MISTAKES] = contact_sheet(result, worst)
    paths = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        for name, drawing in drawings.items():
            paths.append(Path(folder) / name)
            drawing.savefig(paths[-1], dpi=_DPI, metadata={"Software": None})
    return paths


def roc(result: Evaluation) -> Drawing:
    """Draw the ROC curve."""
    drawing, axes = _drawing(5.2, 5.2)
    table = metrics.cuts(result.positive, result.scores.values)
    axes.plot([0, 1], [0, 1], color=_GREY, linewidth=0.8, linestyle=":")
    axes.plot(table.false_alarms, table.recall, color=_BLUE, linewidth=1.8)
    for evaluation, name, color, mark in _marked(result):
        cells = evaluation.confusion
        x = cells.false_positives / (cells.false_positives + cells.true_negatives)
        y = cells.true_positives / (cells.true_positives + cells.false_negatives)
        axes.plot([x], [y], mark, color=color, markersize=8, label=name, clip_on=False, zorder=3)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set_xlabel("false alarms: negatives that are flagged")
    axes.set_ylabel("recall: positives that are flagged")
    auc = result.figures["roc_auc"]
    if auc is not None:
        said = f"area {auc.value:.3f} ({auc.low:.3f} – {auc.high:.3f})"
        axes.set_title(f"{result.filter.name}: ROC curve, {said}", fontsize=10)
    axes.legend(loc="lower right", fontsize=9, frameon=False)
    return drawing


def thresholds(result: Evaluation) -> Drawing:
    """Draw what precision, recall and balanced accuracy would be with other thresholds."""
    drawing, axes = _drawing(7.6, 4.4)
    scores = result.scores
    table = metrics.cuts(result.positive, scores.values)
    edges = _edges(result, np.append(table.highest_passed[::-1], table.lowest_flagged[0]))
    for name, values, color, width in (
        ("precision", table.precision, _GREEN, 1.2),
        ("recall", table.recall, _ORANGE, 1.2),
        ("balanced accuracy", table.balanced_accuracy, _BLUE, 2.0),
    ):
        rising = values[::-1] if scores.sign > 0 else values
        axes.stairs(rising, edges, baseline=None, color=color, linewidth=width, label=name)
    for evaluation, name, color, _ in _marked(result):
        style = "-" if evaluation is result else "--"
        axes.axvline(evaluation.filter.threshold, color=color, linewidth=1, linestyle=style)
        axes.plot([], [], color=color, linewidth=1, linestyle=style, label=name)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(-0.01, 1.02))
    axes.set_xlabel("threshold")
    side = "above" if scores.sign > 0 else "below"
    title = f"{result.filter.name}: what other thresholds would give (flagged {side})"
    axes.set_title(title, fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9, frameon=False)
    return drawing


def contact_sheet(result: Evaluation, worst: int) -> Drawing:
    """Draw the worst mistakes, the worst first."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shown = result.mistakes[:worst]
    rows = -(-len(shown) // _COLUMNS)
    columns = min(len(shown), _COLUMNS)
    size = (2.7 * max(columns, 2), 2.8 * rows + 0.6)
    drawing = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.08))
    of = f" ({len(shown)} of {len(result.mistakes):,})" if len(shown) < len(result.mistakes) else ""
    threshold = f"threshold {result.filter.threshold:.4g}"
    drawing.suptitle(f"{result.filter.name}: worst mistakes{of}, {threshold}", fontsize=10)
    for number, photo in enumerate(shown, 1):
        axes = drawing.add_subplot(rows, columns, number)
        _thumbnail(axes, photo)
    return drawing


def _drawing(width: float, height: float) -> tuple[Drawing, Axes]:
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(width, height), layout="constrained")
    axes = drawing.add_subplot()
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return drawing, axes


def _marked(result: Evaluation) -> Iterator[tuple[Evaluation, str, str, str]]:
    """The threshold in use and, where it is another, the best one, with their looks."""
    now = f"in use: {result.filter.threshold:.4g}" if result.scores.cut is not None else "in use"
    yield result, now, "black", "o"
    if result.best is not None and result.best.value != result.filter.threshold:
        yield result.at(result.best.value), f"best: {result.best.value:.4g}", _PURPLE, "D"


def _edges(result: Evaluation, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The thresholds between which nothing changes, rising; the ends stand a little outside."""
    inner = np.append(scores[np.isfinite(scores)], result.scores.cut or 0.0)
    reach = max(float(np.ptp(inner)) * _MARGIN, 1e-3)
    clipped = np.clip(scores, inner.min() - reach, inner.max() + reach)
    return clipped if result.scores.sign > 0 else -clipped[::-1]


def _thumbnail(axes: Axes, photo: Photo) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    color = _ORANGE if photo.positive else _BLUE
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=1.5)
    kind = "missed" if photo.positive else "false alarm"
    axes.set_title(f"{kind}  {photo.prediction:.4g}", fontsize=9, color=color, pad=3)
    axes.set_xlabel(_shown(photo.image), fontsize=6.5, parse_math=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", facecolor=_BACKGROUND)
    try:
        pixels = Image.open(photo.source).pixels(_THUMBNAIL)
    except QualipyError:
        axes.text(0.5, 0.5, "cannot be shown", ha="center", color=_GREY)
        return
    longest = max(pixels.shape[:2])
    top, right = (0.5 + side / longest / 2 for side in pixels.shape[:2])
    axes.imshow(pixels, extent=(1 - right, right, 1 - top, top))
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _shown(path: str) -> str:
    """A path in two lines: the end of the folder's, and the file's name."""
    from qualipy.cli.text import visible

    lines = [visible(part) for part in os.path.split(path)]
    return "\n".join(
        line if len(line) <= _PATH_WIDTH else f"…{line[1 - _PATH_WIDTH :]}" for line in lines
    )
