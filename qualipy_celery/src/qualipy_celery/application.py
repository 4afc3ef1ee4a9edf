"""The Celery app: ``celery -A qualipy_celery worker`` finds it here."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import import_modules

from qualipy_celery.settings import celery_settings
from qualipy_core.threads import one_library_thread

app = Celery("qualipy", include=["qualipy_celery.tasks"], set_as_current=False)
app.config_from_object(celery_settings())


@import_modules.connect(sender=app)  # type: ignore[untyped-decorator]
def _load_once(**_: Any) -> None:
    """Import OpenCV before the worker's processes are forked, which share it and start at once.

    Without threads of its own: those of a library do not survive the fork that each process and
    its sandbox begin with.
    """
    with one_library_thread():
        import qualipy_core._preloaded
        import qualipy_core.image  # noqa: F401
