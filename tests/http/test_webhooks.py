"""Webhooks: what is sent, that it arrives whatever happens, and where it must not go."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
import unittest

from harness import Daemon, message, until

KEY = b"0123456789abcdefghijklmnopqrstuv"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
CONFIG = f"webhooks: {{secret: {SECRET}, allow_private: true, retry: 50ms, timeout: 5s}}"


class Receiver:
    """An HTTP server that keeps what it is sent. Statuses of the next answers may be set before."""

    def __init__(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.take(self.path, self.headers, body)
                if receiver.hanging:
                    receiver.done.wait()
                status = receiver.statuses.pop(0) if receiver.statuses else receiver.status
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    self.close_connection = True  # the daemon was killed

            def log_message(self, *args):
                pass

        self.requests, self.statuses, self.status, self.hanging = [], [], 200, False
        self.done = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.server.handle_error = lambda *args: None  # connections that a killed daemon leaves
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def take(self, path, headers, body):
        self.requests.append((path, dict(headers.items()), body))

    def close(self):
        self.done.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Webhooks(unittest.TestCase):
    CONFIG = CONFIG

    def setUp(self):
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)
        self.apd = Daemon(self.CONFIG)
        self.addCleanup(self.apd.close)

    def delivered(self, n=1):
        """The n-th request, whose signature is right, and its body."""
        until(lambda: len(self.receiver.requests) >= n, f"request {n}")
        _, headers, body = self.receiver.requests[n - 1]
        lower = {name.lower(): value for name, value in headers.items()}
        signed = f"{lower['webhook-id']}.{lower['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        self.assertEqual(lower["webhook-signature"], "v1," + expected)
        self.assertLess(abs(time.time() - int(lower["webhook-timestamp"])), 300)
        self.assertEqual(lower["content-type"], "application/json")
        return lower, json.loads(body)

    def echo(self, **more):
        return {"agent_id": "echo", "messages": [message("hi")], "webhook": self.receiver.url, **more}

    def test_a_run_is_sent_with_its_result(self):
        answer = self.apd.post("/runs/wait", self.echo()).json
        _, body = self.delivered()
        self.assertEqual(body["run"]["run_id"], answer["run"]["run_id"])
        self.assertEqual(body["run"]["status"], "success")
        self.assertEqual(body["values"], answer["values"])
        self.assertEqual(body["messages"], answer["messages"])
        until(lambda: self.apd.metric("apd_webhooks_delivered_total") == 1)
        self.assertEqual(self.apd.metric("apd_webhooks_given_up_total"), 0)
        self.assertEqual(self.apd.metric("apd_webhooks_failed_attempts_total"), 0)

    def test_background_runs_and_streams(self):
        run = self.apd.post("/runs", self.echo()).json
        _, body = self.delivered()
        self.assertEqual(body["run"], self.apd.get(f"/runs/{run['run_id']}").json)
        self.apd.stream("POST", "/runs/stream", self.echo()).next("end")
        _, body = self.delivered(2)
        self.assertEqual(body["run"]["status"], "success")

    def test_a_run_on_a_thread(self):
        thread_id = self.apd.post("/threads", {}).json["thread_id"]
        self.apd.post("/runs/wait", self.echo(thread_id=thread_id))
        answer = self.apd.post("/runs/wait", self.echo(thread_id=thread_id)).json
        _, body = self.delivered(2)
        self.assertEqual(body["run"]["thread_id"], thread_id)
        self.assertEqual(body["messages"], answer["messages"])
        self.apd.post("/runs/wait", self.echo(thread_id=thread_id, on_completion="delete"))
        _, body = self.delivered(3)
        self.assertEqual(body["run"]["status"], "success")

    def test_failed_and_cancelled_runs_are_sent_too(self):
        self.apd.post("/runs/wait", {"agent_id": "crash", "input": {"how": "segv"},
                                     "webhook": self.receiver.url})
        _, body = self.delivered()
        self.assertEqual((body["run"]["status"], body["run"]["error"]["code"]), ("error", "agent_crashed"))
        run = self.apd.post("/runs", {"agent_id": "countdown", "input": {"from": 100000, "step_ms": 1000},
                                      "webhook": self.receiver.url}).json
        self.apd.post(f"/runs/{run['run_id']}/cancel?wait=true")
        _, body = self.delivered(2)
        self.assertEqual((body["run"]["status"], body["run"]["error"]["code"]), ("interrupted", "cancelled"))

    def test_failures_are_tried_again(self):
        self.receiver.statuses = [500, 302, 404]
        self.apd.post("/runs", self.echo())
        ids = [self.delivered(n)[0]["webhook-id"] for n in (1, 2, 3, 4)]
        self.assertEqual(len(set(ids)), 1)
        until(lambda: self.apd.metric("apd_webhooks_delivered_total") == 1)
        self.assertEqual(self.apd.metric("apd_webhooks_failed_attempts_total"), 3)

    def test_gone_is_given_up_and_logged_without_secrets(self):
        self.receiver.status = 410
        url = self.receiver.url.replace("http://", "http://user:hidden@") + "?token=hidden"
        self.apd.post("/runs", self.echo(webhook=url))
        until(lambda: self.apd.metric("apd_webhooks_given_up_total") == 1)
        self.assertEqual(self.receiver.requests[0][0], "/hook?token=hidden")
        self.assertIn(f"gave up {self.receiver.url} after 1 attempt: status 410", self.apd.log())
        self.assertNotIn("hidden", self.apd.log())

    def test_it_survives_kill_9(self):
        self.receiver.status = 500
        runs = [self.apd.post("/runs", self.echo()).json["run_id"] for _ in range(5)]
        for run_id in runs:
            self.apd.get(f"/runs/{run_id}/wait")
        self.apd.kill()
        self.receiver.status = 200
        before = len(self.receiver.requests)
        self.apd.start()
        until(lambda: self.apd.metric("apd_webhooks_delivered_total") == 5)
        arrived = {json.loads(body)["run"]["run_id"] for _, _, body in self.receiver.requests[before:]}
        self.assertEqual(arrived, set(runs))
        self.apd.stop()
        self.apd.start()
        # Nothing is left: what comes next comes alone.
        self.apd.post("/runs/wait", self.echo())
        until(lambda: self.apd.metric("apd_webhooks_delivered_total") == 1)
        self.assertEqual(len(self.receiver.requests), before + 6)

    def test_a_hanging_receiver_holds_up_nobody(self):
        hanging = Receiver()
        hanging.hanging = True
        self.addCleanup(hanging.close)
        for _ in range(30):
            self.apd.post("/runs", self.echo(webhook=hanging.url))
        until(lambda: hanging.requests)
        self.apd.post("/runs/wait", self.echo())
        self.delivered()
        self.assertGreater(self.apd.metric("apd_webhooks_in_flight"), 0)
        before = time.monotonic()
        self.apd.stop()
        self.assertLess(time.monotonic() - before, 10)
        self.apd.start()

    def test_a_url_must_be_one(self):
        for url in ("ftp://127.0.0.1/", "not a url", "/path", ""):
            answer = self.apd.post("/runs", self.echo(webhook=url))
            self.assertEqual(answer.status, 422, answer.body)


class Refused(unittest.TestCase):
    """Without being told otherwise apd sends nothing to its own neighbourhood."""

    def setUp(self):
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)

    def start(self, config="", env=None):
        self.apd = Daemon(config, env=env)
        self.addCleanup(self.apd.close)

    def run_with(self, url):
        self.apd.post("/runs/wait", {"agent_id": "echo", "input": 1, "webhook": url})

    def test_loopback_by_default(self):
        self.start()
        port = self.receiver.server.server_address[1]
        hosts = ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0", "[::1]"]
        for n, host in enumerate(hosts, 1):
            self.run_with(f"http://{host}:{port}/hook")
            until(lambda: self.apd.metric("apd_webhooks_given_up_total") == n, host)
        self.assertIn("127.0.0.1 is not allowed (loopback)", self.apd.log())
        self.assertEqual(self.receiver.requests, [])

    def test_networks_may_be_allowed(self):
        self.start("webhooks: {allow: [127.0.0.1/32]}")
        self.run_with(self.receiver.url)
        until(lambda: self.receiver.requests)
        # Without a secret there is no signature.
        self.assertNotIn("webhook-signature", {name.lower() for name in self.receiver.requests[0][1]})

    def test_proxies_of_the_environment_do_not_count(self):
        proxy = Receiver()
        self.addCleanup(proxy.close)
        env = {name: proxy.url for name in ("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY")}
        self.start("webhooks: {allow_private: true}", env)
        self.run_with(self.receiver.url)
        until(lambda: self.receiver.requests)
        self.assertEqual(proxy.requests, [])


if __name__ == "__main__":
    unittest.main()
