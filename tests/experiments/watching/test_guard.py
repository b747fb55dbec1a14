"""Who may talk to the page's server."""

from http.client import HTTPConnection

import pytest
from websockets.asyncio import server as websockets
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from limbshift.envs.errors import InputError
from limbshift.experiments.watching.guard import Guard
from limbshift.experiments.watching.watch import free_port, serving

TOKEN = "the-token"


def status(port: int, path: str, **headers: str) -> tuple[int, str]:
    """Asks for a page; returns the status and what was answered."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    told = answer.read().decode(errors="replace") if answer.status != 200 else answer.getheader("Set-Cookie", "")
    connection.close()
    return answer.status, told


def test_only_the_page_itself_is_let_in() -> None:
    with serving(Guard(TOKEN), 0) as server:
        port = server.get_port()
        good, mine = f"/?token={TOKEN}", {"Cookie": f"limbshift-{port}={TOKEN}"}
        found, cookie = status(port, good)
        assert found == 200
        assert cookie == f"limbshift-{port}={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
        assert status(port, "/", **mine)[0] == 200
        assert status(port, good, Host=f"localhost:{port}")[0] == 200
        for path, headers, why in (
            ("/", {}, "the token is missing or wrong"),
            ("/?token=wrong", {}, "the token is missing or wrong"),
            ("/?token=", {}, "the token is missing or wrong"),
            ("/", {"Cookie": f"limbshift-{port}=wrong"}, "the token is missing or wrong"),
            ("/", {"Cookie": f"limbshift-{port + 1}={TOKEN}"}, "the token is missing or wrong"),
            ("/", {"Cookie": 'x="\\'}, "the token is missing or wrong"),
            (good, {"Origin": "http://evil.example"}, "origin is 'http://evil.example', expected http://127.0.0.1:"),
            (good, {"Origin": "null"}, "origin is 'null', expected"),
            (good, {"Host": f"evil.example:{port}"}, "host is 'evil.example:"),
        ):
            found, told = status(port, path, **headers)
            assert (found, told[: len(why)]) == (403, why)
            assert told.count("\n") == 1


def test_sockets_are_guarded_too() -> None:
    with serving(Guard(TOKEN), 0) as server:
        port = server.get_port()
        address, mine = f"ws://127.0.0.1:{port}", {"Cookie": f"limbshift-{port}={TOKEN}"}
        with connect(address, additional_headers=mine, origin=Origin(f"http://127.0.0.1:{port}")):
            pass
        for headers, origin in (({}, None), (mine, Origin("http://evil.example")), ({"Cookie": "limbshift=1"}, None)):
            with pytest.raises(InvalidStatus, match="403"):
                connect(address, additional_headers=headers, origin=origin)


def test_nothing_but_this_machine_is_served_and_a_taken_port_is_one_line() -> None:
    with serving(Guard(TOKEN), 0) as server:
        assert server.get_host() == "127.0.0.1"
        port = server.get_port()
        with pytest.raises(InputError, match=rf"^port {port} is taken \(.*\), expected a free one, or 0 for any$"):
            free_port(port)
    assert free_port(port) == port


def test_other_servers_are_as_they_were() -> None:
    before = websockets.serve
    with serving(Guard(TOKEN), 0):
        assert websockets.serve is before
