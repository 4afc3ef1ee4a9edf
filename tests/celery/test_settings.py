"""Where the settings come from, and that those of 2015 still start a worker."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from celery import Celery, group
from celery.app.defaults import _TO_NEW_KEY
from celery_client import connect, disconnect
from celery_workers import clean_environment
from stand_ins import STAND_INS, mean, picture

from qualipy_celery import celery_process
from qualipy_celery.settings import (
    DEFAULTS,
    ENVIRONMENT,
    RATE_LIMITED_PREFETCH,
    REDIS,
    celery_settings,
    lease,
    patience,
    time_limit,
    translated,
    worker_memory,
)
from qualipy_celery.tasks import process_image
from qualipy_core import plugins
from qualipy_core.errors import ExecutorError, PluginWarning

OF_2015 = """
BROKER_URL = {url!r}
CELERY_RESULT_BACKEND = {url!r}
CELERY_IMPORTS = ('tasks', 'qualipy_celery.tasks')
CELERY_TASK_SERIALIZER = 'json'
CELERY_RESULT_SERIALIZER = 'json'
CELERY_ACCEPT_CONTENT = ['json']
CELERY_TASK_RESULT_EXPIRES = 3600
CELERY_ANNOTATIONS = {{'tasks.process_image': {{'rate_limit': '100/s'}}}}
"""

NUMBERS = {
    "QUALIPY_TIME_LIMIT": (time_limit, 60.0),
    "QUALIPY_LEASE": (lease, 30.0),
    "QUALIPY_PATIENCE": (patience, 3600.0),
    "QUALIPY_WORKER_MEMORY": (worker_memory, 2048 << 20),
}


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A function that writes a user's file into the working directory and reads the settings."""
    monkeypatch.chdir(tmp_path)

    def read(text: str, name: str = "celeryconfig", **environment: str):
        (tmp_path / f"{name}.py").write_text(text)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return celery_settings(environment)

    yield read
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def app_of(settings) -> Celery:
    app = Celery("somebody", set_as_current=False)
    app.config_from_object(settings)
    return app


# Defaults and the environment


def test_without_a_word_redis_on_this_machine_is_meant(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = celery_settings({})
    assert settings == DEFAULTS
    assert settings["broker_url"] == settings["result_backend"] == REDIS
    assert REDIS == "redis://localhost:6379/0"
    assert settings["accept_content"] == settings["result_accept_content"] == ["json"]
    app = app_of(settings)
    assert app.conf.broker_url == REDIS
    assert not app.conf.deprecated_settings


def test_every_default_is_a_setting_that_celery_knows():
    beyond_the_table = {"redis_backend_health_check_interval"}
    assert set(DEFAULTS) <= set(_TO_NEW_KEY.values()) | beyond_the_table


def test_the_environment_says_where_redis_is():
    settings = celery_settings({"QUALIPY_BROKER_URL": "redis://a/1"})
    assert settings["broker_url"] == settings["result_backend"] == "redis://a/1"
    both = {"QUALIPY_BROKER_URL": "redis://a/1", "QUALIPY_RESULT_BACKEND": "redis://b/2"}
    settings = celery_settings(both)
    assert (settings["broker_url"], settings["result_backend"]) == ("redis://a/1", "redis://b/2")
    assert celery_settings({"QUALIPY_QUEUE": "mine"})["task_default_queue"] == "mine"
    assert celery_settings(dict.fromkeys(ENVIRONMENT.values(), "")) == celery_settings({})


def test_a_socket_of_unix_has_no_keepalive():
    assert DEFAULTS["redis_socket_keepalive"]
    settings = celery_settings({"QUALIPY_BROKER_URL": "redis+socket:///run/redis.sock"})
    assert "redis_socket_keepalive" not in settings


@pytest.mark.parametrize("variable", NUMBERS)
def test_a_number_in_the_environment_is_read_or_refused_at_once(variable, monkeypatch):
    number, default = NUMBERS[variable]
    for absent in (None, ""):
        if absent is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, absent)
        assert number() == default
    monkeypatch.setenv(variable, "12")
    assert number() in (12, 12 << 20)
    assert celery_settings({})
    for wrong in ("0", "-1", "nan", "inf", "ten", "1e999", "1;2", " "):
        monkeypatch.setenv(variable, wrong)
        with pytest.raises(ExecutorError, match=f"{variable} must be a number above 0, not "):
            number()
        with pytest.raises(ExecutorError, match=variable):
            celery_settings({})


