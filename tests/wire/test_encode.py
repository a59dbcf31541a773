from __future__ import annotations

import importlib
import json
import sys
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.declare.shapes import JsonObject
from kiln.wire import encode

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>'


def test_json_is_compact_and_keeps_other_scripts_as_they_are():
    assert encode.to_json({"ImageName": "中文", "Size": 40, "IsCopied": False}) == (
        '{"ImageName":"中文","Size":40,"IsCopied":false}'.encode()
    )


def test_xml_repeats_the_members_of_a_list():
    result = {"Images": {"Image": [{"Size": 40, "IsCopied": True}, {"Size": 5, "IsCopied": False}]}}

    assert encode.to_xml("DescribeImagesResponse", result) == (
        HEAD + b"<DescribeImagesResponse><Images>"
        b"<Image><Size>40</Size><IsCopied>true</IsCopied></Image>"
        b"<Image><Size>5</Size><IsCopied>false</IsCopied></Image>"
        b"</Images></DescribeImagesResponse>"
    )


def test_xml_holds_an_object_with_names_of_others_as_a_text():
    result = {"requestParameters": JsonObject({"Tag.1.Key": "<b>", "ACS::ECS::Image": ["m-1"]})}

    (told,) = ET.fromstring(encode.to_xml("LookupEventsResponse", result))

    assert json.loads(told.text or "") == result["requestParameters"] == json.loads(encode.to_json(result))[told.tag]


def test_xml_repeats_plain_members_and_keeps_empty_containers():
    result = {"Ids": {"Id": ["a", "b"]}, "Tags": {"Tag": []}, "result": None, "Description": ""}

    assert encode.to_xml("R", result) == (
        HEAD + b"<R><Ids><Id>a</Id><Id>b</Id></Ids><Tags></Tags><result/><Description></Description></R>"
    )


def test_xml_shows_the_loss_of_what_it_cannot_hold():
    assert encode.to_xml("R", {"D": "a\x00b\x1bc\ufffe\ud800"}) == HEAD + "<R><D>a�b�c��</D></R>".encode()


def test_json_shows_the_loss_of_what_has_no_utf8():
    assert json.loads(encode.to_json({"D": "a\ud800\x00"})) == {"D": "a?\x00"}


def test_xml_refuses_a_name_that_cannot_name_an_element():
    with pytest.raises(ValueError, match="cannot name an element"):
        encode.to_xml("R", {"<x>": "1"})


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_characters="\ufffe\uffff", exclude_categories=["Cs", "Cc"])) | st.just("\r\n\t]]>")
)
def test_xml_gives_back_any_text(text):
    document = ET.fromstring(encode.to_xml("R", {"D": text}))

    assert (document.findtext("D") or "") == text


@settings(deadline=None)
@given(st.text())
def test_xml_is_well_formed_whatever_the_text(text):
    ET.fromstring(encode.to_xml("R", {"D": text}))


TEXTS = st.text() | st.text(st.characters(categories=("Cs", "Cc", "Lo")))
VALUES = st.recursive(
    TEXTS | st.booleans() | st.none() | st.integers(-(2**70), 2**70) | st.sampled_from([0.5, 4.0, 128.25]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_json_is_byte_for_byte_what_the_standard_library_spells(result):
    spelled = json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    assert encode.to_json(result) == spelled


def test_json_is_the_same_where_no_wheel_of_the_faster_encoder_fits(monkeypatch):
    result = {"Images": {"Image": [{"ImageName": "中文\x07", "Size": 40, "Tags": {"Tag": ()}, "Usable": True}]}}
    quick = encode.to_json(result)

    monkeypatch.setitem(sys.modules, "orjson", None)
    without = importlib.reload(encode)
    try:
        assert without._quickly is None
        assert without.to_json(result) == quick
    finally:
        monkeypatch.undo()
        importlib.reload(encode)
