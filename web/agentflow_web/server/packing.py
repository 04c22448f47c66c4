"""Send replies gzipped to whoever takes them so.

Owns the choice. Streams are left as they are: packing would hold back what is to be seen at once.
"""

import gzip

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

MIN_BYTES = 1000
LEVEL = 4
LARGE_BYTES = 200_000  # longer ones would hold up the other requests


def takes_gzip(request: Request) -> bool:
    """Whether the client reads gzip."""
    for part in request.headers.get("accept-encoding", "").split(","):
        name, _, weight = part.strip().partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def packed(request: Request, response: Response) -> Response:
    """Return the reply as the client should get it."""
    if isinstance(response, StreamingResponse) or "content-encoding" in response.headers:
        return response
    if len(response.body) < MIN_BYTES or not takes_gzip(request):
        return response
    data = bytes(response.body)
    if len(data) > LARGE_BYTES:
        data = await to_thread.run_sync(gzip.compress, data, LEVEL)
    else:
        data = gzip.compress(data, LEVEL)
    kept = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(
        data,
        response.status_code,
        headers=kept | {"content-encoding": "gzip", "vary": "accept-encoding"},
    )
