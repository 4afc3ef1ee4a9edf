"""Keeping a photo's memory for the next one, instead of giving it back to the system each time."""

from __future__ import annotations

from functools import cache

import numpy as np

_BLOCK = 16 << 20  # bytes: above any array of a working image; glibc then keeps twice that at most


@cache
def keep_memory() -> None:
    """Let the C library keep freed memory, up to some 32 MB, from the first image on.

    glibc gives back what it frees in large blocks, and whoever asks again gets pages that the
    system clears one by one: a third of what a small photo costs. What is large it learns from the
    largest block that was freed (mallopt(3), "M_MMAP_THRESHOLD"), as a full decode would teach it;
    this one is not even touched. Without effect on other C libraries.
    """
    np.empty(_BLOCK, np.uint8)
