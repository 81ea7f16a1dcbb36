"""Limits: full queues, too many connections, too large or slow requests, slow readers."""

import http.client
import json
import os
import resource
import select
import shutil
import signal
import socket
import tempfile
import time
import unittest
from collections import Counter

from harness import PATIENCE, TEST_PLUGINS, Daemon, DaemonTest, until

SANITIZED = PATIENCE > 30
HEAD = b"Host: localhost\r\n"


def post(path, body):
    text = json.dumps(body).encode()
    return b"POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (path.encode(), HEAD, len(text), text)


def connect(daemon, receive_buffer=None):
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE)
    sock.connect(("127.0.0.1", daemon.port))
    return sock


def read_answer(sock):
    response = http.client.HTTPResponse(sock)
    response.begin()
    return response, response.read()


def ends(sock):
    """Whether the server closes the connection, reading what comes before that."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


class Queues(DaemonTest):
    CONFIG = """
workers: {max: 1}
runs: {queue_per_agent: 3, queue: 5}
agents:
  one: {plugin: countdown, isolation: run}
  two: {plugin: countdown, isolation: run}
  three: {plugin: countdown, isolation: run, queue: 1}
"""

    def run_of(self, agent_id):
        return self.apd.post("/runs", {"agent_id": agent_id, "input": {"from": 1000, "step_ms": 1000}})

    def fill(self, agent_id, most):
        """Creates runs until the queue is full; the answers' ids and the refusal."""
        ids = []
        for _ in range(most):
            answer = self.run_of(agent_id)
            if answer.status != 200:
                return ids, answer
            ids.append(answer.json["run_id"])
        self.fail(f"{most} runs were taken")

    def cancel(self, ids):
        for run_id in ids:
            self.assertEqual(self.apd.post(f"/runs/{run_id}/cancel?wait=true").status, 204)

    def test_bounds_per_agent_and_in_all(self):
        metric = self.apd.metric
        all_ids = []
        try:
            for agent_id, queued in (("one", 3), ("three", 4), ("two", 5)):
                ids, refusal = self.fill(agent_id, 1000)
                all_ids += ids
                body = self.refused(refusal, 503, "queue_full")
                self.assertGreater(int(refusal.headers["retry-after"]), 0)
                self.assertTrue(body["message"])
                self.assertEqual(metric("apd_runs_queued"), queued)
                for path in ("/runs/wait", "/runs/stream"):
                    answer = self.apd.post(path, {"agent_id": agent_id, "input": {"from": 1}})
                    self.refused(answer, 503, "queue_full")
            self.assertEqual(metric("apd_runs_created_total"), len(all_ids))
            # One that waits leaves: there is room for one again.
            self.cancel([all_ids.pop()])
            answer = self.run_of("two")
            self.assertEqual(answer.status, 200)
            all_ids.append(answer.json["run_id"])
            self.refused(self.run_of("two"), 503, "queue_full")
        finally:
            self.cancel(all_ids)
        self.assertEqual(metric("apd_runs_queued"), 0)
        self.assertEqual(metric("apd_runs_executing"), 0)


