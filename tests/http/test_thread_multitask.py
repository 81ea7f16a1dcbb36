"""One active run a thread: what becomes of a second, by multitask_strategy."""

import threading
import unittest

from harness import message, new_id, until
from threads import FOR_EVER, UNTIL_STOPPED, ThreadTest, put


class Multitask(ThreadTest):
    def started_in_order(self, runs):
        """Asserts that each began after the one before had ended."""
        records = [self.ended_as(run, "success") for run in runs]
        for before, after in zip(records, records[1:]):
            self.assertLessEqual(before["ended_at"], after["started_at"])

    def test_reject(self):
        thread = self.thread()
        run = self.hold(thread)
        for more in ({}, {"multitask_strategy": "reject"}, {"multitask_strategy": None}):
            for tail in ("", "/wait", "/stream"):
                self.refused(self.apd.post(f"/threads/{thread}/runs{tail}", self.body(**more)), 409, "thread_busy")
            self.refused(self.apd.post("/runs", {**self.body(**more), "thread_id": thread}), 409, "thread_busy")
        self.assertEqual(len(self.apd.get(f"/threads/{thread}/runs").json), 1)
        self.cancel(run)
        self.succeed_on(thread)

    def test_one_of_many_at_once_wins(self):
        thread = self.thread()
        answers = []

        def create():
            answers.append(self.apd.post(f"/threads/{thread}/runs", self.body(FOR_EVER)))

        clients = [threading.Thread(target=create) for _ in range(12)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self.assertEqual(sorted(answer.status for answer in answers), [200] + [409] * 11)
        self.cancel(next(answer.json["run_id"] for answer in answers if answer.status == 200))

    def test_enqueue_is_first_in_first_out(self):
        thread = self.thread()
        first = self.hold(thread, {"wait": 0}, {"wait": "until_stopped"})
        queued = [self.begin(thread, {"add": {"n": 1}}, {**put(**{f"r{n}": n}), "wait": 5}, {"see": True},
                             multitask_strategy="enqueue", messages=[message(f"m{n}")]) for n in range(6)]
        for run in queued:
            record = self.run_record(run)
            self.assertEqual((record["status"], record.get("started_at")), ("pending", None))
        self.assertEqual(self.get(thread).get("messages", []), [])
        self.assertEqual(self.status(thread), "busy")
        self.cancel(first)
        self.started_in_order(queued)
        shown = self.get(thread)
        self.assertEqual((shown["values"]["n"], shown["status"]), (6, "idle"))
        self.assertEqual([m["content"] for m in shown["messages"]], [f"m{n}" for n in range(6)])
        self.assertLessEqual({f"r{n}" for n in range(5)}, set(shown["values"]["seen"]["values"]))
        self.check_history(thread)

    def test_enqueued_runs_can_be_cancelled(self):
        for action in ("interrupt", "rollback"):
            thread = self.thread()
            first = self.hold(thread)
            queued = [self.begin(thread, put(**{f"r{n}": n}), multitask_strategy="enqueue") for n in range(3)]
            self.cancel(queued[1], action)
            if action == "interrupt":
                self.ended_as(queued[1], "interrupted", "cancelled")
            else:
                self.refused(self.apd.get(f"/runs/{queued[1]}"), 404, "run_not_found")
            self.assertEqual(self.status(thread), "busy")
            self.cancel(first)
            self.started_in_order([queued[0], queued[2]])
            self.assertEqual({key for key in self.values(thread) if key != "held"}, {"r0", "r2"})

    def test_an_enqueued_run_that_is_waited_for(self):
        thread = self.thread()
        first = self.hold(thread)
        results = []
        waiter = threading.Thread(target=lambda: results.append(
            self.run_on(thread, put(second=1), multitask_strategy="enqueue")))
        waiter.start()
        until(lambda: len(self.apd.get(f"/threads/{thread}/runs").json) == 2)
        self.cancel(first)
        waiter.join()
        self.assertEqual((results[0]["status"], results[0]["values"]["second"]), ("success", 1))

    def test_a_failed_run_does_not_stop_the_queue(self):
        thread = self.thread()
        self.begin(thread, put(a=1), {"wait": 30}, {"fail": "x"})
        run = self.begin(thread, put(b=2), multitask_strategy="enqueue")
        self.ended_as(run, "success")
        self.assertEqual((self.values(thread), self.status(thread)), ({"a": 1, "b": 2}, "idle"))

    def test_interrupt_keeps_commits(self):
        thread = self.thread()
        first = self.hold(thread, put(a=1), UNTIL_STOPPED)
        result = self.succeed_on(thread, {"see": True}, put(b=2), multitask_strategy="interrupt")
        self.assertEqual(self.ended_as_stopped(first)["status"], "interrupted")
        self.assertEqual((result["values"]["a"], result["values"]["seen"]["values"]["a"]), (1, 1))
        self.assertEqual(self.status(thread), "idle")
        self.check_history(thread)

    def ended_as_stopped(self, run):
        record = self.result(run)["run"]
        self.assertIn(record["error"]["code"], ("cancelled", "superseded"))
        return record

    def test_rollback_restores_the_state_exactly(self):
        thread = self.thread()
        self.succeed_on(thread, put(a=1, deep={"x": [1]}), messages=[{"id": "m", "role": "user", "content": "one"}])
        before = self.check_history(thread)
        first = self.begin(thread, put(a=2), put(c=3, deep=0), {"removed": ["a"]}, UNTIL_STOPPED, put(late=1),
                           messages=[{"id": "m", "role": "user", "content": "changed"}, message("two")])
        until(lambda: self.values(thread) == {"c": 3, "deep": 0})
        result = self.succeed_on(thread, {"see": True}, multitask_strategy="rollback")
        self.assertEqual(result["values"]["seen"]["values"], {"a": 1, "deep": {"x": [1]}})
        self.assertEqual([m["content"] for m in result["messages"]], ["one"])
        self.refused(self.apd.get(f"/runs/{first}"), 404, "run_not_found")
        after = self.check_history(thread)
        self.assertEqual(after[-len(before):], before)
        self.assertNotIn(first, [state["checkpoint"].get("run_id") for state in after])

    def test_the_queue_is_superseded(self):
        for strategy in ("interrupt", "rollback"):
            thread = self.thread()
            first = self.hold(thread)
            queued = [self.begin(thread, put(**{f"q{n}": 1}), multitask_strategy="enqueue") for n in range(2)]
            run = self.begin(thread, put(last=1), multitask_strategy=strategy)
            for waiting in queued:
                record = self.ended_as(waiting, "interrupted", "superseded")
                self.assertNotIn("started_at", record)
            self.ended_as(run, "success")
            self.assertEqual({key for key in self.values(thread) if key != "held"}, {"last"})
            self.assertEqual("held" in self.values(thread), strategy == "interrupt")
            if strategy == "interrupt":
                self.ended_as_stopped(first)
            else:
                self.refused(self.apd.get(f"/runs/{first}"), 404, "run_not_found")

    def test_strategies_on_an_idle_thread(self):
        thread = self.thread()
        for strategy in ("reject", "enqueue", "interrupt", "rollback"):
            self.succeed_on(thread, {"add": {"n": 1}}, multitask_strategy=strategy)
        self.assertEqual(self.values(thread), {"n": 4})

    def test_a_storm_of_strategies(self):
        thread = self.thread()
        runs = [self.begin(thread, put(**{f"r{n}": 1}), {"wait": 2}, put(**{f"s{n}": 1}),
                           multitask_strategy=("enqueue", "interrupt", "rollback", "enqueue")[n % 4])
                for n in range(40)]
        until(lambda: self.status(thread) != "busy", "the end of the storm")
        history = self.check_history(thread)
        shown = self.values(thread)
        self.assertEqual(shown["s39"], 1)
        for n, run in enumerate(runs):
            answer = self.apd.get(f"/runs/{run}")
            if answer.status == 404:
                self.assertNotIn(f"r{n}", shown)
                self.assertNotIn(run, [state["checkpoint"].get("run_id") for state in history])
            elif answer.json["status"] == "success":
                self.assertEqual((shown[f"r{n}"], shown[f"s{n}"]), (1, 1))
            else:
                self.assertEqual(answer.json["status"], "interrupted")


class SlowToStop(ThreadTest):
    CONFIG = "runs: {grace: 300ms}"
    NAMES = ["stateful", "ignores_stop"]

    def test_an_agent_that_does_not_stop_is_fenced_off(self):
        for strategy in ("interrupt", "rollback"):
            thread = self.thread()
            first = self.apd.post(f"/threads/{thread}/runs", {"agent_id": "ignores_stop", "input": 1}).json["run_id"]
            until(lambda: "started_at" in self.run_record(first))
            self.succeed_on(thread, put(a=1), multitask_strategy=strategy)
            if strategy == "interrupt":
                self.ended_as(first, "interrupted", "agent_stuck")
            else:
                self.refused(self.apd.get(f"/runs/{first}"), 404, "run_not_found")
            self.assertEqual(self.values(thread)["a"], 1)


class Queues(ThreadTest):
    CONFIG = "runs: {queue: 3}"

    def test_queued_runs_count(self):
        thread = self.thread()
        run = self.hold(thread)
        answers = [self.apd.post(f"/threads/{thread}/runs", self.body(multitask_strategy="enqueue"))
                   for _ in range(5)]
        self.assertEqual([answer.status for answer in answers[:2]], [200, 200])
        self.refused(answers[-1], 503, "queue_full")
        self.cancel(run)
        until(lambda: self.status(thread) == "idle")


if __name__ == "__main__":
    unittest.main()
