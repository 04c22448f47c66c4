"""The engine: the same answers as one sequence alone from the beginning, with each token read once."""

import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
import torch

from agentflow.errors import (
    ContextLengthError,
    EngineFullError,
    ModelRequestError,
    ModelUnavailableError,
)
from agentflow.recurrent.engine import Engine, wait_idle
from agentflow.recurrent.generation import Generation
from agentflow.recurrent.language_models.protocol import LanguageModel
from agentflow.recurrent.requests import GenerationRequest, Outcome, Prompt, Sampling
from tests.agentflow.recurrent.conftest import OpenEngine

ARCHITECTURES = ["mamba2", "qwen3_next"]  # a pure recurrent one, a hybrid
NEAR = 0.02  # a tie within this part of the logits' deviation may go either way
FIRST = 10  # ids below are special


def tokens(count: int, seed: int) -> tuple[int, ...]:
    chooser = random.Random(seed)
    return tuple(chooser.randrange(FIRST, 400) for _token in range(count))


def ask(
    engine: Engine, prompt: Sequence[int], count: int = 6, cuts: Sequence[int] = (), **more: object
) -> Generation:
    request = GenerationRequest(
        prompt=Prompt(tokens=tuple(prompt), cuts=tuple(cuts)),
        max_tokens=count,
        **more,  # type: ignore[arg-type]
    )
    return engine.submit(request)


def reader_of(engine: Engine) -> Any:
    """Return what the engine's model reads with, to make it fail."""
    return engine.model.reader  # type: ignore[attr-defined]


def check_alone(model: LanguageModel, prompt: Sequence[int], reply: Sequence[int]) -> None:
    """Read the prompt anew and follow the reply: each of its tokens must be the likeliest, or tie with it."""
    with torch.inference_mode():
        logits, state = model.extend(prompt, None)
        for token in reply:
            behind = logits.max() - logits[token]
            assert behind <= NEAR * logits.std(), f"{behind / logits.std():.3f} behind"
            logits, state = model.extend([token], state)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_tree_of_requests_is_answered_as_each_alone_and_reads_each_token_once(
    open_engine: OpenEngine, architecture: str
) -> None:
    engine = open_engine(architecture, most_rows=7, prefill_chunk=16)
    root = tokens(60, seed=1)
    new = 0
    asked: list[tuple[tuple[int, ...], Outcome]] = []
    level: list[tuple[int, ...]] = [root]
    for depth in range(3):
        waiting = []
        for parent in level:
            for child in range(3):
                more = tokens(5 + depth + child, seed=hash((parent, child)))
                # Siblings may begin alike by chance: then that token is read once too.
                prompt = (FIRST + child, *more)
                new += len(prompt)
                waiting.append(
                    ((*parent, *prompt), ask(engine, (*parent, *prompt), 4 + child, [len(parent)]))
                )
        asked += [(prompt, generation.wait()) for prompt, generation in waiting]
        level = [(*prompt, *outcome.tokens) for prompt, outcome in asked[-3:]]
    assert engine.totals.prefilled_tokens == len(root) + new
    assert engine.totals.decode_steps < sum(len(outcome.tokens) for _prompt, outcome in asked)
    engine.close()
    for prompt, outcome in asked:
        assert outcome.finish == "length"
        check_alone(engine.model, prompt, outcome.tokens)


def test_siblings_that_come_at_once_wait_for_one_reading_of_what_they_share(
    open_engine: OpenEngine,
) -> None:
    engine = open_engine(prefill_chunk=8)
    root = tokens(100, seed=2)
    # Nobody names the place where they branch off.
    waiting = [ask(engine, (*root, FIRST + child, 50, 51)) for child in range(8)]
    outcomes = [generation.wait() for generation in waiting]
    assert (
        engine.totals.prefilled_tokens <= 100 + 8 * 3 + 100
    )  # the first may begin before the others are there
    assert sum(outcome.cached_tokens >= 100 for outcome in outcomes) >= 6


def test_the_same_prompt_again_needs_no_reading_at_all(open_engine: OpenEngine) -> None:
    engine = open_engine()
    prompt = tokens(30, seed=3)
    first = ask(engine, prompt).wait()
    before = engine.totals.prefilled_tokens
    again = ask(engine, prompt).wait()
    assert again.tokens == first.tokens
    assert again.cached_tokens == again.prompt_tokens == 30
    assert engine.totals.prefilled_tokens == before == 30


