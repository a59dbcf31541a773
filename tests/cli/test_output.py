from __future__ import annotations

import pytest

from kiln.cli import output
from kiln.cli.exits import Refusal
from kiln.cli.output import Column, View

COLUMNS = (Column("IMAGE", "ImageId"), Column("NAME", "ImageName"), Column("IPS", lambda row: row["Ips"]))


def test_prints_plain_columns_where_nobody_looks(capsys):
    rows = [
        {"ImageId": "m-1", "ImageName": "web", "Ips": ["127.64.0.1", "127.64.0.2"]},
        {"ImageId": "m-22", "ImageName": "", "Ips": []},
    ]

    output.show_table(rows, COLUMNS)

    assert capsys.readouterr().out == (
        "IMAGE  NAME  IPS\n"
        "m-1    web   127.64.0.1,127.64.0.2\n"
        "m-22   -     -\n"
    )  # fmt: skip


def test_lets_no_text_command_the_terminal(capsys):
    output.show_line("a\x1b[31mred\u202e\n\x9bz é 名")

    assert capsys.readouterr().out == "a\ufffd[31mred\ufffd\ufffd\ufffdz é 名\n"


def test_keeps_the_lines_of_a_note(capsys):
    output.note("one\ntwo\x1b[2J")

    assert capsys.readouterr().err == "one\ntwo\ufffd[2J\n"


def test_shows_facts_without_the_wrapping_of_lists(capsys):
    image = {
        "ImageId": "m-1",
        "Description": "",
        "Usable": True,
        "Tags": {"Tag": [{"TagKey": "use", "TagValue": "test"}]},
        "Features": {"ImdsSupport": "v1"},
        "InnerIpAddress": {"IpAddress": []},
    }

    output.show_facts(image)

    assert capsys.readouterr().out == (
        "ImageId         m-1\n"
        "Usable          yes\n"
        "Tags\n"
        "  - TagKey    use\n"
        "    TagValue  test\n"
        "Features\n"
        "  ImdsSupport  v1\n"
    )


def test_refuses_to_show_what_is_not_there():
    with pytest.raises(Refusal, match="there is no image m-1"):
        output.show_found(None, "image m-1", as_json=False)


def test_prints_a_listing_as_one_array(capsys):
    output.show_rows(iter([{"ImageId": "m-1"}]), COLUMNS, View(as_json=True))

    assert capsys.readouterr().out == '[\n  {\n    "ImageId": "m-1"\n  }\n]\n'


def test_prints_the_ids_alone(capsys):
    output.show_rows([{"ImageId": "m-1"}, {"ImageId": "m-2"}], COLUMNS, View(ids_only=True))

    assert capsys.readouterr().out == "m-1\nm-2\n"


def test_prints_the_column_that_names_a_row_where_it_is_not_the_first(capsys):
    columns = (Column("ACCOUNT", "Account"), Column("ID", "Id", is_id=True))

    output.show_rows([{"Account": "1", "Id": "key"}], columns, View(ids_only=True))

    assert capsys.readouterr().out == "key\n"


def test_prints_the_columns_that_are_wanted_and_fields_of_the_answer(capsys):
    rows = [{"ImageId": "m-1", "ImageName": "web", "Tags": {"Tag": [{"TagKey": "use", "TagValue": "test"}]}}]

    output.show_rows(rows, COLUMNS, View(columns="name,tags, IMAGE"), [Column("Tags", "Tags")])

    assert capsys.readouterr().out == "NAME  Tags      IMAGE\nweb   use=test  m-1\n"


@pytest.mark.parametrize("wanted", ["colour", "name,", "", ","])
def test_names_the_columns_that_there_are(wanted):
    with pytest.raises(Refusal, match="there is no column") as caught:
        output.show_rows([], COLUMNS, View(columns=wanted), [Column("Tags", "Tags")])

    assert caught.value.hint == "There are: IMAGE, NAME, IPS, Tags."


def test_prints_one_form_at_a_time():
    with pytest.raises(Refusal, match="give one of"):
        output.show_rows([], COLUMNS, View(as_json=True, ids_only=True))
