"""The official server of time, by streamable HTTP; its argument is a port, 0 for any. It prints its address."""

import socket
import sys
from importlib import import_module

import uvicorn

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    server = import_module("mcp_server_time.server").create_server("UTC")
    config = uvicorn.Config(server.streamable_http_app(), log_config=None, ws="none")
    uvicorn.Server(config).run(sockets=[listener])
