"""Every error a caller may handle, in one hierarchy.

Owns the names and the words of what can go wrong. Knows nothing of the engine.
An error carries its facts as keyword arguments, says what to change, and can be
written to the journal and raised again on replay: `rebuild(name, error.facts)`.
A bug is an `assert`; a wrong argument in Python code is a `ValueError` or `TypeError`.
"""

from agentflow.errors.base import (
    AgentflowError,
    RecordedError,
    rebuild,
)
from agentflow.errors.cluster import (
    ClusterError,
    NodeRefusedError,
    WorkLostError,
)
from agentflow.errors.connections import (
    CollectorError,
    FrameworkError,
    KeyReusedError,
    McpServerError,
    UnmappableError,
)
from agentflow.errors.evaluation import (
    EvaluationError,
    EvaluationIncompleteError,
    SuiteError,
    TrainingDataError,
    UnjudgedError,
)
from agentflow.errors.given import (
    GraphError,
    MissingExtraError,
    MissingProgramError,
    PlanError,
    PluginError,
    RedactionError,
    TaskFileError,
)
from agentflow.errors.journal import (
    AnnotationError,
    CodeChangedError,
    DriftError,
    ExportError,
    ForkError,
    JournalError,
    LeaseLostError,
    MissingStepError,
    RunBusyError,
    UnknownRunError,
)
from agentflow.errors.models import (
    ContextLengthError,
    CredentialsError,
    EngineFullError,
    MalformedReplyError,
    ModelError,
    ModelRequestError,
    ModelUnavailableError,
    RateLimitedError,
    UnknownModelError,
    WeightsError,
)
from agentflow.errors.programs import (
    ProgramError,
    ProgramPhase,
    SandboxUnavailableError,
)
from agentflow.errors.steps import (
    AskError,
    BudgetExceededError,
    BudgetKind,
    EnvironmentRestoreError,
    EpisodeOverError,
    ExitError,
    ExpansionError,
    InputError,
    NoRunError,
    OutputError,
    PayloadError,
    RunPausedError,
    ToolError,
)

__all__ = [
    "AgentflowError",
    "AnnotationError",
    "AskError",
    "BudgetExceededError",
    "BudgetKind",
    "ClusterError",
    "CodeChangedError",
    "CollectorError",
    "ContextLengthError",
    "CredentialsError",
    "DriftError",
    "EngineFullError",
    "EnvironmentRestoreError",
    "EpisodeOverError",
    "EvaluationError",
    "EvaluationIncompleteError",
    "ExitError",
    "ExpansionError",
    "ExportError",
    "ForkError",
    "FrameworkError",
    "GraphError",
    "InputError",
    "JournalError",
    "KeyReusedError",
    "LeaseLostError",
    "MalformedReplyError",
    "McpServerError",
    "MissingExtraError",
    "MissingProgramError",
    "MissingStepError",
    "ModelError",
    "ModelRequestError",
    "ModelUnavailableError",
    "NoRunError",
    "NodeRefusedError",
    "OutputError",
    "PayloadError",
    "PlanError",
    "PluginError",
    "ProgramError",
    "ProgramPhase",
    "RateLimitedError",
    "RecordedError",
    "RedactionError",
    "RunBusyError",
    "RunPausedError",
    "SandboxUnavailableError",
    "SuiteError",
    "TaskFileError",
    "ToolError",
    "TrainingDataError",
    "UnjudgedError",
    "UnknownModelError",
    "UnknownRunError",
    "UnmappableError",
    "WeightsError",
    "WorkLostError",
    "rebuild",
]
