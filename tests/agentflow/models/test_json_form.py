"""What a schema looks like when it is sent."""

import json
from typing import Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field, TypeAdapter

from agentflow.models.json_form import json_form


class Leaf(BaseModel):
    kind: Literal["leaf"]
    size: int = Field(default=3, ge=0)
    note: str | None = None


class Tree(BaseModel):
    kind: Literal["tree"]
    name: str = Field(max_length=9)
    below: list["Leaf | Tree"] = []


@pytest.mark.parametrize("kind", [Leaf, Tree, list[Leaf], int, Leaf | Tree, Literal["a", "b"]])
def test_a_strict_schema_closes_every_object_and_requires_every_property(kind: Any) -> None:
    form = json_form(TypeAdapter(kind).json_schema())
    assert form.strict
    assert form.schema["type"] == "object"
    jsonschema.Draft202012Validator.check_schema(form.schema)

    def check(node: Any) -> None:
        if isinstance(node, dict) and node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])
        for each in (
            node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        ):
            check(each)

    check(form.schema)


@pytest.mark.parametrize("kind", [dict[str, int], tuple[int, str], Any, list[Any], object])
def test_what_cannot_be_said_strictly_is_sent_as_it_is(kind: Any) -> None:
    schema = TypeAdapter(kind).json_schema()
    form = json_form(schema)
    assert not form.strict
    assert schema in (form.schema, form.schema.get("properties", {}).get("value"))


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    fields = {name: {"type": "string"} for name in ("title", "default", "format", "$ref")}
    form = json_form({"type": "object", "properties": fields})
    assert set(form.schema["properties"]) == set(fields)


def test_a_schema_knows_when_it_refers_to_itself() -> None:
    assert json_form(Tree.model_json_schema()).recursive
    assert not json_form(TypeAdapter(list[Leaf]).json_schema()).recursive


def test_only_a_wrapped_reply_is_unwrapped() -> None:
    wrapped = json_form({"type": "integer"})
    assert json.loads(wrapped.unwrap('{"value": 3}')) == 3
    assert wrapped.unwrap('{"other": 3}') == '{"other": 3}'
    assert wrapped.unwrap('{"value": ') == '{"value": '
    plain = json_form({"type": "object", "properties": {"value": {"type": "integer"}}})
    assert plain.unwrap('{"value": 3}') == '{"value": 3}'
