"""Questions of recorded runs, and whether an answer fits one."""

import json
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from agentflow.errors import AskError
from agentflow.journal.records import RunRecord, StepRecord


def find_question(record: RunRecord, step: int | None) -> StepRecord:
    """Return the open question of a run; `step` says which when there are several.

    Raises:
        AskError: There is none, or several.
    """
    questions = record.questions
    if step is not None:
        questions = [question for question in questions if question.number == step]
    if len(questions) == 1:
        return questions[0]
    if not questions:
        which = "" if step is None else f" at step {step}"
        raise AskError(question=f"run {record.id}", problem=f"it asks nothing{which}")
    numbers = ", ".join(str(question.number) for question in questions)
    raise AskError(
        question=f"run {record.id}", problem=f"it asks several; say which step: {numbers}"
    )


def question_text(question: StepRecord) -> str:
    """Return what is asked."""
    return str(json.loads(question.input)["text"])


def check_answer(question: StepRecord, answer: str) -> None:
    """Check an answer as typed against what the question allows.

    Raises:
        AskError: It does not fit.
    """
    asked: dict[str, Any] = json.loads(question.input)
    choices = asked.get("choices") or ()
    if choices and answer not in choices:
        problem = f"{answer!r} is not one of {', '.join(choices)}"
        raise AskError(question=asked["text"], problem=problem)
    schema = asked.get("answer_schema")
    if schema is None:
        return
    # An empty registry: a reference in a recorded schema must never make us fetch something.
    validator = Draft202012Validator(schema, registry=Registry())
    try:
        fits = any(validator.is_valid(value) for value in _readings(answer))
    except (Unresolvable, RecursionError) as error:
        problem = f"the schema of its answer cannot be used: {type(error).__name__}"
        raise AskError(question=asked["text"], problem=problem) from error
    if not fits:
        problem = f"{answer!r} does not fit {json.dumps(schema)}"
        raise AskError(question=asked["text"], problem=problem)


def _readings(answer: str) -> list[Any]:
    """Return what a typed answer may mean: the text itself, or the JSON it is."""
    try:
        return [answer, json.loads(answer)]
    except ValueError:
        return [answer]
