"""Does spending more on a function pay? `agentflow eval humaneval` with small models that decode in batches.

    python -m benchmarks.humaneval --limit 60 --journal humaneval.db

The same evaluation as `agentflow eval humaneval` makes of the models `gguf:...`, only that many samples are
decoded side by side in PyTorch, which two cores need to be done in an hour. Every cell is a run in the
journal; `agentflow eval report last --journal humaneval.db` writes the table again.
"""

import argparse
import shlex
import sys

import anyio
from agentflow_evals.analysis.tables import summarise
from agentflow_evals.cli.progress import EvaluationProgress
from agentflow_evals.cli.wanted import contenders, surroundings
from agentflow_evals.opening import open_suite
from agentflow_evals.plan import Entrant, picked, plan_for
from agentflow_evals.reports.terminal import print_report
from agentflow_evals.running.evaluator import Evaluator
from agentflow_evals.running.reading import read_evaluation
from rich.console import Console

from agentflow.models.protocol import Model
from benchmarks.batched.engine import BatchedModel

PLANNERS = "direct,best_of_n{samples: 5},codet{samples: 5},funcoder{samples: 5},try_first"
MODELS = "qwen2.5-coder-0.5b,qwen2.5-coder-1.5b"
AT_ONCE = 24


async def measure(given: argparse.Namespace) -> None:
    suite = open_suite("humaneval")
    command = shlex.join(["python", "-m", "benchmarks.humaneval", *sys.argv[1:]])
    models = [BatchedModel(name) for name in given.models.split(",")]
    plan = plan_for(
        suite,
        samples=picked(suite.samples, limit=given.limit, skip=given.skip),
        planners=contenders([given.planners]),
        models=[Entrant(label=model.spec.name, spec=model.spec) for model in models],
        seed=given.seed,
        cache=True,
    )
    known = read_evaluation(given.journal, given.resume).outcomes if given.resume else ()
    lent: dict[str, Model] = {str(model.spec): model for model in models}
    with EvaluationProgress(Console(stderr=True), plan, len(known)) as progress:
        evaluator = Evaluator(
            journal=given.journal,
            models=lent,
            at_once=AT_ONCE,
            labels=surroundings() | {"command": command},
            hear=progress.hear,
        )
        if given.resume:
            found = await evaluator.resume(given.resume, accept_changes=True)
        else:
            found = await evaluator.run(plan, suite)
    print_report(Console(), summarise(found), found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=MODELS, help="of the catalogue, by comma")
    parser.add_argument("--planners", default=PLANNERS, help="as for `agentflow eval`")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--journal", default="humaneval.db")
    parser.add_argument("--resume", help="an evaluation in the journal")
    sys.exit(anyio.run(measure, parser.parse_args()))


if __name__ == "__main__":
    main()