# The user's file


def test_a_file_of_2015_is_taken_as_it_stands(config):
    with pytest.warns(PluginWarning, match="'tasks', which is not installed; left out"):
        settings = config(OF_2015.format(url="redis://there:6380/3"))
    assert settings["broker_url"] == settings["result_backend"] == "redis://there:6380/3"
    assert settings["imports"] == ("qualipy_celery.tasks",)
    assert settings["result_expires"] == 3600
    assert settings["task_annotations"] == {"tasks.process_image": {"rate_limit": "100/s"}}
    assert settings["worker_prefetch_multiplier"] == RATE_LIMITED_PREFETCH > 1
    app = app_of(settings)
    assert not app.conf.deprecated_settings
    assert app.conf.result_expires == 3600
    assert app.conf.task_acks_late  # ours, where the file says nothing


def test_names_of_today_and_of_before_may_be_mixed_and_today_s_win(config):
    settings = config(
        "BROKER_URL = 'redis://before/0'\n"
        "broker_url = 'redis://today/0'\n"
        "CELERY_RESULT_BACKEND = 'redis://results/0'\n"
        "worker_concurrency = 3\n"
        "CELERYD_CONCURRENCY = 5\n"
        "CELERY_ACKS_LATE = False\n"
        "NOBODYS_SETTING = 1\n"
        "import os\n"
        "from pathlib import Path\n"
        "_private = 1\n"
    )
    assert settings["broker_url"] == "redis://today/0"
    assert settings["result_backend"] == "redis://results/0"
    assert settings["worker_concurrency"] == 3
    assert settings["task_acks_late"] is False
    assert not settings.keys() & {"os", "_private", "BROKER_URL", "CELERYD_CONCURRENCY"}
    app = app_of(settings)
    assert app.conf.broker_url == "redis://today/0"
    assert not app.conf.deprecated_settings


def test_what_the_user_says_wins_and_what_they_leave_out_is_ours(config):
    settings = config(
        "task_default_queue = 'theirs'\n"
        "accept_content = ['json', 'pickle']\n"
        "broker_transport_options = {'visibility_timeout': 60, 'sep': ':'}\n"
        "redis_socket_timeout = 1.5\n"
    )
    assert settings["task_default_queue"] == "theirs"
    assert settings["accept_content"] == ["json", "pickle"]  # their own affair
    assert settings["result_accept_content"] == ["json"]
    assert settings["redis_socket_timeout"] == 1.5
    ours = DEFAULTS["broker_transport_options"]
    assert settings["broker_transport_options"] == {**ours, "visibility_timeout": 60, "sep": ":"}
    assert DEFAULTS["broker_transport_options"]["visibility_timeout"] == 3600
    everything = "\n".join(f"{key} = None" for key in DEFAULTS)
    assert set(config(everything).values()) == {None}


def test_one_url_in_the_file_is_meant_for_both_and_the_environment_wins(config):
    text = "BROKER_URL = 'redis://file/0'\n"
    assert config(text)["result_backend"] == "redis://file/0"
    settings = config(text, QUALIPY_BROKER_URL="redis://env/0")
    assert settings["broker_url"] == settings["result_backend"] == "redis://env/0"
    text += "CELERY_RESULT_BACKEND = 'redis://file/1'\n"
    settings = config(text, QUALIPY_BROKER_URL="redis://env/0")
    assert settings["broker_url"] == "redis://env/0"
    assert settings["result_backend"] == "redis://file/1"


