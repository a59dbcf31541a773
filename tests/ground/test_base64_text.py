from __future__ import annotations

import base64

import pytest

from kiln.ground import base64_text


def test_reads_what_is_folded_into_lines():
    content = bytes(range(200))

    assert base64_text.read(base64.encodebytes(content).decode()) == content
    assert base64_text.read(base64.b64encode(content).decode()) == content


@pytest.mark.parametrize("text", ["a", "YQ", "YQ=", "%%%%", "YQ==YQ==", "\u00e9", "\udc80", "YQ-_"])
def test_refuses_what_is_none(text):
    with pytest.raises(base64_text.NotBase64):
        base64_text.read(text)
