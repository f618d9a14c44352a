"""The rule for JSON: what is refused and why, and that no digit is lost of what is taken."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenants import json_text
from tenants.json_text import (
    MAX_DEPTH,
    MAX_METADATA_BYTES,
    JsonRefused,
    canonical,
    indented,
    members,
    object_of,
    read_metadata,
    read_object,
    with_texts,
)
from tests.json_documents import documents, exact, objects


def nested(levels: int) -> str:
    """An object of so many levels."""
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not valid JSON"),
        ("{'a': 1}", "is not valid JSON"),
        ('{"a": NaN}', "is not valid JSON"),
        ('{"a": 01}', "is not valid JSON"),
        ("\ufeff{}", "is not valid JSON"),
        ('{"a": 1e309}', "is not valid JSON: number is infinity"),
        ('{"a": ' + "9" * 309 + "}", "is not valid JSON: number is infinity"),
        ('{"a": "\0"}', "is not valid JSON"),
        (r'{"a": "\u0000"}', "contains a null character"),
        (r'{"\\\u0000": 1}', "contains a null character"),
        (r'{"a": "\ud800"}', "half of a surrogate pair"),
        (r'{"a": "\ud800\u0041"}', "half of a surrogate pair"),
        ('{"a": "\ud800"}', "half of a surrogate pair"),
        ("[]", "must be a JSON object"),
        ('"text"', "must be a JSON object"),
        ("7", "must be a JSON object"),
        (nested(MAX_DEPTH + 1), "is nested more than 250 levels deep"),
        ('{"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}", "is nested more than"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_what_breaks_the_rule_is_refused(text: str, told: str) -> None:
    for read in (read_object, read_metadata):
        with pytest.raises(JsonRefused, match=told):
            read(text)


def test_metadata_has_a_bound_of_its_own() -> None:
    text = '{"a": "' + "x" * MAX_METADATA_BYTES + '"}'
    assert read_object(text) == text.encode()
    with pytest.raises(JsonRefused, match="is larger than 4194304 bytes"):
        read_metadata(text)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(JsonRefused, match="is not valid JSON"):
        read_object(b'{"a": "\xff"}')


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        ' {"a" : 1 } ',
        nested(MAX_DEPTH),
        '{"a": ' + "9" * 308 + "}",
        '{"a": 0.' + "3" * 500 + "}",
        '{"a": 1e-400, "b": 0e400, "c": -1.5E+300}',
        r'{"a": "\\u0000", "b": "\ud83d\ude00", "c": "1e-9999"}',
        '{"a": 1, "a": 2}',
        '{"a": [' + "[[]]," * 10_000 + "0]}",
    ],
)
def test_what_keeps_the_rule_is_taken_as_it_came(text: str) -> None:
    assert read_object(text) == read_metadata(text) == text.encode()


@pytest.mark.parametrize("after", ["", " ", "\n\t"])
@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("1e-200000", "an exponent beyond 400"),
        ("0E99999999999", "an exponent beyond 400"),
        ("1e-401", "an exponent beyond 400"),
        ("0." + "3" * 1_000, "a number of more than 1000 characters"),
        ("0." + "3" * 499 + "e-" + "0" * 500, "a number of more than 1000 characters"),
    ],
)
def test_metadata_holds_no_number_a_column_would_change(number: str, told: str, after: str) -> None:
    text = f'{{"a": "1e5 \\" ", "b": [{number}{after}]}}'
    assert read_object(text) == text.encode()
    with pytest.raises(JsonRefused, match=told):
        read_metadata(text)


def test_the_size_of_metadata_counts_with_its_numbers_written_out() -> None:
    numbers = ",".join(["1e300"] * 20_000)
    with pytest.raises(JsonRefused, match="with its numbers written out"):
        read_metadata(f'{{"a": [{numbers}]}}')


@pytest.mark.parametrize("text", ["", " ", "null", " null\n", b"null"])
def test_null_and_nothing_are_nothing(text: str | bytes) -> None:
    assert read_object(text) == b"{}"
    assert read_metadata(text) is None


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), documents, max_size=4))
@settings(deadline=None)
def test_an_object_is_taken_apart_and_put_together_without_a_loss(parts: dict[str, str]) -> None:
    text = " {" + " , ".join(f"{json.dumps(key)} :\n{part}" for key, part in parts.items()) + "} "
    found = members(text)
    assert found == parts
    assert exact(object_of(found)) == exact(text)
    assert members(None) == {}


@given(objects, st.dictionaries(st.sampled_from("abc"), st.text('ä"\\u', max_size=3), min_size=1))
def test_strings_are_put_in_without_touching_the_rest(text: str, texts: dict[str, str]) -> None:
    assert exact(with_texts(f" {text} ", texts)) == exact(text) | texts
    assert exact(with_texts(rb'{"\u0061":1,"z": 1.10}', texts)) == (
        {"a": 1, "z": Decimal("1.10")} | texts
    )
    assert exact(with_texts(None, texts)) == texts


def test_of_a_key_written_twice_the_last_counts() -> None:
    assert members(r'{"a": 1, "\u0061": {"b": 2}}') == {"a": '{"b": 2}'}


@given(documents)
@settings(deadline=None)
def test_writing_for_people_and_for_forms_loses_no_digit(text: str) -> None:
    assert exact(indented(text)) == exact(text)
    assert exact(json_text.dumps(json_text.loads(text))) == exact(text)


def test_indenting_looks_as_people_expect() -> None:
    text = '{"a":[1.50,[],{}],"b":{"c":"x, y: {z}"},"d":null}'
    assert indented(text) == json.dumps(json.loads(text), indent=2).replace("1.5,", "1.50,")


def test_equal_documents_have_one_form_and_different_ones_two() -> None:
    assert canonical('{"b": {"d": 1, "c": 2}, "a": 1.50}') == b'{"a":1.5,"b":{"c":2,"d":1}}'
    ones = ["18446744073709551616", "18446744073709551617", "0.1", "0.10000000000000000001", "1e9"]
    assert len({canonical(f'{{"a": {one}}}') for one in ones}) == len(ones)