def test_a_conversation_goes_on_from_the_end_of_the_reply(open_engine: OpenEngine) -> None:
    engine = open_engine()
    prompt = tokens(30, seed=4)
    first = ask(engine, prompt, 5).wait()
    assert first.handle
    behind = engine.prompt_of(first.handle)
    assert behind
    assert behind.tokens == (*prompt, *first.tokens)
    second = ask(engine, (*behind.tokens, 77, 78), 5).wait()
    assert second.cached_tokens == 35
    assert engine.totals.prefilled_tokens == 32


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("room", [0, 1, 60_000])
def test_with_little_room_for_states_answers_stay_right(
    open_engine: OpenEngine, architecture: str, room: int, tmp_path: Path
) -> None:
    spill = tmp_path if room == 1 else None
    engine = open_engine(architecture, state_bytes=room, spill_folder=spill, spill_bytes=200_000)
    root = tokens(20, seed=5)
    waiting = [
        (prompt, ask(engine, prompt, 4, [20]))
        for prompt in ((*root, *tokens(3 + i % 4, seed=i)) for i in range(12))
    ]
    outcomes = [(prompt, generation.wait()) for prompt, generation in waiting]
    assert wait_idle(engine)
    assert engine.totals.snapshot_bytes <= room + (200_000 if spill else 0)
    engine.close()
    for prompt, outcome in outcomes:
        check_alone(engine.model, prompt, outcome.tokens)
    assert not list(tmp_path.iterdir())


def test_joining_leaving_and_cancelling_at_any_time_leaves_the_others_right(
    open_engine: OpenEngine,
) -> None:
    engine = open_engine(most_rows=4, prefill_chunk=8)
    chooser = random.Random(6)
    asked = []
    for i in range(40):
        prompt = tokens(chooser.randrange(1, 40), seed=i)
        generation = ask(engine, prompt, chooser.randrange(1, 12))
        asked.append((prompt, generation))
        if chooser.random() < 0.4:
            victim = chooser.choice(asked)[1]
            victim.cancel()
            victim.cancel()
    outcomes = [(prompt, generation.wait()) for prompt, generation in asked]
    assert wait_idle(engine)
    totals = engine.totals
    assert totals.cancelled == sum(outcome.finish == "cancelled" for _prompt, outcome in outcomes)
    assert totals.cancelled > 0
    assert (totals.waiting, totals.running, totals.failed) == (0, 0, 0)
    engine.close()
    for prompt, outcome in outcomes:
        check_alone(engine.model, prompt, outcome.tokens)


def test_pieces_come_while_it_generates_and_joined_are_the_text(open_engine: OpenEngine) -> None:
    engine = open_engine()
    generation = ask(engine, tokens(10, seed=7), 20, logprobs=2)
    pieces = list(generation.pieces())
    outcome = generation.wait()
    assert [piece.token for piece in pieces] == list(outcome.tokens)
    assert "".join(piece.text for piece in pieces) == outcome.text
    assert outcome.text == engine.tokenizer.decode(list(outcome.tokens))
    for piece in pieces:
        assert piece.top[0].token == piece.token  # greedy
        assert piece.logprob == pytest.approx(piece.top[0].logprob)


def test_a_seed_gives_the_same_tokens_alone_and_among_others(open_engine: OpenEngine) -> None:
    engine = open_engine()
    warm = Sampling(temperature=1.5, seed=11)
    prompt = tokens(10, seed=8)
    alone = ask(engine, prompt, 12, sampling=warm).wait()
    crowd = [
        ask(engine, tokens(9, seed=i), 12, sampling=Sampling(temperature=2.0)) for i in range(5)
    ]
    among = ask(engine, prompt, 12, sampling=warm)
    other = ask(engine, prompt, 12, sampling=Sampling(temperature=1.5, seed=12)).wait()
    assert among.wait().tokens == alone.tokens
    assert other.tokens != alone.tokens
    assert len({generation.wait().tokens for generation in crowd}) == 5


def test_a_stop_token_ends_the_reply_and_is_read_into_the_state(open_engine: OpenEngine) -> None:
    engine = open_engine()
    prompt = tokens(10, seed=9)
    free = ask(engine, prompt, 8).wait()
    stop = free.tokens[3]
    at = free.tokens.index(stop)
    outcome = ask(engine, prompt, 8, stop_tokens=frozenset({stop})).wait()
    assert outcome.finish == "stop"
    assert outcome.tokens == free.tokens[: at + 1]
    assert outcome.text == engine.tokenizer.decode(list(free.tokens[:at]))
    assert ask(engine, (*prompt, *outcome.tokens, 60), 2).wait().cached_tokens == 10 + at + 1


