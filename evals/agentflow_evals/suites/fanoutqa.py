"""FanOutQA, the 310 questions of its development set: each needs facts about several things.

Zhu et al., FanOutQA, arXiv:2402.14116, asked closed-book: nothing but the question is given. The gold
decomposition gives `group` (how many sub-questions), and never reaches a planner. The package's data is
read without its code, which would want spaCy.
"""

from typing import Any

from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample
from agentflow_evals.suites.files import Record
from agentflow_evals.suites.packaged import PackagedFile, PackagedSuite

_GROUPS = ((3, "up to 3"), (5, "4 to 5"), (7, "6 to 7"))


class FanOutQa(PackagedSuite):
    """Questions that need facts about several things, closed-book."""

    NAME = "fanoutqa"
    SIZE = 310
    FILE = PackagedFile(
        "fanoutqa",
        "fanoutqa/data/fanout-final-dev.json",
        "359300b029c6891567816f351bf8786e9b018d7af8a1a44b7da9ba5ef4651288",
        "CC BY-SA 4.0",
    )

    def sample(self, record: Record) -> Sample:
        """Return a question."""
        answer = record.get("answer")
        asked = _count(record.items("decomposition"))
        name = next((name for most, name in _GROUPS if asked <= most), "8 and more")
        return Sample(
            id=record.text("id"),
            task=Task(goal=record.text("question")),
            checks=(Named(name="mentions", options={"reference": answer}),),
            target=answer,
            group=f"{name} sub-questions",
            metadata={"sub_questions": asked, "categories": record.texts("categories", empty=True)},
        )


def _count(parts: list[dict[str, Any]]) -> int:
    """Return how many questions there are below, those with further ones included."""
    return sum(1 + _count(part["decomposition"]) for part in parts)
