"""The command line: ``qualipy scan``, ``request``, ``filters`` and ``plugins``.

Importing it loads click and nothing heavier; a command imports what it needs when it runs.
"""

from __future__ import annotations

from qualipy.cli.app import cli as cli
from qualipy.cli.app import main as main

__all__ = ["cli", "main"]
