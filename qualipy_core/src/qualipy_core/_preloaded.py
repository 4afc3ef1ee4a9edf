"""What every process that judges needs and no pack brings; imported where such processes come from.

It takes ten times as long as a fork does.
"""

from __future__ import annotations

import importlib_metadata as importlib_metadata
import pluggy as pluggy

from qualipy_core import hookspecs as hookspecs
from qualipy_core import parameters
from qualipy_core import trainable as trainable
from qualipy_core.filter import Filter

parameters.schema(Filter)  # loads what pydantic leaves until it is used
