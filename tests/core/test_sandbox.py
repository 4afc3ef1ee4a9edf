"""Judging in a child process that may crash or hang."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import sandbox_filters
from sandbox_filters import GREY, broken, no_plan, plan, task, unknown, unlucky_plan

from qualipy_core import Image
from qualipy_core.errors import (
    ExecutorError,
    FilterError,
    ImageReadError,
    ImageTimeoutError,
    ImageTypeError,
    QualipyError,
    UnknownFilterError,
    WorkerDiedError,
)
from qualipy_core.plan import Task
from qualipy_core.sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")


@pytest.fixture(scope="module")
def shared():
    """A sandbox with a limit, for tests that leave one that works."""
    with Sandbox(time_limit=0.3) as sandbox:
        sandbox.prepare(plan)
        yield sandbox


@pytest.fixture
def sandbox(shared):
    shared.prepare(plan)
    return shared


def works(sandbox):
    """Whether an innocent image is judged as it should be."""
    result = sandbox.judge(task("neighbour"))
    return result.predictions == plan().judge(task("neighbour")).predictions and result.suitable


def runs(pid):
    """Whether a process exists that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def ends(pid, within=5.0):
    until = time.monotonic() + within
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not runs(pid)


def test_a_result_is_what_it_would_be_in_this_process(sandbox, photo):
    for one in [Task(photo), Task(photo, (10, 20, 30, 40)), Task(GREY), Task("missing.jpg")]:
        here, there = plan().judge(one), sandbox.judge(one)
        assert there.to_dict() | {"seconds": 0} == here.to_dict() | {"seconds": 0}
        assert there.decisions == here.decisions


def test_filters_that_fail_cost_their_own_prediction(sandbox):
    sandbox.prepare(unlucky_plan)
    result = sandbox.judge(Task(GREY))
    assert result.predictions == {"brightness": 0.2}
    assert set(result.failures) == {"explodes", "recurses"}
    assert isinstance(result.failures["explodes"], FilterError)


@pytest.mark.parametrize(
    ("act", "how"),
    [
        ("SIGKILL", "SIGKILL"),
        ("SIGSEGV", "SIGSEGV"),
        ("SIGABRT", "SIGABRT"),
        ("exit", "exit code 3"),
    ],
)
def test_an_image_that_ends_its_process_costs_one_error_that_says_how(sandbox, act, how):
    result = sandbox.judge(task(act))
    assert isinstance(result.error, WorkerDiedError)
    assert result.image == result.error.image == act
    assert "died 3 times" in str(result.error)
    assert how in str(result.error)
    assert works(sandbox)


@pytest.mark.parametrize("act", ["sleeps", "hangs"])
def test_an_image_that_takes_too_long_costs_one_error_and_its_limit(sandbox, act):
    assert works(sandbox)
    started = time.monotonic()
    result = sandbox.judge(task(act))
    assert isinstance(result.error, ImageTimeoutError)
    assert isinstance(result.error, TimeoutError)
    assert result.error.image == act
    assert "0.3 seconds" in str(result.error)
    assert 0.3 <= result.seconds <= time.monotonic() - started < 2
    assert works(sandbox)


def test_an_image_is_tried_again_when_its_process_dies(sandbox, tmp_path):
    result = sandbox.judge(task(f"once:{tmp_path / 'marker'}"))
    assert result.suitable
    assert result.predictions["acts"] == 0.25


def test_one_try_is_one_try(tmp_path):
    with Sandbox(tries=1) as sandbox:
        sandbox.prepare(plan)
        result = sandbox.judge(task(f"once:{tmp_path / 'marker'}"))
        assert "died once: it was ended by SIGSEGV" in str(result.error)


def test_starting_a_process_does_not_count_against_an_image(tmp_path):
    slow = partial(no_plan, "naps", "0.4")
    with Sandbox(time_limit=0.3) as sandbox:
        sandbox.prepare(slow)
        assert not sandbox.judge(task(f"once:{tmp_path / 'marker'}")).failed


def test_sys_exit_in_a_filter_is_a_failure_of_it(sandbox):
    pid = sandbox.pid
    assert isinstance(sandbox.judge(task("sys.exit")).failures["acts"], FilterError)
    assert sandbox.pid == pid


def test_what_is_not_in_the_tree_of_errors_comes_back_as_its_root(sandbox):
    error = sandbox.judge(task("denies")).error
    assert type(error) is QualipyError
    assert str(error) == "Denied: no such luck"


def test_what_a_filter_prints_does_not_disturb_its_answer(sandbox, capfd):
    assert not sandbox.judge(task("prints")).failed
    assert not sandbox.judge(task("writes")).failed


def test_what_cannot_be_sent_is_that_images_error(sandbox):
    result = sandbox.judge(Task(lambda: 0))
    assert isinstance(result.error, ImageTypeError)
    assert works(sandbox)


