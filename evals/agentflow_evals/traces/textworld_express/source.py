"""TextWorld Express as a source of training data: a teacher's episodes, in the form that a planner asks for.

Owns which episodes are played and how one becomes conversations. Only episodes that the game itself calls won are
taken; another one is an error, since a teacher of ours is to blame.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Literal

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
from agentflow_evals.traces.textworld_express.playing import Episode, Over, Turn, play
from agentflow_evals.traces.textworld_express.renaming import renamed
from agentflow_evals.traces.textworld_express.teachers import TEACHERS

MADE_UP_WORLDS = {"sayings": sayings, "houses": houses}


class Part(BaseModel):
    """Episodes of one kind.

    Attributes:
        play: A game that a teacher knows, or one of the made-up worlds, `sayings` and `houses`.
        episodes: How many; of a game the first seeds of the fold.
        parameters: Of the game, such as `numLocations=3`; none are its usual size.
        made_up: Share of the episodes whose things get other names; None for that of the whole source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    play: Game | Literal["sayings", "houses"]
    episodes: int = Field(ge=1)
    parameters: str = ""
    made_up: float | None = Field(default=None, ge=0, le=1)


def textworld_express(
    seed: int,
    lessons: Sequence[Sequence[Part]],
    fold: Fold = "train",
    form: Form = "recursive",
    made_up: float = 0.5,
) -> Iterator[Conversation]:
    """Yield the conversations of a teacher's episodes.

    Args:
        seed: Of the names and the made-up worlds.
        lessons: What is played, in the order in which it is learnt; see `Conversation`.
        fold: Of the games.
        form: `recursive`: a conversation for each call of a function; `flat` and `code`: one for each episode.
        made_up: Share of the games' episodes whose things get other names, where a part does not say it.

    Raises:
        TrainingDataError: No teacher knows a game, there are not so many seeds, or a teacher lost.
        InputError: A game does not take these parameters.
        MissingExtraError: The games are not installed.
    """
    draw = random.Random(seed)  # noqa: S311 - names, no secrets
    for lesson, parts in enumerate(lessons):
        for part in parts:
            for episode in _played(part, fold, draw):
                turns = _turns(episode, form)
                share = made_up if part.made_up is None else part.made_up
                if part.play not in MADE_UP_WORLDS and draw.random() < share:
                    turns = _renamed(turns, episode, draw)
                yield from _conversations(turns, form, part.play, lesson)


def _played(part: Part, fold: Fold, draw: random.Random) -> Iterator[Episode]:
    if part.play == "sayings" or part.play == "houses":
        return MADE_UP_WORLDS[part.play](draw, part.episodes)
    if part.play not in TEACHERS or part.episodes > SEEDS:
        known = ", ".join((*MADE_UP_WORLDS, *TEACHERS))
        problem = f"{part.play}: teachers know {known}, up to {SEEDS} episodes of each game"
        raise TrainingDataError(place="traces", problem=problem)
    return _games(part.play, part, fold)


def _games(game: Game, part: Part, fold: Fold) -> Iterator[Episode]:
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
            call = {"goal": GOAL, "seen": seen}
            episode = play(TEACHERS[game], "solve", call, of_task(GOAL, seen), act)
            if world.score() < 1:
                problem = f"the teacher of {game} has lost the game of seed {number}"
                raise TrainingDataError(place="traces", problem=problem)
            yield episode
    finally:
        world.close()


def _turns(episode: Episode, form: Form) -> list[Turn]:
    return {"recursive": episode.calls, "flat": episode.commands, "code": episode.programs}[form]


def _renamed(turns: list[Turn], episode: Episode, draw: random.Random) -> list[Turn]:
    """Return turns with made-up names; the same ones in every form, since they come from the same programs."""
    texts = [text for turn in turns for text in turn]
    new = renamed(texts, [reply for _asked, reply in episode.calls], draw)
    return list(zip(new[::2], new[1::2], strict=True))


def _conversations(
    turns: list[Turn], form: Form, group: str, lesson: int
) -> Iterator[Conversation]:
    pairs = [
        (Message(role="user", text=asked), Message(role="assistant", text=reply))
        for asked, reply in turns
    ]
    if form == "recursive":
        for pair in pairs:
            yield Conversation(messages=pair, group=group, lesson=lesson)
    else:
        messages = tuple(message for pair in pairs for message in pair)
        yield Conversation(messages=messages, group=group, lesson=lesson)
