"""Planners that sample, with the real hosted clients: no seed and no temperature that nobody asked for."""

from typing import Any

import pytest
from agentflow_planners.best_of_n import best_of_n
from agentflow_planners.codet import codet
from agentflow_planners.funcoder import funcoder
from agentflow_planners.try_first import try_first

from agentflow import ModelSpec, Runner
from tests.agentflow.models.hosted_parts import APIS, spec_for
from tests.planners.coders import called, code_task
from tests.planners.test_funcoder import DOUBLE, RIGHT
from tests.wire import WireServer, says

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "planner", [best_of_n, codet, funcoder, try_first], ids=lambda item: item.name
)
@pytest.mark.parametrize("api", APIS)
async def test_a_hosted_model_samples_by_itself(
    api: Any, planner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    with WireServer(lambda _seen: says(f"```python\n{RIGHT}\n```")) as server:
        spec: ModelSpec = spec_for(api, server)
        result = await Runner(model=spec, journal=":memory:").run_async(
            planner, code_task(DOUBLE), samples=3
        )
    assert called(result.output.output, "double(5)") == 10
    for request in server.requests:
        assert "seed" not in request.body
        assert "temperature" not in request.body