def test_what_cannot_be_received_is_that_images_error(sandbox, monkeypatch):
    class Here(str):
        """Known to this process alone."""

    Here.__qualname__ = "Here"
    Here.__module__ = sandbox_filters.__name__
    monkeypatch.setattr(sandbox_filters, "Here", Here, raising=False)
    result = sandbox.judge(Task(Here("photo.jpg")))
    assert isinstance(result.error, ImageReadError)
    assert "photo.jpg cannot be judged: AttributeError" in str(result.error)
    assert works(sandbox)


def test_a_large_image_gets_through(sandbox):
    encoded = bytes(10_000_000)
    assert isinstance(sandbox.judge(Task(encoded)).error, ImageReadError)
    assert not sandbox.judge(Task(GREY.repeat(50, axis=0).repeat(50, axis=1))).failed


def test_the_supervisor_is_called_while_it_waits(sandbox):
    calls = []
    sandbox.judge(task("sleeps"), lambda: calls.append(1), every=0.05)
    assert 2 <= len(calls) <= 6


def test_an_exception_of_the_supervisor_ends_the_child_at_once(sandbox):
    def cancelled():
        raise KeyboardInterrupt

    pid = sandbox.pid
    with pytest.raises(KeyboardInterrupt):
        sandbox.judge(task("hangs"), cancelled, every=0.01)
    assert sandbox.pid is None
    assert not runs(pid)
    assert works(sandbox)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_child_that_dies_between_two_images_is_replaced_for_nothing(number):
    with Sandbox(tries=1) as sandbox:
        sandbox.prepare(plan)
        for wait in (0, 0, 0, 0.05):
            os.kill(sandbox.pid, number)
            time.sleep(wait)
            assert works(sandbox)
            os.kill(sandbox.pid, number)
            time.sleep(wait)
            sandbox.prepare(plan)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_child_leaves_it_to_its_supervisor_when_to_end(sandbox, number):
    assert works(sandbox)
    pid = sandbox.pid
    os.kill(pid, number)
    assert works(sandbox)
    assert sandbox.pid == pid


def test_programs_of_a_child_that_is_killed_are_killed_with_it(sandbox, tmp_path):
    pid_file = tmp_path / "pid"
    result = sandbox.judge(task(f"program:{pid_file}"))
    assert isinstance(result.error, ImageTimeoutError)
    assert ends(int(pid_file.read_text()))
    assert works(sandbox)


def test_a_death_is_noticed_though_another_process_holds_the_connection(tmp_path):
    pid_file = tmp_path / "pid"
    with Sandbox(tries=1) as sandbox:
        sandbox.prepare(plan)
        result = sandbox.judge(task(f"fork:{pid_file}"), every=0.1)
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        assert "SIGKILL" in str(result.error)
        assert works(sandbox)


def test_a_child_that_breaks_its_connection_counts_as_dead():
    with Sandbox(tries=1, time_limit=5) as sandbox:
        sandbox.prepare(plan)
        assert "broke its connection" in str(sandbox.judge(task("closes")).error)
        assert works(sandbox)


def test_what_making_the_plan_raises_is_raised_here(sandbox):
    with pytest.raises(UnknownFilterError, match="no such filter") as caught:
        sandbox.prepare(unknown)
    assert caught.value.installed == ("hdr",)
    with pytest.raises(ExecutorError, match="cannot be loaded: ZeroDivisionError: what a pack"):
        sandbox.prepare(broken)
    with pytest.raises(ExecutorError, match="cannot be loaded: SystemExit: 3"):
        sandbox.prepare(partial(no_plan, "sys.exit"))
    with pytest.raises(ExecutorError, match="cannot be sent"):
        sandbox.prepare(lambda: None)
    with pytest.raises(ExecutorError, match="prepare"):
        sandbox.judge(task("neighbour"))
    sandbox.prepare(plan)
    assert works(sandbox)


def test_a_pack_that_ends_its_process_is_given_up(sandbox):
    with pytest.raises(ExecutorError, match=r"3 times.*SIGSEGV"):
        sandbox.prepare(partial(no_plan, "SIGSEGV"))


@pytest.mark.parametrize("act", ["sleeps", "hangs"])
def test_a_pack_that_hangs_is_given_up(act):
    with Sandbox() as sandbox:
        sandbox.prepare(plan)
        sandbox.prepare_limit = 0.3
        with pytest.raises(ExecutorError, match=r"longer than 0\.3 seconds"):
            sandbox.prepare(partial(no_plan, act))


def test_a_supervisor_can_end_the_loading_of_filters(sandbox):
    def cancelled():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        sandbox.prepare(partial(no_plan, "hangs"), cancelled, every=0.01)


def test_the_child_is_where_this_process_is_and_sees_its_variables(sandbox, monkeypatch, tmp_path):
    sandbox.close()
    monkeypatch.setenv("QUALIPY_DISABLE", "sample")
    monkeypatch.chdir(tmp_path)
    sandbox.prepare(plan)
    sandbox.judge(task("tells:told"))
    assert (tmp_path / "told").read_text() == "sample"


def test_a_closed_sandbox_has_no_child_and_can_be_prepared_again(sandbox):
    pid = sandbox.pid
    sandbox.close()
    assert sandbox.pid is None
    assert not runs(pid)
    assert sandbox.rss() == 0
    sandbox.close()
    sandbox.prepare(plan)
    assert works(sandbox)


