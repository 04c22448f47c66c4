"""A real local server that speaks the hosted models' APIs, scripted by a test.

    with WireServer([fails(429, retry_after="2"), says("Hello, ", "world")]) as server:
        model = open_openai(ModelSpec(provider="openai", name="m", base_url=server.openai_url))
        ...
        assert server.requests[0].prompt == "Hi"

Instead of a list, give a function of the request: `WireServer(lambda seen: says(seen.prompt.upper()))`.
"""

from tests.wire.script import Scripted, Seen, calls, fails, gives_json, says
from tests.wire.server import WireServer

__all__ = ["Scripted", "Seen", "WireServer", "calls", "fails", "gives_json", "says"]
