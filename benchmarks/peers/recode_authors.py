"""ReCode by its authors, driven by a scripted model and a made-up environment.

    python benchmarks/peers/recode_authors.py CHECKOUT episodes 1.0 3

Runs in a process of its own with their checkout as the working directory, since their code opens files by
relative paths. Prints the wall times in seconds as JSON. Only their runner, agent, executor and prompts
are used; the model is replaced where they call it, and answers after the latency.
"""

import asyncio
import contextlib
import io
import json
import os
import sys
import time
from typing import Any

EPISODES = 4
BRANCHES = ("first", "second", "third", "fourth")
STATEMENTS = {
    "episodes": {"solve": "one = run('one')\ntwo = run('two')\nresult = [one, two]"},
    "tree": {
        "solve": "\n".join(f"{name} = {name}_of({place})" for place, name in enumerate(BRANCHES))
        + f"\nresult = [{', '.join(BRANCHES)}]",
        **{f"{name}_of": f"{name} = {name}_part({place})" for place, name in enumerate(BRANCHES)},
        **{f"{name}_part": f"{name} = {place} + 1" for place, name in enumerate(BRANCHES)},
    },
}
EXPECTED = {"episodes": ["one", "two"], "tree": [1, 2, 3, 4]}


class Script:
    """Their model: one call in, text and cost out. The root is answered at once."""

    spent = 0.0

    def __init__(self, workload: str, latency_s: float) -> None:
        self._statements, self._latency_s = STATEMENTS[workload], latency_s

    async def __call__(self, prompt: str, **_options: Any) -> tuple[str, float]:
        wanted = prompt.rsplit("The current function to expand is:", 1)[1]
        name = wanted.split("(", 1)[0].split("=")[-1].strip()
        if name != "solve":
            await asyncio.sleep(self._latency_s)
        return f"<think>As scripted.</think><execute>{self._statements[name]}</execute>", 0.0


class Quiet:
    """Their logger, without files."""

    def info(self, _text: str) -> None: ...
    def warning(self, _text: str) -> None: ...
    def error(self, text: str) -> None:
        raise RuntimeError(text)


async def measure(workload: str, latency_s: float) -> float:
    """Return how long all episodes of a workload take, run as their runner runs them."""
    from agents.recode.agent import ReCodeAgent
    from base.environment import Env
    from run import run_single_instance

    class Room(Env):
        id = "room"

        def reset(self, _config: dict[str, Any], _id: str | None = None) -> dict[str, Any]:
            return {"observations": ["do both"], "env_name": "webshop", "env": self}

        async def _run(self, action: str) -> str:
            if action == "[FINISH]":
                self._done = self._success = True
                return ""
            await asyncio.sleep(latency_s)
            return action

        def report(self) -> dict[str, Any]:
            return {}

    agents = []
    for _episode in range(EPISODES if workload == "episodes" else 1):
        agent = ReCodeAgent(logger=Quiet(), task_type="all")
        agent.llm = Script(workload, latency_s)
        agents.append(agent)
    settings = {"max_depth": 10}
    started = time.perf_counter()
    await asyncio.gather(
        *(
            run_single_instance(agent, Room(), dict(settings), Quiet(), number)
            for number, agent in enumerate(agents)
        )
    )
    wall_s = time.perf_counter() - started
    for agent in agents:
        found = agent.executor.get_var("result")
        assert found == EXPECTED[workload], f"returned {found}, not {EXPECTED[workload]}"
    return wall_s


def main() -> None:
    checkout, workload, latency, repeats = sys.argv[1:]
    os.chdir(checkout)
    sys.path.insert(0, checkout)
    os.environ["OPENAI_API_KEY"] = "no-key: the model is scripted"
    # What they print belongs to nobody, and the first run warms up.
    with contextlib.redirect_stdout(io.StringIO()):
        asyncio.run(measure(workload, 0.0))
        times = [asyncio.run(measure(workload, float(latency))) for _ in range(int(repeats))]
    print(json.dumps(times))


if __name__ == "__main__":
    main()
