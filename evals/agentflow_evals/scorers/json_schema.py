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
        return _fit(schema, output)
    except InputError as error:
        raise _wrong(error.problem) from error
    except SchemaError as error:
        raise _wrong(f"schema: {error.message}") from error
    except OverflowError as error:
        raise _wrong("schema: it holds a pattern that is too large") from error
    except RecursionError as error:
        raise _wrong("schema: it refers to itself without an end") from error


def _fit(schema: dict[str, Any], output: Any) -> Score:
    Draft202012Validator.check_schema(schema)
    try:
        SchemaShape(schema).check(output)
    except MisfitError as error:
        return verdict(False, str(error))
    return verdict(True, "the answer fits the schema")


def _wrong(problem: str) -> InputError:
    return InputError(step="check json_schema", problem=problem)
