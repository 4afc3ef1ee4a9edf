"""What client and workers say to each other, and what a worker makes of what others say."""

from __future__ import annotations

import base64
import json
import math
import pickle
import secrets
import zlib
from pathlib import Path

import numpy as np
import pytest
from celery_client import connect, disconnect
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kombu.exceptions import DecodeError
from kombu.utils.json import loads
from processes import until
from stand_ins import mean, picture

from qualipy_celery import calls, submit, worker
from qualipy_celery.application import app
from qualipy_celery.ledger import Ledger
from qualipy_celery.messages import (
    MOST_FILTERS,
    MOST_NUMBER,
    MOST_TASKS,
    VERSION,
    Chunk,
    Piece,
    described,
    make_plan,
    numbers_of,
    opened,
    piece,
    plan_of_call,
)
from qualipy_celery.tasks import process_chunk, process_image
from qualipy_core import Image, plugins
from qualipy_core.errors import (
    FilterError,
    ImageTypeError,
    MessageError,
    ParameterTypeError,
    ParameterValueError,
    QualipyError,
    UnknownFilterError,
)
from qualipy_core.plan import Plan, Task
from qualipy_core.result import Result

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
JOBS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
NUMBERS = st.integers(0, MOST_NUMBER)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
ROIS = st.none() | st.lists(st.integers(), min_size=4, max_size=4)
PIECES = st.builds(Piece, NUMBERS, TEXTS, ROIS)
FILTERS = st.lists(st.tuples(TEXTS, st.dictionaries(TEXTS, JSON, max_size=3)), max_size=3)
CHUNKS = st.builds(
    Chunk,
    JOBS,
    st.lists(PIECES, min_size=1, max_size=5).map(tuple),
    FILTERS.map(tuple),
    st.booleans(),
    TEXTS,
)


def sent(chunk: Chunk) -> object:
    """Return a chunk's message as it arrives."""
    return json.loads(json.dumps(chunk.to_dict()))


VALID = sent(
    Chunk("job", (Piece(3, "a.jpg"), Piece(4, "b.jpg", [0, 0, 5, 5])), (("hdr", {"name": "hdr"}),))
)


@given(CHUNKS)
def test_a_chunk_arrives_as_it_was_sent(chunk):
    arrived = Chunk.parse(sent(chunk))
    assert repr(arrived) == repr(chunk)  # a NaN in a parameter equals nothing
    assert arrived.id == str(chunk.tasks[0].number)


def parsed(message: object) -> Chunk | None:
    """Return what a message is read as, ``None`` if it is refused in the proper way."""
    try:
        return Chunk.parse(message)
    except MessageError:
        return None


@given(JSON)
def test_any_value_is_a_chunk_or_refused_by_name(value):
    assert parsed(value) is None


@settings(max_examples=150)
@given(st.data())
def test_a_message_with_anything_in_place_of_something_is_a_chunk_or_refused(data):
    message = json.loads(json.dumps(VALID))
    holders: list[tuple[object, object]] = []

    def walk(value: object) -> None:
        for key in value if isinstance(value, dict) else range(len(value)):
            holders.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(message)
    holder, key = data.draw(st.sampled_from(holders))
    if data.draw(st.booleans()):
        holder[key] = data.draw(JSON)
    else:
        del holder[key]
    chunk = parsed(message)
    if chunk is not None:
        assert all(0 <= each.number <= MOST_NUMBER for each in chunk.tasks)
        assert all(isinstance(each.image, str) for each in chunk.tasks)
        assert parsed(sent(chunk)) is not None
        made = made_by_worker(chunk.filters, chunk.stop_early)
        assert [label for label, _ in made.steps] == [label for label, _ in chunk.filters]
    else:
        numbers_of(message)


@given(JSON | st.fixed_dictionaries({"job": JSON | JOBS, "tasks": JSON | st.lists(JSON)}))
def test_who_a_refused_message_concerns_is_told_or_not_but_never_raises(value):
    told = numbers_of(value)
    if told is not None:
        job, numbers = told
        assert isinstance(job, str)
        assert numbers
        assert all(type(number) is int and 0 <= number <= MOST_NUMBER for number in numbers)


