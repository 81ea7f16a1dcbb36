"""Black-box tests: starts the real daemon, speaks HTTP to it, and checks every answer
against the OpenAPI document that it serves (and, where it is at hand, the protocol's own)."""

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import uuid
from pathlib import Path

import jsonschema

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("APD_BUILD_DIR", ROOT / "build" / "dev"))
APD = BUILD / "bin" / "apd"
PLUGINS = BUILD / "plugins"
EXAMPLES = BUILD / "examples"
TEST_PLUGINS = BUILD / "tests" / "plugins"
# The protocol's document is not part of this project; tests use it when it is there.
SPEC = Path(os.environ.get("AGENT_PROTOCOL_SPEC", ROOT.parent / "shared" / "spec" / "openapi.json"))
# Statuses that any route may answer beside those of its operation.
ALWAYS = {401, 403, 405, 413, 426, 429, 500, 503}
PATIENCE = float(os.environ.get("APD_TEST_PATIENCE", "30"))


class Document:
    """An OpenAPI document as a checker of answers."""

    def __init__(self, document):
        self.document = document
        self.routes = []
        for path, methods in document["paths"].items():
            pattern = re.compile("^" + re.sub(r"\{[^}]+\}", "[^/]+", path) + "$")
            for method, operation in methods.items():
                if method in ("get", "post", "put", "patch", "delete"):
                    self.routes.append((method.upper(), pattern, path.count("{"), operation))
        self.routes.sort(key=lambda route: route[2])

    def operation(self, method, path):
        for route_method, pattern, _, operation in self.routes:
            if route_method == method and pattern.match(path):
                return operation
        return None

    def check(self, method, path, status, content_type, body):
        """Asserts that the answer is one that the document allows; ignores unknown routes."""
        operation = self.operation("GET" if method == "HEAD" else method, path)
        if operation is None:
            return
        response = operation["responses"].get(str(status))
        if response is None:
            assert status in ALWAYS, f"{method} {path}: {status} is not documented"
            schema = {"$ref": "#/components/schemas/Problem"}
            if "Problem" not in self.document["components"]["schemas"]:
                schema = {"$ref": "#/components/schemas/ErrorResponse"}
        else:
            if "$ref" in response:
                response = self.document["components"]["responses"][response["$ref"].split("/")[-1]]
            content = response.get("content", {})
            if not content:
                assert body == b"", f"{method} {path}: {status} has a body"
                return
            media = content.get((content_type or "").split(";")[0])
            if media is None and "text/event-stream" in (content_type or ""):
                return
            assert media is not None, f"{method} {path}: {status} is {content_type}"
            schema = media["schema"]
        if "json" not in (content_type or ""):
            return
        validator = jsonschema.Draft202012Validator(
            {**schema, "components": self.document["components"]},
            format_checker=jsonschema.FormatChecker(),
        )
        errors = list(validator.iter_errors(json.loads(body)))
        assert not errors, f"{method} {path}: {status}: {errors[0].message} in {body!r}"


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


class Event:
    """A server-sent event."""

    def __init__(self, name, data, id):
        self.name = name
        self.data = data
        self.id = id

    def __repr__(self):
        return f"{self.name}({self.data})"


class Stream:
    """A connection that reads server-sent events."""

    def __init__(self, daemon, method, path, body=None, headers=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE)
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text, headers or {})
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.headers = self.response.headers
        self.heartbeats = 0

    def __iter__(self):
        name, data, id = "message", None, None
        for line in self.response:
            line = line.decode().rstrip("\n")
            if line.startswith(":"):
                self.heartbeats += 1
            elif line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif line.startswith("id: "):
                id = line[4:]
            elif line == "" and data is not None:
                yield Event(name, data, id)
                name, data, id = "message", None, None

    def next(self, name):
        """Reads up to the next event of this name."""
        for event in self:
            if event.name == name:
                return event
        raise AssertionError(f"the stream ended before {name}")

    def close(self):
        self.response.close()
        self.connection.close()


