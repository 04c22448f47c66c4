"""Whoever is not the viewer's own page gets nothing, whatever is sent."""

import pytest
from agentflow_web.server.guard import MAX_BODY_BYTES

from tests.web.server.site import Site

HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1:{port}.evil.example",
    "127.0.0.1:{port}@evil.example",
    "localhost",
    "localhost.:{port}",
    "",
    "[::1]",
    "127.0.0.1:{port}, evil.example",
]
PATHS = [
    "/../../etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/static/../app.js",
    "/app.js/..",
    "/app.js%00",
    "/app.js%00.css",
    "//app.js",
    "/./app.js",
    "/APP.JS",
    "/index.html",
    "/app.js/",
    "/%2e%2e%5cetc",
    "/server/app.py",
    "http://evil.example/app.js",
]
RUNS = ["..", "%2e%2e", "%2e%2e%2f%2e%2e", "a%00b", "a%2fb", "%ff", "a%20b", "'--", "*", "a" * 999]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/", "/app.js", "/api/runs", "/nothing"])
def test_a_foreign_host_gets_nothing(served: Site, host: str, path: str) -> None:
    port = served.host.rpartition(":")[2]
    reply = served.get(path, Host=host.format(port=port))
    assert reply.status == 400
    assert reply.json["error"]["type"] == "UnknownHost"


def test_no_host_at_all_gets_nothing(served: Site) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b" 400 " in connection.makefile("rb").readline()


def test_two_hosts_get_nothing(served: Site) -> None:
    with served.connect() as connection:
        ours, evil = f"Host: {served.host}\r\n", "Host: evil.example\r\n"
        connection.sendall(f"GET / HTTP/1.1\r\n{ours}{evil}\r\n".encode())
        assert b" 400 " in connection.makefile("rb").readline()


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_every_name_of_this_machine_is_ours(served: Site, name: str) -> None:
    port = served.host.rpartition(":")[2]
    assert served.get("/api/runs", Host=f"{name}:{port}").status == 200


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        "bearer {token}",
        "Basic {token}",
        "{token}",
        "Bearer  {token}",
        "Bearer {token}x",
        "Bearer \xe9",
    ],
)
@pytest.mark.parametrize("path", ["/api", "/api/", "/api/runs", "/api/nothing"])
def test_a_call_without_the_token_gets_nothing(served: Site, given: str | None, path: str) -> None:
    told = None if given is None else given.format(token=served.serving.token)
    reply = served.get(path, Authorization=told)
    assert reply.status == 401
    assert served.serving.token not in reply.body.decode()


def test_the_token_counts_nowhere_but_in_its_header(served: Site) -> None:
    token = served.serving.token
    assert served.get(f"/api/runs?t={token}&token={token}", Authorization=None).status == 401
    cookie = {"Host": served.host, "Cookie": f"token={token}"}
    assert served.raw("GET", "/api/runs", cookie).status == 401


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "https://{host}",
        "http://{host}.evil.example",
        "http://",
        "http://localhost",
        "{host}",
        "http://{host}/",
        "file://",
        "http://{host} http://evil.example",
    ],
)
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
def test_another_origin_changes_nothing(served: Site, origin: str | None, method: str) -> None:
    given = None if origin is None else origin.format(host=served.host)
    reply = served.send(method, "/api/runs/first-run_1/annotations", {"text": "x"}, Origin=given)
    assert reply.status == 403
    assert reply.json["error"]["type"] == "ForeignOrigin"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_what_the_browser_says_another_page_sent_changes_nothing(served: Site, site: str) -> None:
    reply = served.post("/api/runs/first-run_1/resume", {}, Sec_Fetch_Site=site)
    assert reply.status == 403


def test_another_page_cannot_read_either(served: Site) -> None:
    assert served.get("/api/runs", Sec_Fetch_Site="cross-site").status == 403
    assert served.get("/", Sec_Fetch_Site="cross-site").status in (200, 503)  # a link to the page


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"]
)
def test_a_body_that_a_form_can_send_changes_nothing(served: Site, kind: str | None) -> None:
    reply = served.post("/api/runs/first-run_1/resume", {}, Content_Type=kind)
    assert reply.status == 415


def test_a_body_longer_than_allowed_is_not_read(served: Site) -> None:
    headers = served.headers() | {"Content-Length": str(MAX_BODY_BYTES + 1)}
    assert served.raw("POST", "/api/runs/first-run_1/resume", headers).status == 413


def test_a_body_without_a_length_is_counted(served: Site) -> None:
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    body = piece * (MAX_BODY_BYTES // 0x10000 + 1) + b"0\r\n\r\n"
    headers = served.headers() | {"Transfer-Encoding": "chunked"}
    assert served.raw("POST", "/api/runs/first-run_1/resume", headers, body).status == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'{"a": NaN}', b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_object_is_refused(served: Site, body: bytes) -> None:
    headers = served.headers() | {"Content-Length": str(len(body))}
    reply = served.raw("POST", "/api/runs/first-run_1/resume", headers, body)
    assert (reply.status, reply.json["error"]["type"]) == (400, "BadBody")


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_another_file(served: Site, path: str) -> None:
    assert served.get(path).status == 404


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("rest", ["", "/changes?after=0", "/annotations", "/live/1", "/search?q=a"])
def test_no_id_of_a_run_leads_elsewhere(served: Site, run: str, rest: str) -> None:
    assert served.get(f"/api/runs/{run}{rest}").status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/", "/app.js", "/api/runs"])
def test_what_is_only_read_takes_no_other_method(served: Site, method: str, path: str) -> None:
    assert served.send(method, path, {}).status == 405


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT"])
def test_no_other_page_is_told_what_it_may_do(served: Site, method: str) -> None:
    headers = {"Host": served.host, "Origin": "http://evil.example"}
    asked = {"Access-Control-Request-Method": "POST"}
    reply = served.raw(method, "/api/runs", headers | asked)
    assert reply.status >= 400
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/", {}),
        ("/app.js", {}),
        ("/nothing", {}),
        ("/api/runs", {}),
        ("/api/runs/unknown", {}),
        ("/api/runs", {"Authorization": None}),
        ("/api/runs", {"Host": "evil.example"}),
    ],
)
def test_every_reply_tells_the_browser_to_be_careful(
    served: Site, path: str, changes: dict[str, str | None]
) -> None:
    headers = served.get(path, **changes).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    for rule in ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"):
        assert rule in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"]
    assert not {"set-cookie", "server"} & set(headers)
    assert not [name for name in headers if name.startswith("access-control")]
