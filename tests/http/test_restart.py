"""What was acknowledged survives."""

import threading
import unittest

from harness import Daemon, message, until

ENDLESS = {"agent_id": "crash", "input": {"how": "loop"}}
RETRIED = {"agent_id": "countdown", "input": {"from": 100000, "step_ms": 1000}}


class Restart(unittest.TestCase):
    def setUp(self):
        self.apd = Daemon("runs: {shutdown_grace: 500ms}")
        self.addCleanup(self.apd.close)

    def wait(self, run_id):
        return self.apd.get(f"/runs/{run_id}/wait").json["run"]

    def test_background_runs_survive_kill_9(self):
        ids, stop = [], threading.Event()

        def create(n):
            while not stop.is_set():
                try:
                    ids.append(self.apd.post("/runs", {"agent_id": "echo", "input": n}).json["run_id"])
                except (OSError, ValueError):
                    return
                except Exception as error:
                    if stop.is_set():
                        return
                    raise error

        threads = [threading.Thread(target=create, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(ids) > 200)
        stop.set()
        self.apd.kill()
        for thread in threads:
            thread.join()
        self.apd.start()
        for run_id in ids:
            self.assertIn(self.wait(run_id)["status"], ("success",))

    def test_an_executing_run_ends_as_daemon_restarted(self):
        run_id = self.apd.post("/runs", ENDLESS).json["run_id"]
        until(lambda: "started_at" in self.apd.get(f"/runs/{run_id}").json)
        self.apd.kill()
        self.apd.start()
        run = self.wait(run_id)
        self.assertEqual(run["status"], "error")
        self.assertEqual(run["error"]["code"], "daemon_restarted")

    def test_an_executing_run_ends_at_shutdown_too(self):
        run_id = self.apd.post("/runs", ENDLESS).json["run_id"]
        until(lambda: "started_at" in self.apd.get(f"/runs/{run_id}").json)
        self.apd.stop()
        self.apd.start()
        run = self.wait(run_id)
        self.assertEqual((run["status"], run["error"]["code"]), ("error", "daemon_restarted"))

    def test_an_executing_run_of_a_retry_safe_agent_is_run_again(self):
        run = self.apd.post("/runs", {**RETRIED, "metadata": {"n": 0.1}}).json
        until(lambda: "started_at" in self.apd.get(f"/runs/{run['run_id']}").json)
        self.apd.kill()
        self.apd.start()
        again = until(lambda: (now := self.apd.get(f"/runs/{run['run_id']}").json)["attempt"] == 2 and now)
        self.assertEqual(again["status"], "pending")
        self.assertEqual((again["input"], again["metadata"]), (run["input"], run["metadata"]))
        self.apd.post(f"/runs/{run['run_id']}/cancel?wait=true")

    def test_waiters_hear_of_a_shutdown(self):
        answers = []
        waiter = threading.Thread(target=lambda: answers.append(
            self.apd.post("/runs/wait", ENDLESS)))
        waiter.start()
        until(lambda: self.apd.metric("apd_runs_executing") == 1)
        stream = self.apd.stream("POST", "/runs/stream", ENDLESS)
        stream.next("metadata")
        self.apd.stop()
        waiter.join()
        self.assertEqual(answers[0].status, 503)
        self.assertEqual(answers[0].json["code"], "shutting_down")
        names = []
        try:
            names = [event.name for event in stream]
        except Exception:
            pass
        self.assertNotIn("end", names)
        stream.close()
        self.apd.start()

    def test_results_survive(self):
        run_id = self.apd.post("/runs", {"agent_id": "echo", "messages": [message("remember")]}).json["run_id"]
        before = self.apd.get(f"/runs/{run_id}/wait").json
        self.apd.kill()
        self.apd.start()
        self.assertEqual(self.apd.get(f"/runs/{run_id}/wait").json, before)
        self.assertEqual(self.apd.post("/runs/search", {}).json, [before["run"]])

    def test_two_daemons_do_not_share_a_directory(self):
        with self.assertRaises(AssertionError) as refused:
            Daemon(data_dir=self.apd.data_dir)
        self.assertIn("another apd uses this data directory", str(refused.exception))


if __name__ == "__main__":
    unittest.main()
