"""What tests of every distribution share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from sample_filters import write_image

from qualipy_core import plugins
from qualipy_core.testing import sample_images

# A shell that starts us in the background has Ctrl-C ignored, by us and by whatever we start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about the machine than about the code.
settings.register_profile("qualipy", deadline=None)
settings.load_profile("qualipy")


@pytest.fixture(autouse=True)
def _fresh_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test sees what another one has switched off, preferred or loaded."""
    for variable in ("QUALIPY_DISABLE", "QUALIPY_PREFER", "QUALIPY_IMAGE_ROOTS"):
        monkeypatch.delenv(variable, raising=False)
    plugins.refresh()
    yield
    plugins.refresh()


@pytest.fixture
def photo(tmp_path: Path) -> str:
    """The path of a photo, 320 × 240 pixels."""
    return write_image(tmp_path / "photo.png", sample_images()["natural"])


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """The paths of twelve flat photos, dark to bright."""
    return [
        write_image(tmp_path / f"{number:02}.png", np.full((24, 32, 3), number * 20, np.uint8))
        for number in range(12)
    ]


@pytest.fixture
def install_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install a pack without pip: a module and a ``.dist-info`` on the path, really discovered."""

    def install(
        name: str, source: str, entry_points: dict[str, dict[str, str]], version: str = "1.0"
    ) -> Path:
        site = tmp_path / f"site-{name}-{version}"
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{name.replace('-', '_')}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = []
        for group, points in entry_points.items():
            lines.append(f"[{group}]")
            lines.extend(f"{point} = {value}" for point, value in points.items())
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        sys.modules.pop(name.replace("-", "_"), None)  # an earlier test's pack of that name
        monkeypatch.syspath_prepend(str(site))
        plugins.refresh()
        return site

    return install
