"""The command line as ``python -m qualipy``."""

from __future__ import annotations

from qualipy.cli import main

if __name__ == "__main__":
    main()
