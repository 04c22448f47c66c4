"""The first stage: conversations into a tokenizer and sequences of ids, once for a folder.

Owns `data.json` and what it counts. A resumed training reads the sequences and asks the source no more.
"""

import hashlib
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agentflow.errors import TrainingDataError
from agentflow.recurrent.text.tokenizer import Tokenizer
from agentflow.training.student.conversations import Conversation
from agentflow.training.student.encoding import Encoded, encode_all
from agentflow.training.student.folder import DATA, SEQUENCES, StudentFolder
from agentflow.training.student.recipe import Recipe
from agentflow.training.student.sources import conversations_of
from agentflow.training.student.tokenizers import train_tokenizer

Tell = Callable[[str], None]
PACKAGES = ("agentflow", "torch", "tokenizers", "transformers", "safetensors")


def corpus_of(recipe: Recipe, folder: StudentFolder, *, base: Path, tell: Tell) -> Encoded:
    """Return the sequences of a recipe, made unless they are there.

    Args:
        recipe: Names the source and the size of the vocabulary.
        folder: Where the tokenizer and the sequences are kept.
        base: The folder that the recipe's paths are relative to.
        tell: Hears in words what is being done.

    Raises:
        TrainingDataError: There are no conversations, or one cannot be learnt.
    """
    if folder.read(DATA) is not None:
        return Encoded.load(folder.path / SEQUENCES)
    begun = time.monotonic()
    tell("collecting conversations")
    found = list(conversations_of(recipe.data, base=base, seed=recipe.seed))
    if not found:
        raise TrainingDataError(place="data", problem="the source gives no conversations")
    for conversation in found:
        conversation.learnt()  # what cannot be learnt is said before anything is made of it
    tell(f"training a tokenizer on {len(found):,} conversations")
    sizes = recipe.tokenizer
    tokenizer = train_tokenizer(
        found,
        folder.path,
        vocabulary=sizes.vocabulary,
        most_phrases=sizes.phrases,
        most_words=sizes.words,
        digits=sizes.digits,
    )
    tell("encoding")
    encoded = encode_all(found, tokenizer)
    encoded.save(folder.path / SEQUENCES)
    facts = _facts(found, encoded, tokenizer)
    folder.write(DATA, facts | {"seconds": round(time.monotonic() - begun, 1)})
    return encoded


def versions() -> dict[str, str]:
    """Return the versions of what a model depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def _facts(found: list[Conversation], encoded: Encoded, tokenizer: Tokenizer) -> dict[str, Any]:
    groups = Counter(conversation.group for conversation in found)
    return {
        "conversations": len(found),
        "groups": {name: groups[name] for name in sorted(groups) if name},
        "replies": sum(len(conversation.learnt()) for conversation in found),
        "tokens": len(encoded.tokens),
        "learnt_tokens": int(encoded.learnt.sum()),
        "longest": int((encoded.starts[1:] - encoded.starts[:-1]).max()),
        "vocabulary": tokenizer.vocabulary_size,
        "digest": _digest(found),
        "versions": versions(),
    }


def _digest(conversations: Iterable[Conversation]) -> str:
    """Return a hash of all that is said and learnt, in its order."""
    found = hashlib.blake2b(digest_size=16)
    for conversation in conversations:
        found.update(conversation.model_dump_json().encode("utf-8", "surrogatepass") + b"\n")
    return found.hexdigest()
