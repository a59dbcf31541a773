from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.wire.signatures import rpc
from kiln.wire.signatures.stages import percent

words = st.text(st.characters(exclude_categories=["Cs"]))


def test_flattens_booleans_lists_and_objects():
    nested = {"B": True, "N": None, "I": 40, "L": ["a", {"y": "2", "x": "1"}], "D": {"a": ["p", "q"], "b": {"c": "d"}}}

    assert rpc.flatten(nested) == {
        "B": "true",
        "I": "40",
        "L.1": "a",
        "L.2": '{"x":"1","y":"2"}',
        "D": '{"a":"["p","q"]","b":"{"c":"d"}"}',
    }


def test_refuses_to_flatten_two_values_into_one_name():
    with pytest.raises(rpc.TwoValues) as refusal:
        rpc.flatten({"Tag": ["a"], "Tag.1": "b"})

    assert refusal.value.name == "Tag.1"


def test_signs_the_root_whatever_the_path():
    assert rpc.stages("GET", {"A": "b"}, "secret", "sha1").string_to_sign == "GET&%2F&A%3Db"


@settings(deadline=None)
@given(st.dictionaries(words, words))
def test_the_string_to_sign_is_the_canonical_text_encoded_once_more(params):
    stages = rpc.stages("POST", params, "secret", "sha1")

    assert stages.string_to_sign == f"POST&%2F&{percent(stages.canonical)}"


@pytest.mark.parametrize(
    ("hash_", "signature"),
    [
        ("sha1", "jjUXZRnaqx38xsZ4WN/OT54Fma8="),
        ("sha256", "RmI9ynUCkN84ZP0JomiXBHGqHSBiSDYt4p0VeQtT9+g="),
        ("sm3", "SG5va3OsVmEqfcAKfnHg4WEbfRlfma5x7gSwIPYm0TY="),
    ],
)
def test_each_algorithm_gives_its_own_signature(hash_, signature):
    """Computed with Python's own hmac module."""
    assert rpc.stages("GET", {"A": "b"}, "secret", hash_).signature == signature


def test_signs_for_our_own_client():
    signed = rpc.sign(
        {"Action": "DescribeImages", "DryRun": False},
        method="POST",
        key_id="id",
        secret="secret",
        timestamp="2026-11-23T06:42:20Z",
        nonce="n",
    )

    signature = signed.pop("Signature")
    assert signed["DryRun"] == "false"
    assert signature == rpc.stages("POST", signed, "secret", "sha1").signature
