"""Workers that die cost their own runs and nothing else."""

import os
import signal
import threading
import unittest

from harness import DaemonTest, until

ENDLESS = {"how": "loop"}


class Crash(DaemonTest):
    def workers_of(self, plugin):
        """The workers whose plugin, by the name of its memory file, is this one."""
        found = []
        for pid in self.apd.workers():
            try:
                with open(f"/proc/{pid}/maps") as maps:
                    if any(f"memfd:apd:{plugin}" in line for line in maps):
                        found.append(pid)
            except OSError:
                pass
        return found

    def test_a_killed_worker_ends_exactly_its_runs(self):
        ids = [self.apd.post("/runs", {"agent_id": "crash", "input": ENDLESS}).json["run_id"] for _ in range(3)]
        other = self.apd.post("/runs", {"agent_id": "echo", "input": 1}).json["run_id"]
        for run_id in ids:
            until(lambda: "started_at" in self.apd.get(f"/runs/{run_id}").json)
        workers = self.workers_of("crash")
        self.assertTrue(workers)
        echo = self.workers_of("echo")
        for pid in workers:
            os.kill(pid, signal.SIGSEGV)
        for run_id in ids:
            run = self.apd.get(f"/runs/{run_id}/wait").json["run"]
            self.assertEqual(run["status"], "error")
            self.assertEqual(run["error"]["code"], "agent_crashed")
            self.assertIn("SIGSEGV", run["error"]["message"])
        self.assertEqual(self.apd.get(f"/runs/{other}/wait").json["run"]["status"], "success")
        self.assertEqual(self.workers_of("echo"), echo)
        again = self.apd.post("/runs/wait", {"agent_id": "crash", "input": {"how": "none"}}).json
        self.assertEqual(again["run"]["status"], "success")

    def test_every_way_to_die_is_named(self):
        for how, word in (("segv", "SIGSEGV"), ("abort", "SIGABRT"), ("exit", "exit")):
            with self.subTest(how=how):
                run = self.apd.post("/runs/wait", {"agent_id": "crash", "input": {"how": how}}).json["run"]
                self.assertEqual(run["error"]["code"], "agent_crashed")
                self.assertIn(word, run["error"]["message"])
        run = self.apd.post("/runs/wait", {"agent_id": "crash", "input": {"how": "none"}}).json["run"]
        self.assertEqual(run["status"], "success")

    def test_a_retry_safe_agent_is_run_again(self):
        run_id = self.apd.post("/runs", {"agent_id": "echo", "messages": [{"role": "user", "content": "x " * 200}]})
        self.assertEqual(run_id.status, 200)
        retried = []
        stop = threading.Event()

        def kill():
            while not stop.is_set():
                for pid in self.workers_of("echo"):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                    retried.append(pid)
                    return

        killer = threading.Thread(target=kill)
        killer.start()
        results = [self.apd.post("/runs/wait", {"agent_id": "echo", "input": n}).json["run"] for n in range(50)]
        stop.set()
        killer.join()
        self.assertEqual({run["status"] for run in results}, {"success"})


class IsolatedRuns(DaemonTest):
    CONFIG = """
workers: {isolation: run}
"""

    def test_runs_share_no_worker(self):
        ids = [self.apd.post("/runs", {"agent_id": "countdown", "input": {"from": 100000, "step_ms": 1000}}).json["run_id"] for _ in range(3)]
        for run_id in ids:
            until(lambda: "started_at" in self.apd.get(f"/runs/{run_id}").json)
        self.assertGreaterEqual(self.apd.metric("apd_workers"), 3)
        for run_id in ids:
            self.apd.post(f"/runs/{run_id}/cancel?wait=true")
        self.assertEqual(self.apd.post("/runs/wait", {"agent_id": "echo", "input": 1}).json["run"]["status"], "success")


if __name__ == "__main__":
    unittest.main()