def test_a_stop_text_is_no_part_of_the_reply_nor_of_what_its_handle_means(
    open_engine: OpenEngine,
) -> None:
    engine = open_engine()
    prompt = tokens(10, seed=10)
    free = ask(engine, prompt, 12).wait()
    stop = free.text[len(free.text) // 2 :][:2]
    outcome = ask(engine, prompt, 12, stop=(stop,)).wait()
    assert outcome.finish == "stop"
    assert outcome.text == free.text[: free.text.index(stop)]
    assert outcome.handle
    behind = engine.prompt_of(outcome.handle)
    assert behind
    assert engine.tokenizer.decode(list(behind.tokens[10:])) == outcome.text


def test_no_more_wait_than_may_and_the_others_are_answered(open_engine: OpenEngine) -> None:
    engine = open_engine(most_waiting=3, most_rows=1)
    accepted: list[Generation] = []

    with pytest.raises(EngineFullError, match="waiting already") as refused:
        accepted.extend(ask(engine, tokens(40, seed=i), 8) for i in range(30))
    assert accepted
    assert refused.value.retryable
    assert refused.value.retry_after_s
    assert all(generation.wait().finish == "length" for generation in accepted)


def test_closing_with_time_finishes_what_began_and_without_ends_it(open_engine: OpenEngine) -> None:
    patient = open_engine()
    last = ask(patient, tokens(10, seed=1), 30)
    patient.close(drain_s=60)
    assert last.wait().finish == "length"
    with pytest.raises(ModelUnavailableError, match="closed"):
        ask(patient, tokens(10, seed=1))

    hasty = open_engine()
    endless = ask(hasty, tokens(10, seed=1), 100_000)
    next(endless.pieces())
    hasty.close()
    with pytest.raises(ModelUnavailableError, match="was closed"):
        endless.wait()


def test_prompts_that_cannot_be_read_are_refused_at_once(open_engine: OpenEngine) -> None:
    engine = open_engine()
    with pytest.raises(ContextLengthError, match="empty"):
        ask(engine, ())
    engine.model.context_tokens = 20
    with pytest.raises(ContextLengthError, match="20 tokens, and the model reads at most 20"):
        ask(engine, tokens(20, seed=1))
    outcome = ask(engine, tokens(15, seed=1), 50).wait()
    assert (outcome.finish, len(outcome.tokens)) == ("length", 5)


def test_a_request_that_makes_no_sense_is_refused_where_it_is_made(open_engine: OpenEngine) -> None:
    engine = open_engine()
    with pytest.raises(ModelRequestError, match="stop text"):
        ask(engine, tokens(3, seed=1), stop=("",))
    with pytest.raises(ModelRequestError, match="temperature"):
        ask(engine, tokens(3, seed=1), sampling=Sampling(temperature=-1.0))
    assert ask(engine, tokens(3, seed=1)).wait().finish == "length"


def test_a_model_that_breaks_down_ends_its_requests_and_serves_the_next(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine()
    good = ask(engine, tokens(10, seed=1), 3).wait()
    endless = ask(engine, tokens(11, seed=2), 100_000)
    next(endless.pieces())

    def breaks(*_given: object, **_named: object) -> None:
        raise torch.OutOfMemoryError("no memory left")

    with monkeypatch.context() as broken:
        broken.setattr(reader_of(engine), "read", breaks)
        with pytest.raises(ModelUnavailableError, match="OutOfMemoryError: no memory left"):
            endless.wait()
        with pytest.raises(ModelUnavailableError, match="no memory left"):
            ask(engine, tokens(12, seed=3)).wait()
    assert ask(engine, tokens(10, seed=1), 3).wait().tokens == good.tokens
    assert engine.totals.failed == 2


def test_logits_that_are_no_numbers_end_only_their_own_request(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine()
    reader = reader_of(engine)
    read = reader.read
    other = ask(engine, tokens(10, seed=1), 60)
    spoilt = ask(engine, tokens(11, seed=2), 100_000)
    next(spoilt.pieces())

    def spoils(tokens: torch.Tensor, *given: object, **named: object) -> object:
        logits, cache = read(tokens, *given, **named)
        if len(tokens) == 2:
            logits = logits.clone()
            logits[1] = float("nan")
        return logits, cache

    monkeypatch.setattr(reader, "read", spoils)
    with pytest.raises(ModelUnavailableError, match="NaN or infinite"):
        spoilt.wait()
    assert other.wait().finish == "length"
    assert len(other.wait().tokens) == 60


def test_many_threads_ask_at_once(open_engine: OpenEngine) -> None:
    engine = open_engine()
    wanted = {i: ask(engine, tokens(5 + i, seed=i), 5).wait().tokens for i in range(6)}
    wrong: list[int] = []

    def client(own: int) -> None:
        for turn in range(5):
            i = (own + turn) % 6
            if ask(engine, tokens(5 + i, seed=i), 5).wait().tokens != wanted[i]:
                wrong.append(i)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert engine.totals.requests == 46


def test_a_pin_can_be_taken_once_and_is_counted(open_engine: OpenEngine) -> None:
    engine = open_engine()
    outcome = ask(engine, tokens(5, seed=1), pins=True).wait()
    assert outcome.handle
    assert engine.totals.pinned == 1
    assert engine.unpin(outcome.handle)
    assert not engine.unpin(outcome.handle)
    assert engine.totals.pinned == 0
    assert not engine.pin("st_0")
    assert engine.prompt_of("st_0") is None


@pytest.mark.anyio
async def test_an_event_loop_reads_pieces_and_a_cancelled_wait_frees_the_row(
    open_engine: OpenEngine,
) -> None:
    engine = open_engine()
    generation = ask(engine, tokens(10, seed=7), 10)
    texts = [piece.text async for piece in generation]
    assert "".join(texts) == (await generation.outcome()).text
    endless = ask(engine, tokens(10, seed=9), 100_000)
    with anyio.move_on_after(0.2):
        await endless.outcome()
    assert endless.is_cancelled
    assert wait_idle(engine)
    assert engine.totals.cancelled == 1