def with_(**changes: object) -> dict[str, object]:
    return {**VALID, **changes}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (with_(v=VERSION + 1), f"version {VERSION + 1}, and version {VERSION} is understood"),
        (with_(v=None), "version None"),
        (with_(job="../x"), "job is '../x'"),
        (with_(job=""), "job is ''"),
        (with_(job="x" * 101), "job is 'xxx"),
        (with_(tasks=[]), "tasks is"),
        (with_(tasks=[[0, "a", None]] * (MOST_TASKS + 1)), "tasks is"),
        (with_(tasks=[[MOST_NUMBER + 1, "a", None]]), "tasks is"),
        (with_(tasks=[[True, "a", None]]), "tasks is"),
        (with_(tasks=[[0, "a", [0, 0, 1]]]), "tasks is"),
        (with_(tasks=[[0, "a", [0, 0, 1, 1.5]]]), "tasks is"),
        (with_(filters=[["a", {}]] * (MOST_FILTERS + 1)), "filters is"),
        (with_(filters=[["a", "b"]]), "filters is"),
        (with_(filters={}), "filters is"),
        (with_(stop_early=1), "stop_early is 1"),
        (with_(base=None), "base is None"),
        ([], r"JSON object, not \[\]"),
    ],
)
def test_what_is_wrong_with_a_message_is_said(message, said):
    with pytest.raises(MessageError, match=said):
        Chunk.parse(message)


def test_a_newer_client_may_say_more_and_need_not_say_what_has_a_default():
    message = with_(priority=3, comments=[1, 2])
    del message["stop_early"], message["base"]
    assert Chunk.parse(message) == Chunk.parse(VALID)


# Filters on the way


def made_by_worker(filters, stop_early: bool = False) -> Plan:
    return make_plan(filters, stop_early, (), "w:7@host")


@pytest.mark.usefixtures("stand_ins")
def test_filters_arrive_as_they_were_given():
    made = [
        plugins.registry().get("mean")(threshold=0.25, invert_threshold=True),
        plugins.registry().get("slow")(seconds=0.1) >= 7,
        plugins.registry().get("mean")(),
    ]
    plan = Plan.make(made, stop_early=True)
    wire = json.loads(json.dumps(described(plan)))
    assert made_by_worker(wire, True).steps == plan.steps
    assert [label for label, _ in wire] == ["mean", "slow", "mean#2"]


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize(
    ("description", "kind", "said"),
    [
        ({"name": "nobodys"}, UnknownFilterError, "nobodys"),
        ({"name": "mean", "brightness": 1}, ParameterValueError, "brightness"),
        ({"name": "mean", "threshold": "high"}, ParameterTypeError, "threshold"),
        ({"name": "mean", "threshold": math.nan}, ParameterValueError, "threshold"),
        ({"name": "mean", "comparison": "~"}, ParameterValueError, "comparison"),
        ({"name": 7}, ParameterValueError, "described as"),
        ({}, ParameterValueError, "described as"),
    ],
)
def test_a_filter_that_cannot_be_had_fails_by_name_and_the_others_stand(description, kind, said):
    plan = made_by_worker([["there", {"name": "mean"}], ["not", description]])
    result = plan.judge(opened(picture(51), None, "/"))
    assert result.predictions == {"there": 0.2}
    failure = result.failures["not"]
    assert isinstance(failure, kind)
    assert str(failure).startswith("Worker w:7@host: ")
    assert said in str(failure)
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))).failures["not"].args
    if kind is UnknownFilterError:
        assert {"mean", "exposure"} <= set(failure.installed)


def test_a_filter_whose_making_breaks_in_any_way_fails_by_name(install_pack):
    source = """
from qualipy_core import Filter
class Breaks(Filter):
    name = "breaks"
    level: float = 1.0
    def __post_init__(self):
        raise ZeroDivisionError("at once")
    def measure(self, image):
        return 0.0
"""
    install_pack("breaking-pack", source, {"qualipy.filters": {"breaks": "breaking_pack:Breaks"}})
    plan = made_by_worker([["x", {"name": "breaks"}]])
    failure = plan.judge(Task(np.zeros((4, 4, 3), np.uint8))).failures["x"]
    assert isinstance(failure, FilterError)
    assert "w:7@host: filter breaks cannot be made: ZeroDivisionError: at once" in str(failure)


