"""Figures in pages of Markdown: tables, and the places between marks that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def shown(figure: float) -> str:
    """Return a figure with as many digits as mean something."""
    if figure == int(figure) or figure >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.3f}" if figure < 10 else f"{figure:.1f}"


def marks(name: str, maker: str) -> tuple[str, str]:
    """Return what stands before and behind a part of a page that a program makes."""
    return f"<!-- {name}: made by {maker} -->", f"<!-- end of {name} -->"


def put_into(page: Path, blocks: dict[str, str], maker: str) -> None:
    """Replace the parts of a page that stand between marks of their names."""
    text = page.read_text(encoding="utf-8")
    for name, block in blocks.items():
        begin, end = marks(name, maker)
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found and ended) or begin in after:
            raise SystemExit(f"{page} does not hold the marks of {name} once.")
        text = f"{before}{begin}\n\n{block}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")
