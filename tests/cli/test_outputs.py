"""The forms of a report."""

from __future__ import annotations

import csv
import io
import json

import pytest

from qualipy.cli.outputs import TEXTS, format_for, writer
from qualipy_core import Filter, Result
from qualipy_core.errors import FilterError, ImageReadError


class Some(Filter):
    """Something."""

    name = "some"

    def measure(self, image):
        return 0.0


FILTERS = {"some": Some(), "other": Some()}
NASTY = '=cmd|\n\r"q", [red]x[/red]\x1b[31m\udcff.jpg'
RESULTS = [
    Result("a.jpg", {"some": 0.75}, {"some": True}, seconds=0.5),
    Result(NASTY, error=ImageReadError(f"{NASTY} is empty.", image=NASTY)),
    Result("b.jpg", {"other": 0.25}, {"other": False}, {"some": FilterError("Oh.", filter="some")}),
]


def report(form, results=RESULTS):
    pieces = []
    out = writer(form, pieces.append, FILTERS)
    out.begin()
    for result in results:
        out.add(result)
    out.end()
    return "".join(pieces)


@pytest.mark.parametrize("form", TEXTS)
def test_a_report_ends_with_a_line_end_and_has_no_escape_sequence(form):
    text = report(form)
    assert text.endswith("\n")
    assert not text.endswith("\r\n")
    assert form == "csv" or "\x1b" not in text


def test_jsonl_has_one_object_per_line():
    lines = report("jsonl").encode("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [result.to_dict() for result in RESULTS]
    assert report("jsonl", []) == ""


@pytest.mark.parametrize("results", [[], RESULTS[:1], RESULTS])
def test_json_is_an_array_of_any_length(results):
    assert json.loads(report("json", results)) == [result.to_dict() for result in results]


def test_csv_has_the_same_columns_in_every_row():
    rows = list(csv.reader(io.StringIO(report("csv"), newline="")))
    assert rows[0] == ["image", "suitable", "flagged", "error", "some", "other", "seconds"]
    assert {len(row) for row in rows} == {7}
    assert rows[1] == ["a.jpg", "false", "some", "", "0.75", "", "0.500000"]
    assert rows[3][3] == "some: FilterError: Oh."
    assert rows[3][4:6] == ["", "0.25"]


def test_a_name_is_no_formula_in_a_spreadsheet_and_still_the_same_path():
    rows = list(csv.reader(io.StringIO(report("csv"), newline="")))
    assert rows[2][0] == f"./{NASTY}"
    assert not rows[2][3].startswith("=")


def test_the_table_has_one_line_per_photo():
    assert len(report("table").splitlines()) == len(RESULTS)


def test_the_suffix_of_a_file_says_its_form():
    assert format_for(None) == "table"
    assert format_for("a.CSV") == "csv"
    assert format_for("a.json") == "json"
    assert format_for("a.jsonl") == "jsonl"
    assert format_for("a.parquet") == "parquet"
    assert format_for("results") == "jsonl"
