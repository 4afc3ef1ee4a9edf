"""The built-in photo filters of QualiPy, one module each.

They are found through entry points, like any other pack's; import them from `qualipy.filters`.
"""

__version__ = "1.0.0"
