"""Every error a caller may handle, in one hierarchy.

Owns the names and the words of what can go wrong. Knows nothing of the engine.
An error carries its facts as keyword arguments, says what to change, and can be
written to the journal and raised again on replay: `rebuild(name, error.facts)`.
A bug is an `assert`; a wrong argument in Python code is a `ValueError` or `TypeError`.
"""

from typing import Any, ClassVar, Literal

BudgetKind = Literal["tokens", "usd", "seconds", "depth", "width", "steps"]
ProgramPhase = Literal["parse", "run", "limit", "crash", "unsupported"]


class AgentflowError(Exception):
    """Base of everything the framework raises on purpose.

    Subclasses take keyword arguments only, each one JSON data: the facts.
    """

    facts: dict[str, Any]
    retryable: ClassVar[bool] = False
    _known: ClassVar[dict[str, type["AgentflowError"]]] = {}

    def __new__(cls, *_message: object, **facts: Any) -> "AgentflowError":
        """Keep the constructor's keyword arguments: they are what the journal stores."""
        self = super().__new__(cls)
        self.facts = facts
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        AgentflowError._known[cls.__name__] = cls


def rebuild(name: str, message: str, facts: dict[str, Any]) -> AgentflowError:
    """Return the error that was recorded as `name` with `facts`; an unknown name gives a `RecordedError`."""
    kind = AgentflowError._known.get(name)
    if kind is None or not facts:
        return RecordedError(name=name, message=message)
    return kind(**facts)


class RecordedError(AgentflowError):
    """A failure read back from a journal whose type is not one of ours."""

    def __init__(self, *, name: str, message: str) -> None:
        self.name, self.message = name, message
        super().__init__(f"{name}: {message}")


# What the user wrote -----------------------------------------------------------------------


class TaskFileError(AgentflowError):
    """A task file cannot be used; the message starts with `file:line`."""

    def __init__(self, *, path: str, line: int | None, problem: str) -> None:
        self.path, self.line, self.problem = path, line, problem
        place = path if line is None else f"{path}:{line}"
        super().__init__(f"{place}: {problem}")


class RedactionError(AgentflowError):
    """A redaction rule cannot be used."""

    def __init__(self, *, rule: str, problem: str) -> None:
        self.rule, self.problem = rule, problem
        super().__init__(f"redaction rule {rule!r}: {problem}")


class PluginError(AgentflowError):
    """A planner, tool, scorer or model provider of that name is not installed."""

    def __init__(
        self, *, kind: str, name: str, installed: list[str], near: str | None = None
    ) -> None:
        self.kind, self.name, self.installed, self.near = kind, name, installed, near
        hint = f"; did you mean {near!r}?" if near else ""
        super().__init__(
            f"unknown {kind} {name!r}{hint} (installed: {', '.join(installed) or 'none'})"
        )


class GraphError(AgentflowError):
    """A declared graph is not a DAG of matching flows; the message names the nodes."""

    def __init__(self, *, graph: str, problem: str) -> None:
        self.graph, self.problem = graph, problem
        super().__init__(f"graph {graph!r}: {problem}")


class PlanError(AgentflowError):
    """A plan's sub-tasks do not form a DAG; the message names the sub-tasks."""

    def __init__(self, *, problem: str) -> None:
        self.problem = problem
        super().__init__(f"plan: {problem}")


class MissingExtraError(AgentflowError):
    """A feature needs packages that are optional; the message is the command that installs them."""

    def __init__(self, *, feature: str, extra: str) -> None:
        self.feature, self.extra = feature, extra
        super().__init__(
            f"{feature} needs optional packages: run `pip install 'agentflow[{extra}]'`"
        )


class MissingProgramError(AgentflowError):
    """A feature needs a program that this machine does not have or cannot run."""

    def __init__(self, *, feature: str, program: str, problem: str, remedy: str) -> None:
        self.feature, self.program, self.problem, self.remedy = feature, program, problem, remedy
        super().__init__(f"{feature} needs {program}: {problem}; {remedy}")


