"""Results in files: the schema, and the way back from every form."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import qualipy
from qualipy.cli.outputs import writer
from qualipy.cli.text import encode
from qualipy.results import SCHEMA_VERSION, Results, form_of, read_results, result_schema
from qualipy_core import ROI, Filter, Result
from qualipy_core.errors import FilterError, ImageReadError, QualipyError, ResultError
from qualipy_core.testing import registered


class Some(Filter):
    """Something."""

    name = "some"

    def measure(self, image):
        return image.width / 100


NASTY = '=cmd|\n\r"q", 💡 \x1b[31m\u202e.jpg'
BYTES = "caf\udce9.jpg"
FILTERS = {"some": Some(), "some#2": Some() > 1, "error": Some()}
RESULTS = [
    Result("a.jpg", {"some": 0.75, "error": 0.1}, {"some": True, "error": False}, seconds=0.5),
    Result("b.jpg", {"some#2": -1e300}, {"some#2": False}, ROI=ROI(1, 2, 3, 4), seconds=1 / 3),
    Result(NASTY, error=ImageReadError(f"{NASTY} is empty; or: not.", image=NASTY)),
    Result(
        BYTES,
        {"error": 1 / 3},
        {"error": True},
        {
            "some": FilterError("Oh; no: no.", filter="some", version="1", image=BYTES),
            "some#2": FilterError("Ah.", filter="some"),
        },
    ),
]


def plain(results):
    return [result.to_dict() for result in results]


def write(path, form, results=RESULTS):
    with open(path, "wb") as file:
        out = writer(form, lambda text: file.write(encode(text)), FILTERS)
        out.begin()
        for result in results:
            out.add(result)
        out.end()
    return path


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_json_is_read_back_as_it_was(tmp_path, form):
    read = list(read_results(write(tmp_path / f"run.{form}", form)))
    assert plain(read) == plain(RESULTS)
    assert [type(result.error) for result in read] == [type(result.error) for result in RESULTS]


def test_of_csv_the_predictions_verdicts_and_errors_are_read_back(tmp_path):
    read = list(read_results(write(tmp_path / "run.csv", "csv")))
    assert [result.image for result in read] == ["a.jpg", "b.jpg", f"./{NASTY}", "caf\\udce9.jpg"]
    for one, other in zip(read, RESULTS, strict=True):
        assert one.predictions == other.predictions
        assert one.decisions == other.decisions
        assert one.suitable == other.suitable
        assert type(one.error) is type(other.error)
        assert {n: str(e) for n, e in one.failures.items()} == {
            n: str(e) for n, e in other.failures.items()
        }


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("cut", [2, 3, 20])
def test_what_a_killed_run_has_left_of_its_last_line_is_passed_over(tmp_path, form, cut):
    path = write(tmp_path / f"run.{form}", form)
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(list(read_results(path))) == len(RESULTS) - 1


@pytest.mark.parametrize("form", ["jsonl", "csv", "json"])
def test_a_file_without_a_result_holds_none(tmp_path, form):
    assert list(read_results(write(tmp_path / f"run.{form}", form, []))) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("run.jsonl", '{"image": "a"}\n', "run.jsonl, line 1: predictions"),
        ("run.jsonl", "{}\nnonsense\n", "line 1: predictions"),
        ("run.jsonl", "nonsense\n", "line 1, is no JSON"),
        ("run.json", "{}", "is no array"),
        ("run.json", "[", "is no JSON"),
        ("run.json", "[1]", "element 1: A result is described by a dict"),
        ("run.csv", "a,b\n", "has not the columns"),
        ("run.csv", "image,suitable,flagged,error,seconds\na\nb\n", "line 2, has too few"),
        ("run.csv", 'image,suitable,flagged,error,seconds\n"a\n', "is no CSV"),
        ("run.csv", "image,suitable,flagged,error,f,seconds\na,true,,,x,1\n", "predictions.f"),
        ("run.csv", "image,suitable,flagged,error,seconds\n\xff,,,,1\n", "is no UTF-8"),
        ("run.jsonl", '{"schema": 2}\n', "version 2 of the schema; this QualiPy reads version 1"),
    ],
)
def test_what_is_no_result_is_named_by_its_place(tmp_path, name, text, said):
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ResultError, match=said) as caught:
        list(read_results(tmp_path / name))
    assert str(tmp_path / name) in caught.value.place


def test_the_form_may_be_given(tmp_path):
    path = write(tmp_path / "run.txt", "csv")
    assert len(list(read_results(path, "csv"))) == len(RESULTS)
    assert form_of("a/b.CSV") == "csv"
    assert form_of("a/b") == form_of("b.log") == "jsonl"


def test_results_are_read_as_they_are_asked_for(tmp_path):
    path = write(tmp_path / "run.jsonl", "jsonl")
    with path.open("a") as file:
        file.write("nonsense\n")
    results = read_results(path)
    assert [next(results).image for _ in RESULTS] == [result.image for result in RESULTS]
    with pytest.raises(ResultError):
        next(results)


def test_every_result_is_valid_by_the_schema():
    schema = result_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for each in plain(RESULTS):
        jsonschema.validate(json.loads(json.dumps(each)), schema)
        jsonschema.validate({**each, "schema": SCHEMA_VERSION}, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**each, "schema": SCHEMA_VERSION + 1}, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**each, "predictions": {"some": "high"}}, schema)


def test_what_a_run_yields_is_valid_and_the_schema_knows_every_key_of_it(tmp_path):
    from qualipy_core.testing import sample_images

    with registered(Some):
        results = list(qualipy.scan([sample_images()["natural"], tmp_path / "gone.jpg"], ["some"]))
    schema = result_schema()
    keys = set()
    for each in plain([*results, *RESULTS]):
        jsonschema.validate(json.loads(json.dumps(each)), schema)
        assert Result.from_dict(each).to_dict() == each
        keys |= each.keys()
    assert keys <= schema["properties"].keys()
    assert set(schema["required"]) == set.intersection(*(set(each) for each in plain(RESULTS)))


def test_the_schema_names_its_version():
    assert result_schema()["$id"] == f"urn:qualipy:result:{SCHEMA_VERSION}"


def test_the_schema_of_version_1_has_lost_and_changed_nothing():
    # Files of that version are read by programs of other people: add here, never remove.
    properties = result_schema()["properties"]
    assert {
        "image": "string", "suitable": "boolean", "flagged": "array", "predictions": "object",
        "seconds": "number", "ROI": "array", "companions": "object", "failures": "object",
        "error": "object",
    }.items() <= {name: each.get("type") for name, each in properties.items()}.items()  # fmt: skip
    assert SCHEMA_VERSION == 1


def test_results_are_a_sequence():
    results = Results(iter(RESULTS))
    assert len(results) == 4
    assert results[0] is RESULTS[0]
    assert list(results[1:]) == RESULTS[1:]
    assert isinstance(results[1:], Results)
    assert repr(results) == "<Results: 4 photos, 2 flagged, 2 with errors>"
    assert RESULTS[1] in results


def test_the_facade_has_them():
    assert qualipy.Results is Results
    assert qualipy.read_results is read_results


def test_a_file_that_is_not_there_is_an_os_error():
    with pytest.raises(FileNotFoundError):
        next(read_results(Path("gone.jsonl")))
    assert issubclass(ResultError, QualipyError)
