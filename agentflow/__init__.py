"""AgentFlow: break a task down recursively, run the pieces as a DAG, replay and measure every step.

The public names, each loaded when it is first used, so that `import agentflow` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentflow.budget import Budget
    from agentflow.engine.branches import BranchFailure, parallel
    from agentflow.engine.generate import generate
    from agentflow.engine.notes import (
        amounts_left,
        budget_left,
        default_model,
        idempotency_key,
        levels_left,
        note,
        tools_in_reach,
    )
    from agentflow.engine.people import ask
    from agentflow.engine.programs import run_plan, run_program
    from agentflow.engine.shapes import MisfitError, SchemaShape
    from agentflow.engine.trials import examine, observe
    from agentflow.environments import ActionTool, Environment, Move, NamedEnvironment, action
    from agentflow.errors import AgentflowError, RunPausedError
    from agentflow.expansion import Plan, Program, SubTask, Unwritten
    from agentflow.flows import Flow, flow
    from agentflow.forks import Change, ForkPlan
    from agentflow.graph import Graph, Input, Node, Output
    from agentflow.journal.journal import Journal
    from agentflow.models.protocol import Message, ModelSpec, Reply, ToolCall
    from agentflow.plugins import load_planner
    from agentflow.resources import Resources
    from agentflow.runner import Runner, RunResult
    from agentflow.sandbox.names import Placeholder, parse_program, placeholders
    from agentflow.sandbox.workers.protocol import Examination, Trial
    from agentflow.solving import Named, Verdict, check
    from agentflow.task import Result, Task
    from agentflow.tools import Tool, tool

_HOMES = {
    "ActionTool": "agentflow.environments",
    "AgentflowError": "agentflow.errors",
    "BranchFailure": "agentflow.engine.branches",
    "Budget": "agentflow.budget",
    "Change": "agentflow.forks",
    "Environment": "agentflow.environments",
    "Examination": "agentflow.sandbox.workers.protocol",
    "Flow": "agentflow.flows",
    "ForkPlan": "agentflow.forks",
    "Graph": "agentflow.graph",
    "Input": "agentflow.graph",
    "Journal": "agentflow.journal.journal",
    "Message": "agentflow.models.protocol",
    "MisfitError": "agentflow.engine.shapes",
    "ModelSpec": "agentflow.models.protocol",
    "Move": "agentflow.environments",
    "Named": "agentflow.solving",
    "NamedEnvironment": "agentflow.environments",
    "Node": "agentflow.graph",
    "Output": "agentflow.graph",
    "Placeholder": "agentflow.sandbox.names",
    "Plan": "agentflow.expansion",
    "Program": "agentflow.expansion",
    "Reply": "agentflow.models.protocol",
    "Resources": "agentflow.resources",
    "Result": "agentflow.task",
    "RunPausedError": "agentflow.errors",
    "RunResult": "agentflow.runner",
    "Runner": "agentflow.runner",
    "SchemaShape": "agentflow.engine.shapes",
    "SubTask": "agentflow.expansion",
    "Task": "agentflow.task",
    "Tool": "agentflow.tools",
    "ToolCall": "agentflow.models.protocol",
    "Trial": "agentflow.sandbox.workers.protocol",
    "Unwritten": "agentflow.expansion",
    "Verdict": "agentflow.solving",
    "action": "agentflow.environments",
    "amounts_left": "agentflow.engine.notes",
    "ask": "agentflow.engine.people",
    "budget_left": "agentflow.engine.notes",
    "check": "agentflow.solving",
    "default_model": "agentflow.engine.notes",
    "examine": "agentflow.engine.trials",
    "flow": "agentflow.flows",
    "generate": "agentflow.engine.generate",
    "idempotency_key": "agentflow.engine.notes",
    "levels_left": "agentflow.engine.notes",
    "load_planner": "agentflow.plugins",
    "note": "agentflow.engine.notes",
    "observe": "agentflow.engine.trials",
    "parallel": "agentflow.engine.branches",
    "parse_program": "agentflow.sandbox.names",
    "placeholders": "agentflow.sandbox.names",
    "run_plan": "agentflow.engine.programs",
    "run_program": "agentflow.engine.programs",
    "tool": "agentflow.tools",
    "tools_in_reach": "agentflow.engine.notes",
}

__all__ = [
    "ActionTool",
    "AgentflowError",
    "BranchFailure",
    "Budget",
    "Change",
    "Environment",
    "Examination",
    "Flow",
    "ForkPlan",
    "Graph",
    "Input",
    "Journal",
    "Message",
    "MisfitError",
    "ModelSpec",
    "Move",
    "Named",
    "NamedEnvironment",
    "Node",
    "Output",
    "Placeholder",
    "Plan",
    "Program",
    "Reply",
    "Resources",
    "Result",
    "RunPausedError",
    "RunResult",
    "Runner",
    "SchemaShape",
    "SubTask",
    "Task",
    "Tool",
    "ToolCall",
    "Trial",
    "Unwritten",
    "Verdict",
    "action",
    "amounts_left",
    "ask",
    "budget_left",
    "check",
    "default_model",
    "examine",
    "flow",
    "generate",
    "idempotency_key",
    "levels_left",
    "load_planner",
    "note",
    "observe",
    "parallel",
    "parse_program",
    "placeholders",
    "run_plan",
    "run_program",
    "tool",
    "tools_in_reach",
]


def __getattr__(name: str) -> Any:
    """Load a public name from where it lives."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'agentflow' has no attribute {name!r}")
    # No module here may bear the name of a public function: importing it would bind the module.
    return globals().setdefault(name, getattr(import_module(home), name))


def __dir__() -> list[str]:
    return sorted(__all__)