def test_another_module_can_be_named(config):
    text = "broker_url = 'redis://mine/0'"
    settings = config(text, "my_settings", CELERY_CONFIG_MODULE="my_settings")
    assert settings["broker_url"] == "redis://mine/0"
    for absent in ("not_there", "not.there", "my_settings.not_there"):
        with pytest.raises(ExecutorError, match=f"'{absent}', which is neither in this folder"):
            celery_settings({"CELERY_CONFIG_MODULE": absent})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("broker_url = \n", "SyntaxError"),
        ("import not_there_at_all\n", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("1/0\n", "ZeroDivisionError: division by zero"),
        ("from celery import nothing_such\n", "ImportError"),
    ],
)
def test_a_broken_file_is_named(config, text, said):
    with pytest.raises(ExecutorError, match=rf"in celeryconfig\.py cannot be read: {said}"):
        config(text)


@pytest.mark.parametrize(
    ("annotations", "limited"),
    [
        ({"tasks.process_image": {"rate_limit": "1/s"}}, True),
        ({"*": {"rate_limit": "1/s"}}, True),
        ([{"other": {"time_limit": 1}}, {"tasks.process_image": {"rate_limit": 3}}], True),
        ({"tasks.process_image": {"rate_limit": None}}, False),
        ({"tasks.process_image": {"time_limit": 3}}, False),
        ([object()], False),
        (None, False),
    ],
)
def test_a_rate_limit_gets_the_messages_that_it_needs(config, monkeypatch, annotations, limited):
    import builtins

    monkeypatch.setattr(builtins, "given", annotations, raising=False)
    prefetch = RATE_LIMITED_PREFETCH if limited else 1
    assert config("task_annotations = given")["worker_prefetch_multiplier"] == prefetch
    chosen = "task_annotations = given\nworker_prefetch_multiplier = 2"
    assert config(chosen)["worker_prefetch_multiplier"] == 2
    limit = "CELERY_DEFAULT_RATE_LIMIT = '5/s'"
    assert config(limit)["worker_prefetch_multiplier"] == RATE_LIMITED_PREFETCH


@pytest.mark.parametrize(
    ("imports", "kept"),
    [("'json'", ("json",)), ("['json', 'no.such']", ("json",)), ("('no_such',)", ())],
)
def test_modules_that_are_gone_are_left_out(config, recwarn, imports, kept):
    assert config(f"CELERY_IMPORTS = {imports}")["imports"] == kept
    told = [str(each.message) for each in recwarn]
    assert len(told) == ("no" in imports)
    assert all("left out" in each for each in told)


# Celery's own table, which is private

OLD_NAMES = {
    "BROKER_URL": "broker_url",
    "BROKER_TRANSPORT_OPTIONS": "broker_transport_options",
    "BROKER_CONNECTION_TIMEOUT": "broker_connection_timeout",
    "BROKER_CONNECTION_RETRY": "broker_connection_retry",
    "BROKER_CONNECTION_MAX_RETRIES": "broker_connection_max_retries",
    "BROKER_POOL_LIMIT": "broker_pool_limit",
    "BROKER_HEARTBEAT": "broker_heartbeat",
    "BROKER_USE_SSL": "broker_use_ssl",
    "CELERY_ACCEPT_CONTENT": "accept_content",
    "CELERY_ACKS_LATE": "task_acks_late",
    "CELERY_ALWAYS_EAGER": "task_always_eager",
    "CELERY_ANNOTATIONS": "task_annotations",
    "CELERY_CREATE_MISSING_QUEUES": "task_create_missing_queues",
    "CELERY_DEFAULT_QUEUE": "task_default_queue",
    "CELERY_DEFAULT_RATE_LIMIT": "task_default_rate_limit",
    "CELERY_DISABLE_RATE_LIMITS": "worker_disable_rate_limits",
    "CELERY_IGNORE_RESULT": "task_ignore_result",
    "CELERY_IMPORTS": "imports",
    "CELERY_INCLUDE": "include",
    "CELERY_MESSAGE_COMPRESSION": "task_compression",
    "CELERY_QUEUES": "task_queues",
    "CELERY_REDIRECT_STDOUTS": "worker_redirect_stdouts",
    "CELERY_RESULT_BACKEND": "result_backend",
    "CELERY_RESULT_SERIALIZER": "result_serializer",
    "CELERY_ROUTES": "task_routes",
    "CELERY_SEND_EVENTS": "worker_send_task_events",
    "CELERY_STORE_ERRORS_EVEN_IF_IGNORED": "task_store_errors_even_if_ignored",
    "CELERY_TASK_PUBLISH_RETRY": "task_publish_retry",
    "CELERY_TASK_RESULT_EXPIRES": "result_expires",
    "CELERY_TASK_SERIALIZER": "task_serializer",
    "CELERY_TIMEZONE": "timezone",
    "CELERY_TRACK_STARTED": "task_track_started",
    "CELERYD_CONCURRENCY": "worker_concurrency",
    "CELERYD_MAX_TASKS_PER_CHILD": "worker_max_tasks_per_child",
    "CELERYD_POOL": "worker_pool",
    "CELERYD_PREFETCH_MULTIPLIER": "worker_prefetch_multiplier",
    "CELERYD_TASK_SOFT_TIME_LIMIT": "task_soft_time_limit",
    "CELERYD_TASK_TIME_LIMIT": "task_time_limit",
}


