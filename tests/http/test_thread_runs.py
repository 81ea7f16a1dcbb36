"""Runs on kept threads: what each field of a run does, the routes below a thread, cancelling."""

import select
import threading
import unittest

from harness import message, new_id, until
from threads import FOR_EVER, UNTIL_STOPPED, ThreadTest, put, steps


class Fields(ThreadTest):
    FIELDS = {"thread_id", "agent_id", "input", "messages", "metadata", "config", "webhook", "on_completion",
              "on_disconnect", "if_not_exists", "stream_mode", "run_id", "created_at", "updated_at", "status"}

    def test_all_come_back(self):
        thread = self.thread()
        body = {"agent_id": "stateful", "thread_id": thread, "input": steps(put(a=1)),
                "messages": [{"id": "m", "role": "user", "content": "hi"}], "metadata": {"k": [1]},
                "config": {"tags": ["t"], "recursion_limit": 3, "configurable": {"c": 1}},
                "webhook": "http://192.0.2.1/hook", "on_completion": "keep", "on_disconnect": "continue",
                "if_not_exists": "create", "stream_mode": ["values", "custom"]}
        created = self.apd.post("/runs", body).json
        self.assertEqual({key: created[key] for key in body}, body)
        self.assertLessEqual(self.FIELDS, set(created))
        self.assertEqual(created["status"], "pending")
        ended = self.result(created["run_id"])["run"]
        self.assertEqual({key: ended[key] for key in body}, body)
        self.assertEqual(ended["status"], "success")
        self.assertEqual(ended["created_at"], created["created_at"])
        self.assertGreaterEqual(ended["updated_at"], created["updated_at"])

    def test_defaults(self):
        run = self.succeed_on(self.thread())["run"]
        self.assertEqual((run["on_completion"], run["on_disconnect"], run["if_not_exists"]),
                         ("keep", "cancel", "reject"))
        self.assertNotIn("stream_mode", run)
        self.assertEqual(run["metadata"], {})

    def test_the_agent_is_given_them(self):
        thread = self.thread()
        self.patch(thread, values={"before": 1})
        body = {"metadata": {"k": 1}, "config": {"tags": ["t"], "recursion_limit": 3, "configurable": {"c": 1}}}
        result = self.succeed_on(thread, {"see": True}, **body)
        seen = result["values"]["seen"]
        self.assertEqual(seen["values"], {"before": 1})
        self.assertEqual((seen["run_id"], seen["thread_id"]), (result["run"]["run_id"], thread))
        self.assertEqual((seen["metadata"], seen["agent_id"]), (body["metadata"], "stateful"))
        self.assertEqual(seen["config"]["configurable"], {"c": 1})
        self.assertFalse(seen["ephemeral"])

    def test_if_not_exists(self):
        thread = new_id()
        for more in ({}, {"if_not_exists": "reject"}):
            self.refused(self.apd.post("/runs/wait", {**self.body(), "thread_id": thread, **more}), 404,
                         "thread_not_found")
            self.refused(self.apd.post(f"/threads/{thread}/runs", {**self.body(), **more}), 404, "thread_not_found")
        self.refused(self.apd.get(f"/threads/{thread}"), 404, "thread_not_found")
        self.succeed_on(thread, put(a=1), if_not_exists="create")
        self.assertEqual(self.values(thread), {"a": 1})
        self.succeed_on(thread, put(b=1), if_not_exists="create")
        self.assertEqual(self.values(thread), {"a": 1, "b": 1})

    def test_on_completion_delete(self):
        for last, status in (({}, "success"), ({"fail": "x"}, "error")):
            thread = self.thread()
            self.succeed_on(thread, put(a=1))
            result = self.run_on(thread, put(b=2), last, on_completion="delete")
            self.assertEqual((result["run"]["status"], result["values"]), (status, {"a": 1, "b": 2}))
            self.refused(self.apd.get(f"/threads/{thread}"), 404, "thread_not_found")
            self.refused(self.apd.get(f"/threads/{thread}/history"), 404, "thread_not_found")
            again = self.result(result["run"]["run_id"])
            self.assertEqual((again["run"], again["values"]), (result["run"], result["values"]))

    def test_on_completion_delete_and_others(self):
        thread = self.thread()
        run = self.hold(thread, {"wait": 0}, UNTIL_STOPPED)
        self.begin(thread, multitask_strategy="enqueue")
        self.refused(self.apd.post(f"/threads/{thread}/runs", self.body(
            on_completion="delete", multitask_strategy="enqueue")), 422, "invalid_request", "on_completion")
        self.cancel(run)
        until(lambda: self.status(thread) == "idle", "the end of the queue")
        run = self.hold(thread, on_completion="delete")
        self.refused(self.apd.post(f"/threads/{thread}/runs", self.body(multitask_strategy="enqueue")), 422,
                     "invalid_request")
        self.cancel(run)
        self.refused(self.apd.get(f"/threads/{thread}"), 404, "thread_not_found")

    def test_on_completion_keep_keeps_a_thread_of_its_own(self):
        run = self.apd.post("/runs/wait", self.body(put(a=1), on_completion="keep")).json["run"]
        self.assertEqual(self.values(run["thread_id"]), {"a": 1})
        self.check_history(run["thread_id"])

    def test_an_agent_that_needs_a_thread(self):
        self.refused(self.apd.post("/runs/wait", {"agent_id": "bound", "input": steps()}), 422, "thread_required")
        self.succeed_on(self.thread(), put(a=1), agent_id="bound")

    def test_an_ephemeral_run_knows_that_it_is(self):
        result = self.apd.post("/runs/wait", self.body({"see": True})).json
        self.assertTrue(result["values"]["seen"]["ephemeral"])