# What a flow did ---------------------------------------------------------------------------


class NoRunError(AgentflowError):
    """A flow, tool, model or person was called outside a run."""

    def __init__(self, *, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} was called outside a run: start one with agentflow.run({name}, ...)"
        )


class InputError(AgentflowError):
    """A step was called with input that does not fit its declared types."""

    def __init__(self, *, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(f"{step}: input: {problem}")


class OutputError(AgentflowError):
    """A step returned something that does not fit its declared type."""

    def __init__(self, *, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(f"{step}: output: {problem}")


class PayloadError(AgentflowError):
    """A value cannot be written to the journal; `problem` says where in the value."""

    def __init__(self, *, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(
            f"{step}: {problem}, so the journal cannot store it: "
            "annotate the parameter or return type, or pass plain data"
        )


class BudgetExceededError(AgentflowError):
    """A step was refused because the tree's budget does not cover it, or one `shared` with other trees."""

    def __init__(
        self, *, kind: BudgetKind, limit: float, used: float, step: str, shared: bool = False
    ) -> None:
        self.kind, self.limit, self.used, self.step = kind, limit, used, step
        self.shared = shared
        super().__init__(
            f"{step}: refused, the budget of {limit:g} {kind} does not cover it "
            f"({used:g} in use); raise `budget.{kind}`"
        )


class ExitError(AgentflowError):
    """A flow, or a branch of one, called `sys.exit`: it would end whatever process it runs in."""

    def __init__(self, *, step: str, code: str) -> None:
        self.step, self.code = step, code
        super().__init__(f"{step}: called sys.exit({code}): return, or raise an error, instead")


class ToolError(AgentflowError):
    """A tool raised; carries the type and message of what it raised."""

    def __init__(self, *, tool: str, name: str, message: str) -> None:
        self.tool, self.name, self.message = tool, name, message
        super().__init__(f"tool {tool}: {name}: {message}")


class EpisodeOverError(ToolError):
    """An action came after the end of its environment's episode; nothing happened."""

    def __init__(self, *, tool: str) -> None:
        message = "the episode is over, so nothing happened; act no more and give your answer"
        super().__init__(tool=tool, name="EpisodeOverError", message=message)


class AskError(AgentflowError):
    """A question to a person has no answer: nobody is there, or the answer does not fit."""

    def __init__(self, *, question: str, problem: str) -> None:
        self.question, self.problem = question, problem
        super().__init__(f"ask {question!r}: {problem}")


class RunPausedError(AgentflowError):
    """A run can do no more until a person has answered; it is recorded and can be resumed."""

    def __init__(self, *, run: str, questions: list[dict[str, Any]]) -> None:
        self.run, self.questions = run, questions
        asked = "; ".join(f"step {item['step']}: {item['text']}" for item in questions)
        super().__init__(
            f"run {run} is paused: {asked or 'a result from outside is missing'} "
            f"(answer with `agentflow answer {run} ...`, then `agentflow resume {run}`)"
        )


class EnvironmentRestoreError(AgentflowError):
    """A stateful tool could not be brought back to the state its recorded actions led to."""

    def __init__(self, *, environment: str, problem: str) -> None:
        self.environment, self.problem = environment, problem
        super().__init__(f"environment {environment}: {problem}")


class ExpansionError(AgentflowError):
    """A planner could not turn a task or a placeholder into something that runs."""

    def __init__(self, *, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(f"{step}: {problem}")


# Models ------------------------------------------------------------------------------------


class ModelError(AgentflowError):
    """Base of what a model call can raise. `retry_after_s`: what the server asked for, if it did."""

    def __init__(
        self,
        *,
        model: str,
        problem: str,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        self.model, self.problem = model, problem
        self.retry_after_s, self.status = retry_after_s, status
        super().__init__(f"model {model}: {problem}")


class UnknownModelError(ModelError):
    """No such model or provider; the message lists what there is."""


class CredentialsError(ModelError):
    """A key is missing or was refused."""


class ModelRequestError(ModelError):
    """The server refused the request itself: repeating it will not help."""


class ContextLengthError(ModelError):
    """The prompt does not fit the model's context window."""


class RateLimitedError(ModelError):
    """The server asked for less traffic (429)."""

    retryable = True


class EngineFullError(RateLimitedError):
    """As many requests wait for a local engine as may."""


class ModelUnavailableError(ModelError):
    """The server could not be reached, failed (5xx), or dropped the connection."""

    retryable = True


class MalformedReplyError(ModelError):
    """The reply is not what the protocol or the requested type says."""

    retryable = True


class WeightsError(ModelError):
    """Local weights could not be found, fetched or verified."""


# Running generated code --------------------------------------------------------------------


class SandboxUnavailableError(AgentflowError):
    """Generated code cannot be confined on this machine; the message says what to install."""

    def __init__(self, *, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(f"no sandbox: {problem}; {remedy}")


class ProgramError(AgentflowError):
    """Generated code failed inside the sandbox.

    `line` counts from 1 in the program as written; `report` is the traceback as a model reads it.
    """

    def __init__(
        self, *, phase: ProgramPhase, name: str, message: str, line: int | None, report: str
    ) -> None:
        self.phase, self.name, self.message = phase, name, message
        self.line, self.report = line, report
        place = "" if line is None else f" (line {line})"
        super().__init__(f"program: {name}: {message}{place}")


# Past one machine --------------------------------------------------------------------------


class ClusterError(AgentflowError):
    """A cluster cannot be reached, or cannot do what it is asked for."""

    def __init__(self, *, cluster: str, problem: str) -> None:
        self.cluster, self.problem = cluster, problem
        super().__init__(f"cluster {cluster}: {problem}")


class NodeRefusedError(AgentflowError):
    """No node of a cluster may be used; `node` is the first of those that were refused."""

    def __init__(self, *, node: str, problem: str, remedy: str) -> None:
        self.node, self.problem, self.remedy = node, problem, remedy
        super().__init__(f"node {node} is not used: {problem}; {remedy}")


class WorkLostError(AgentflowError):
    """A piece of work was lost with every worker that it was given to; perhaps it ends them."""

    def __init__(self, *, what: str, nodes: list[str]) -> None:
        self.what, self.nodes = what, nodes
        super().__init__(f"{what} was lost {len(nodes)} times, on {', '.join(nodes)}")


# At home with others -----------------------------------------------------------------------


class FrameworkError(AgentflowError):
    """Something of another framework has no counterpart in a run; `problem` says what, and what to do."""

    def __init__(self, *, framework: str, what: str, problem: str) -> None:
        self.framework, self.what, self.problem = framework, what, problem
        super().__init__(f"{framework} {what}: {problem}")


class UnmappableError(GraphError):
    """A graph uses something that the other engine has no counterpart for; `problem` names it."""


class McpServerError(AgentflowError):
    """An MCP server cannot be reached, or does not keep to the protocol; a resume may go on.

    What goes wrong in a call is a `ToolError`, so that planners tell their model and programs may catch it.
    """

    def __init__(self, *, server: str, problem: str) -> None:
        self.server, self.problem = server, problem
        super().__init__(f"MCP server {server}: {problem}")


class KeyReusedError(AgentflowError):
    """A key names one call; here it came with other arguments."""

    def __init__(self, *, run: str) -> None:
        self.run = run
        super().__init__(f"this key belongs to run {run}, which was called with other arguments")


# The journal -------------------------------------------------------------------------------


class JournalError(AgentflowError):
    """The journal cannot be read or written; `problem` says why and what to do."""

    def __init__(self, *, store: str, problem: str) -> None:
        self.store, self.problem = store, problem
        super().__init__(f"journal {store}: {problem}")


class UnknownRunError(JournalError):
    """There is no such run in the journal."""


class RunBusyError(JournalError):
    """Another process writes this run; a run has one writer at a time."""


class LeaseLostError(JournalError):
    """Another process has taken this run over, so nothing more may be written here."""


class AnnotationError(AgentflowError):
    """A person's remark on a run cannot be written or removed; `problem` says why."""

    def __init__(self, *, run: str, problem: str) -> None:
        self.run, self.problem = run, problem
        super().__init__(f"annotation of run {run}: {problem}")


class ExportError(AgentflowError):
    """A run cannot be written as a file to share; `problem` says why."""

    def __init__(self, *, run: str, problem: str) -> None:
        self.run, self.problem = run, problem
        super().__init__(f"export of run {run}: {problem}")


class MissingStepError(AgentflowError):
    """A replay came to a step that the journal does not hold."""

    def __init__(self, *, step: str, run: str) -> None:
        self.step, self.run = step, run
        super().__init__(
            f"run {run} holds no result for {step}: it was cut short there, so it cannot be replayed"
        )


class DriftError(AgentflowError):
    """A step's input differs from the recorded one: the code or its inputs have changed."""

    def __init__(self, *, step: str, run: str, recorded: str, now: str) -> None:
        self.step, self.run, self.recorded, self.now = step, run, recorded, now
        super().__init__(f"{step}: input differs from run {run}: recorded {recorded}, now {now}")


# Training data -----------------------------------------------------------------------------


class TrainingDataError(AgentflowError):
    """Runs could not be turned into training data; `place` says where, `problem` what to do."""

    def __init__(self, *, place: str, problem: str) -> None:
        self.place, self.problem = place, problem
        super().__init__(f"{place}: {problem}")


# Evaluations -------------------------------------------------------------------------------


class SuiteError(AgentflowError):
    """A suite's data is missing, damaged or not what it should be; `place` is a file and line or a sample."""

    def __init__(self, *, suite: str, problem: str, place: str = "") -> None:
        self.suite, self.problem, self.place = suite, problem, place
        super().__init__(f"suite {suite}: {place}{': ' if place else ''}{problem}")


class UnjudgedError(AgentflowError):
    """A run of an evaluation ended in a way that says nothing about its planner; a resume tries it again."""

    def __init__(self, *, sample: str, planner: str, model: str, run: str, problem: str) -> None:
        self.sample, self.planner, self.model = sample, planner, model
        self.run, self.problem = run, problem
        super().__init__(f"{sample} under {planner} with {model}: {problem} (run {run})")


class EvaluationError(AgentflowError):
    """An evaluation cannot be started, continued, read or compared as asked."""

    def __init__(self, *, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class EvaluationIncompleteError(EvaluationError):
    """An evaluation went through, but some of its runs say nothing; a resume tries these again."""

    def __init__(self, *, missing: int) -> None:
        self.missing = missing
        super().__init__(problem=f"{missing} runs could not be judged; a resume tries them again")


# Telemetry ---------------------------------------------------------------------------------


class CollectorError(AgentflowError):
    """Spans did not reach their collector; `problem` says why. The run itself is untouched."""

    def __init__(self, *, endpoint: str, problem: str) -> None:
        self.endpoint, self.problem = endpoint, problem
        super().__init__(f"collector {endpoint}: {problem}")


class CodeChangedError(AgentflowError):
    """Flows of a run that is to go on have other code than when they were recorded."""

    def __init__(self, *, run: str, changes: dict[str, list[int]]) -> None:
        self.run, self.changes = run, changes
        parts = [
            f"{flow} (steps {', '.join(map(str, steps))})" if steps else flow
            for flow, steps in changes.items()
        ]
        super().__init__(
            f"the code has changed since run {run} recorded it: {'; '.join(parts)}. Go on with the "
            "new code and keep finished steps: accept_changes=True, or `--accept-changes`"
        )


class ForkError(AgentflowError):
    """A fork as asked for makes no sense; the message says what can be changed at that step."""

    def __init__(self, *, run: str, problem: str) -> None:
        self.run, self.problem = run, problem
        super().__init__(f"fork of run {run}: {problem}")