@LINUX
def test_the_memory_of_the_child_can_be_asked(sandbox):
    assert 5e6 < sandbox.rss() < 5e9


@pytest.mark.parametrize("wrong", [{"time_limit": 0}, {"time_limit": -1}, {"tries": 0}])
def test_limits_that_are_none_are_refused(wrong):
    with pytest.raises(ExecutorError, match=next(iter(wrong))):
        Sandbox(**wrong)


FORKED = "assert children.may_fork()"
FRESH = "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()"
START = """
import os, sys, threading, time
from sandbox_filters import plan, task, no_plan
from qualipy_core import children
from qualipy_core.errors import ImageTimeoutError, WorkerDiedError
from qualipy_core.sandbox import Sandbox
if __name__ == "__main__":
    {method}
    sandbox = Sandbox(time_limit={limit})
    sandbox.prepare(plan)
    print(sandbox.pid, flush=True)
"""


def start(tmp_path, method, body, limit=0.3):
    script = tmp_path / "script.py"
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    script.write_text(START.format(method=method, limit=limit) + lines)
    support = os.path.dirname(sandbox_filters.__file__)
    environment = os.environ | {"PYTHONPATH": support, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", script]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def output(program):
    with program:
        out, _ = program.communicate(timeout=60)
    assert program.returncode == 0
    return out.splitlines()[1:]


@LINUX
@pytest.mark.parametrize(("method", "count"), [(FORKED, 200), (FRESH, 20)])
def test_a_host_of_children_leaves_nothing_open_and_no_zombie(tmp_path, method, count):
    body = f"""
from qualipy_core.servant import Died, Servant
from sandbox_filters import leave
sandbox.close()
def held():
    with open(f"/proc/self/task/{{os.getpid()}}/children") as children:
        return len(os.listdir("/proc/self/fd")), len(children.read().split())
before = held()
for number in range({count}):
    servant = Servant(leave, "json")
    try:
        if number % 2: servant.ask(b"", 5, None, 1)
    except Died: pass
    servant.end()
print(before == held())
for number in range(3):
    sandbox.prepare(plan)
    sandbox.judge(task("exit"))
    sandbox.judge(task("hangs"))
    sandbox.close()
print(before == held())
"""
    assert output(start(tmp_path, method, body)) == ["True", "True"]


@LINUX
def test_a_forked_child_crashes_and_hangs_alone(tmp_path):
    body = """
for act in ["SIGSEGV", "hangs", "exit", "sleeps", "neighbour"]:
    result = sandbox.judge(task(act))
    print(type(result.error).__name__, result.suitable)
"""
    died, late = "WorkerDiedError False", "ImageTimeoutError False"
    assert output(start(tmp_path, FORKED, body)) == [died, late, died, late, "NoneType True"]


@LINUX
@pytest.mark.parametrize("method", [FORKED, FRESH])
@pytest.mark.parametrize("act", ["hangs", "sleeps", "neighbour"])
def test_a_child_ends_with_its_supervisor_that_is_killed(tmp_path, method, act):
    body = f"sandbox.judge(task({act!r}))\ntime.sleep(1000)"
    program = start(tmp_path, method, body, limit=1000)
    with program:
        child = int(program.stdout.readline())
        assert runs(child)
        time.sleep(0.1)
        program.kill()
        assert ends(child, within=1)


@LINUX
@pytest.mark.parametrize("method", [FORKED, FRESH])
@pytest.mark.parametrize("end", ["pass", "sys.exit(3)", "1 / 0", "os._exit(4)"])
def test_a_child_ends_with_its_supervisor_that_exits(tmp_path, method, end):
    # The exception keeps the sandbox, and what it waits for, alive to the very end.
    body = f"""
other = Sandbox()
other.prepare(plan)
def leave(): {end}
sandbox.judge(task("naps:0.05"), leave, every=0.01)
{end}
"""
    program = start(tmp_path, method, body)
    program.stderr = None
    with program:
        child = int(program.stdout.readline())
        program.wait(timeout=10)
        assert ends(child, within=1)


@LINUX
def test_a_process_that_had_threads_when_it_was_forked_does_not_fork(tmp_path):
    body = """
sandbox.close()
ready = threading.Event()
thread = threading.Thread(target=ready.wait)
thread.start()
pid = os.fork() if sys.version_info < (3, 12) else 0
if pid == 0:
    if sys.version_info < (3, 12): assert len(os.listdir("/proc/self/task")) == 1
    assert not children.may_fork()
    os._exit(0)
print(os.waitpid(pid, 0)[1])
ready.set()
"""
    program = start(tmp_path, FORKED, body)
    if sys.version_info < (3, 12):
        assert output(program) == ["0"]
    else:
        assert output(program) == []


def test_a_daemonic_process_may_have_a_sandbox(monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with Sandbox() as sandbox:
        sandbox.prepare(plan)
        assert works(sandbox)
    assert multiprocessing.current_process().daemon


def test_an_image_may_come_with_a_name(sandbox):
    assert sandbox.judge(Task(Image(GREY, name="grey"))).image == "grey"
