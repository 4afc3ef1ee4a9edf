"""Text that is safe to write."""

from __future__ import annotations

import json
import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from qualipy.cli.text import encode, shortened, to_json, unstyled, visible

names = st.text(st.characters(codec=None, exclude_characters="\0"))
file_names = st.binary().map(lambda name: name.decode("utf-8", "surrogateescape"))


@given(names | file_names)
def test_visible_text_holds_nothing_that_acts_on_a_terminal(name):
    shown = visible(name)
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in shown)
    shown.encode("utf-8")


@given(names | file_names)
def test_json_gives_the_very_name_back_and_is_utf_8(name):
    data = to_json({name: [name]}).encode("utf-8")
    assert json.loads(data) == {name: [name]}
    assert b"\n" not in data
    assert b"\x1b" not in data


@given(st.binary().filter(lambda name: b"\0" not in name))
def test_a_file_name_of_any_bytes_survives_json(name):
    back = json.loads(to_json(os.fsdecode(name)).encode("utf-8"))
    assert os.fsencode(back) == name


@given(names)
def test_anything_can_be_encoded(name):
    encode(name).decode("utf-8")


def test_what_is_readable_stays_so():
    name = "Käse & 猫 🐈\u200d⬛ [bold]a b[/bold] 'q' \\.jpg"
    assert visible(name) == name
    assert json.loads(to_json(name)) == name
    assert "Käse & 猫 🐈" in to_json(name)


def test_escapes_say_which_character_or_byte_it_was():
    assert visible("a\nb\tc\x1b[31m\u202e\udce9") == "a\\nb\\tc\\x1b[31m\\u202e\\xe9"
    assert visible("a\nb\r", keep="\n") == "a\nb\\r"


def test_colours_can_be_taken_away_again():
    assert unstyled("\x1b[31m\x1b[1mred\x1b[0m") == "red"


def test_a_text_is_cut_where_it_is_too_long_only():
    assert shortened("photos", 6) == "photos"
    assert shortened("a photo", 6) == "a pho…"