class Daemon:
    """apd serve on a port of its own."""

    def __init__(self, config="", data_dir=None, plugin_dirs=None, check=True, env=None):
        self.temp = tempfile.TemporaryDirectory(prefix="apd-test-")
        self.dir = Path(self.temp.name)
        self.data_dir = data_dir or self.dir / "data"
        self.config = self.dir / "apd.yaml"
        self.config.write_text(config)
        self.plugin_dirs = plugin_dirs or [PLUGINS, EXAMPLES]
        self.check = check
        self.env = env
        self.log_path = self.dir / "log"
        self.documents = []
        self.start()

    def command(self):
        command = [str(APD), "serve", "-c", str(self.config), "--listen", "127.0.0.1:0"]
        command += ["--data-dir", str(self.data_dir)]
        for directory in self.plugin_dirs:
            command += ["--plugin-dir", str(directory)]
        return command

    def start(self):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, **(self.env or {})})
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else ""
        match = re.match(r"listening on http://127\.0\.0\.1:(\d+)$", line)
        if not match:
            self.process.kill()
            raise AssertionError(f"apd did not start: {line!r}\n{self.log()}")
        self.port = int(match.group(1))
        if self.check and not self.documents:
            documents = [json.loads(self.raw("GET", "/openapi.json").body)]
            if SPEC.exists():
                documents.append(json.loads(SPEC.read_text()))
            self.documents = [Document(document) for document in documents]

    def raw(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def call(self, method, path, body=None, headers=None):
        """One request; its answer has been checked against the documents."""
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        answer = self.raw(method, path, body, headers)
        for document in self.documents:
            document.check(method, path.split("?")[0], answer.status,
                           answer.headers.get("content-type"), answer.body)
        return answer

    def get(self, path, **kwargs):
        return self.call("GET", path, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.call("POST", path, {} if body is None else body, **kwargs)

    def delete(self, path, **kwargs):
        return self.call("DELETE", path, **kwargs)

    def stream(self, method, path, body=None, headers=None):
        return Stream(self, method, path, body, headers)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def metric(self, name):
        for line in self.raw("GET", "/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return int(line.split()[1])
        raise AssertionError(f"no metric {name}")

    def workers(self):
        """The pids of this daemon's worker processes."""
        pids = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                pids += [int(pid) for pid in (task / "children").read_text().split()]
        return pids

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def dead(self):
        """What the log says of an unexpected end."""
        return AssertionError(f"apd ended with {self.process.wait()}\n{self.log()[-6000:]}")

    def stop(self):
        """Stops the daemon cleanly; asserts that it took less than 10 s and left no error."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(timeout=10 if PATIENCE <= 30 else PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGABRT)
                self.process.wait()
                raise AssertionError(f"apd did not stop within 10 s\n{self.log()}")
            assert status == 0, f"apd ended with {status}\n{self.log()}"
        elif self.process.returncode != 0:
            raise self.dead()
        self.process.stdout.close()

    def close(self):
        self.stop()
        self.temp.cleanup()


def until(condition, what="the condition"):
    """Polls a condition that will come true by itself; fails after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        select.select([], [], [], 0.005)
    raise AssertionError(f"{what} did not come true within {PATIENCE} s")


def message(text, role="user"):
    return {"role": role, "content": text}


def new_id():
    return str(uuid.uuid4())


class DaemonTest(unittest.TestCase):
    """Tests that share one daemon."""

    CONFIG = ""
    PLUGIN_DIRS = None

    @classmethod
    def setUpClass(cls):
        cls.apd = Daemon(cls.CONFIG, plugin_dirs=cls.PLUGIN_DIRS)

    @classmethod
    def tearDownClass(cls):
        cls.apd.close()

    def refused(self, answer, status, code, message=None):
        """Asserts that the answer is this problem."""
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.json["code"], code, answer.body)
        if message:
            self.assertIn(message, answer.json["message"])
        if status == 503:
            self.assertIn("retry-after", {name.lower() for name in answer.headers})
        return answer.json