class Routes(ThreadTest):
    def test_wait_tells_the_status_at_its_top(self):
        thread = self.thread()
        result = self.apd.post(f"/threads/{thread}/runs/wait", self.body(put(a=1))).json
        self.assertEqual((result["status"], result["values"]), ("success", {"a": 1}))
        run = result["run"]["run_id"]
        self.assertEqual(self.apd.get(f"/threads/{thread}/runs/{run}/wait").json, result)
        self.assertEqual(self.apd.get(f"/threads/{thread}/runs/{run}").json, result["run"])
        self.assertEqual(self.apd.get(f"/runs/{run}").json, result["run"])

    def test_streams(self):
        thread = self.thread()
        stream = self.apd.stream("POST", f"/threads/{thread}/runs/stream",
                                 self.body(put(a=1), put(b=2), stream_mode=["values", "updates"]))
        self.assertEqual(stream.status, 200)
        self.assertRegex(stream.headers["content-location"], f"^/threads/{thread}/runs/[-0-9a-f]+$")
        events = list(stream)
        stream.close()
        self.assertEqual([event.name for event in events][0::len(events) - 1], ["metadata", "end"])
        self.assertEqual([event.data for event in events if event.name == "updates"],
                         [{"step": {"a": 1}}, {"step": {"b": 2}}])
        self.assertEqual([event.data for event in events if event.name == "values"][-1], {"a": 1, "b": 2})
        self.assertEqual(self.values(thread), {"a": 1, "b": 2})
        run = events[0].data["run_id"]
        self.assertEqual(events[0].data["thread_id"], thread)
        stream = self.apd.stream("GET", f"/threads/{thread}/runs/{run}/stream")
        self.assertEqual(stream.next("end").data["status"], "success")
        stream.close()

    def test_values_streams_begin_with_the_state(self):
        thread = self.thread()
        self.patch(thread, values={"old": 1})
        stream = self.apd.stream("POST", f"/threads/{thread}/runs/stream", self.body(put(a=1), stream_mode="values"))
        values = [event.data for event in stream if event.name == "values"]
        stream.close()
        self.assertEqual((values[0], values[-1]), ({"old": 1}, {"old": 1, "a": 1}))

    def test_what_is_told_in_a_stream_is_durable(self):
        thread = self.thread()
        stream = self.apd.stream("POST", f"/threads/{thread}/runs/stream",
                                 self.body(*[put(n=n) for n in range(50)], stream_mode="updates"))
        for event in stream:
            if event.name == "updates":
                self.assertGreaterEqual(self.values(thread)["n"], event.data["step"]["n"])
        stream.close()

    def test_lists(self):
        thread, other = self.thread(), self.thread()
        runs = [self.succeed_on(thread)["run"] for _ in range(3)]
        self.succeed_on(other)
        self.assertEqual(self.apd.get(f"/threads/{thread}/runs").json, runs[::-1])
        self.assertEqual(self.apd.get(f"/threads/{thread}/runs?limit=1&offset=1").json, [runs[1]])
        self.assertEqual(self.apd.get(f"/threads/{self.thread()}/runs").json, [])
        for query in ("limit=0", "limit=x", "offset=-1"):
            self.refused(self.apd.get(f"/threads/{thread}/runs?{query}"), 422, "invalid_request", query.split("=")[0])

    def test_cancel_and_delete(self):
        thread = self.thread()
        run = self.hold(thread)
        path = f"/threads/{thread}/runs/{run}"
        self.refused(self.apd.delete(path), 422, "run_active")
        self.assertEqual(self.apd.post(f"{path}/cancel?wait=true").status, 204)
        self.ended_as(run, "interrupted", "cancelled")
        self.assertEqual(self.apd.delete(path).status, 204)
        self.refused(self.apd.get(path), 404, "run_not_found")
        self.assertIn("held", self.values(thread))
        self.check_history(thread)

    def test_a_run_of_another_thread(self):
        thread, other = self.thread(), self.thread()
        run = self.succeed_on(thread)["run"]["run_id"]
        for id in (other, new_id()):
            for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/wait"), ("GET", "/stream"),
                                 ("POST", "/cancel")):
                with self.subTest(method=method, tail=tail):
                    answer = self.apd.call(method, f"/threads/{id}/runs/{run}{tail}")
                    self.assertEqual(answer.status, 404)
                    self.assertIn(answer.json["code"], ("run_not_found", "thread_not_found"))
        self.assertEqual(self.run_record(run)["status"], "success")

    def test_malformed_ids(self):
        for method, path in (("POST", "/threads/x/runs"), ("POST", "/threads/x/runs/wait"),
                             ("POST", "/threads/x/runs/stream"), ("GET", f"/threads/{new_id()}/runs/x"),
                             ("GET", f"/threads/{new_id()}/runs/x/wait"),
                             ("POST", f"/threads/x/runs/{new_id()}/cancel"), ("DELETE", f"/threads/{new_id()}/runs/x"), ("GET", f"/threads/x/runs/{new_id()}/stream")):
            with self.subTest(method=method, path=path):
                self.refused(self.apd.call(method, path, "{}" if method == "POST" else None), 422, "invalid_request")

    def test_bad_bodies(self):
        thread = self.thread()
        for body, code in (({"agent_id": "stateful", "metadata": 1}, "invalid_request"),
                           ({"agent_id": "stateful", "multitask_strategy": "explode"}, "invalid_request"),
                           ({"input": 1}, "agent_required")):
            for tail in ("", "/wait", "/stream"):
                self.refused(self.apd.post(f"/threads/{thread}/runs{tail}", body), 422, code)
        self.refused(self.apd.post(f"/threads/{thread}/runs", {"agent_id": "nobody"}), 404, "agent_not_found")
        self.assertEqual((self.history(thread), self.status(thread)), ([], "idle"))


