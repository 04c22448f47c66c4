"""The engine: a loaded model, its tree of states, and the thread that runs both.

Owns starting, closing and the way in. All work on the model happens in one thread of the engine's own; every
method here may be called from any thread.
"""

import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from agentflow.errors import (
    ContextLengthError,
    EngineFullError,
    ModelRequestError,
    ModelUnavailableError,
)
from agentflow.recurrent.generation import Generation
from agentflow.recurrent.jobs import Job
from agentflow.recurrent.language_models.loading import load
from agentflow.recurrent.language_models.protocol import LanguageModel
from agentflow.recurrent.options import EngineOptions
from agentflow.recurrent.requests import GenerationRequest, Prompt, Totals
from agentflow.recurrent.scheduling import Scheduler
from agentflow.recurrent.states.tiers import Tiers
from agentflow.recurrent.states.tree import StateTree
from agentflow.recurrent.text.grammar import Grammars
from agentflow.recurrent.text.prompts import Prompts
from agentflow.recurrent.text.tokenizer import Tokenizer

RETRY_AFTER_S = 1.0


class Engine:
    """Serves one model. Use it as a context manager, or call `start` and `close`."""

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, options: EngineOptions | None = None
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.options = options or EngineOptions()
        self.name = model.name
        self.prompts, self.grammars = Prompts(tokenizer), Grammars(tokenizer)
        tree = StateTree(Tiers(self.options, model.device), most_handles=self.options.most_handles)
        self._scheduler = Scheduler(model, self.prompts, tree, self.options)
        self._news = threading.Condition()
        self._inbox: deque[Job] = deque()
        self._is_closing = self._is_abandoning = False
        self._thread = threading.Thread(target=self._run, name=f"engine {self.name}", daemon=True)

    @classmethod
    def open(cls, path: str | Path, options: EngineOptions | None = None) -> "Engine":
        """Load a model and its tokenizer, and start an engine on them.

        Raises:
            WeightsError: It cannot be loaded, or the probe found no way to run it that is right.
            MissingExtraError: The extra `recurrent` is not installed.
        """
        options = options or EngineOptions()
        model = load(path, dtype=options.dtype, device=options.device)
        engine = cls(model, Tokenizer.load(path), options)
        engine.start()
        return engine

    # Running ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, drain_s: float = 0) -> None:
        """Take no more requests, let those under way finish for so long, end the rest, and free the files."""
        with self._news:
            self._is_closing = True
            self._news.notify_all()
        if self._thread.ident is not None:
            self._thread.join(drain_s)
            with self._news:
                self._is_abandoning = True
                self._news.notify_all()
            self._thread.join()
        with self._scheduler.lock:
            self._scheduler.tree.close()

    def __enter__(self) -> Self:
        if self._thread.ident is None:
            self.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_ready(self) -> bool:
        """Whether it takes requests."""
        return self._thread.is_alive() and not self._is_closing

    # Asking -------------------------------------------------------------------------------

    def submit(self, request: GenerationRequest) -> Generation:
        """Queue a request.

        Raises:
            ContextLengthError: The prompt leaves no room for a reply.
            ModelRequestError: The sampling or a stop text makes no sense.
            EngineFullError: As many requests wait as may; try again later.
            ModelUnavailableError: The engine is closed.
        """
        most, length = self.model.context_tokens, len(request.prompt.tokens)
        if not length:
            raise ContextLengthError(model=self.name, problem="the prompt is empty")
        if most is not None and length >= most:
            problem = f"the prompt has {length} tokens, and the model reads at most {most}, its reply included"
            raise ContextLengthError(model=self.name, problem=problem)
        try:
            job = Job(Generation(request), self.tokenizer, most)
        except ValueError as error:
            raise ModelRequestError(model=self.name, problem=str(error)) from error
        with self._news:
            if not self.is_ready:
                raise ModelUnavailableError(model=self.name, problem="the engine is closed")
            waiting = len(self._inbox) + self._scheduler.waiting
            if waiting >= self.options.most_waiting:
                problem = f"{waiting} requests are waiting already"
                raise EngineFullError(model=self.name, problem=problem, retry_after_s=RETRY_AFTER_S)
            self._inbox.append(job)
            self._news.notify_all()
        return job.generation

    def prompt_of(self, handle: str) -> Prompt | None:
        """Return the tokens that a state handle stands for; None when it is not known."""
        with self._scheduler.lock:
            node = self._scheduler.tree.node_of(handle)
            return None if node is None else Prompt(tokens=node.tokens(), cuts=(node.length,))

    def pin(self, handle: str) -> bool:
        """Keep a handle's state while there is another to give up; False for an unknown handle."""
        with self._scheduler.lock:
            return self._scheduler.tree.pin(handle)

    def unpin(self, handle: str) -> bool:
        """Take a pin back; False for an unknown handle or one without a pin."""
        with self._scheduler.lock:
            return self._scheduler.tree.unpin(handle)

    @property
    def totals(self) -> Totals:
        """What has been done so far."""
        scheduler = self._scheduler
        with scheduler.lock:
            pinned = scheduler.tree.pinned
        with self._news:
            return replace(
                scheduler.totals,
                waiting=len(self._inbox) + scheduler.waiting,
                running=scheduler.running,
                pinned=pinned,
                notes=self.model.abilities.notes,
            )

    # The thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        with torch.inference_mode():
            while self._take_in():
                try:
                    self._scheduler.turn()
                except Exception as error:  # noqa: BLE001 - the thread outlives whatever went wrong
                    self._abandon(f"the engine failed: {type(error).__name__}: {error}")
        self._abandon("the engine was closed")

    def _abandon(self, problem: str) -> None:
        self._scheduler.abandon(ModelUnavailableError(model=self.name, problem=problem))

    def _take_in(self) -> bool:
        """Wait for something to do; False when it is time to end."""
        with self._news:
            self._news.wait_for(lambda: self._inbox or self._scheduler.is_busy or self._is_closing)
            while self._inbox:
                self._scheduler.accept(self._inbox.popleft())
            return not self._is_abandoning and (self._scheduler.is_busy or not self._is_closing)


def wait_idle(engine: Engine, timeout_s: float = 60.0) -> bool:
    """Wait until nothing is under way, as tests and benchmarks need it; False when that took too long."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        totals = engine.totals
        if not totals.waiting and not totals.running:
            return True
        time.sleep(0.002)
    return False
