"""OpenCV, or an error that says which packages are missing.

``opencv-python`` needs a few shared libraries of the desktop (libGL and friends) that a bare
server lacks, and ``import cv2`` then ends in a traceback about ``libGL.so.1``. Import it from
here instead::

    from qualipy_core.opencv import cv2
"""

from __future__ import annotations

from qualipy_core.errors import MissingLibraryError

HELP = (
    "OpenCV cannot be imported: {cause}. On Debian or Ubuntu install the libraries that it needs "
    "with `apt-get install libgl1 libglib2.0-0 libxcb1`, or use the build that needs none: "
    "`pip uninstall -y opencv-python && pip install opencv-python-headless`."
)

try:
    import cv2 as cv2
except ImportError as error:
    raise MissingLibraryError(HELP.format(cause=error)) from error
