"""Calls are found in what a model writes, whole or piece by piece, and nothing else is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.recurrent.text.tool_calls import ToolCallStream, parse

ADD = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": [2]}}\n</tool_call>'
TWO = f"Let me see.\n\n{ADD}\n{ADD.replace('add', 'sub')}\n"
FUNCTION = (
    "<tool_call>\n<function=note>\n<parameter=text>\n5\nand 6\n</parameter>\n"
    "<parameter=times>\n5\n</parameter>\n<parameter=code>\n007\n</parameter>\n</function>\n</tool_call>"
)
PIECES = ("<tool_call>", "</tool_call>", "<tool", "_call>", " ", "\n", "x", '{"name": "f"}', "</")


def test_calls_are_taken_out_and_the_text_beside_them_stays() -> None:
    arguments = {"a": 1, "b": [2]}
    assert parse(TWO) == ("Let me see.", [("add", arguments), ("sub", arguments)])
    assert parse(f"a {ADD} b") == ("a\nb", [("add", arguments)])


def test_a_reply_without_calls_is_told_as_it_is() -> None:
    text = "  1 < 2 <tool \n"
    assert parse(text) == (text, [])


@pytest.mark.parametrize(
    "inside",
    ["", "{", "[1]", '{"arguments": {}}', '{"name": "f", "arguments": [1]}', "<function=f>x"],
)
def test_what_only_looks_like_a_call_stays_text(inside: str) -> None:
    text = f"so: \n<tool_call>{inside}</tool_call> done"
    assert parse(text) == (text, [])


def test_a_call_cut_off_after_its_last_brace_counts_and_an_earlier_one_is_text() -> None:
    assert parse(ADD.removesuffix("</tool_call>"))[1] == [("add", {"a": 1, "b": [2]})]
    assert parse(ADD[:40]) == (ADD[:40], [])


def test_arguments_written_as_text_are_read() -> None:
    written = '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>'
    assert parse(written)[1] == [("f", {"a": 1})]


def test_parameters_without_quotes_are_text_where_their_schema_says_so() -> None:
    schemas = {"note": {"properties": {"text": {"type": "string"}, "times": {"type": "integer"}}}}
    assert parse(FUNCTION, schemas)[1] == [
        ("note", {"text": "5\nand 6", "times": 5, "code": "007"})
    ]


def test_text_is_told_before_a_call_is_complete() -> None:
    stream = ToolCallStream()
    assert stream.push("Let me") == ("Let me", [])
    assert stream.push(" see. <tool") == (" see.", [])
    assert stream.push('_call>{"name": "f"}</tool_') == ("", [])
    assert stream.push("call>") == ("", [("f", {})])


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_pieces_give_what_the_whole_gives(pieces: list[str]) -> None:
    stream = ToolCallStream()
    told = [*map(stream.push, pieces), stream.finish()]
    joined = "".join(text for text, _ in told), [call for _, calls in told for call in calls]
    assert joined == parse("".join(pieces))


def test_a_hostile_reply_takes_no_more_than_linear_time() -> None:
    text = "<tool_call><function=f>" + "<parameter=a>" * 20_000 + " " * 200_000
    assert parse(text) == (text, [])
