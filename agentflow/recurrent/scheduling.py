"""Which sequence does what at each turn: continuous batching over the tree of states.

Owns jobs from the prompt to the outcome. A turn decodes one token of every running sequence, then reads at most
`prefill_chunk` tokens of those that wait, one sequence after the other. Since a prompt is looked up in the tree only
when its turn comes, siblings that need the same missing prefix wait for the first of them by themselves.

Always holds: a prompt is never padded; a state in the tree is never written to; what a job holds is freed in the
turn in which it ends, is cancelled or fails.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import RLock

from torch import Tensor

from agentflow.errors import ModelError, ModelRequestError, ModelUnavailableError
from agentflow.recurrent.jobs import Job
from agentflow.recurrent.language_models.protocol import LanguageModel, State
from agentflow.recurrent.options import EngineOptions
from agentflow.recurrent.requests import Totals
from agentflow.recurrent.sampling import LogitsError, pick_all
from agentflow.recurrent.sequences import shared
from agentflow.recurrent.states.packing import Packed
from agentflow.recurrent.states.tree import Snapshot, StateTree
from agentflow.recurrent.text.prompts import Prompts

LOOK_AHEAD = 64  # waiting prompts that are compared with the one whose turn it is
LEAST_SHARED = 8  # a state is kept for what others share, from so many tokens on


class Scheduler:
    """Runs jobs on a model. One thread calls `turn`; `tree` may be read by others who hold `lock`."""

    def __init__(
        self,
        model: LanguageModel,
        prompts: Prompts,
        tree: StateTree,
        options: EngineOptions,
    ) -> None:
        self.tree, self.lock, self.totals = tree, RLock(), Totals()
        self._model, self._prompts = model, prompts
        self._options = options
        self._most_rows = options.most_rows or model.most_rows
        self._waiting: deque[Job] = deque()
        self._reading: Job | None = None
        self._rows: list[Job] = []
        self._batch = model.batch()

    @property
    def is_busy(self) -> bool:
        """Whether a turn would do anything."""
        return bool(self._waiting or self._reading or self._rows)

    @property
    def waiting(self) -> int:
        """How many jobs have not begun."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many jobs have begun and still need the model."""
        return len(self._rows) + (self._reading is not None)

    def accept(self, job: Job) -> None:
        """Put a job at the end of those that wait."""
        self.totals.requests += 1
        self._waiting.append(job)

    def turn(self) -> None:
        """Do one step of everything that is under way."""
        self._drop_cancelled()
        if self._rows:
            self._decode()
        self._read_prompts()
        self._count()

    def abandon(self, error: ModelError) -> None:
        """End all jobs with an error."""
        for job in [*self._waiting, *self._rows, *([self._reading] if self._reading else [])]:
            self._fail(job, error)
        self._waiting.clear()
        self._reading, self._rows, self._batch = None, [], self._model.batch()
        self._count()

    # Ends ---------------------------------------------------------------------------------

    def _drop_cancelled(self) -> None:
        for job in [job for job in self._waiting if job.generation.is_cancelled]:
            self._waiting.remove(job)
            self._cancel(job)
        if self._reading and self._reading.generation.is_cancelled:
            self._cancel(self._reading)
            self._reading = None
        # What is over stays for its last token: cancelling it then is too late to mean anything.
        gone = [
            i for i, job in enumerate(self._rows) if job.generation.is_cancelled and not job.finish
        ]
        for i in gone:
            self._cancel(self._rows[i])
        self._remove(gone)

    def _cancel(self, job: Job) -> None:
        self.totals.cancelled += 1
        job.end("cancelled", None)

    def _fail(self, job: Job, error: Exception) -> None:
        self.totals.failed += 1
        if not isinstance(error, ModelError):
            problem = f"the engine failed: {type(error).__name__}: {error}"
            error = ModelUnavailableError(model=self._model.name, problem=problem)
        job.generation.finish(error)

    def _refused(self, error: ValueError) -> ModelRequestError:
        return ModelRequestError(model=self._model.name, problem=str(error))

    def _finish(self, job: Job) -> None:
        """Tell the outcome; a state of it follows when its last token has been read."""
        with self.lock:
            handle = self.tree.name(job.kept_tokens(), pins=job.request.pins)
        self._prompts.learn(job.request.prompt, job.kept_tokens()[len(job.tokens) :])
        job.end(job.finish or "stop", handle)

    def _remove(self, rows: Sequence[int]) -> None:
        if rows:
            self._batch.remove(rows)
            self._rows = [job for i, job in enumerate(self._rows) if i not in set(rows)]

    # Decoding -----------------------------------------------------------------------------

    def _decode(self) -> None:
        began = time.perf_counter()
        try:
            logits = self._batch.step([job.outputs[-1] for job in self._rows])
        except Exception as error:  # noqa: BLE001 - whatever a model raises ends its jobs, not the engine
            for job in self._rows:
                self._fail(job, error)
            self._rows, self._batch = [], self._model.batch()
            return
        self.totals.decode_steps += 1
        self.totals.decode_s += time.perf_counter() - began
        over = [i for i, job in enumerate(self._rows) if job.finish]
        for i in over:
            self._keep(self._rows[i].sequence(), partial(self._batch.state, i), logits[i])
        going = [i for i in range(len(self._rows)) if i not in set(over)]
        if going:
            jobs = [self._rows[i] for i in going]
            over += [going[i] for i in self._choose(jobs, logits[going] if over else logits)]
        self._remove(over)

    def _choose(self, jobs: Sequence[Job], logits: Tensor) -> list[int]:
        """Take the next token of each job; return which of them need no further step."""
        allowed, broken = self._masked(jobs, logits)
        if broken:
            return self._choose_without(broken, jobs, logits)
        try:
            picks = pick_all(
                logits,
                [job.sampler for job in jobs],
                [job.alternatives for job in jobs],
                constrained=allowed,
            )
        except LogitsError as error:
            return self._choose_without(dict.fromkeys(error.rows, error), jobs, logits)
        done = []
        for i, (job, pick) in enumerate(zip(jobs, picks, strict=True)):
            try:
                job.take(pick)
            except ValueError as error:  # its grammar gave up
                self._fail(job, self._refused(error))
                done.append(i)
                continue
            self.totals.generated_tokens += 1
            if job.finish:
                self._finish(job)
                if not job.leaves_state:
                    done.append(i)
        return done

    def _masked(
        self, jobs: Sequence[Job], logits: Tensor
    ) -> tuple[dict[int, Tensor], dict[int, Exception]]:
        """Return the logits that grammars allow, and the grammars that gave up, each by row."""
        allowed: dict[int, Tensor] = {}
        broken: dict[int, Exception] = {}
        for i, job in enumerate(jobs):
            if job.request.grammar is None:
                continue
            try:
                allowed[i] = job.masked(logits[i])
            except ValueError as error:
                broken[i] = self._refused(error)
        return allowed, broken

    def _choose_without(
        self, broken: Mapping[int, Exception], jobs: Sequence[Job], logits: Tensor
    ) -> list[int]:
        """Fail the jobs that cannot go on; the others go on."""
        for i, error in broken.items():
            self._fail(jobs[i], error)
        going = [i for i in range(len(jobs)) if i not in broken]
        done = self._choose([jobs[i] for i in going], logits[going]) if going else []
        return [*broken, *(going[i] for i in done)]

    # Prompts ------------------------------------------------------------------------------

    def _read_prompts(self) -> None:
        left = self._options.prefill_chunk
        while left > 0 and (job := self._reading or self._next()):
            try:
                if not job.has_begun:
                    self._look_up(job)
                left -= self._read_some(job, left)
            except Exception as error:  # noqa: BLE001 - as in `_decode`
                self._reading = None
                self._fail(job, error)

    def _next(self) -> Job | None:
        if not self._waiting or len(self._rows) >= self._most_rows:
            return None
        # Taken off the queue after it stands here: who counts what is under way never misses it.
        self._reading = self._waiting[0]
        return self._waiting.popleft()

    def _look_up(self, job: Job) -> None:
        """Give a job the nearest state that is kept, and fix where more are to be kept on its way."""
        job.began()
        with self.lock:
            junction = self.tree.common(job.tokens)
            node = self.tree.find(job.tokens)
        if node is not None and node.snapshot is not None:
            with self._forking():
                try:
                    job.resume(node.snapshot.packed.unpack(), node.snapshot.logits)
                except OSError:  # its file is gone: read the prompt anew
                    with self.lock:
                        self.tree.forget(node)
        ahead = [shared(job.tokens, other.tokens) for other in list(self._waiting)[:LOOK_AHEAD]]
        job.plan_cuts([at for at in (junction, *ahead) if at >= job.at + LEAST_SHARED])
        self.totals.prompt_tokens += len(job.tokens)
        self.totals.cached_tokens += job.at

    def _read_some(self, job: Job, most: int) -> int:
        """Read up to the next cut, at most `most` tokens; return how much of the turn that took."""
        if job.at == len(job.tokens):
            self._begin_reply(job)
            return 1
        upto = min(job.next_cut, job.at + most)
        count = upto - job.at
        began = time.perf_counter()
        logits, state = self._model.extend(job.tokens[job.at : upto], job.state)
        took_s = time.perf_counter() - began
        job.read(count, logits, state, took_s)
        self.totals.prefilled_tokens += count
        self.totals.prefill_s += took_s
        if job.at == upto == job.next_cut:
            self._keep(job.tokens[: job.at], lambda: state, logits)
            job.pass_cut()
        return count

    def _begin_reply(self, job: Job) -> None:
        logits, state = job.taken()
        if not self._choose([job], logits[None]):
            if job.finish:
                logits, state = self._model.extend(job.outputs[-1:], state)
                self._keep(job.sequence(), lambda: state, logits)
            else:
                with self._forking():
                    self._batch.add(state)
                self._rows.append(job)
        self._reading = None

    # The tree -----------------------------------------------------------------------------

    def _keep(self, tokens: Sequence[int], state: Callable[[], State], logits: Tensor) -> None:
        with self.lock:
            is_known = self.tree.has(tokens)
        if is_known:
            return
        with self._forking():
            packed = Packed(state(), self._options.states)
            with self.lock:
                self.tree.put(tokens, Snapshot(packed, logits.clone()))

    @contextmanager
    def _forking(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.totals.fork_s += time.perf_counter() - began

    def _count(self) -> None:
        totals, tree = self.totals, self.tree
        totals.snapshots, totals.snapshot_bytes = tree.snapshots, tree.nbytes
        totals.evicted, totals.spilled = tree.evicted, tree.spilled
