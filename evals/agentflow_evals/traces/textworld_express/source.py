"""TextWorld Express as a source of training data: a teacher's episodes, in the form that a planner asks for.

Owns which episodes are played and how one becomes conversations. Only episodes that the game itself calls won are
taken; another one is an error, since a teacher of ours is to blame.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Literal

from agentflow_planners.students.names import Names, Naming
from agentflow_planners.students.prompts import of_task
from agentflow_planners.trained import Form
from agentflow_tools.textworld_express import FIRST_SEEDS, SEEDS, Fold, Game, TextWorldExpress
from pydantic import BaseModel, ConfigDict, Field

from agentflow.episodes import opening_words
from agentflow.errors import TrainingDataError
from agentflow.models.protocol import Message
from agentflow.training.student import Conversation
from agentflow_evals.suites.worlds import GOAL
from agentflow_evals.traces.textworld_express.made_up_worlds import houses, sayings
from agentflow_evals.traces.textworld_express.playing import Act, Episode, Over, Turn, play
from agentflow_evals.traces.textworld_express.quantities import with_other_quantities
from agentflow_evals.traces.textworld_express.teachers import TEACHERS

MADE_UP_WORLDS = {"sayings": sayings, "houses": houses}


class Part(BaseModel):
    """Episodes of one kind.

    Attributes:
        play: A game that a teacher knows, or one of the made-up worlds, `sayings` and `houses`.
        episodes: How many; of a game the first seeds of the fold.
        parameters: Of the game, such as `numLocations=3`; none are its usual size.
        quantities: `as_told`, or in sorting `other` ones: a thousand rooms more that are like the game's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    play: Game | Literal["sayings", "houses"]
    episodes: int = Field(ge=1)
    parameters: str = ""
    quantities: Literal["as_told", "other"] = "as_told"


def textworld_express(
    seed: int,
    lessons: Sequence[Sequence[Part]],
    fold: Fold = "train",
    form: Form = "recursive",
    names: Naming = "anonymized",
) -> Iterator[Conversation]:
    """Yield the conversations of a teacher's episodes.

    Args:
        seed: Of the codes and the made-up worlds.
        lessons: What is played, in the order in which it is learnt; see `Conversation`.
        fold: Of the games.
        form: `recursive`: a conversation for each call of a function; `flat` and `code`: one for each episode.
        names: `anonymized`: codes for them, other ones in every conversation; or `as_told`. As the option of `trained`.

    Raises:
        TrainingDataError: No teacher knows a game, there are not so many seeds, or a teacher lost.
        InputError: A game does not take these parameters.
        MissingExtraError: The games are not installed.
    """
    draw = random.Random(seed)  # noqa: S311 - names, no secrets
    for lesson, parts in enumerate(lessons):
        for part in parts:
            for episode in _played(part, fold, draw):
                for messages in _conversations(_turns(episode, form), form):
                    told = messages if names == "as_told" else _anonymized(messages, draw)
                    yield Conversation(messages=told, group=part.play, lesson=lesson)


def _played(part: Part, fold: Fold, draw: random.Random) -> Iterator[Episode]:
    if part.play == "sayings" or part.play == "houses":
        return MADE_UP_WORLDS[part.play](draw, part.episodes)
    if part.play not in TEACHERS or part.episodes > SEEDS:
        known = ", ".join((*MADE_UP_WORLDS, *TEACHERS))
        problem = f"{part.play}: teachers know {known}, up to {SEEDS} episodes of each game"
        raise TrainingDataError(place="traces", problem=problem)
    if part.quantities == "other" and part.play != "sorting":
        raise TrainingDataError(
            place="traces", problem=f"{part.play}: only sorting has other quantities"
        )
    return _games(part.play, part, fold, draw)


def _games(game: Game, part: Part, fold: Fold, draw: random.Random) -> Iterator[Episode]:
    first = FIRST_SEEDS[fold]
    world = TextWorldExpress(game, first, fold, part.parameters)
    try:
        for number in range(first, first + part.episodes):
            world.begin(number)

            def act(command: str) -> str:
                if world.is_over():
                    raise Over
                return TextWorldExpress.act.function(world, command)

            seen = opening_words("world", world.opening())
            if part.quantities == "other":
                seen = with_other_quantities(seen, draw)
                yield _played_through(game, seen, lambda command: f"You {command}.")
                continue
            episode = _played_through(game, seen, act)
            if world.score() < 1:
                problem = f"the teacher of {game} has lost the game of seed {number}"
                raise TrainingDataError(place="traces", problem=problem)
            yield episode
    finally:
        world.close()


def _played_through(game: Game, seen: str, act: Act) -> Episode:
    call = {"goal": GOAL, "seen": seen}
    return play(TEACHERS[game], "solve", call, of_task(GOAL, seen), act)


def _turns(episode: Episode, form: Form) -> list[Turn]:
    return {"recursive": episode.calls, "flat": episode.commands, "code": episode.programs}[form]


def _conversations(turns: list[Turn], form: Form) -> list[tuple[Message, ...]]:
    """Return one conversation for each call, or one for the whole episode."""
    pairs: list[tuple[Message, ...]] = [
        (Message(role="user", text=asked), Message(role="assistant", text=reply))
        for asked, reply in turns
    ]
    return pairs if form == "recursive" else [tuple(chain.from_iterable(pairs))]


def _anonymized(messages: tuple[Message, ...], draw: random.Random) -> tuple[Message, ...]:
    names = Names(salt=draw.getrandbits(32))
    return tuple(
        message.model_copy(update={"text": names.hidden(message.text)}) for message in messages
    )
