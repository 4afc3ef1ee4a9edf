"""Imported first where worker processes are forked from, and there alone: it starts no threads.

A thread does not survive a fork, but what has waited for it does, and hangs for ever: a pack that
lets OpenCV work in its threads when it is imported would leave every worker so.
"""

from __future__ import annotations

from qualipy_core.opencv import cv2

cv2.setNumThreads(1)
