"""Local worker processes: what crashes, hangs or lies in one costs its image alone."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import is_alive, until
from sample_filters import Brightness, Slow
from sandbox_filters import GREY, Acts, task

from qualipy_core import Image, scan
from qualipy_core.errors import (
    ExecutorError,
    FilterError,
    ImageTimeoutError,
    ImageTypeError,
    LimitsError,
    WorkerDiedError,
)
from qualipy_core.executors import AHEAD, Processes
from qualipy_core.limits import Limits
from qualipy_core.plan import Plan, Task
from qualipy_core.workers import SMALL

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

FILTERS = [Brightness(), Acts()]


def named(*names):
    """Images that make `Acts` do what they are called."""
    return [Image(GREY, name=name) for name in names]


def results_of(*names, jobs=2, seconds=1.0):
    return list(scan(named(*names), FILTERS, jobs=jobs, limits=Limits(time_limit=seconds)))


@pytest.mark.parametrize(
    ("act", "kind", "said"),
    [
        ("SIGSEGV", WorkerDiedError, "died 2 times; the last time, it was ended by SIGSEGV"),
        ("SIGKILL", WorkerDiedError, "as the system does when memory runs out"),
        ("exit", WorkerDiedError, "ended with exit code 3"),
        ("closes", WorkerDiedError, "broke its connection"),
        ("sleeps", ImageTimeoutError, "took longer than 1 seconds"),
        ("hangs", ImageTimeoutError, "took longer than 1 seconds"),
    ],
)
def test_what_crashes_or_hangs_costs_its_image_and_no_other(act, kind, said):
    names = [f"before {number}" for number in range(7)] + [act] + ["next", "after", "last"]
    results = results_of(*names)
    assert [result.image for result in results] == names
    guilty = [result for result in results if result.failed]
    assert [result.image for result in guilty] == [act]
    assert isinstance(guilty[0].error, kind)
    assert said in str(guilty[0].error)
    assert guilty[0].error.image == act


def test_many_of_them_are_each_blamed_for_their_own():
    acts = ["SIGSEGV", "fine", "hangs", "exit", "fine", "sleeps", "SIGKILL", "fine", "SIGABRT"]
    results = results_of(*acts, seconds=0.5)
    assert [type(result.error).__name__ for result in results] == [
        "WorkerDiedError", "NoneType", "ImageTimeoutError", "WorkerDiedError", "NoneType",
        "ImageTimeoutError", "WorkerDiedError", "NoneType", "WorkerDiedError",
    ]  # fmt: skip


def test_an_image_that_hangs_costs_its_limit_and_holds_nobody_up():
    started = time.monotonic()
    (late,) = [r for r in results_of("hangs", *["fine"] * 20, seconds=1) if r.failed]
    assert 1 <= late.seconds < 1.5
    assert time.monotonic() - started < 20


def test_an_image_is_tried_again_when_its_process_dies(tmp_path):
    (result,) = results_of(f"once:{tmp_path / 'marker'}")
    assert result.suitable


def test_starting_a_process_does_not_count_against_an_image(tmp_path):
    results = results_of("exit", "naps:0.1", seconds=0.3)
    assert [result.failed for result in results] == [True, False]


def test_one_job_with_a_time_limit_has_a_process_that_can_be_ended(monkeypatch):
    assert isinstance(results_of("hangs", jobs=1, seconds=0.3)[0].error, ImageTimeoutError)
    monkeypatch.setenv("QUALIPY_TIME_LIMIT", "0.3")
    (result,) = scan(named("hangs"), FILTERS)
    assert isinstance(result.error, ImageTimeoutError)


@pytest.mark.parametrize("limits", [None, Limits(time_limit=math.inf), Limits(max_pixels=1e6)])
def test_one_job_without_one_has_none(limits):
    results = scan(named("fine"), [Acts()], limits=limits)
    assert next(results).suitable
    assert not multiprocessing.active_children()


def test_without_a_limit_an_image_takes_as_long_as_it_likes():
    (result,) = results_of("naps:1.5", seconds=math.inf)
    assert result.suitable


def test_what_was_under_way_is_not_lost_when_the_images_end_in_an_error():
    def images():
        yield from named(*[f"fine {number}" for number in range(9)])
        raise ConnectionError("the list was lost")

    results = scan(images(), FILTERS, jobs=2)
    assert [next(results).image for _ in range(9)] == [f"fine {number}" for number in range(9)]
    with pytest.raises(ConnectionError, match="the list was lost"):
        next(results)


def test_a_slow_source_keeps_no_result_waiting():
    def images():
        for number in range(4):
            yield Image(GREY, name=f"fine {number}")
            time.sleep(1)

    results = scan(images(), FILTERS, jobs=2)
    next(results)
    started = time.monotonic()
    next(results)
    next(results)
    assert time.monotonic() - started < 2.9
    results.close()


def test_only_so_many_images_are_taken_ahead():
    taken = []

    def images():
        for number in range(1000):
            taken.append(number)
            yield Image(GREY, name="fine")

    results = scan(images(), FILTERS, jobs=2)
    next(results)
    assert len(taken) <= 2 * AHEAD + 1
    results.close()


def test_what_cannot_be_sent_is_that_images_error():
    tasks = [task("fine"), Task(lambda: 0), task("fine")]
    results = list(Processes(2).run(tasks, Plan.make(FILTERS)))
    assert [type(result.error) for result in results] == [type(None), ImageTypeError, type(None)]


def test_large_images_go_through_as_small_ones_do():
    large = GREY.repeat(20, axis=0).repeat(20, axis=1)
    assert large.nbytes > 10 * SMALL
    results = list(scan([GREY, large, large, GREY, large] * 5, [Brightness()], jobs=2))
    assert {result.predictions["brightness"] for result in results} == {0.2}


def test_workers_that_are_killed_while_nobody_asks_are_replaced():
    results = scan(named(*["fine"] * 40), FILTERS, jobs=2)
    assert not next(results).failed
    for _ in range(2):
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)
        assert not next(results).failed
    assert not any(result.failed for result in results)


def test_programs_of_a_worker_that_is_ended_are_ended_with_it(tmp_path):
    pid_file = tmp_path / "pid"
    results = results_of(f"program:{pid_file}", "fine", seconds=0.5)
    assert [type(result.error) for result in results] == [ImageTimeoutError, type(None)]
    until(lambda: not is_alive(int(pid_file.read_text())), 5, "the program ends")


def test_a_death_is_noticed_though_another_process_holds_the_connection(tmp_path):
    pid_file = tmp_path / "pid"
    (result,) = results_of(f"fork:{pid_file}", seconds=20)
    assert isinstance(result.error, WorkerDiedError)
    for pid in pid_file.read_text().split():
        os.kill(int(pid), signal.SIGKILL)


def test_sys_exit_and_its_like_in_a_filter_are_failures_of_it():
    (result,) = results_of("sys.exit")
    assert isinstance(result.failures["acts"], FilterError)
    assert "brightness" in result.predictions


def test_what_a_filter_prints_in_a_worker_is_not_on_standard_output(capfd):
    assert not any(result.failed for result in results_of("prints", "writes", "fine"))
    assert capfd.readouterr().out == ""


def test_a_run_leaves_no_process_behind(tmp_path):
    results_of("SIGSEGV", "hangs", "fine", seconds=0.3)
    assert not multiprocessing.active_children()
    results = scan(named("fine", "sleeps", "fine"), [*FILTERS, Slow()], jobs=2)
    next(results)
    children = [child.pid for child in multiprocessing.active_children()]
    results.close()
    assert len(children) == 2
    assert not any(is_alive(pid) for pid in children)


@pytest.mark.parametrize(
    "wrong", [{"time_limit": 0}, {"max_pixels": -1}, {"max_bytes": "1"}, {"max_exif": math.nan}]
)
def test_limits_that_are_none_are_refused(wrong):
    with pytest.raises(LimitsError, match=next(iter(wrong))):
        Limits(**wrong)


def test_a_limit_in_the_environment_that_is_none_is_told_before_anything_starts(monkeypatch):
    monkeypatch.setenv("QUALIPY_MAX_PIXELS", "many")
    with pytest.raises(LimitsError, match="QUALIPY_MAX_PIXELS must be a number above 0"):
        scan(named("fine"), FILTERS)
    monkeypatch.delenv("QUALIPY_MAX_PIXELS")
    with pytest.raises(LimitsError, match=r"limits must be Limits"):
        scan(named("fine"), FILTERS, limits=5)


def test_a_filter_that_a_worker_cannot_load_is_told_at_once(tmp_path, monkeypatch):
    (tmp_path / "vanishing.py").write_text(
        "from sandbox_filters import Acts\nclass Gone(Acts):\n    '''Gone.'''\n    name = 'gone'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from importlib import import_module

    gone = import_module("vanishing").Gone()
    Path(tmp_path / "vanishing.py").write_text("raise OSError('the disk is gone')")
    with pytest.raises(ExecutorError, match="cannot be started: OSError: the disk is gone"):
        next(scan(named("fine"), [gone], jobs=2))


STOPPED = """
import os, signal, sys, time