def test_the_names_of_before_are_those_of_celery_s_table():
    assert OLD_NAMES.items() <= _TO_NEW_KEY.items()
    assert translated(OLD_NAMES) == {new: new for new in OLD_NAMES.values()}


# As a user has it: the file in the folder, and Celery's own program


def celery(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "celery", *arguments],
        cwd=folder,
        env={**clean_environment(STAND_INS), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_celery_s_report_shows_the_settings(tmp_path):
    (tmp_path / "celeryconfig.py").write_text(OF_2015.format(url="redis://:secret@there:1/0"))
    done = celery("-A", "qualipy_celery", "report", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "deprecated_settings: None" in lines
    assert "task_default_queue: 'qualipy'" in lines
    assert "accept_content: ['json']" in lines
    assert any("'rate_limit': '100/s'" in line for line in lines)
    assert any(line.startswith("broker_url: 'redis://") and "there:1/0" in line for line in lines)
    assert "secret" not in done.stdout
    assert "'tasks', which is not installed; left out" in done.stderr


def test_a_slip_in_the_environment_stops_a_worker_before_it_begins(tmp_path):
    done = celery("-A", "qualipy_celery", "worker", folder=tmp_path, QUALIPY_LEASE="soon")
    assert done.returncode != 0
    assert "QUALIPY_LEASE must be a number above 0, not 'soon'." in done.stderr


def test_a_worker_with_the_settings_of_2015_starts_and_keeps_its_rate(
    shared_redis, start_workers, stand_ins, tmp_path
):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "celeryconfig.py").write_text(OF_2015.format(url=shared_redis.url))
    (worker,) = start_workers(
        shared_redis.url,
        packs=(STAND_INS, folder),
        environment={"QUALIPY_BROKER_URL": "", "QUALIPY_RESULT_BACKEND": ""},
    )
    connect(shared_redis.url)
    try:
        one = process_image.delay(picture(51), ["mean"], None, True)
        assert one.get(timeout=60) == {picture(51): {"mean": mean(51)}}
        began = time.monotonic()
        many = group(process_image.s(picture(n), ["mean"], None, True) for n in range(60))()
        results = many.get(timeout=60)
        took = time.monotonic() - began
        assert results == [{picture(n): {"mean": mean(n)}} for n in range(60)]
        assert took < 30  # with a prefetch of 1 it would not have come to an end
        by_mean = plugins.registry().get("mean")()
        results = celery_process([picture(n) for n in range(8)], [by_mean])
        assert len(results.get(timeout=60)) == 8
    finally:
        disconnect()
    assert worker.returncode is None
    assert "left out" in worker.log()
