"""A schema that cannot be used is a typed error, and never makes us fetch anything."""

import json

import pytest

from agentflow.engine.shapes import shape_of
from agentflow.errors import AskError, InputError
from agentflow.journal.answering import check_answer
from agentflow.journal.records import StepRecord

UNUSABLE = [{"$ref": "#"}, {"$ref": "http://127.0.0.1:1/schema.json"}]


@pytest.mark.parametrize("schema", UNUSABLE)
def test_a_reply_is_not_checked_against_a_schema_without_end_or_elsewhere(
    schema: dict[str, str],
) -> None:
    with pytest.raises(InputError, match="the schema refers to"):
        shape_of(schema).read('{"a": 1}')


@pytest.mark.parametrize("schema", UNUSABLE)
def test_an_answer_is_not_checked_against_one_either(schema: dict[str, str]) -> None:
    asked = json.dumps({"text": "how many?", "answer_schema": schema}).encode()
    question = StepRecord(
        number=2, key=b"k" * 16, parent=1, name="ask", kind="ask", input=asked, started_at=1.0
    )
    with pytest.raises(AskError, match="schema of its answer cannot be used"):
        check_answer(question, "3")