class Requests(DaemonTest):
    CONFIG = """
http:
  max_connections: 16
  max_header: 4096
  max_body: 64KiB
  send_timeout: 500ms
  idle_timeout: 1s
"""

    def test_connections(self):
        idle = []
        try:
            while len(idle) < 16:
                sock = connect(self.apd)
                sock.sendall(b"GET /ok HTTP/1.1\r\n" + HEAD + b"\r\n")
                if read_answer(sock)[0].status == 200:
                    idle.append(sock)
                else:
                    sock.close()
            for request in (b"GET /ok HTTP/1.1\r\n" + HEAD + b"\r\n",
                            post("/runs/wait", {"agent_id": "echo", "input": "x" * 50000})):
                sock = connect(self.apd)
                sock.sendall(request)
                response, body = read_answer(sock)
                self.assertEqual((response.status, json.loads(body)["code"]), (503, "overloaded"))
                self.assertIn("connections", json.loads(body)["message"])
                self.assertGreater(int(response.headers["retry-after"]), 0)
                self.assertTrue(ends(sock))
                sock.close()
        finally:
            for sock in idle:
                sock.close()
        until(lambda: self.apd.raw("GET", "/ok").status == 200)
        until(lambda: self.apd.metric("apd_http_connections") == 1)

    def test_slow_senders_cost_only_themselves(self):
        slow = [connect(self.apd) for _ in range(6)]
        slow[1].sendall(b"GET /ok HT")
        slow[2].sendall(b"GET /ok HTTP/1.1\r\n" + HEAD)
        slow[3].sendall(post("/runs/wait", {"agent_id": "echo"})[:-3])
        slow[4].sendall(b"POST /runs HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab")
        slow[5].sendall(b"GET /ok HTTP/1.1\r\n" + HEAD + b"\r\n")  # then silence
        answer = self.apd.post("/runs/wait", {"agent_id": "echo", "input": 1})
        self.assertEqual(answer.status, 200)
        for sock in slow:
            self.assertTrue(ends(sock))
            sock.close()
        self.assertEqual(self.apd.metric("apd_http_body_bytes"), 0)

    def test_a_byte_now_and_then_is_no_request(self):
        sock = connect(self.apd)
        sock.sendall(b"POST /runs HTTP/1.1\r\n" + HEAD + b"Content-Length: 60000\r\n\r\n")
        end = time.monotonic() + PATIENCE
        closed = False
        while not closed and time.monotonic() < end:
            try:
                sock.sendall(b" ")
            except OSError:
                closed = True
            readable, _, _ = select.select([sock], [], [], 0.05)
            closed = closed or bool(readable)
        self.assertTrue(closed)
        sock.close()

    def test_large_heads(self):
        sock = connect(self.apd)
        sock.sendall(b"GET /ok HTTP/1.1\r\n" + HEAD + b"X-Fill: " + b"x" * 3500 + b"\r\n\r\n")
        self.assertEqual(read_answer(sock)[0].status, 200)
        sock.close()
        for request in (b"GET /ok HTTP/1.1\r\n" + HEAD + b"X-Fill: " + b"x" * 30000 + b"\r\n\r\n",
                        b"GET /" + b"x" * 30000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n"):
            sock = connect(self.apd)
            sock.sendall(request)
            self.assertIn(read_answer(sock)[0].status, (414, 431))
            sock.close()

    def test_large_bodies_sent_before_the_answer_is_read(self):
        for size in (65537, 250000):
            for headers in ({}, {"Expect": "100-continue"}):
                answer = self.apd.call("POST", "/runs", b"x" * size, headers=headers)
                body = self.refused(answer, 413, "body_too_large")
                self.assertIn("65536", body["message"])
                self.assertEqual(answer.headers["connection"], "close")
        self.assertEqual(self.apd.metric("apd_http_body_bytes"), 0)

    def test_large_chunked_bodies(self):
        def chunks(n):
            for _ in range(n):
                yield b"x" * 1000

        answer = self.apd.raw("POST", "/runs", chunks(66))
        self.refused(answer, 413, "body_too_large")


class Bodies(DaemonTest):
    CONFIG = "http: {max_body: 64KiB, max_bodies: 100KiB}\n"

    def test_all_bodies_together(self):
        held = [connect(self.apd) for _ in range(2)]
        try:
            for sock in held:
                sock.sendall(b"POST /runs HTTP/1.1\r\n" + HEAD + b"Content-Length: 50000\r\n\r\n" + b" " * 40000)
            until(lambda: self.apd.metric("apd_http_body_bytes") >= 80000)
            answer = self.apd.raw("POST", "/runs/wait", json.dumps({"agent_id": "echo", "input": "x" * 50000}))
            self.refused(answer, 503, "overloaded")
        finally:
            for sock in held:
                sock.close()
        until(lambda: self.apd.metric("apd_http_body_bytes") == 0)
        answer = self.apd.post("/runs/wait", {"agent_id": "echo", "input": "x" * 50000})
        self.assertEqual(answer.status, 200)


class Floods(DaemonTest):
    """A flood of events for readers that do not read; not a test by itself."""

    EVENTS = 20000 if SANITIZED else 100000

    @classmethod
    def setUpClass(cls):
        if cls is Floods:
            raise unittest.SkipTest("the base of the others")
        plugins = tempfile.mkdtemp(prefix="apd-plugins-")
        cls.addClassCleanup(shutil.rmtree, plugins)
        shutil.copy(TEST_PLUGINS / "flood.so", plugins)
        cls.PLUGIN_DIRS = [plugins]
        super().setUpClass()

    def begin(self):
        """A stream of many events whose reader does not read."""
        sock = connect(self.apd, 4096)
        self.addCleanup(sock.close)
        sock.sendall(post("/runs/stream", {"agent_id": "flood", "input": self.EVENTS, "stream_mode": "custom",
                                           "on_disconnect": "continue"}))
        head = sock.recv(2000)
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
        run_id = head.split(b"Content-Location: ")[1].split(b"\r\n")[0].split(b"/")[-1].decode()
        return sock, run_id, head


class CutOff(Floods):
    CONFIG = """
http: {stall_timeout: 1s, heartbeat: 200ms}
events: {stall: 500ms}
"""

    def test_who_never_reads_is_cut_off(self):
        _, run_id, _ = self.begin()
        self.assertEqual(self.apd.get(f"/runs/{run_id}/wait").json["run"]["status"], "success")
        until(lambda: self.apd.metric("apd_http_streams") == 0)
        until(lambda: self.apd.metric("apd_http_connections") == 1)


class SlowCreators(Floods):
    CONFIG = "events: {ring_bytes: 1MiB, stall: 1s}\n"

    def test_a_stalled_creator_holds_the_run_back_only_so_long(self):
        before = resident(self.apd.process.pid)
        events = self.apd.metric("apd_events_total")
        sock, run_id, text = self.begin()
        started = time.monotonic()
        # The window and the socket's buffers are full: the agent waits.
        until(lambda: self.apd.metric("apd_events_total") > events)
        events = self.settled("apd_events_total") - events
        self.assertLess(events, self.EVENTS)
        # Meanwhile others go on.
        self.assertEqual(self.apd.raw("GET", "/ok").status, 200)
        other = self.apd.post("/runs/wait", {"agent_id": "flood", "input": 10})
        self.assertEqual(other.json["run"]["status"], "success")
        # Then the agent goes on without it.
        answer = self.apd.get(f"/runs/{run_id}/wait")
        self.assertEqual(answer.json["run"]["status"], "success")
        self.assertGreaterEqual(time.monotonic() - started, 1)
        self.assertLess(self.apd.metric("apd_event_log_bytes"), 4 << 20)
        # When it reads at last it hears that it missed something, and no end.
        while part := sock.recv(65536):
            text += part
        self.assertIn(b"event: error\n", text)
        self.assertIn(b"events_missed", text)
        self.assertNotIn(b"event: end", text)
        self.check_whole(text)
        if not SANITIZED:
            self.assertLess(resident(self.apd.process.pid) - before, 24 << 20)

    def settled(self, name):
        """A metric that has been the same for a tenth of a second."""
        seen = [None]

        def still():
            select.select([], [], [], 0.1)
            seen.append(self.apd.metric(name))
            return seen[-1] == seen[-2]

        until(still)
        return seen[-1]

    def check_whole(self, text):
        """What came before the gap is without gaps."""
        numbers = [int(line.split(b'"payload":')[1].rstrip(b"}"))
                   for line in text.split(b"\n") if line.startswith(b"data: ") and b'"payload":' in line]
        self.assertGreater(len(numbers), 0)
        self.assertEqual(numbers, list(range(len(numbers))))


class SlowJoiners(Floods):
    CONFIG = "events: {ring_bytes: 1MiB, stall: 30s}\n"

    def test_a_slow_joiner_holds_nobody_back(self):
        creator = self.apd.stream("POST", "/runs/stream", {"agent_id": "flood", "input": self.EVENTS,
                                                            "stream_mode": "custom"})
        run_id = creator.next("metadata").data["run_id"]
        joiners = []
        for _ in range(5):
            sock = connect(self.apd, 4096)
            self.addCleanup(sock.close)
            sock.sendall(b"GET /runs/%s/stream?stream_mode=custom HTTP/1.1\r\n%s\r\n" % (run_id.encode(), HEAD))
            joiners.append(sock)
        payloads = [event.data["payload"] for event in creator if event.name == "custom"]
        self.assertEqual(payloads, list(range(self.EVENTS)))
        creator.close()
        for sock in joiners:
            text = b""
            while part := sock.recv(65536):
                text += part
            self.assertTrue(b"events_missed" in text or b"event: end" in text, text[-300:])


class Crowd(unittest.TestCase):
    """Ten thousand wait at once."""

    WANTED = 1000 if SANITIZED else 10000

    def setUp(self):
        self.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, self.limits)
        hard = self.limits[1]
        wanted = self.WANTED if hard == resource.RLIM_INFINITY else min(self.WANTED, hard - 1024)
        soft = wanted + 256
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, self.limits[0]), hard))
        self.n = wanted
        self.apd = Daemon("""
http: {idle_timeout: 10m, send_timeout: 10m}
workers: {max: 1}
runs: {queue_per_agent: 20000, queue: 20000}
""")
        self.addCleanup(self.apd.close)

    def test_all_get_their_answers(self):
        # A worker that stands still makes sure that all of them wait at the same time.
        self.apd.post("/runs/wait", {"agent_id": "echo", "input": 0})
        workers = self.apd.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        socks = []
        try:
            for i in range(self.n):
                sock = connect(self.apd)
                sock.sendall(post("/runs/wait", {"agent_id": "echo", "input": i}))
                socks.append(sock)
            until(lambda: self.apd.metric("apd_http_waiting_requests") == self.n + 1)
            until(lambda: self.apd.metric("apd_http_connections") == self.n + 1)
            self.assertEqual(self.apd.raw("GET", "/ok").status, 200)
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        for i, sock in enumerate(socks):
            response, body = read_answer(sock)
            self.assertEqual(response.status, 200, body)
            self.assertEqual(json.loads(body)["values"], {"echo": i})
        self.assertEqual(self.apd.metric("apd_runs_queued"), 0)
        self.assertEqual(self.apd.metric("apd_http_waiting_requests"), 1)
        for sock in socks:
            sock.close()
        until(lambda: self.apd.metric("apd_http_connections") == 1)

    def test_all_streams_end(self):
        """The same with streams, which have their sockets taken over all at once."""
        self.apd.post("/runs/wait", {"agent_id": "echo", "input": 0})
        statuses = Counter()
        socks = []
        for i in range(self.n // 2):
            sock = connect(self.apd)
            sock.sendall(post("/runs/stream", {"agent_id": "echo", "input": i}))
            socks.append(sock)
        for sock in socks:
            response, body = read_answer(sock)
            statuses[response.status] += 1
            self.assertIn(b"event: end" if response.status == 200 else b"overloaded", body)
            sock.close()
        self.assertEqual(statuses, {200: len(socks)})
        until(lambda: self.apd.metric("apd_http_connections") == 1)


class FewDescriptors(Daemon):
    """A daemon that may open few files."""

    FILES = 64

    def command(self):
        shell = 'ulimit -n "$0" && exec "$@"'
        return ["/bin/sh", "-c", shell, str(self.FILES), *super().command()]


class Descriptors(unittest.TestCase):
    CONFIG = "http: {threads: 2, idle_timeout: 10m, send_timeout: 10m}\n"

    def hold(self, daemon, request, n):
        """Opens connections that send a request, and keeps all of them open."""
        socks = []
        for _ in range(n):
            sock = connect(daemon)
            sock.sendall(request)
            socks.append(sock)
        return socks

    def check_recovery(self, request):
        daemon = FewDescriptors(self.CONFIG)
        try:
            log = daemon.log()
            self.assertIn(f"the limit of {daemon.FILES} open files allows only", log)
            socks = self.hold(daemon, request, 2 * daemon.FILES)
            until(lambda: "new connections have to wait until others end" in daemon.log())
            for sock in socks:
                sock.close()
            # Connections that waited longest are served first, though nobody is there any more.
            until(lambda: daemon.metric("apd_http_connections") == 1)
            answer = daemon.post("/runs/wait", {"agent_id": "echo", "input": 1})
            self.assertEqual((answer.status, answer.json["values"]), (200, {"echo": 1}))
        finally:
            daemon.close()

    def test_silent_connections(self):
        self.check_recovery(b"GET /ok HTT")

    def test_streams(self):
        self.check_recovery(post("/runs/stream", {"agent_id": "countdown", "input": {"from": 10000, "step_ms": 100}}))

    def test_waiting_requests(self):
        self.check_recovery(post("/runs/wait", {"agent_id": "countdown", "input": {"from": 10000, "step_ms": 100}}))


if __name__ == "__main__":
    unittest.main()
