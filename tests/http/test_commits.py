"""What agents commit on threads that are kept: what stays, when, and what the agent hears of it."""

import re
import resource
import unittest
from pathlib import Path

from harness import EXAMPLES, PLUGINS, Daemon, message, new_id, until
from hostile import PluginDir, PluginTest


class CommitTest(PluginTest):
    NAMES = ["commits_late", "needs_thread"]

    @classmethod
    def setUpClass(cls):
        cls.dir = PluginDir(*cls.NAMES)
        cls.apd = Daemon(cls.CONFIG, plugin_dirs=[cls.dir.path, PLUGINS, EXAMPLES])

    def result(self, agent_id, thread_id, **more):
        answer = self.apd.post("/runs/wait", {"agent_id": agent_id, "thread_id": thread_id,
                                              "if_not_exists": "create", **more})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def thread(self, thread_id):
        return self.apd.get(f"/threads/{thread_id}").json


class Tally(CommitTest):
    """examples/tally: state over turns."""

    def turn(self, thread, text):
        result = self.result("tally", thread, messages=[message(text)])
        self.assertEqual(result["run"]["status"], "success", result["run"].get("error"))
        self.assertEqual(self.thread(thread)["values"], result["values"])
        return result["values"], result["messages"][-1]["content"]

    def test_counts_over_turns(self):
        thread = new_id()
        values, words = self.turn(thread, "Red, blue, red!")
        counted = values.pop("counted")
        self.assertEqual(values, {"turns": 1, "count:blue": 1, "count:red": 2})
        self.assertEqual(words, "blue: 1, red: 2")
        values, words = self.turn(thread, "red 7")
        self.assertNotEqual(values.pop("counted"), counted)
        self.assertEqual(values, {"turns": 2, "count:7": 1, "count:blue": 1, "count:red": 3})
        self.assertEqual(words, "7: 1, red: 3")
        self.assertEqual(len(self.thread(thread)["messages"]), 4)

    def test_removed_keys(self):
        thread = new_id()
        self.turn(thread, "red green blue")
        values, _ = self.turn(thread, "forget red, blue")
        values.pop("counted")
        self.assertEqual(values, {"turns": 2, "count:green": 1})
        values, words = self.turn(thread, "Forget everything")
        values.pop("counted")
        self.assertEqual((values, words), ({"turns": 3}, "Forgotten."))
        self.assertEqual(self.turn(thread, "red")[0]["count:red"], 1)

    def test_a_checkpoint_for_every_step(self):
        thread = new_id()
        self.turn(thread, "red")
        self.turn(thread, "forget red")
        history = self.apd.get(f"/threads/{thread}/history").json
        self.assertEqual([state["checkpoint"]["source"] for state in history],
                         ["loop", "loop", "input"] * 2)
        self.assertEqual(["count:red" in state["values"] for state in history],
                         [False, False, True, True, True, False])
        for newer, older in zip(history, history[1:]):
            self.assertEqual(newer["checkpoint"]["parent_checkpoint_id"], older["checkpoint"]["checkpoint_id"])

    def test_threads_do_not_mix(self):
        first, second = new_id(), new_id()
        self.turn(first, "red")
        self.assertEqual(self.turn(second, "red")[0]["count:red"], 1)
        self.assertEqual(self.turn(first, "red")[0]["count:red"], 2)

    def test_without_a_thread_a_turn_is_all(self):
        values = self.apd.post("/runs/wait", {"agent_id": "tally", "messages": [message("red")]}).json["values"]
        self.assertEqual((values["turns"], values["count:red"]), (1, 1))


class Clauses(CommitTest):
    def test_an_agent_that_needs_a_thread(self):
        self.refused(self.apd.post("/runs/wait", {"agent_id": "needs_thread"}), 422, "thread_required")
        thread = new_id()
        for n in (1, 2, 3):
            self.assertEqual(self.result("needs_thread", thread)["values"], {"runs": n})

    def started(self):
        """A run of commits_late that has made its first commit."""
        thread = new_id()
        run_id = self.apd.post("/runs", {"agent_id": "commits_late", "thread_id": thread,
                                         "if_not_exists": "create"}).json["run_id"]
        until(lambda: self.thread(thread)["values"], "the first commit")
        return thread, run_id

    def logged(self, words):
        before = self.apd.log().count(words)
        return lambda: until(lambda: self.apd.log().count(words) == before + 1, words)

    def test_a_commit_during_the_grace_stays(self):
        thread, run_id = self.started()
        is_logged = self.logged("the late commit gave 0")
        self.apd.post(f"/runs/{run_id}/cancel?wait=true")
        is_logged()
        self.assertEqual(self.apd.get(f"/runs/{run_id}").json["status"], "interrupted")
        self.assertEqual(self.thread(thread)["values"], {"early": True, "late": True})
        self.assertEqual(self.thread(thread)["status"], "idle")

    def test_a_commit_after_a_rollback_is_refused(self):
        thread, run_id = self.started()
        is_logged = self.logged("the late commit gave -4")
        self.apd.post(f"/runs/{run_id}/cancel?action=rollback&wait=true")
        is_logged()
        self.assertEqual(self.apd.get(f"/runs/{run_id}").status, 404)
        self.assertEqual(self.thread(thread)["values"], {})

    def test_a_crash_leaves_what_was_committed(self):
        thread = new_id()
        self.result("tally", thread, messages=[message("red")])
        run = self.result("crash", thread, input={"how": "abort"})["run"]
        self.fails(run, "error", "agent_crashed")
        shown = self.thread(thread)
        self.assertEqual((shown["status"], shown["values"]["count:red"]), ("error", 1))


class Faults(unittest.TestCase):
    def test_a_commit_that_cannot_be_stored_is_told_to_the_agent(self):
        """It hears AP_E_UNAVAILABLE, nothing was applied, and later the same step can be committed."""
        directory = PluginDir("commits_again")
        self.addCleanup(directory.close)
        apd = Daemon("log: {level: debug}\n", plugin_dirs=[directory.path, PLUGINS])
        self.addCleanup(apd.close)
        thread = new_id()
        run_id = apd.post("/runs", {"agent_id": "commits_again", "thread_id": thread,
                                    "if_not_exists": "create"}).json["run_id"]
        until(lambda: apd.get(f"/threads/{thread}").json["values"].get("n", 0) > 2, "some commits")
        hard = resource.prlimit(apd.process.pid, resource.RLIMIT_FSIZE)[1]
        try:
            size = max(file.stat().st_size for file in Path(apd.data_dir).iterdir())
            resource.prlimit(apd.process.pid, resource.RLIMIT_FSIZE, (size, hard))
            until(lambda: re.search(r"step \d+ gave -9", apd.log()), "a commit that failed")
            failed = int(re.search(r"step (\d+) gave -9", apd.log()).group(1))
            self.assertEqual(apd.get(f"/threads/{thread}").json["values"]["n"], failed - 1)
        finally:
            resource.prlimit(apd.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        result = apd.get(f"/runs/{run_id}/wait").json
        self.assertEqual((result["run"]["status"], result["values"]["n"]), ("success", failed))
        history = apd.get(f"/threads/{thread}/history?limit=1000").json
        self.assertEqual([state["values"].get("n", 0) for state in history], list(range(failed, -1, -1)))


if __name__ == "__main__":
    unittest.main()
