"""The page in a browser: three files, and answers to questions, on this machine only.

The server keeps nothing of what it is asked: every question carries its whole matrix, which stands
in the page, and in its address behind the #, which browsers do not send.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import os
import re
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from odemom.checks import as_integer, invalid, shown
from odemom.explore.desk import Desk

__all__ = ["PORT", "explore", "server_on"]

PORT = 8642
MOST_BYTES = 8192
FEW_DIGITS = re.compile("[0-9]{1,9}")
ASSETS = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/explore.js": ("explore.js", "text/javascript; charset=utf-8"),
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
}
QUESTIONS = {"/answer": "answer", "/motion": "motion"}
# A page of another origin can neither be framed here, nor lend this one its scripts.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def explore(
    host: str = "127.0.0.1",
    port: int = PORT,
    *,
    browser: bool = True,
    say: Callable[[str], object] = print,
) -> None:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    host : str
        The address to listen on; by default only this machine reaches the page.
    port : int
        0 takes any that is free.
    browser : bool
        Open the page.
    say : callable
        Told where the page is.

    Raises
    ------
    InvalidInputError
        If the address is none of this machine, or the port is taken or out of range.
    """
    server = server_on(host, port, lambda: Desk())
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with contextlib.suppress(KeyboardInterrupt):
            say(f"The page is at {server.url} until Ctrl-C.")
            if not server.only_here:
                say("Others on the network can open it: what they ask is computed on this machine.")
            if browser:  # beside the server: some wait until the page is there, or is closed
                threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
            server.serve_forever(poll_interval=0.2)
    finally:
        signal.signal(signal.SIGTERM, previous)
        server.server_close()
        server.desk.close()


def server_on(host: str, port: int, desk: Callable[[], Any]) -> Server:
    """A server that listens; its `url` says where. The desk is made when the port is had."""
    as_integer(port, "port", 0, 65535)
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        server = Server((str(address[0]), int(address[1])), family, host)
    except (OSError, UnicodeError) as error:
        raise _no_server(host, port, error) from None
    server.desk = desk()
    return server


def _no_server(host: str, port: int, error: Exception) -> Exception:
    if isinstance(error, PermissionError):
        return invalid(
            "port", got=f"{port}, which needs more rights", expected="a port from 1024 to 65535"
        )
    if isinstance(error, OSError) and error.errno in _taken():
        return invalid(
            "port",
            got=f"{port}, which another program listens on",
            expected="a free one",
            fix="--port 0 takes any that is free.",
        )
    return invalid("host", got=shown(host), expected="a name or an address of this machine")


def _taken() -> set[int]:
    return {errno.EADDRINUSE, 10048, 10013}  # the last two on Windows


class Server(ThreadingHTTPServer):
    """The page's server.

    Attributes
    ----------
    desk : Desk
        Where questions go.
    """

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # where it would share a port with another program
    desk: Any

    def __init__(self, address: tuple[str, int], family: int, name: str) -> None:
        self.address_family = family
        self._names = {"127.0.0.1", "localhost", "[::1]", name.lower()}
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind, without the name look-up of the base class, which can take seconds."""
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, int(self.allow_reuse_address)
        )
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    @property
    def only_here(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.server_name).is_loopback

    @property
    def url(self) -> str:
        """The address of the page."""
        address = ipaddress.ip_address(self.server_name)
        six = address.version == 6
        if address.is_unspecified:
            host = "[::1]" if six else "127.0.0.1"
        else:
            host = f"[{address}]" if six else str(address)
        return f"http://{host}:{self.server_port}/"

    def knows(self, host: str) -> bool:
        """Whether a request is for this server, not for a name that was bent to this machine."""
        name = re.sub(r":\d*$", "", host.lower())
        return not self.only_here or name in self._names

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A visitor that went away is no news; all else is."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers one visitor."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        """The files of the page."""
        asset = ASSETS.get(self.path.partition("?")[0])
        if not self._is_for_here():
            return
        if asset is None:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"There is only /.")
            return
        name, kind = asset
        content = files("odemom.explore").joinpath("assets", name).read_bytes()
        self._send(HTTPStatus.OK, kind, content)

    def do_POST(self) -> None:
        """The answer to a question."""
        if not self._is_for_here():
            return
        part = QUESTIONS.get(self.path)
        length = self.headers.get("Content-Length", "")
        fits = FEW_DIGITS.fullmatch(length) is not None and int(length) <= MOST_BYTES
        # Of this type a page of another origin cannot post without asking.
        is_json = self.headers.get_content_type() == "application/json"
        if part is None or not fits or not is_json:
            self.close_connection = True
            self._refuse("expected JSON of at most 8192 bytes, to /answer or /motion")
            return
        try:
            fields = json.loads(self.rfile.read(int(length)))
            answer = self._here.desk.ask(part, fields)
        except (ValueError, RecursionError):  # the second of what can be read and not be written
            self._refuse("expected JSON")
            return
        self._send(HTTPStatus.OK, "application/json", answer.encode())

    @property
    def _here(self) -> Server:
        assert isinstance(self.server, Server)
        return self.server

    def _is_for_here(self) -> bool:
        if self._here.knows(self.headers.get("Host", "")):
            return True
        self.close_connection = True
        self._send(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", b"This name is not mine.")
        return False

    def _refuse(self, sentence: str) -> None:
        body = json.dumps({"error": sentence}).encode()
        self._send(HTTPStatus.BAD_REQUEST, "application/json", body)

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        """What the server calls itself: no versions."""
        return "odemom"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is not full of requests."""
