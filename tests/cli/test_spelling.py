from __future__ import annotations

import pytest

from kiln.cli import spelling
from kiln.cli.spelling import spell, to_words
from kiln.client import catalogue
from kiln.client.catalogue import Part


@pytest.mark.parametrize(
    ("name", "noun", "said"),
    [
        ("ImageName", "image", "name"),
        ("ImageId", "image", "image"),
        ("DiskIds", "disk", "disk"),
        ("ImageFamily", "instance", "image-family"),
        ("KMSKeyId", "disk", "kms-key"),
        ("VSwitchId", "instance", "vswitch"),
        ("OSType", "image", "os-type"),
        ("IsPublic", "image", "public"),
        ("Tag", "image", "tag"),
    ],
)
def test_words_are_those_of_the_name_without_what_the_word_says_already(name, noun, said):
    assert to_words(name, noun) == said


def test_a_part_of_an_object_is_named_after_both():
    part = Part("DiskName", "string")

    assert spell("SystemDisk.DiskName", part, "instance").option == "system-disk-name"


def mapping() -> Part:
    found = catalogue.load().action("CreateImage").parameter("DiskDeviceMapping")
    assert found is not None
    return found


def test_reads_an_element_of_a_list():
    read = spelling.parser(mapping(), {})

    assert read("snapshot=web,size=40,type=SYSTEM") == {"SnapshotId": "web", "Size": "40", "DiskType": "system"}


def test_reads_an_element_as_json_where_a_value_holds_a_comma():
    read = spelling.parser(mapping(), {})

    assert read('{"SnapshotId": "a,b"}') == {"SnapshotId": "a,b"}


def test_a_key_without_a_value_is_a_key_alone():
    tag = catalogue.load().action("DescribeImages").parameter("Tag")
    read = spelling.parser(tag, {})

    assert [read("use"), read("use="), read("use=a=b")] == [
        {"Key": "use"},
        {"Key": "use", "Value": ""},
        {"Key": "use", "Value": "a=b"},
    ]


def test_help_calls_other_parameters_as_the_command_line_does():
    part = Part("Force", "string", doc="Not with ImageFamily or Platform. Platform is a word too.")

    told = spelling.help_of(part, {"ImageFamily": "--family", "Platform": "--platform"}, {})

    assert told == "Not with --family or --platform. Platform is a word too."


def test_help_says_actions_as_words():
    part = Part("Size", "string", doc="The size. DescribeInstanceTypes lists them.")

    assert spelling.help_of(part, {}, {}) == "The size. `kiln region types` lists them."


@pytest.mark.parametrize(
    ("doc", "told"),
    [
        ("The groups; not together with GroupId.", "The groups."),
        ("Keep it. Not together with Password. Else it is new.", "Keep it. Else it is new."),
        ("The groups; not together with ImageFamily.", "The groups; not together with --family."),
    ],
)
def test_help_says_nothing_of_a_parameter_that_is_no_option_of_the_word(doc, told):
    assert spelling.help_of(Part("Force", "string", doc=doc), {"ImageFamily": "--family"}, {}) == told


def test_help_tells_no_default_of_the_service_where_the_word_has_one():
    status = catalogue.load().action("DescribeImages").parameter("Status")

    told = spelling.help_of(status, {}, {}, default="ALL")

    assert "Available when not given" not in told
    assert "Default: ALL" in told
