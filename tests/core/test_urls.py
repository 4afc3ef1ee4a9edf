"""URLs: which lies below which, and what is shown of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qualipy_core.urls import URL, has_credentials, is_chain, redacted, shown

ROOTS = ["https://host/photos", "https://host/photos/", "HTTPS://HOST:443/photos"]


def is_below(url, root):
    parsed = URL.parse(url)
    return parsed is not None and parsed.is_below(URL.parse(root))


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(
    "url",
    [
        "https://host/photos/a.jpg",
        "https://host/photos/2024/a%20b.jpg?size=large#top",
        "https://HOST/photos/a..b.jpg",
        "https://host:443/photos/a.jpg?next=/../x",
        "https://host/photos",
    ],
)
def test_a_url_that_begins_with_all_segments_of_another_lies_below_it(url, root):
    assert is_below(url, root)


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(
    "url",
    [
        "http://host/photos/a.jpg",
        "https://host/photos2/a.jpg",
        "https://host/Photos/a.jpg",
        "https://host/a.jpg",
        "https://host//photos/a.jpg",
        "https://host/photos/../a.jpg",
        "https://host/photos/./a.jpg",
        "https://host/photos/%2e%2e/a.jpg",
        "https://host/photos/%2E./a.jpg",
        "https://host/photos/%252e%252e/a.jpg",
        "https://host/photos/..%2fa.jpg",
        "https://host/photos/..;/a.jpg",
        "https://host/photos%2f..%2fa.jpg",
        "https://host/photos/..\\a.jpg",
        "https://host/photos/..%5ca.jpg",
        "https://host/photos/a%0d%0ab.jpg",
        "https://host/pho\ntos/a.jpg",
        "https://host@evil/photos/a.jpg",
        "https://evil@host/photos/a.jpg",
        "https://host.evil/photos/a.jpg",
        "https://host:8443/photos/a.jpg",
        "https://host\\@evil/photos/a.jpg",
        "https://host\t/photos/a.jpg",
        "https:/host/photos/a.jpg",
        "https:host/photos/a.jpg",
        "https:///host/photos/a.jpg",
        "https://host?/photos/a.jpg",
        "//host/photos/a.jpg",
        " https://host/photos/a.jpg",
        "zip://a.jpg::https://host/photos/a.zip",
        "https://host/photos/a.zip::file:///etc/passwd",
        "https://ho\u017ft/photos/a.jpg",
    ],
)
def test_every_other_spelling_does_not(url, root):
    assert not is_below(url, root)


def test_names_of_object_stores_hold_what_would_be_a_query_elsewhere():
    assert is_below("s3://bucket/photos/a?b#c.jpg", "s3://bucket/photos")
    assert not is_below("s3://bucket/photos/a?/../../b.jpg", "s3://bucket/photos")
    assert not is_below("s3://Bucket/photos/a.jpg", "s3://bucket/photos")
    assert is_below("abfs://container@account/a.jpg", "abfs://container@account")
    assert not is_below("abfs://other@account/a.jpg", "abfs://container@account")
    assert is_below("hdfs:///photos/a.jpg", "hdfs:///photos")


def test_an_address_of_ipv6_is_no_chain():
    assert not is_chain("https://[2001:db8::1]:8080/photos/a.jpg")
    assert is_chain("https://[2001:db8::1]/a.zip::zip://a.jpg")
    assert is_below("https://[2001:db8::1]/photos/a.jpg", "https://[2001:DB8::1]/photos")


segments = st.text("abc./%2e\\;@:?#\n é", min_size=1, max_size=12)


@given(st.lists(segments, max_size=4))
def test_what_lies_below_a_root_is_written_so(parts):
    url = "https://host/photos/" + "/".join(parts)
    if is_below(url, "https://host/photos"):
        path = url.partition("?")[0].partition("#")[0]
        assert path.startswith("https://host/photos/")
        assert ".." not in path.split("/")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:secret@host/a", True),
        ("https://token@host/a", True),
        ("sftp://user:secret@host/a", True),
        ("sftp://user@host/a", False),
        ("abfs://container@account/a", False),
        ("https://host/a@b:c", False),
        ("https://host/?to=a:b@c", False),
    ],
)
def test_credentials_stand_in_front_of_the_host(url, expected):
    assert has_credentials(url) is expected


def test_what_may_hold_a_secret_is_not_shown():
    assert shown("https://host/a.jpg?sig=secret#x") == "https://host/a.jpg?…"
    assert shown("https://user:secret@host/a.jpg") == "https://…@host/a.jpg"
    assert shown("zip://a::https://u:secret@host/a?sig=secret") == "zip://a::https://…@host/a?…"
    assert shown("photos/what?.jpg") == "photos/what?.jpg"
    told = redacted("Cannot get 'https://u:secret@host/a?sig=secret', as https://host/b is down?")
    assert told == "Cannot get 'https://…@host/a?…', as https://host/b is down?"
