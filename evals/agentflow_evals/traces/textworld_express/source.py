"""TextWorld Express as a source of training data: a teacher's episodes, in the form that a planner asks for.

Owns which games and seeds are played and how an episode becomes conversations. Only episodes that the game itself
calls won are taken; the others are an error, since a teacher of ours is to blame.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Literal

from agentflow_planners.students.prompts import of_task
from agentflow_tools.textworld_express import FIRST_SEEDS, SEEDS, Fold, Game, TextWorldExpress

from agentflow.episodes import opening_words
from agentflow.errors import TrainingDataError
from agentflow.models.protocol import Message
from agentflow.training.student import Conversation
from agentflow_evals.suites.worlds import GOAL
from agentflow_evals.traces.textworld_express.lessons import houses, sayings
from agentflow_evals.traces.textworld_express.playing import Episode, Over, Turn, play
from agentflow_evals.traces.textworld_express.renaming import renamed
from agentflow_evals.traces.textworld_express.teachers import TEACHERS

Form = Literal["recursive", "flat", "code"]
LESSONS = {"sayings": sayings, "houses": houses}


def textworld_express(
    seed: int,
    games: Sequence[Game],
    seeds: int | dict[str, int] = 200,
    fold: Fold = "train",
    form: Form = "recursive",
    made_up: float = 0.5,
    lessons: int = 0,
) -> Iterator[Conversation]:
    """Yield the conversations of a teacher's episodes.

    Args:
        seed: Of the made-up names.
        games: Those that a teacher knows.
        seeds: How many of the fold's first seeds of each game; a mapping says it by game.
        fold: Of the games.
        form: `recursive`: a conversation for each call of a function; `flat` and `code`: one for each episode.
        made_up: Share of the episodes whose things get made-up names.
        lessons: How many made-up episodes of each of the two lessons come first; see `lessons`.

    Raises:
        TrainingDataError: No teacher knows a game, there are not so many seeds, or a teacher lost.
        MissingExtraError: The games are not installed.
    """
    draw = random.Random(seed)  # noqa: S311 - names, no secrets
    for lesson, (name, make) in enumerate(LESSONS.items()):
        for episode in make(draw, lessons):
            yield from _conversations(_turns(episode, form), form, name, lesson)
    for game in games:
        count = seeds if isinstance(seeds, int) else seeds.get(game, 0)
        if game not in TEACHERS or count > SEEDS:
            problem = f"{game}: teachers know {', '.join(TEACHERS)}, up to {SEEDS} seeds of each"
            raise TrainingDataError(place="traces", problem=problem)
        for episode in _episodes(game, count, fold):
            turns = _turns(episode, form)
            if draw.random() < made_up:
                turns = _renamed(turns, episode, draw)
            yield from _conversations(turns, form, game, len(LESSONS))


def _episodes(game: Game, count: int, fold: Fold) -> Iterator[Episode]:
    first = FIRST_SEEDS[fold]
    world = TextWorldExpress(game, first, fold)
    try:
        for number in range(first, first + count):
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
