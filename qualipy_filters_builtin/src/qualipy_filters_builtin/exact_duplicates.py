"""Exact duplicates: photos whose pixels the set has already, whatever their files say besides.

Pixels are compared as they are shown: decoded, upright, at the working size, as a digest. Metadata,
the container and its compression take no part; a photo turned by its metadata is the same as one
whose pixels are turned, where the format is lossless.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qualipy_core import Comparison, Image, SetFilter, derived


class ExactDuplicates(SetFilter):
    """Photos whose pixels are those of another photo of the set, whatever the file's metadata.

    A positive is a second file of the same pixels: copied, renamed, with other metadata, saved as
    PNG or BMP, compressed without loss at another level. One of each group, the first by name, is
    kept and is no positive. The prediction is 0 or 1; the companions are the group.

    Parameters
    ----------
    threshold : float
        Between 0 and 1, it makes no difference.
    invert_threshold : bool
        Flag the photos that are kept instead.
    comparison : str
        How the prediction is compared with the threshold.

    Notes
    -----
    The digest (SHA-256, of which 128 bits are kept) covers the full size and the upright pixels at
    the working size, at most 1024 on the long side. Photos of up to that size are the same exactly
    when their pixels are, but for a chance of 1 in 10²⁶ in a set of a million. Larger photos are
    the same when they are of one size and, shrunk, don't differ in one level of one pixel: a
    retouch of a few full-size pixels by a few levels can go unseen, as can hidden watermarks;
    different shots can't.

    Warnings
    --------
    A large JPEG (from 1600 pixels on) is shrunk in decoding, by other arithmetic than a PNG of its
    decoded pixels: these two count as different, and are `near_duplicates`. So do copies that were
    compressed with loss again, and JPEGs that were turned without loss.

    References
    ----------
    SHA-256: FIPS 180-4, "Secure Hash Standard", doi:10.6028/NIST.FIPS.180-4.
    """

    name = "exact_duplicates"
    speed = 1

    def fingerprint(self, image: Image) -> NDArray[Any]:
        """Return 128 bits, two numbers of uint64."""
        return np.frombuffer(pixel_digest(image)[:16], dtype="<u8").astype(np.uint64)

    def compare(self, fingerprints: NDArray[Any]) -> Comparison:
        """Return 1 for all but the first of the photos with equal digests, and the groups."""
        number = len(fingerprints)
        _, place = np.unique(fingerprints, axis=0, return_inverse=True)
        place = place.reshape(number)
        order = np.argsort(place, kind="stable")
        starts = np.flatnonzero(np.diff(place[order], prepend=-1))
        predictions = np.ones(number)
        predictions[order[starts]] = 0.0
        groups = np.split(order, starts[1:])
        return Comparison(predictions, tuple(tuple(g.tolist()) for g in groups if len(g) > 1))


@derived
def pixel_digest(image: Image) -> bytes:
    """Return the SHA-256 of the full size and the upright pixels at the working size."""
    pixels = image.pixels()
    digest = hashlib.sha256(np.array([*image.size, *pixels.shape], dtype="<u4").tobytes())
    digest.update(pixels.data)
    return digest.digest()
