"""The HTML report: one page to look at the photos, move the thresholds, and take lists away.

Made of results as they come; see `Report`. What the page can do is in its own sources, in the
folder ``page``: a template, a style sheet and plain scripts, which are put into every report.
"""

from __future__ import annotations

from qualipy.report.origin import Origin
from qualipy.report.thumbnails import MODES, SIDE
from qualipy.report.writing import Report

__all__ = ["MODES", "SIDE", "Origin", "Report"]
