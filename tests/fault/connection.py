"""One client's connection to one life of the daemon."""

import http.client
import json
import socket
import struct
import threading

from harness import PATIENCE


class Broken(Exception):
    """The daemon died under the request."""


class Connection:
    """A connection to one life of the daemon that knows whom to blame when it breaks."""

    def __init__(self, ledger, life):
        self.ledger = ledger
        self.life = life
        self.http = http.client.HTTPConnection("127.0.0.1", life.port, timeout=PATIENCE)
        self.response = None
        self.what = ""
        threading.current_thread().connection = self

    def broken(self, error):
        """What it means that the connection broke."""
        if not self.life.dying:
            self.ledger.blame(f"{self.what}: {error!r} from a living daemon")
        return Broken()

    def send(self, method, path, body=None, headers=None):
        self.what = f"{method} {path}"
        try:
            self.http.request(method, path, None if body is None else json.dumps(body), headers or {})
        except OSError as error:
            raise self.broken(error) from None

    def receive(self):
        """The status and the body of the answer."""
        try:
            self.response = self.http.getresponse()
            status, text = self.response.status, self.response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self.broken(error) from None
        if status >= 500 and not (self.what.endswith("/search") and b'"timed_out"' in text):
            self.ledger.blame(f"{self.what}: {status} {text!r}")
        return status, json.loads(text) if text else None

    def events(self):
        """The events of a stream, until it ends in whatever way."""
        event = {}
        try:
            for line in self.response:
                key, _, value = line.decode().rstrip("\n").partition(": ")
                if key in ("id", "event", "data"):
                    event[key] = value
                elif not key and event:
                    yield int(event["id"]) if "id" in event else None, event["event"], event["data"]
                    event = {}
        except (OSError, http.client.HTTPException) as error:
            raise self.broken(error) from None

    def begin_stream(self):
        try:
            self.response = self.http.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self.broken(error) from None
        return self.response.status

    def reset(self):
        """Leaves without a word: the peer gets a reset."""
        if self.http.sock:
            self.http.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.ledger.count("connections reset")
        self.close()

    def close(self):
        if self.response:
            self.response.close()
        self.http.close()
