"""What is old goes, and only that."""

import unittest

from harness import Daemon, until

ENDLESS = {"agent_id": "crash", "input": {"how": "loop"}}


class Retention(unittest.TestCase):
    def daemon(self, config):
        apd = Daemon(config)
        self.addCleanup(apd.close)
        return apd

    def gone(self, apd, path):
        return apd.get(path).status == 404

    def test_threads_at_rest_go_with_their_runs(self):
        apd = self.daemon("retention: {threads: 1ms}\nruns: {timeout: 1h}")
        thread = apd.post("/threads", {}).json["thread_id"]
        run = apd.post(f"/threads/{thread}/runs/wait", {"agent_id": "echo", "input": 1}).json["run"]["run_id"]
        busy = apd.post("/threads", {}).json["thread_id"]
        apd.post(f"/threads/{busy}/runs", ENDLESS)
        # The first sweep comes a second after the start.
        until(lambda: self.gone(apd, f"/threads/{thread}"))
        self.assertTrue(self.gone(apd, f"/runs/{run}"))
        self.assertTrue(self.gone(apd, f"/threads/{thread}/history"))
        self.assertEqual(apd.get(f"/threads/{busy}").json["status"], "busy")
        # The id is free for another thread that knows nothing of the first.
        made = apd.post("/threads", {"thread_id": thread})
        self.assertEqual(made.status, 200)
        self.assertEqual(made.json["values"], {})

    def test_threads_stay_unless_told_otherwise(self):
        apd = self.daemon("retention: {ephemeral_runs: 1ms}")
        thread = apd.post("/threads", {}).json["thread_id"]
        kept = apd.post(f"/threads/{thread}/runs/wait", {"agent_id": "echo", "input": 1}).json["run"]["run_id"]
        run = apd.post("/runs/wait", {"agent_id": "echo", "input": 1}).json["run"]["run_id"]
        apd.stop()
        # What is in memory is told a while longer; a new life has only what is stored.
        apd.start()
        until(lambda: self.gone(apd, f"/runs/{run}"))
        self.assertEqual(apd.get(f"/threads/{thread}").json["status"], "idle")
        self.assertEqual(apd.get(f"/runs/{kept}").json["status"], "success")


if __name__ == "__main__":
    unittest.main()
