"""What a model or its provider came to."""

from agentflow.errors.base import AgentflowError


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
