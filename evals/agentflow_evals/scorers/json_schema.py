"""The answer fits a JSON schema."""

from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from pydantic import Field

from agentflow.engine.shapes import MisfitError, SchemaShape
from agentflow.errors import InputError
from agentflow_evals.scorer import Options, Score, read_options, verdict


class SchemaOptions(Options):
    """`schema`: the JSON schema."""

    wanted: dict[str, Any] = Field(alias="schema")


async def json_schema(output: Any, options: dict[str, Any]) -> Score:
    """Pass if the answer fits; the explanation names the first misfit.

    Raises:
        InputError: The schema itself is wrong.
    """
    schema = read_options(SchemaOptions, "json_schema", options).wanted
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InputError(step="check json_schema", problem=f"schema: {error.message}") from error
    try:
        SchemaShape(schema).check(output)
    except MisfitError as error:
        return verdict(False, str(error))
    except InputError as error:
        raise InputError(step="check json_schema", problem=error.problem) from error
    return verdict(True, "the answer fits the schema")