class Cancel(ThreadTest):
    def test_keeps_what_was_committed(self):
        thread = self.thread()
        run = self.hold(thread, put(a=1), FOR_EVER)
        self.assertEqual(self.status(thread), "busy")
        self.cancel(run)
        self.ended_as(run, "interrupted", "cancelled")
        self.assertEqual((self.values(thread)["a"], self.status(thread)), (1, "idle"))
        self.assertEqual(self.result(run)["values"]["a"], 1)

    def test_a_commit_in_the_grace_is_kept(self):
        thread = self.thread()
        run = self.begin(thread, put(a=1), UNTIL_STOPPED, put(b=2))
        until(lambda: self.values(thread) == {"a": 1})
        self.cancel(run)
        self.ended_as(run, "interrupted", "cancelled")
        self.assertEqual(self.values(thread), {"a": 1, "b": 2})
        self.check_history(thread)

    def test_rollback_goes_back(self):
        thread = self.thread()
        self.succeed_on(thread, put(a=1), messages=[message("one")])
        self.patch(thread, values={"b": [1]})
        before, history = self.get(thread), self.check_history(thread)
        run = self.begin(thread, put(a=2, c=3, messages=[message("said")]), {"removed": ["b"]}, UNTIL_STOPPED,
                         put(d=4), messages=[message("two")])
        until(lambda: self.values(thread) == {"a": 2, "c": 3})
        self.cancel(run, "rollback")
        self.assertEqual(self.get(thread), before)
        self.assertEqual(self.history(thread), history)
        self.refused(self.apd.get(f"/runs/{run}"), 404, "run_not_found")
        self.succeed_on(thread, {"add": {"a": 1}})
        self.assertEqual(self.values(thread), {"a": 2, "b": [1]})
        self.check_history(thread)

    def test_rollback_of_the_first_run(self):
        thread = self.thread()
        run = self.hold(thread, messages=[message("hi")])
        self.cancel(run, "rollback")
        self.assertEqual((self.values(thread), self.history(thread), self.status(thread)), ({}, [], "idle"))
        self.assertEqual(self.get(thread).get("messages", []), [])

    def test_rollback_keeps_metadata_and_error(self):
        thread = self.thread()
        self.run_on(thread, put(a=1), {"fail": "x"})
        self.assertEqual(self.status(thread), "error")
        run = self.hold(thread)
        self.patch(thread, metadata={"m": 1})
        self.cancel(run, "rollback")
        shown = self.get(thread)
        self.assertEqual((shown["status"], shown["values"], shown["metadata"]), ("error", {"a": 1}, {"m": 1}))

    def test_those_who_wait_for_a_rollback_hear_once(self):
        thread = self.thread()
        self.succeed_on(thread, put(a=1))
        stream = self.apd.stream("POST", f"/threads/{thread}/runs/stream",
                                 self.body(put(a=2), FOR_EVER, stream_mode="values"))
        run = stream.next("metadata").data["run_id"]
        until(lambda: self.values(thread) == {"a": 2})
        self.cancel(run, "rollback")
        events = list(stream)
        stream.close()
        self.assertEqual([event.name for event in events].count("end"), 1)
        self.assertEqual(events[-1].data["status"], "interrupted")
        self.assertEqual([event.data for event in events if event.name == "values"][-1], {"a": 1})

    def test_after_the_end_nothing_happens(self):
        thread = self.thread()
        run = self.succeed_on(thread, put(a=1))["run"]["run_id"]
        for action in ("interrupt", "rollback"):
            self.cancel(run, action)
            self.assertEqual((self.run_record(run)["status"], self.values(thread)), ("success", {"a": 1}))