@given(JSON)
@example({"name": "mean", "threshold": 1e400})
def test_whatever_describes_a_filter_makes_a_plan(value):
    assert [label for label, _ in made_by_worker([["x", value]]).steps] == ["x"]


@pytest.mark.usefixtures("stand_ins")
def test_a_call_with_a_filter_that_cannot_be_had_is_refused_as_a_whole():
    with pytest.raises(UnknownFilterError, match="Worker w: "):
        plan_of_call(["mean", {"name": "nobodys"}], True, False, "w")
    with pytest.raises(ParameterValueError, match="Worker w: "):
        plan_of_call([{"name": "mean", "brightness": 1}], True, False, "w")
    with pytest.raises(QualipyError):
        plan_of_call([7], True, False, "w")


def test_a_model_in_memory_alone_is_not_sent():
    trained = plugins.registry().get("hdr")()
    object.__setattr__(trained, "_own_model", trained.model)  # as after `fit`
    with pytest.raises(ParameterValueError, match="in memory alone"):
        submit(["a.jpg"], [trained])


# Images on the way


@pytest.mark.parametrize("source", [b"bytes", bytearray(3), Image(b"x", name="x"), memoryview(b"")])
def test_only_what_a_worker_can_open_is_sent(source):
    with pytest.raises(ImageTypeError, match="give a path or URL") as caught:
        piece(3, Task(source))
    assert caught.value.image == Task(source).label


def test_an_image_is_sent_by_its_path_or_url_and_opened_from_the_client_s_folder():
    assert piece(1, Task(Path("a/b.jpg"))) == (1, "a/b.jpg", None)
    assert piece(2, Task("s3://bucket/b.jpg", (1, 2, 3, 4))) == (
        2,
        "s3://bucket/b.jpg",
        [1, 2, 3, 4],
    )
    assert opened("a/b.jpg", None, "/photos").source._picture.path == "/photos/a/b.jpg"
    assert opened("/a/b.jpg", None, "/photos").source._picture.path == "/a/b.jpg"
    assert opened("https://x/y.jpg", None, "/photos").source._picture.path == "https://x/y.jpg"
    assert opened("a/b.jpg", None, "/photos").label == "a/b.jpg"


NAMES = [
    "",
    "\0",
    "a\0b",
    "\udcff.jpg",
    "🖼/è.jpg",
    ".",
    "/",
    "x" * 5000,
    "://",
    "nobody://x",
    "file://",
    "stand-in://",
    "stand-in://x",
    "\n",
    "http://[",
]


@pytest.mark.usefixtures("stand_ins")
def test_every_image_of_a_readable_message_has_an_outcome_whatever_it_is_called(
    shared_redis, tmp_path
):
    redis = shared_redis.client()
    job = secrets.token_hex(4)
    pieces = [
        Piece(number, name, roi)
        for number, (name, roi) in enumerate(
            [(name, roi) for name in NAMES for roi in (None, [0, 0, 1, 1], [-1, 0, 1 << 60, 0])]
            + [(picture(5), None), (picture(6), [0, 0, 9, 9])]
        )
    ]
    chunk = Chunk(job, tuple(pieces), (("mean", {"name": "mean"}),), base=str(tmp_path))
    try:
        worker.run_chunk(sent(chunk), redis, "w:1")
    finally:
        worker.close()
    told = [each for taken in Ledger(redis, job).read("0", 0.0) for each in taken.outcomes]
    assert [number for number, _ in told] == list(range(len(pieces)))
    results = [Result.from_dict(plain) for _, plain in told]
    assert [result.failed for result in results] == [True] * (len(pieces) - 2) + [False, True]
    assert results[-2].predictions == {"mean": mean(5)}
    for each, result in zip(pieces, results, strict=True):
        assert result.image == each.image or not each.image
    redis_status = Ledger(redis, job)
    assert redis_status.look()[2] == {}


# In Redis


def body_of(message: dict[str, object]) -> object:
    """Return what a message in Redis holds."""
    raw = base64.b64decode(message["body"])
    if message["headers"].get("compression") == "application/x-gzip":
        raw = zlib.decompress(raw)
    return loads(raw)


@pytest.fixture
def client(shared_redis, stand_ins):
    """This process as a client of a server that no worker listens to."""
    connect(shared_redis.url)
    yield shared_redis.client()
    disconnect()


