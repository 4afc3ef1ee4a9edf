"""The page on speed: its table, and how cost grows, as tables and plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from _markdown import shown, table

SECTIONS = ("megapixels", "filters", "images", "workers")
GREY = "#7f7f8a"  # readable on light and dark pages
_TEXT = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
COLOURS = ("#2f7fd0", "#d0662f")


def rendered(figures: dict[str, Any]) -> dict[str, str]:
    """Return the parts of the page that have figures, as Markdown, by name."""
    grown = figures["growth"]
    return {
        "targets": targets(figures),
        "megapixels": table(
            ("megapixels", "all filters", "`cv2.imread`", "ratio"),
            [
                (
                    shown(each["megapixels"]),
                    f"{shown(each['filters'])} ms",
                    f"{shown(each['imread'])} ms",
                    f"{each['filters'] / each['imread']:.2f}",
                )
                for each in grown["megapixels"]
            ],
        ),
        "filters": table(
            ("filters", "with", "12–16 megapixels", "1 megapixel"),
            [
                (str(e["filters"]), f"`{e['last']}`", f"{e['large']:.2f}", f"{e['small']:.2f}")
                for e in grown["filters"]
            ],
        ),
        "images": table(
            ("photos", "seconds", "ms per photo"),
            [
                (f"{e['images']:,}", shown(e["seconds"]), shown(e["seconds"] / e["images"] * 1e3))
                for e in grown["images"]
            ],
        ),
        "workers": table(
            ("jobs", "seconds", "share of the time with one"),
            [
                (
                    str(each["jobs"]),
                    shown(each["seconds"]),
                    f"{each['seconds'] / grown['workers'][0]['seconds']:.2f}",
                )
                for each in grown["workers"]
            ],
        ),
    }


def targets(figures: dict[str, Any]) -> str:
    """Return the figures that have targets."""
    machine, photos = figures["machine"], figures["photos"]
    kind = "camera files" if photos["camera"] else "made photos"
    sizes = photos["megapixels"]
    said = (
        f"Python {machine['python']}, {machine['cores']} cores; {len(sizes)} {kind} of "
        f"{sizes[0]:.0f} to {sizes[-1]:.0f} megapixels and copies of them."
    )
    rows = [
        (
            line["what"],
            f"{shown(line['figure'])} {line['unit']}",
            f"≤ {line['target']:g}",
            "" if line["figure"] <= line["target"] else "**missed**",
        )
        for part in ("targets", "many", "memory")
        for line in figures.get(part, ())
    ]
    return f"{said}\n\n{table(('', 'figure', 'target', ''), rows)}"


def draw(figures: dict[str, Any], folder: Path) -> None:
    """Write a plot for each way in which cost grows: ``speed-megapixels.svg`` and so on."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams.update(
        {
            "svg.hashsalt": "speed",  # the same figures make the same file
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "axes.spines.top": False,
            "axes.spines.right": False,
            **dict.fromkeys(_TEXT, GREY),
        }
    )
    grown = figures["growth"]
    curves = {
        "megapixels": ("megapixels", "ms", [("all filters", "filters"), ("cv2.imread", "imread")]),
        "filters": (
            "filters",
            "× imread",
            [("1 megapixel", "small"), ("12–16 megapixels", "large")],
        ),
        "images": ("images", "seconds", [("scan, one job", "seconds")]),
        "workers": ("jobs", "seconds", [("scan of 400 photos", "seconds")]),
    }
    for name, (along, unit, series) in curves.items():
        figure, axes = pyplot.subplots(figsize=(6, 3.2), layout="constrained")
        across = [each[along] for each in grown[name]]
        for (label, key), colour in zip(series, COLOURS, strict=False):
            axes.plot(across, [e[key] for e in grown[name]], "o-", color=colour, label=label)
        axes.set(xlabel={"images": "photos"}.get(along, along), ylabel=unit, ylim=(0, None))
        if name in ("filters", "workers"):
            axes.set_xticks(across)
        axes.legend(frameon=False)
        figure.savefig(folder / f"speed-{name}.svg", transparent=True, metadata={"Date": None})
        pyplot.close(figure)