from sandbox_filters import GREY, Acts

from qualipy_core import workers
from qualipy_core.errors import ExecutorError
from qualipy_core.executors import Processes
from qualipy_core.limits import Limits
from qualipy_core.plan import Plan, Task
from qualipy_core.servant import Servant


class Stopped(Servant):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        os.kill(self.pid, signal.SIGSTOP)


if __name__ == "__main__":
    workers.Servant = Stopped
    workers.PREPARE_LIMIT = 1.0
    plan = Plan.make([Acts(told="x" * 10_000_000)], limits=Limits(time_limit=1))
    started = time.monotonic()
    try:
        next(Processes(2).run([Task(GREY)], plan))
    except ExecutorError as error:
        print(error, time.monotonic() - started < 10)
"""


def test_a_large_filter_waits_for_no_worker_that_does_not_read(tmp_path):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED)
    support = str(Path(__file__).parents[1] / "support")
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": support},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.strip() == "Loading the filters took longer than 1 seconds. True", done


def test_a_large_filter_judges_as_a_small_one_does_and_its_workers_are_replaced():
    large = Acts(told="x" * 10_000_000)
    names = ["fine", "SIGKILL", "fine", "hangs", "fine"]
    limits = Limits(time_limit=1)
    kinds = [
        [type(result.error) for result in scan(named(*names), [each], jobs=2, limits=limits)]
        for each in (Acts(), large)
    ]
    assert kinds[0] == kinds[1]
    assert kinds[0][1:4:2] == [WorkerDiedError, ImageTimeoutError]


THREADED = """
import numpy as np

from qualipy_core import Filter
from qualipy_core.opencv import cv2

TABLE = cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 9)


class Threaded(Filter):
    name = "threaded"

    def measure(self, image):
        return float(TABLE.max())
"""

USING_IT = """
import numpy as np
from threaded import Threaded

from qualipy_core import scan

if __name__ == "__main__":
    photos = [np.zeros((8, 8, 3), np.uint8)] * 6
    print([result.predictions["threaded"] for result in scan(photos, [Threaded()], jobs=3)])
"""


def test_a_pack_that_starts_threads_when_it_is_imported_leaves_workers_that_work(tmp_path):
    (tmp_path / "threaded.py").write_text(THREADED)
    (tmp_path / "using_it.py").write_text(USING_IT)
    for _ in range(3):  # one in three did not end
        done = subprocess.run(
            [sys.executable, tmp_path / "using_it.py"],
            cwd=tmp_path,  # from where the fork server imports, as it does what is installed
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stdout.strip() == str([0.0] * 6), done