def test_messages_are_json_and_hold_names_and_numbers_alone(client, tmp_path):
    made = [plugins.registry().get("slow")(seconds=0.5), plugins.registry().get("mean")() > 0.25]
    calls.celery_process([picture(n) for n in range(3)], made, [None, None, (0, 0, 2, 2)])
    process_image.delay(tmp_path / "a.jpg", made, None, True)
    messages = [json.loads(each) for each in client.lrange("qualipy", 0, -1)][::-1]
    assert len(messages) == 4
    for message in messages:
        assert message["content-type"] == "application/json"
        assert message["content-encoding"] == "utf-8"
    parameters = [{"name": "slow", "seconds": 0.5}, {"name": "mean", "threshold": 0.25}]
    for number, message in enumerate(messages[:3]):
        assert message["headers"]["task"] == "qualipy.process_chunk"
        (arrived,), _, _ = body_of(message)
        chunk = Chunk.parse(arrived)
        assert [each.number for each in chunk.tasks] == [number]
        assert [each.image for each in chunk.tasks] == [picture(number)]
        assert [label for label, _ in chunk.filters] == ["slow", "mean"]
        for (_, there), expected in zip(chunk.filters, parameters, strict=True):
            assert there.items() >= expected.items()
    assert messages[3]["headers"]["task"] == "tasks.process_image"
    arguments, _, _ = body_of(messages[3])
    assert arguments[0] == str(tmp_path / "a.jpg")
    assert [each["name"] for each in arguments[1]] == ["slow", "mean"]
    assert arguments[2:] == [None, True]


def test_a_filter_that_is_a_tuple_or_list_as_well_is_not_taken_for_one(client):
    class Odd(plugins.registry().get("mean")):
        name = "mean"

        def __iter__(self):
            return iter(())

    process_image.delay("a.jpg", [Odd()])
    arguments, _, _ = body_of(json.loads(client.lindex("qualipy", 0)))
    assert arguments[1][0]["name"] == "mean"


class Explosive:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "boom")


YAML = "!!python/object/apply:pathlib.Path.write_text [!!python/object/apply:pathlib.Path [{}], x]"
FORBIDDEN = {
    "pickle": ("application/x-python-serialize", "binary", lambda p: pickle.dumps(Explosive(p))),
    "yaml": ("application/x-yaml", "utf-8", lambda p: YAML.format(p).encode()),
    "msgpack": ("application/x-msgpack", "binary", lambda _: b"\x93\x90\x80\xc0"),
    "unknown": ("application/x-nobodys", "utf-8", lambda _: b"[[],{},{}]"),
    "data": ("application/data", "binary", lambda _: b"\x00\x01"),
    "json that is none": ("application/json", "utf-8", lambda _: b"\x80\x04"),
}


def test_a_worker_refuses_what_is_not_json_and_lives(standing, tmp_path):
    redis = standing.server.client()
    process_chunk.apply_async(({},), queue="elsewhere")
    template = json.loads(redis.rpop("elsewhere"))
    template["properties"]["delivery_info"]["routing_key"] = "qualipy"
    marks = {}
    for name, (kind, encoding, make) in FORBIDDEN.items():
        marks[name] = tmp_path / f"{name}.mark"
        message = {**template, "content-type": kind, "content-encoding": encoding}
        message["body"] = base64.b64encode(make(marks[name])).decode()
        redis.lpush("qualipy", json.dumps(message))
    made = [plugins.registry().get("mean")()]
    results = calls.celery_process([picture(n) for n in range(4)], made, return_predictions=True)
    assert results.get(timeout=120) == [{picture(n): {"mean": mean(n)}} for n in range(4)]
    assert not any(mark.exists() for mark in marks.values())
    assert standing.worker.returncode is None
    for kind in ("pickle", "yaml", "msgpack"):
        assert f"Refusing to deserialize untrusted content of type {kind}" in standing.worker.log()
    until(lambda: redis.hlen("unacked") == redis.llen("qualipy") == 0, 30, "nothing left over")


def test_this_process_refuses_pickled_results(client):
    result = process_image.delay("a.jpg", ["mean"])
    key = app.backend.get_key_for_task(result.id)
    client.set(key, pickle.dumps({"status": "SUCCESS", "result": 1, "task_id": result.id}))
    with pytest.raises(DecodeError):
        _ = result.state
