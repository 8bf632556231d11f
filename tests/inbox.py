"""A web server and a mail server on this computer, which keep what is sent to them."""

import json
import socketserver
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeVar

Server = TypeVar("Server", bound=socketserver.BaseServer)


class Inbox(ThreadingHTTPServer):
    """Keeps what is posted to it, and answers with a status, after `delay_s` seconds.

    Attributes
    ----------
    first_statuses : of the next answers, before `status`
    """

    def __init__(self, status: int = 200, delay_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.status, self.delay_s = status, delay_s
        self.first_statuses: list[int] = []
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.bodies: list[tuple[dict[str, str], str]] = []  # headers in lowercase, and the text

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What was posted, the oldest first."""
        return [message for _, message in self.received]


class _Post(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        """Keep a message and answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, json.loads(body)))
        self.server.bodies.append(({name.lower(): value for name, value in self.headers.items()}, body.decode()))
        time.sleep(self.server.delay_s)
        with suppress(ConnectionError):  # of a client that no longer waits
            self.send_response(self.server.first_statuses.pop(0) if self.server.first_statuses else self.server.status)
            self.end_headers()
            self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Nothing: the test's output is searched for secrets."""


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks enough SMTP to receive an e-mail."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Smtp)
        self.mails: list[EmailMessage] = []


class _Smtp(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        """Receive e-mails until the client disconnects."""
        self.wfile.write(b"220 ready\r\n")
        for line in self.rfile:
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                self.server.mails.append(message_from_bytes(b"".join(self.read_mail()), policy=policy.default))
            self.wfile.write(b"250 fine\r\n")

    def read_mail(self) -> Iterator[bytes]:
        """Lines of an e-mail."""
        while (line := self.rfile.readline()) != b".\r\n":
            yield line


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Let a server answer until the end of the block."""
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
