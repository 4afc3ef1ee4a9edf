"""The page for operators says what is there, and what it gives to copy works."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
import yaml
from celery_workers import clean_environment
from documentation import blocks
from processes import Started, until
from redis.exceptions import NoPermissionError
from redis_server import RedisServer
from stand_ins import picture

from qualipy_celery import ledger, settings
from qualipy_celery.commands import worker as worker_command

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operating.md"
EXAMPLES = ROOT / "examples"
HOST = "redis.example"

JOB = """
import sys
from qualipy_celery import *
from qualipy_core import plugins

images, mean = sys.argv[1:], plugins.registry().get("mean")()
assert not any(result.failed for result in submit(images, [mean], name="mine"))
assert [status.id for status in list_jobs()] == ["mine"]
find_job("mine").forget()
results = celery_process(images, [mean], return_predictions=True)
assert [list(each) for each in results.get(timeout=60)] == [[image] for image in images]
assert get_job_status(results) == 100.0
results = celery_process(images * 20, [mean])
results.revoke()
assert process_image.delay(images[0], [mean], None, True).get(timeout=60)
submit(images, [mean], name="mine")
assert not any(result.failed for result in submit(images, [mean], name="mine", resume=True))
print("done")
"""


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def table(heading: str) -> dict[str, str]:
    """The first two columns of the table below a heading, without their backticks."""
    section = page().partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.*?) \|", section, re.M)
    return {key: value.strip("`") for key, value in rows}


def block_with(word: str) -> str:
    return next(block.code for block in blocks(PAGE) if word in block.code)


def configuration(path: Path) -> dict[str, str]:
    """The directives of a file for Redis."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def users() -> dict[str, list[str]]:
    """The rules by user."""
    lines = (EXAMPLES / "redis" / "users.acl").read_text(encoding="utf-8").splitlines()
    return {name: rules for _, name, *rules in map(str.split, lines)}


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def runs_a_job(url: str, folder: Path, packs: Path) -> str:
    """Let a client of its own process do all that clients do; return what it says."""
    images = [picture(number) for number in range(9)]
    ran = subprocess.run(
        [sys.executable, "-c", JOB, *images],
        env=clean_environment(packs) | {"QUALIPY_BROKER_URL": url, "QUALIPY_PATIENCE": "5"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr


@pytest.fixture
def start_worker(tmp_path, stand_ins):
    """A function that types ``qualipy worker``."""
    with ExitStack() as cleanup:

        def start(url: str) -> None:
            command = [sys.executable, "-c", "from qualipy.cli import main; main()"]
            worker = cleanup.enter_context(
                Started(
                    [*command, "worker", "--concurrency=1"],
                    tmp_path / "worker.log",
                    clean_environment(stand_ins) | {"QUALIPY_BROKER_URL": url},
                    tmp_path,
                )
            )
            until(lambda: " ready." in worker.log(), 120, lambda: f"a worker\n{worker.tail()}")

        yield start


def test_the_table_of_defaults_lists_each_setting_with_its_value():
    expected = {}
    for key, value in settings.DEFAULTS.items():
        if isinstance(value, dict):
            expected |= {f'{key}["{inner}"]': each for inner, each in value.items()}
        else:
            expected[key] = value
    told = {key: ast.literal_eval(value) for key, value in table("### The defaults").items()}
    assert told == expected


def test_the_table_of_variables_lists_each_one_with_its_default(monkeypatch):
    told = table("## Settings")
    sources = (ROOT / "qualipy_celery" / "src").rglob("*.py")
    read = {v for path in sources for v in re.findall(r"\bQUALIPY_[A-Z_]+\b", path.read_text())}
    assert read <= told.keys()
    for variable in read:
        monkeypatch.delenv(variable, raising=False)
    assert settings.lease() == float(told["QUALIPY_LEASE"])
    assert settings.patience() == float(told["QUALIPY_PATIENCE"])
    assert settings.time_limit() == float(told["QUALIPY_TIME_LIMIT"])
    assert settings.worker_memory() == int(told["QUALIPY_WORKER_MEMORY"]) << 20
    for key, variable in settings.ENVIRONMENT.items():
        if variable != "QUALIPY_RESULT_BACKEND":
            assert settings.DEFAULTS[key] == told[variable]


@pytest.mark.parametrize("which", ["new", "old"])
def test_the_settings_files_of_the_page_are_taken_as_they_stand(tmp_path, which):
    new = (EXAMPLES / "celeryconfig.py").read_text(encoding="utf-8")
    (tmp_path / "celeryconfig.py").write_text(block_with("BROKER_URL =") if which == "old" else new)
    code = "from qualipy_celery import app; c = app.conf; print([c.broker_url, c.result_backend, "
    code += "dict(c.broker_transport_options), c.worker_prefetch_multiplier])"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    broker, backend, options, prefetch = ast.literal_eval(ran.stdout)
    assert broker == backend == f"redis://{HOST}:6379/0"
    assert prefetch == (settings.RATE_LIMITED_PREFETCH if which == "old" else 1)
    defaults = settings.DEFAULTS["broker_transport_options"]
    assert options == (defaults if which == "old" else defaults | {"socket_timeout": 60})


def documented_variables() -> set[str]:
    return {name for name in table("## Settings") if name.startswith("QUALIPY_")}


def test_the_unit_is_what_systemd_accepts(tmp_path):
    path = EXAMPLES / "systemd" / "qualipy-worker.service"
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(path)
    service = unit["Service"]
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > settings.time_limit()
    program, *arguments = shlex.split(service["ExecStart"])
    assert [Path(program).name, *arguments] == ["qualipy", worker_command.name]
    assert service["User"] != "root"
    assert Path(service["EnvironmentFile"]).parent == Path(service["WorkingDirectory"])
    analyse = shutil.which("systemd-analyze")
    if analyse:
        copy = tmp_path / path.name
        copy.write_text(path.read_text().replace(program, "/bin/true"))
        checked = subprocess.run(
            [analyse, "verify", str(copy)], capture_output=True, text=True, check=False
        )
        about = [line for line in checked.stderr.splitlines() if path.name in line]
        assert not about
        assert checked.returncode == 0 or not checked.stderr


def test_the_environment_file_sets_what_is_documented():
    lines = (EXAMPLES / "systemd" / "worker.env").read_text().split()
    assert {line.partition("=")[0] for line in lines} <= documented_variables()


def test_the_compose_file_uses_what_is_there():
    folder = EXAMPLES / "compose"
    services = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"redis", "worker", "client"}
    for name, service in services.items():
        assert "ports" not in service
        assert not service.get("privileged")
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            if source.startswith("../"):
                assert (folder / source).is_file()
        variables = {v for v in service.get("environment", {}) if v.startswith("QUALIPY_")}
        assert variables <= documented_variables()
        if name != "redis":
            assert service["read_only"]
            assert f"//{name}:" in service["environment"]["QUALIPY_BROKER_URL"]
            assert f"${{{name.upper()}_PASSWORD:?" in service["environment"]["QUALIPY_BROKER_URL"]
    assert "users.acl" in str(services["redis"]["volumes"])
    dockerfile = (folder / "Dockerfile").read_text(encoding="utf-8")
    assert "\nUSER qualipy\n" in dockerfile


def test_the_page_shows_every_example_file():
    shown = set(re.findall(r'^--8<-- "(.+)"$', page(), re.M))
    files = {str(path.relative_to(ROOT)) for path in EXAMPLES.rglob("*") if path.is_file()}
    assert {file for file in files if "__pycache__" not in file} == shown


def test_both_users_may_do_what_the_ledger_s_scripts_do():
    source = Path(ledger.__file__).read_text(encoding="utf-8")
    commands = {name.lower() for name in re.findall(r"redis\.call\('(\w+)'", source)}
    assert commands
    for name in ("client", "worker"):
        assert {f"+{command}" for command in commands} <= set(users()[name])


def guarded(port: str) -> dict[str, object]:
    """What starts a server with the page's configuration and users."""
    options = configuration(EXAMPLES / "redis" / "redis.conf")
    (password,) = [rule[1:] for rule in users()["operator"] if rule.startswith(">")]
    options |= {"bind": "127.0.0.1", "port": port, "aclfile": str(EXAMPLES / "redis" / "users.acl")}
    return {"options": options, "admin": ("operator", password)}


def url_of(user: str, port: str) -> str:
    (password,) = [rule[1:] for rule in users()[user] if rule.startswith(">")]
    return f"redis://{user}:{password}@127.0.0.1:{port}/0"


def test_jobs_need_no_more_rights_than_the_page_gives(
    start_redis, start_worker, stand_ins, tmp_path
):
    port = free_port()
    server = start_redis(**guarded(port))
    start_worker(url_of("worker", port))
    said = runs_a_job(url_of("client", port), tmp_path, stand_ins)
    assert said.endswith("done\n"), said
    assert not server.client().acl_log()
    # What is needed when something goes wrong, which would take too long here.
    assert {"+watch", "+unwatch", "+discard", "+rpush"} <= set(users()["worker"])


@pytest.mark.parametrize("user", ["client", "worker"])
@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("SHUTDOWN",),
        ("GET", "others"),
        ("SET", "others", "1"),
        ("PUBLISH", "others", "1"),
    ],
    ids=" ".join,
)
def test_the_users_may_do_nothing_else(guarded_redis, user, command):
    client = guarded_redis(user)
    with pytest.raises(NoPermissionError):
        client.execute_command(*command)


