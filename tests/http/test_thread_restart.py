"""Threads outlive the daemon: what was told of them is there after kill -9, and their status is right."""

import threading
import unittest

from harness import PLUGINS, Daemon, message, until
from hostile import PluginDir
from threads import FOR_EVER, ThreadTest, put


class Restart(ThreadTest):
    """Each test has a daemon of its own."""

    @classmethod
    def setUpClass(cls):
        cls.dir = PluginDir("stateful")

    @classmethod
    def tearDownClass(cls):
        cls.dir.close()

    def setUp(self):
        self.apd = Daemon("runs: {shutdown_grace: 500ms}", plugin_dirs=[self.dir.path, PLUGINS])
        self.addCleanup(self.apd.close)

    def die(self):
        self.apd.kill()
        self.apd.start()

    def test_everything_told_is_there(self):
        thread = self.thread(metadata={"m": 1})
        self.succeed_on(thread, put(a=1), put(b=2), messages=[message("hi")])
        self.patch(thread, values={"c": 3}, metadata={"n": 2})
        self.patch(thread, checkpoint=self.history(thread)[1]["checkpoint"], values={"d": 4})
        copy = self.apd.post(f"/threads/{thread}/copy").json["thread_id"]
        gone = self.thread()
        self.apd.delete(f"/threads/{gone}")
        before = [(self.get(id), self.history(id)) for id in (thread, copy)]
        self.die()
        self.assertEqual([(self.get(id), self.check_history(id)) for id in (thread, copy)], before)
        self.refused(self.apd.get(f"/threads/{gone}"), 404, "thread_not_found")
        self.succeed_on(thread, {"add": {"a": 1}})
        self.assertEqual(self.values(thread), {"a": 2, "b": 2, "d": 4})
        self.check_history(thread)

    def test_status_of_a_thread_whose_run_died_with_the_daemon(self):
        thread = self.thread()
        run = self.hold(thread, put(a=1), FOR_EVER)
        self.die()
        self.ended_as(run, "error", "daemon_restarted")
        shown = self.get(thread)
        self.assertEqual((shown["status"], shown["values"]["a"]), ("error", 1))
        self.succeed_on(thread, put(b=2))
        self.assertEqual(self.status(thread), "idle")
        self.check_history(thread)

    def test_status_after_a_clean_stop(self):
        thread = self.thread()
        run = self.hold(thread)
        self.apd.stop()
        self.apd.start()
        self.ended_as(run, "error", "daemon_restarted")
        self.assertEqual(self.status(thread), "error")

    def test_queued_runs_go_on(self):
        thread = self.thread()
        first = self.hold(thread)
        queued = [self.begin(thread, {"add": {"n": 1}}, put(**{f"r{n}": 1}), multitask_strategy="enqueue",
                             messages=[message(f"m{n}")]) for n in range(4)]
        self.die()
        self.ended_as(first, "error", "daemon_restarted")
        records = [self.ended_as(run, "success") for run in queued]
        for before, after in zip(records, records[1:]):
            self.assertLessEqual(before["ended_at"], after["started_at"])
        shown = self.get(thread)
        self.assertEqual((shown["values"]["n"], shown["status"]), (4, "idle"))
        self.assertEqual([m["content"] for m in shown["messages"]], [f"m{n}" for n in range(4)])
        self.check_history(thread)

    def test_a_second_attempt_begins_with_what_was_committed(self):
        thread = self.thread()
        run = self.hold(thread, put(a=1), {"see": True}, FOR_EVER, agent_id="safe", messages=[message("hi")])
        self.die()
        until(lambda: self.run_record(run)["attempt"] == 2 and self.values(thread)["seen"]["attempt"] == 2,
              "the second attempt")
        seen = self.values(thread)["seen"]
        self.assertEqual(seen["values"]["a"], 1)
        self.assertEqual(len(self.get(thread)["messages"]), 1)
        self.assertEqual(self.sources(thread).count("input"), 1)
        self.cancel(run, "rollback")
        self.assertEqual((self.values(thread), self.history(thread)), ({}, []))

    def test_a_rollback_is_for_ever(self):
        thread = self.thread()
        self.succeed_on(thread, put(a=1))
        before = self.get(thread), self.history(thread)
        run = self.hold(thread, put(a=2), FOR_EVER)
        self.cancel(run, "rollback")
        self.die()
        self.assertEqual((self.get(thread), self.history(thread)), before)
        self.refused(self.apd.get(f"/runs/{run}"), 404, "run_not_found")

    def test_on_completion_delete_when_the_daemon_dies_in_between(self):
        thread = self.thread()
        run = self.hold(thread, on_completion="delete")
        self.die()
        self.ended_as(run, "error", "daemon_restarted")
        until(lambda: self.apd.get(f"/threads/{thread}").status == 404, "the end of the thread")
        self.assertEqual(self.result(run)["run"]["status"], "error")
        self.die()
        self.refused(self.apd.get(f"/threads/{thread}"), 404, "thread_not_found")
        self.assertEqual(self.result(run)["run"]["status"], "error")

    def test_results_are_the_same_after_it(self):
        thread = self.thread()
        results = [self.succeed_on(thread, {"add": {"n": 1}}, put(count=n), agent_id=agent, messages=[message("x")])
                   for n, agent in enumerate(("stateful", "output", "safe"))]
        deleted = self.apd.post("/runs/wait", {**self.body(put(a=1)), "thread_id": thread, "on_completion": "delete"})
        self.die()
        for result in results:
            self.refused(self.apd.get(f"/runs/{result['run']['run_id']}"), 404, "run_not_found")
        self.assertEqual(self.result(deleted.json["run"]["run_id"]), deleted.json)
        thread = self.thread()
        results = [self.succeed_on(thread, {"add": {"n": 1}}, put(count=n), agent_id=agent, messages=[message("x")])
                   for n, agent in enumerate(("stateful", "output", "safe"))]
        self.die()
        for result in results:
            self.assertEqual(self.apd.get(f"/threads/{thread}/runs/{result['run']['run_id']}/wait").json, result)

    def test_commits_told_while_it_dies(self):
        threads = [self.thread() for _ in range(8)]
        told = dict.fromkeys(threads, -1)

        def follow(thread):
            stream = self.apd.stream("POST", f"/threads/{thread}/runs/stream", self.body(
                *[put(n=n) for n in range(2000)], stream_mode="updates"))
            try:
                for event in stream:
                    if event.name == "updates":
                        told[thread] = event.data["step"]["n"]
            except Exception:
                pass  # the daemon dies
            finally:
                stream.close()

        followers = [threading.Thread(target=follow, args=(thread,)) for thread in threads]
        for follower in followers:
            follower.start()
        until(lambda: min(told.values()) >= 20)
        self.die()
        for follower in followers:
            follower.join()
        for thread in threads:
            self.assertGreaterEqual(self.values(thread)["n"], told[thread])
            until(lambda: self.status(thread) == "error", "the end of a run that died with the daemon")
            numbers = [state["values"].get("n", -1) for state in self.history(thread)]
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] - len(numbers), -1)))


if __name__ == "__main__":
    unittest.main()
