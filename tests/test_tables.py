"""Results as a DataFrame and as a Parquet file."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import pytest

from qualipy.results import Results, read_results
from qualipy.tables import AFTER, BEFORE, ROWS, ParquetFile, column
from qualipy_core import ROI, Filter, Result
from qualipy_core.errors import FilterError, ImageReadError, MissingLibraryError, ResultError

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
pd = pytest.importorskip("pandas")


class Some(Filter):
    """Something."""

    name = "some"

    def measure(self, image):
        return 0.0


NASTY = '=cmd|\n\r"q", 💡 \x1b[31m\u202e\0.jpg'
BYTES = "caf\udce9.jpg"
FILTERS = {"some": Some(), "error": Some() > 0.9}
RESULTS = [
    Result("a.jpg", {"some": 0.75, "error": 0.1}, {"some": True, "error": False}, seconds=0.5),
    Result("b.jpg", {"error": -1e300}, {"error": False}, ROI=ROI(1, 2, 3, 4), seconds=0.25),
    Result(NASTY, error=ImageReadError(f"{NASTY} is empty.", image=NASTY)),
    Result(
        BYTES,
        {"error": 1 / 3},
        {"error": True},
        {"some": FilterError(f"Oh on {BYTES}.", filter="some", version="1", image=BYTES)},
    ),
]
COMPANIONS = {"near_duplicates": ("a.jpg", BYTES)}


def plain(results):
    return [result.to_dict() for result in results]


def write(path, results=RESULTS, error=None):
    with ParquetFile(path, FILTERS) as file:
        for result in results:
            file.add(result)
        if error is not None:
            raise error
    return path


def test_what_is_written_is_read_back_as_it_was(tmp_path):
    read = list(read_results(write(tmp_path / "run.parquet")))
    assert plain(read) == plain(RESULTS)
    assert [type(result.error) for result in read] == [type(result.error) for result in RESULTS]


def test_companions_are_lists_by_filter(tmp_path):
    result = Result("a.jpg", {"some": 1.0}, {"some": False}, companions=COMPANIONS)
    path = write(tmp_path / "run.parquet", [result])
    assert parquet.read_table(path).column("companions").to_pylist() == [
        [("near_duplicates", ["a.jpg", "caf\\udce9.jpg"])]
    ]
    frame = Results([result]).to_dataframe()
    assert frame["companions"][0] == {"near_duplicates": ["a.jpg", "caf\\udce9.jpg"]}


def test_the_columns_are_those_of_the_documentation(tmp_path):
    table = parquet.read_table(write(tmp_path / "run.parquet"))
    assert table.column_names == [*BEFORE, "some", "predictions.error", *AFTER]
    assert table.column("flagged").to_pylist() == [["some"], [], [], ["error"]]
    assert table.column("some").to_pylist() == [0.75, None, None, None]
    assert table.column("error").to_pylist()[3] == "some: FilterError: Oh on caf\\udce9.jpg."
    assert str(table.schema.field("image").type) == "string"
    assert column("exposure") == "exposure"


def test_the_metadata_tell_the_version_and_how_the_photos_were_judged(tmp_path):
    schema = parquet.read_schema(write(tmp_path / "run.parquet"))
    described = json.loads(schema.metadata[b"qualipy"])
    assert described["schema"] == 1
    assert described["filters"]["error"] == {
        "column": "predictions.error",
        "parameters": FILTERS["error"].to_dict(),
    }


def test_a_file_of_a_later_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("qualipy.tables.SCHEMA_VERSION", 2)
    path = write(tmp_path / "run.parquet")
    monkeypatch.undo()
    with pytest.raises(ResultError, match="version 2 of the schema"):
        list(read_results(path))


def test_what_is_no_such_file_is_an_error(tmp_path):
    (tmp_path / "run.parquet").write_text("no")
    with pytest.raises(ResultError, match="is no Parquet file"):
        list(read_results(tmp_path / "run.parquet"))
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ResultError, match="is no Parquet file of results"):
        list(read_results(tmp_path / "other.parquet"))


def rewritten(path, change):
    """The same file with other metadata, columns or values."""
    table = parquet.read_table(path)
    described = json.loads(table.schema.metadata[b"qualipy"])
    table = change(table, described) or table
    described = json.dumps(described) if described else "{"
    parquet.write_table(table.replace_schema_metadata({b"qualipy": described}), path)


def without(*names):
    return lambda table, described: table.drop_columns(list(names))


def replaced(name, values):
    return lambda table, described: table.set_column(
        table.column_names.index(name), name, pa.array(values * len(table))
    )


DAMAGED = {
    "no JSON": (lambda table, said: said.clear(), "is no Parquet file of results"),
    "no version": (lambda table, said: said.pop("schema") and None, "is of version None"),
    "no filters": (lambda table, said: said.pop("filters") and None, "filters of its metadata"),
    "a filter is text": (
        lambda table, said: said["filters"].update(some="some"),
        r"filters\.some of its metadata: names no column",
    ),
    "a filter without a column": (
        lambda table, said: said["filters"]["some"].pop("column") and None,
        r"filters\.some of its metadata: names no column",
    ),
    "a column of a filter is gone": (without("some"), r"filters\.some of its metadata"),
    "no images": (without("image"), "lacks the column image"),
    "no seconds": (without("seconds"), "lacks the column seconds"),
    "images are numbers": (replaced("image", [1]), "row 1: image in a result must be a str"),
    "predictions are text": (replaced("some", ["x"]), r"row 1: predictions\.some"),
    "companions are numbers": (replaced("companions", [1]), "row 1: "),
    "details are no JSON": (replaced("error_details", ["{"]), "row 1: "),
    "details are a list": (replaced("error_details", ["[1]"]), "row 1: "),
    "bytes are a number": (replaced("image_bytes", [1]), "row 1: "),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_what_is_damaged_is_told_with_its_place(tmp_path, damage):
    change, said = DAMAGED[damage]
    rewritten(path := write(tmp_path / "run.parquet"), change)
    with pytest.raises(ResultError, match=said) as told:
        list(read_results(path))
    assert str(path) in str(told.value)
    assert str(path) in told.value.place


def test_a_file_with_any_byte_changed_is_read_or_told_to_be_damaged(tmp_path):
    whole = write(tmp_path / "run.parquet").read_bytes()
    damaged = tmp_path / "damaged.parquet"
    for place in range(0, len(whole), 7):
        content = bytearray(whole)
        content[place] ^= 0x55
        damaged.write_bytes(content)
        with suppress(ResultError):
            list(read_results(damaged))


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_results(tmp_path / "run.parquet"))


def test_rows_are_written_in_groups_and_no_more_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr("qualipy.tables.ROWS", 3)
    path = write(tmp_path / "run.parquet", [Result(f"{number}.jpg") for number in range(8)])
    groups = parquet.ParquetFile(path).metadata
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [3, 3, 2]
    assert ROWS >= 10_000
    assert len(list(read_results(path))) == 8


def test_the_file_appears_whole_or_not_at_all(tmp_path):
    path = write(tmp_path / "run.parquet", RESULTS[:1])
    before = path.read_bytes()
    file = ParquetFile(path, FILTERS)
    file.add(RESULTS[1])
    assert path.read_bytes() == before
    assert (tmp_path / "run.parquet.part").exists()
    file.abandon()
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["run.parquet"]
    write(path, RESULTS[1:])
    assert len(list(read_results(path))) == 3


def test_what_is_done_is_kept_when_something_else_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "run.parquet", RESULTS[:1], KeyboardInterrupt())
    assert plain(read_results(tmp_path / "run.parquet")) == plain(RESULTS[:1])


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path):
    path = write(tmp_path / "run.parquet", RESULTS[:1])
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space"):
        write(path, RESULTS[1:], OSError(28, "No space left on device"))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["run.parquet"]


def test_a_data_frame_has_the_columns_of_the_file(tmp_path):
    frame = Results(RESULTS).to_dataframe()
    table = pd.read_parquet(write(tmp_path / "run.parquet"))
    assert list(frame.columns) == list(table.columns.drop("image_bytes"))
    for name in ("suitable", "some", "predictions.error", "seconds"):
        pd.testing.assert_series_equal(frame[name], table[name])
    assert list(frame["image"]) == list(table["image"])
    assert frame[frame["some"] > 0.5]["image"].tolist() == ["a.jpg"]


def test_no_results_are_a_table_without_rows(tmp_path):
    frame = Results().to_dataframe()
    assert list(frame.columns) == [*BEFORE, *AFTER[:-1]]
    assert len(frame) == 0
    path = write(tmp_path / "run.parquet", [])
    assert list(read_results(path)) == []


@pytest.mark.parametrize(
    ("module", "work", "extra"),
    [
        ("pandas", lambda path: Results(RESULTS).to_dataframe(), "dataframe"),
        ("pyarrow.parquet", lambda path: ParquetFile(path, FILTERS), "parquet"),
        ("pyarrow.parquet", lambda path: next(read_results(path)), "parquet"),
    ],
)
def test_what_is_missing_is_said_with_its_extra(tmp_path, monkeypatch, module, work, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingLibraryError, match=rf"pip install 'qualipy\[{extra}\]'"):
        work(tmp_path / "run.parquet")
    assert not list(tmp_path.iterdir())