def test_a_client_can_take_no_message_and_give_no_orders(guarded_redis):
    client = guarded_redis("client")
    for command in (("BRPOP", "qualipy", 1), ("PUBLISH", "/0.celery.pidbox", "shutdown")):
        with pytest.raises(NoPermissionError):
            client.execute_command(*command)


@pytest.fixture(scope="module")
def _guarded_port(tmp_path_factory):
    port = free_port()
    with RedisServer(tmp_path_factory.mktemp("redis"), **guarded(port)):
        yield port


@pytest.fixture
def guarded_redis(_guarded_port):
    """A function that returns a connection of a user's."""
    clients = []

    def connected(user):
        clients.append(redis.Redis.from_url(url_of(user, _guarded_port)))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def certificates(tmp_path):
    """What the page's commands make, for ``localhost``."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here to make certificates with")
    script = block_with("openssl req").replace(HOST, "localhost")
    folder = tmp_path / "certificates"
    folder.mkdir()
    subprocess.run(["bash", "-ec", script], cwd=folder, check=True, capture_output=True)
    return folder


def test_jobs_run_over_an_encrypted_connection(
    start_redis, start_worker, stand_ins, certificates, tmp_path
):
    port = free_port()
    tls = configuration(EXAMPLES / "redis" / "tls.conf") | {"tls-port": port}
    for option in ("tls-cert-file", "tls-key-file", "tls-ca-cert-file"):
        tls[option] = str(certificates / Path(tls[option]).name)
    known = guarded("0")
    try:
        start_redis(options={**known["options"], **tls}, admin=known["admin"])
    except AssertionError as error:
        if "Bad directive" in str(error):
            pytest.skip("this redis-server, from a wheel, was built without TLS")
        raise
    (shown,) = re.findall(r"^rediss://.+$", page(), re.M)
    url = shown.replace("/etc/qualipy", str(certificates)).replace(
        f"{HOST}:6379", f"localhost:{port}"
    )
    assert url != shown
    start_worker(url)
    clients_url = url.replace("worker:worker-password", "client:client-password")
    said = runs_a_job(clients_url, tmp_path, stand_ins)
    assert said.endswith("done\n"), said
    # Neither a server that another authority vouches for, nor one of another name.
    for wrong in (
        re.sub(r"&ssl_ca_certs=.*", "", clients_url),
        clients_url.replace("@localhost:", "@127.0.0.1:"),
    ):
        assert "certificate verify failed" in runs_a_job(wrong, tmp_path, stand_ins)
