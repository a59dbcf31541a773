"""What the catalogue says, as pages have it."""

from __future__ import annotations

import pytest

from kiln.console.texts import Texts
from kiln.console.wording import bare, label, prose, spelled, status


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("DiskDeviceMappings", "Disk device mappings"),
        ("ImportOSSBucket", "Import OSS bucket"),
        ("SnapshotIds", "Snapshot IDs"),
        ("IsDefault", "Is default"),
        ("Ipv6Address", "Ipv 6 address"),
        ("", ""),
    ],
)
def test_a_name_is_spelled_in_words(name, words):
    assert spelled(name) == words


def test_what_has_no_text_yet_has_its_name_in_words():
    assert label(Texts("zh"), "ImageName") == "名称"
    assert label(Texts("zh"), "BrandNewField") == "Brand new field"
    assert status(Texts("zh"), "Available") == "可用"
    assert status(Texts("zh"), "BrandNew") == "BrandNew"


def test_what_stands_in_backticks_is_code_and_nothing_else_is_mark_up():
    said = prose("Say `kiln env` <b>or</b> ``acs:ram::ACCOUNT``; `<script>` & [a page](../page.md#here).")

    assert said == (
        "Say <code>kiln env</code> &lt;b&gt;or&lt;/b&gt; <code>acs:ram::ACCOUNT</code>; "
        "<code>&lt;script&gt;</code> &amp; a page."
    )
    assert bare("Say `kiln env` or [a page](page.md).") == "Say kiln env or a page."
    assert prose("One ` alone, <i>") == "One ` alone, &lt;i&gt;"
    assert prose("``one` of two") == "``one` of two"


@pytest.mark.parametrize("repeated", ["`", "```a``b`", "[", "[a](", "[a](b[", "](["])
def test_a_million_letters_are_read_once(repeated):
    """Read again from each letter on they take hours."""
    text = repeated * ((1 << 20) // len(repeated))

    assert prose(text) == bare(text) == text
