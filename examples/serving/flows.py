"""A flow to serve, without a model and a key: the longest words of a text, a paragraph at a time.

agentflow serve-flow flows:longest_words --api-key-env FLOW_KEY
"""

from pydantic import BaseModel

from agentflow import ask, flow, parallel


class Found(BaseModel):
    paragraph: int
    words: list[str]


@flow
async def longest_of(paragraph: int, text: str, count: int) -> Found:
    words = sorted(set(text.split()), key=lambda word: (-len(word), word))
    return Found(paragraph=paragraph, words=words[:count])


@flow
async def longest_words(text: str, count: int = 3) -> list[Found]:
    """Find the longest words of each paragraph."""
    paragraphs = [part for part in text.split("\n\n") if part.strip()]
    return await parallel(
        longest_of(number, part, count) for number, part in enumerate(paragraphs, 1)
    )


@flow
async def approved(text: str) -> str:
    """Find the longest word, and ask a person whether it will do."""
    found = await longest_of(1, text, 1)
    verdict: str = await ask(f"Will {found.words[0]!r} do?", choices=("yes", "no"))
    return f"{found.words[0]}: {verdict}"
