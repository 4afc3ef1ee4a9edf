"""``qualipy request``, ``filters`` and ``plugins``."""

from __future__ import annotations

import json

import pytest

REQUEST = {"images": {"photos/dark.png": None}, "filters": {"dark": {"threshold": 0.6}}}


def test_a_request_is_answered_with_json(invoke, photos, tmp_path):
    (tmp_path / "job.json").write_text(json.dumps(REQUEST))
    result = invoke("request", "job.json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"photos/dark.png": False}


def test_a_request_may_come_on_standard_input(invoke, photos):
    asked = json.dumps({**REQUEST, "return_predictions": True})
    result = invoke("request", "-", "--indent", "2", input=asked)
    assert result.stdout.startswith('{\n  "photos/dark.png": {\n    "dark": 0.9')


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("{", "not valid JSON"),
        ({"images": {}}, "filters"),
        ({**REQUEST, "filters": {"drak": {}}}, "Did you mean 'dark'?"),
        ({**REQUEST, "filters": {"dark": {"threshold": "high"}}}, "filters.dark.threshold"),
    ],
)
def test_a_bad_request_is_a_usage_error(invoke, photos, request_, said):
    text = request_ if isinstance(request_, str) else json.dumps(request_)
    result = invoke("request", "-", input=text)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_an_image_that_cannot_be_judged_is_an_error(invoke, photos):
    result = invoke("request", "-", input=json.dumps({**REQUEST, "images": {"gone.jpg": None}}))
    assert result.exit_code == 1
    assert "gone.jpg cannot be opened" in result.stderr


def test_a_missing_request_is_a_usage_error(invoke):
    assert invoke("request").exit_code == 2
    assert invoke("request", "gone.json").exit_code == 2


def test_the_schema_of_requests_is_printed(invoke):
    schema = json.loads(invoke("request", "--schema").stdout)
    known = schema["properties"]["filters"]["properties"]
    assert "level" in known["dark"]["properties"]


def test_filters_are_listed_with_their_pack_and_the_broken_ones_too(invoke):
    result = invoke("filters")
    assert result.exit_code == 0
    shown = result.stdout.splitlines()
    assert shown[0] == "demo-pack 1.2"
    assert "  dark    speed 1  Photos that are dark." in shown
    assert any("broken" in line and "a_library_that_is_not_there" in line for line in shown)
    assert any(line.startswith("  fails ") and "not described" in line for line in shown)


def test_a_filter_is_explained(invoke):
    shown = invoke("filters", "dark").stdout
    assert "demo-pack 1.2" in shown
    assert "The darkness is one minus the mean luma." in shown
    assert "Night shots are dark on purpose." in shown
    assert "  level: float = 255.0\n      The luma that counts as bright, in [1, 255]." in shown
    assert shown.count("The luma that counts as bright") == 1
    assert "--filters dark --set dark.threshold=0.5" in shown
    assert "--set dark.level=255.0" in shown


def test_filters_as_json(invoke):
    listed = {item["name"]: item for item in json.loads(invoke("filters", "--json").stdout)}
    assert listed["broken"]["state"] == "broken"
    assert listed["dark"]["speed"] == 1
    assert listed["dark"]["parameters"][-1]["name"] == "comparison"
    one = json.loads(invoke("filters", "dark", "--json").stdout)
    assert one == listed["dark"]


def test_an_unknown_or_broken_filter_cannot_be_explained(invoke):
    result = invoke("filters", "drak")
    assert result.exit_code == 2
    assert "Did you mean 'dark'?" in result.stderr
    assert invoke("filters", "broken").exit_code == 3


def states(result):
    rows = json.loads(result.stdout)  # the built-in ones, which are disabled, have some names, too
    rows.sort(key=lambda row: row["state"] != "disabled")
    return {(row["kind"], row["name"]): row for row in rows}


def test_plugins_shows_every_state_and_its_cause(invoke, hooks, broken_hooks):
    result = invoke("plugins", "--json")
    assert result.exit_code == 0
    rows = states(result)
    assert rows["filter", "dark"]["state"] == "loaded"
    assert rows["filter", "broken"]["state"] == "broken"
    assert "ModuleNotFoundError" in rows["filter", "broken"]["cause"]
    assert rows["filter", "hdr"]["state"] == "disabled"
    assert rows["hook", "demo"]["state"] == "loaded"
    assert rows["hook", "broken"]["state"] == "broken"
    assert "a_library_that_is_not_there" in rows["hook", "broken"]["cause"]
    assert rows["hook", "broken"]["version"] == "6.6"


def test_plugins_check_fails_for_a_broken_pack(invoke):
    result = invoke("plugins", "--check")
    assert result.exit_code == 1
    assert "ModuleNotFoundError" in result.stdout


def test_plugins_check_passes_when_all_is_sound(invoke, monkeypatch):
    monkeypatch.setenv("QUALIPY_DISABLE", "qualipy-filters-builtin,broken")
    assert invoke("plugins", "--check").exit_code == 0


def test_a_name_of_two_packs_is_ambiguous(invoke, site):
    site.install("twin", "1", {"qualipy.filters": {"dark": "demo_pack:Dark"}})
    result = invoke("plugins")
    assert "also offered by twin:dark" in result.stdout
    assert result.stdout.count("ambiguous") == 2


def test_plugins_groups_by_pack(invoke):
    shown = invoke("plugins").stdout.splitlines()
    assert shown[0] == "demo-pack 1.2"
    assert shown[1].split()[:3] == ["filter", "broken", "broken"]
