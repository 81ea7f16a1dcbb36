"""Clients that leave."""

import http.client
import json
import time
import unittest

from harness import DaemonTest, until

ENDLESS = {"agent_id": "countdown", "input": {"from": 100000, "step_ms": 1000}}


class Disconnect(DaemonTest):
    def executing(self):
        return self.apd.metric("apd_runs_executing")

    def begin(self, path, **body):
        """Sends a request and waits until its run executes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.apd.port, timeout=30)
        connection.connect()
        connection.request("POST", path, json.dumps({**ENDLESS, **body}))
        until(lambda: self.executing() == 1, "the run's start")
        return connection

    def test_a_waiting_client_that_leaves_cancels_its_run(self):
        connection = self.begin("/runs/wait")
        connection.sock.close()
        left = time.monotonic()
        until(lambda: self.executing() == 0, "the run's end")
        run = self.last_run()
        self.assertEqual(run["status"], "interrupted")
        self.assertEqual(run["error"]["code"], "cancelled")

    def last_run(self):
        # Written behind: wait for the row.
        return until(lambda: self.apd.post("/runs/search", {"limit": 1, "agent_id": "countdown",
                                                             "status": "interrupted"}).json)[0]

    def test_a_streaming_client_that_leaves_cancels_its_run(self):
        connection = self.begin("/runs/stream")
        connection.sock.close()
        until(lambda: self.executing() == 0, "the run's end")

    def test_with_continue_the_run_goes_on(self):
        for path in ("/runs/wait", "/runs/stream"):
            with self.subTest(path=path):
                connection = self.begin(path, on_disconnect="continue")
                before = self.apd.metric("apd_http_waiting_requests") + self.apd.metric("apd_http_streams")
                connection.sock.close()
                until(lambda: self.apd.metric("apd_http_waiting_requests")
                      + self.apd.metric("apd_http_streams") < before, "the daemon's notice")
                self.assertEqual(self.executing(), 1)
                run = until(lambda: self.apd.post("/runs/search", {"status": "pending"}).json)[0]
                self.apd.post(f"/runs/{run['run_id']}/cancel?wait=true")
                self.assertEqual(self.executing(), 0)

    def test_a_joiner_that_leaves_cancels_nothing(self):
        run_id = self.apd.post("/runs", ENDLESS).json["run_id"]
        until(lambda: self.executing() == 1)
        for path in ("wait", "stream"):
            connection = http.client.HTTPConnection("127.0.0.1", self.apd.port, timeout=30)
            connection.request("GET", f"/runs/{run_id}/{path}")
            until(lambda: self.apd.metric("apd_http_waiting_requests") + self.apd.metric("apd_http_streams") >= 2
                  or self.apd.metric("apd_http_streams") == 1)
            connection.sock.close()
            until(lambda: self.apd.metric("apd_http_streams") == 0 and self.apd.metric("apd_http_waiting_requests") == 1)
            self.assertEqual(self.executing(), 1)
        self.apd.post(f"/runs/{run_id}/cancel?wait=true")

    def test_it_is_noticed_within_100_ms(self):
        """The fastest of five, since the machine may be busy with something else."""
        times = []
        for _ in range(5):
            connection = self.begin("/runs/wait")
            connection.sock.close()
            left = time.monotonic()
            until(lambda: self.executing() == 0, "the run's end")
            times.append(time.monotonic() - left)
        self.assertLess(min(times), 0.1)


if __name__ == "__main__":
    unittest.main()