class Linger(ThreadTest):
    CONFIG = "events: {linger: 50ms}"

    def test_streams_of_a_thread_whose_events_are_gone_by_time(self):
        def follow(thread, pauses):
            for pause in pauses:
                stream = self.apd.stream("POST", f"/threads/{thread}/runs/stream",
                                         self.body(put(n=pause), stream_mode="updates"))
                names = [event.name for event in stream]
                stream.close()
                self.assertEqual(names, ["metadata", "updates", "end"])
                # About the time that things linger, from both sides.
                select.select([], [], [], pause / 1000)
            done.append(thread)

        done = []
        clients = [threading.Thread(target=follow, args=(self.thread(), range(40 + n, 60, 2)), daemon=True)
                   for n in range(8)]
        for client in clients:
            client.start()
        until(lambda: len(done) == len(clients), "the end of all streams")


class Timeout(ThreadTest):
    CONFIG = "runs: {timeout: 300ms, grace: 200ms}"

    def test_leaves_the_thread_in_error(self):
        thread = self.thread()
        result = self.run_on(thread, put(a=1), FOR_EVER)
        self.assertEqual((result["status"], result["values"]), ("timeout", {"a": 1}))
        self.assertEqual((self.status(thread), self.values(thread)), ("error", {"a": 1}))


if __name__ == "__main__":
    unittest.main()
