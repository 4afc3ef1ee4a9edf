"""Runs QualiPy's photo filters over Celery and Redis: the distribution's place in the workspace.

Distributed jobs are not written yet; `qualipy_core.scan` spreads images over local processes.
"""

__version__ = "1.0.0"
