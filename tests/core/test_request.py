"""Jobs as JSON."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_filters import Brightness, Darkness, Tinted

from qualipy_core import process, process_request
from qualipy_core.errors import ImageReadError, RequestError
from qualipy_core.request import Request, request_schema
from qualipy_core.testing import registered


@pytest.fixture(autouse=True)
def _filters():
    with registered(Brightness, Darkness, Tinted):
        yield


def request(photos, filters=None, **options):
    images = dict.fromkeys(photos)
    return {"images": images, "filters": filters or {"brightness": {}}, **options}


@pytest.mark.parametrize("options", [{}, {"combine_results": False}, {"return_predictions": True}])
def test_a_request_answers_as_process_does(photos, options):
    job = request(photos, {"brightness": {"gain": 2}, "darkness": {"threshold": 0.1}}, **options)
    expected = process(photos, [Brightness(gain=2.0), Darkness(0.1)], **options)
    assert process_request(json.dumps(job)) == expected
    assert process_request(json.dumps(job).encode()) == expected
    assert process_request(job) == expected
    assert process_request(job, jobs=2) == expected


def test_rois_of_a_request_are_honoured(photo):
    job = {"images": {photo: [10, 10, 50, 40]}, "filters": {"brightness": {}},
           "return_predictions": True}  # fmt: skip
    assert process_request(job) == process(
        photo, [Brightness()], (10, 10, 50, 40), return_predictions=True
    )


def test_a_request_without_filters_is_true(photo):
    assert process_request({"images": {photo: None}, "filters": {}}) is True


BRIGHT = {"brightness": {}}
BAD_REQUESTS = [
    ("", "", "not valid JSON"),
    ("{", "", "not valid JSON"),
    (b"\xff\xfe\x00", "", "not valid JSON"),
    ("[" * 100_000, "", "nested|not valid JSON"),
    ("[]", "", "an array"),
    ("null", "", "null"),
    ('"images"', "", "a text"),
    ({"images": {}}, "filters", "no 'filters'"),
    ({"filters": {}}, "images", "no 'images'"),
    ({"images": [], "filters": {}}, "images", "images should be"),
    ({"images": {"a": None}, "filters": []}, "filters", "filters should be"),
    ({"images": {"a": [1, 2, 3]}, "filters": BRIGHT}, "images.a", "four integers"),
    ({"images": {"a": [1, 2, 3, 4, 5]}, "filters": BRIGHT}, "images.a", "four integers"),
    ({"images": {"a": [1, 2, 3, 4.5]}, "filters": BRIGHT}, "images.a.3", "four integers"),
    ({"images": {"a": [1, 2, 3, True]}, "filters": BRIGHT}, "images.a.3", "four integers"),
    ({"images": {"a": [0, 0, 0, 1]}, "filters": BRIGHT}, "images.a", "empty"),
    ({"images": {"a": "x"}, "filters": BRIGHT}, "images.a", "four integers"),
    ({"images": {}, "filters": {"brightnes": {}}}, "filters.brightnes", "Did you mean"),
    ({"images": {}, "filters": {"brightness": None}}, "filters.brightness", "dictionary"),
    ({"images": {}, "filters": {"brightness": {"gian": 1}}}, "filters.brightness.gian", "gain"),
    ({"images": {}, "filters": {"brightness": {"gain": "1"}}}, "filters.brightness.gain", "number"),
    (
        {"images": {}, "filters": {"brightness": {"threshold": None}}},
        "filters.brightness.threshold",
        "number",
    ),
    ({"images": {}, "filters": BRIGHT, "jobs": 3}, "jobs", "unknown key"),
    ({"images": {}, "filters": BRIGHT, "sort_filter": True}, "sort_filter", "Did you mean"),
    ({"images": {}, "filters": BRIGHT, "combine_results": 1}, "combine_results", "boolean"),
    ('{"images": {}, "images": {}, "filters": {}}', "images", "twice"),
    ('{"images": {}, "filters": {"brightness": {"gain": NaN}}}', "", "NaN"),
    ('{"\\ud800": 1, "images": {}, "filters": {}}', "", "half a character"),
    ('{"images": {}, "filters": {"\\ud800": {}}}', "filters.\ud800", "Unknown filter"),
    (
        '{"images": {}, "filters": {"brightness": {"\\ud800": 1}}}',
        "filters.brightness.\ud800",
        "no parameter",
    ),
    ('{"images": {}, "filters": {"brightness": {"gain": 1e999}}}', "filters.brightness.gain", "."),
]


@pytest.mark.parametrize(("job", "place", "match"), BAD_REQUESTS)
def test_a_bad_request_is_a_value_error_that_names_the_place(job, place, match):
    with pytest.raises(RequestError, match=match) as caught:
        process_request(job if isinstance(job, str | bytes) else json.dumps(job))
    assert caught.value.place == place
    assert place in str(caught.value)
    assert isinstance(caught.value, ValueError)


def _circular():
    values = []
    values.append(values)
    return values


def _deep():
    values = []
    for _ in range(5000):
        values = [values]
    return values


ODD = {
    "bytes": b"x",
    "set": {1, 2},
    "object": object(),
    "huge": 10**5000,
    "complex": 1j,
    "circular": _circular(),
    "deep": _deep(),
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
def test_a_mapping_that_is_no_json_is_a_request_error_too(value):
    with pytest.raises(RequestError):
        process_request({"images": {}, "filters": {"brightness": {"gain": value}}})
    with pytest.raises(RequestError):
        process_request({"images": {"a": value}, "filters": {}})


def test_a_missing_image_of_a_sound_request_is_an_os_error():
    with pytest.raises(ImageReadError):
        process_request(request(["missing.jpg"]))


def test_a_request_may_not_name_files_of_this_machine_unless_trusted(photo, tmp_path):
    job = request([photo], {"tinted": {"svm_file": str(tmp_path / "model.npz")}})
    with pytest.raises(RequestError, match=r"trusted=True") as caught:
        process_request(job)
    assert caught.value.place == "filters.tinted.svm_file"
    with pytest.raises(RequestError, match="no model file"):
        process_request(job, trusted=True)
    harmless = request([photo], {"tinted": {"svm_file": None}})
    assert Request.parse(harmless).make_filters() == [Tinted()]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "images": json_values | st.dictionaries(st.text(max_size=3), json_values, max_size=2),
        "filters": json_values
        | st.dictionaries(
            st.sampled_from(["brightness", "darkness", "x"]), json_values, max_size=2
        ),
        "combine_results": json_values,
        "x": json_values,
    },
)


@given(json_values | near_misses)
def test_any_json_gives_an_answer_or_an_error_of_the_tree(document):
    try:
        answer = process_request(json.dumps(document))
    except (RequestError, ImageReadError):
        return
    assert answer is True or isinstance(answer, dict)


regions = st.none() | st.lists(st.integers(1, 10**6), min_size=4, max_size=4)
requests = st.builds(
    Request,
    images=st.dictionaries(st.text(max_size=8), regions, max_size=4),
    filters=st.fixed_dictionaries(
        {},
        optional={
            "brightness": st.fixed_dictionaries({}, optional={"gain": st.floats(-9, 9)}),
            "darkness": st.fixed_dictionaries({}, optional={"invert_threshold": st.booleans()}),
        },
    ),
    return_predictions=st.booleans(),
    combine_results=st.booleans(),
    sort_filters=st.booleans(),
)


@given(requests)
def test_a_request_survives_the_way_through_json(request):
    again = Request.parse(json.dumps(request.model_dump()))
    assert again == request
    assert again.make_filters() == request.make_filters()
    assert again.parse_rois() == request.parse_rois()


@given(st.text() | st.binary())
def test_any_text_gives_an_answer_or_a_request_error(text):
    with pytest.raises(RequestError):
        process_request(text)


def test_the_schema_describes_what_is_accepted(photo):
    schema = request_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(request([photo], {"brightness": {"gain": 2}, "darkness": {}}))
    brightness = schema["properties"]["filters"]["properties"]["brightness"]
    assert brightness["description"] == "Bright photos."
    assert brightness["properties"]["gain"]["description"] == "What the mean is multiplied with."


def test_what_is_refused_does_not_match_the_schema_either():
    validator = jsonschema.Draft202012Validator(request_schema())
    documents = [
        job for job, _, match in BAD_REQUESTS if isinstance(job, dict) and match != "empty"
    ]
    assert len(documents) > 10
    assert [job for job in documents if validator.is_valid(job)] == []
