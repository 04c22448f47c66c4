"""A server that answers Chat Completions in the time that a model would take.

It is a process of its own, so that it does not share Python's lock with what is measured. Words are its
tokens; it writes as many as the request allows.
"""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

WRITTEN = 8  # tokens, where a request sets no limit


@dataclass(frozen=True)
class Pace:
    """How long a call takes, in seconds; `noise` is the sigma of a log-normal factor."""

    fixed_s: float
    input_token_s: float = 0.0
    output_token_s: float = 0.0
    noise: float = 0.0


@contextmanager
def model_server(pace: Pace) -> Iterator[str]:
    """Start the server as a process and give its address."""
    command = [sys.executable, "-m", "benchmarks.model_server", json.dumps(asdict(pace))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def serve(pace: Pace) -> None:
    """Answer Chat Completions for ever, on a free port that is printed."""
    chance = random.Random(5)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                ratio = chance.lognormvariate(-(pace.noise**2) / 2, pace.noise)
                await answer(head, reader, writer, pace, ratio)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


async def answer(
    head: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pace: Pace,
    ratio: float,
) -> None:
    """Take the time that the request's tokens ask for, writing as a model would."""
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    body = json.loads(await reader.readexactly(int(fields[b"content-length"])))
    prompt = sum(len(message["content"].split()) for message in body["messages"])
    written = body.get("max_tokens") or WRITTEN
    loop = asyncio.get_running_loop()
    due = loop.time() + ratio * (pace.fixed_s + prompt * pace.input_token_s)
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for place in range(written):
        due += ratio * pace.output_token_s
        if place % 4 == 3:
            await asyncio.sleep(max(0.0, due - loop.time()))
            _event(writer, {"choices": [_choice({"content": "word " * 4})]})
    await asyncio.sleep(max(0.0, due - loop.time()))
    _event(writer, {"choices": [_choice({"content": "word " * (written % 4)}, "stop")]})
    usage = {"prompt_tokens": prompt, "completion_tokens": written}
    _event(writer, {"choices": [], "usage": usage | {"total_tokens": prompt + written}})
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    await writer.drain()


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _event(writer: asyncio.StreamWriter, fields: dict[str, Any]) -> None:
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "timed"}
    data = f"data: {json.dumps(head | fields)}\n\n".encode()
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


if __name__ == "__main__":
    asyncio.run(serve(Pace(**json.loads(sys.argv[1]))))
