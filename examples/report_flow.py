"""Flows in plain Python: typed, nested, parallel. Needs no model and no key.

python examples/report_flow.py
"""

from collections import Counter

from pydantic import BaseModel

from agentflow import Runner, flow, parallel, tool

TEXTS = {
    "rain": "rain rain go away come again another day",
    "star": "twinkle twinkle little star how i wonder what you are",
}


class Summary(BaseModel):
    title: str
    words: int
    favourite: str


@tool
def read(title: str) -> str:
    """Return a text by its title."""
    return TEXTS[title]


@flow
async def summarise(title: str) -> Summary:
    words = (await read(title)).split()
    return Summary(title=title, words=len(words), favourite=Counter(words).most_common(1)[0][0])


@flow
async def report(titles: list[str]) -> list[Summary]:
    return await parallel(summarise(title) for title in titles)


if __name__ == "__main__":
    result = Runner(journal=":memory:").run(report, list(TEXTS))
    for summary in result.output:
        print(f"{summary.title}: {summary.words} words, mostly {summary.favourite!r}")
    print(f"{len(result.record.steps)} steps in run {result.id}")
