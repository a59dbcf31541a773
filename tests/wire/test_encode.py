from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
