"""Lets nobody but its own page talk to a server of this machine."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio import server as websockets
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

LOOPBACK = "127.0.0.1"


class Guard:
    """Answers requests that do not come from the page whose address holds the token.

    The page's address gives the browser a cookie, and what the page then asks for brings it along. A foreign page may
    make a browser send requests here, but reads neither, and is refused by its origin; a name that is made to lead to
    this machine is refused as a host.

    >>> guard = Guard("secret")
    >>> guard.page(8080)
    'http://127.0.0.1:8080/?token=secret'
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def page(self, port: int) -> str:
        """Returns the address of the page."""
        return f"http://{LOOPBACK}:{port}/?token={self._token}"

    def refusal(self, request: Request, port: int) -> str:
        """Returns why a request is refused, in one line; empty where it is not."""
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        hosts = (f"{LOOPBACK}:{port}", f"localhost:{port}")
        if host not in hosts:
            return f"host is {host[:60]!r}, expected {hosts[0]}"
        if origin is not None and origin not in [f"http://{each}" for each in hosts]:
            return f"origin is {origin[:60]!r}, expected http://{hosts[0]}"
        asked = parse_qs(urlsplit(request.path).query).get("token", [""])[0]
        shown = [asked, _cookie(request, _name(port))]
        if not any(secrets.compare_digest(each.encode(), self._token.encode()) for each in shown):
            return "the token is missing or wrong, expected the address that limbshift watch printed"
        return ""

    def cookie(self, port: int) -> str:
        """Returns the header by which the browser brings the token along from then on."""
        return f"{_name(port)}={self._token}; HttpOnly; SameSite=Strict; Path=/"

    @contextmanager
    def over_servers(self) -> Iterator[None]:
        """Puts itself before every WebSocket server that is started meanwhile, and before the pages that it serves.

        The library that makes the page starts its server by itself, and takes no such check.
        """
        serve = websockets.serve

        def guarded(handler: Any, host: str, port: int, *, process_request: Callable[..., Any], **options: Any) -> Any:
            def check(connection: websockets.ServerConnection, request: Request) -> Response | None:
                bound = connection.local_address[1]
                if reason := self.refusal(request, bound):
                    return _plain(HTTPStatus.FORBIDDEN, reason)
                response: Response | None = process_request(connection, request)
                if response is not None:
                    response.headers["Set-Cookie"] = self.cookie(bound)
                return response

            return serve(handler, host, port, process_request=check, **options)

        setattr(websockets, "serve", guarded)  # noqa: B010 - by its name, which the type checker holds to be final
        try:
            yield
        finally:
            setattr(websockets, "serve", serve)  # noqa: B010


def _name(port: int) -> str:
    """Cookies do not tell ports apart."""
    return f"limbshift-{port}"


def _cookie(request: Request, name: str) -> str:
    try:
        cookies = SimpleCookie(request.headers.get("Cookie", ""))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _plain(status: HTTPStatus, text: str) -> Response:
    body = f"{text}\n".encode()
    headers = Headers({"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))})
    return Response(status.value, status.phrase, headers, body)
