"""Threads by themselves: the protocol's journeys, and creating, reading, changing, copying, deleting."""

import unittest

from harness import DaemonTest, message, new_id, until
from threads import FOR_EVER, ThreadTest, put


class Journeys(DaemonTest):
    """What the protocol's README shows of itself, done as it says."""

    CONFIG = "default_agent: echo"

    def test_a_thread_and_runs_on_it(self):
        thread = "229c1834-bc04-4d90-8fd6-77f6b9ef1462"
        created = self.apd.post("/threads", {"thread_id": thread, "metadata": {"purpose": "support-chat"}})
        self.assertEqual((created.status, created.json["thread_id"]), (200, thread))
        got = self.apd.get(f"/threads/{thread}")
        self.assertEqual((got.status, got.json["status"]), (200, "idle"))
        for question in ("Hi there, what's the weather?", "And tomorrow?"):
            run = self.apd.post(f"/threads/{thread}/runs", {
                "input": {"message": question}, "metadata": {"requestType": "weatherQuery"}})
            self.assertEqual((run.status, run.json["status"]), (200, "pending"))
            waited = self.apd.get(f"/threads/{thread}/runs/{run.json['run_id']}/wait")
            self.assertEqual((waited.status, waited.json["status"]), (200, "success"))
            self.assertEqual(self.apd.get(f"/threads/{thread}").json["values"], {"echo": {"message": question}})

    def test_its_other_ends(self):
        thread = self.apd.post("/threads").json["thread_id"]
        run = self.apd.post(f"/threads/{thread}/runs", {"input": 1}).json
        stream = self.apd.stream("GET", f"/threads/{thread}/runs/{run['run_id']}/stream")
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.next("end").data, {"run_id": run["run_id"], "status": "success"})
        stream.close()
        run = self.apd.post(f"/threads/{thread}/runs", {"input": 2}).json
        until(lambda: (now := self.apd.get(f"/threads/{thread}").json)["status"] == "idle" and
              now["values"] == {"echo": 2}, "the output of a polled thread")

    def test_a_stateless_run(self):
        answer = self.apd.post("/runs/wait", {
            "input": {"prompt": "What's the fastest route to the airport?"},
            "metadata": {"useCase": "travelPlan"}, "config": {"tags": ["ephemeral", "demo"]}})
        self.assertEqual((answer.status, answer.json["run"]["status"]), (200, "success"))
        self.refused(self.apd.get(f"/threads/{answer.json['run']['thread_id']}"), 404, "thread_not_found")

    def test_an_item_of_the_store(self):
        if "/store/items" not in self.apd.get("/openapi.json").json["paths"]:
            self.skipTest("this daemon serves no store")
        item = {"namespace": ["user_profiles"], "key": "profile_jane_doe"}
        value = {"displayName": "Jane Doe", "role": "customer"}
        self.assertEqual(self.apd.call("PUT", "/store/items", {**item, "value": value}).status, 204)
        got = self.apd.get("/store/items?key=profile_jane_doe&namespace=user_profiles")
        self.assertEqual((got.status, got.json["value"]), (200, value))
        self.assertEqual(self.apd.delete("/store/items", body=item).status, 204)


class Create(ThreadTest):
    def test_a_new_one_is_empty_and_idle(self):
        thread = self.apd.post("/threads", {"metadata": {"a": [1, {"b": None}]}}).json
        self.assertEqual((thread["status"], thread["values"]), ("idle", {}))
        self.assertEqual(thread["metadata"], {"a": [1, {"b": None}]})
        self.assertEqual(thread["created_at"], thread["updated_at"])
        self.assertNotIn("interrupts", thread)
        self.assertEqual(self.get(thread["thread_id"]), thread)
        self.assertEqual(self.history(thread["thread_id"]), [])

    def test_defaults(self):
        for body in ({}, {"thread_id": None, "metadata": None, "if_exists": None, "colour": 1}):
            thread = self.apd.post("/threads", body).json
            self.assertEqual(thread["metadata"], {})
        self.assertNotEqual(self.thread(), self.thread())

    def test_one_that_exists(self):
        mine = new_id()
        first = self.apd.post("/threads", {"thread_id": mine, "metadata": {"n": 1}}).json
        again = {"thread_id": mine, "metadata": {"n": 2}}
        self.refused(self.apd.post("/threads", again), 409, "thread_exists")
        self.refused(self.apd.post("/threads", {**again, "if_exists": "raise"}), 409, "thread_exists")
        self.assertEqual(self.apd.post("/threads", {**again, "if_exists": "do_nothing"}).json, first)
        self.succeed_on(mine, put(x=1))
        shown = self.apd.post("/threads", {"thread_id": mine, "if_exists": "do_nothing"}).json
        self.assertEqual(shown, self.get(mine))
        self.assertEqual(shown["values"], {"x": 1})

    def test_ids_are_any_uuid(self):
        mine = new_id().upper()
        self.assertEqual(self.thread(thread_id=mine).lower(), mine.lower())
        self.assertEqual(self.get(mine.lower())["thread_id"], self.get(mine)["thread_id"])

    def test_bad_bodies(self):
        for body, where in (({"thread_id": "abc"}, "thread_id"), ({"metadata": [1]}, "metadata"),
                            ({"if_exists": "explode"}, "if_exists"), ({"thread_id": 7}, "thread_id")):
            with self.subTest(body=body):
                self.refused(self.apd.post("/threads", body), 422, "invalid_request", where)
        self.refused(self.apd.post("/threads", "{"), 422, "invalid_json", "line 1")
        self.refused(self.apd.post("/threads", "[]"), 422, "invalid_request", "body")

    def test_an_empty_body_is_none(self):
        self.assertEqual(self.apd.post("/threads", "").status, 200)


class Absent(ThreadTest):
    ROUTES = (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/history"), ("POST", "/copy"), ("GET", "/runs"))

    def test_no_such_thread(self):
        for method, path in self.ROUTES:
            with self.subTest(method=method, path=path):
                answer = self.apd.call(method, f"/threads/{new_id()}{path}", "{}" if method == "PATCH" else None)
                self.refused(answer, 404, "thread_not_found")
                answer = self.apd.call(method, f"/threads/xyz{path}", "{}" if method == "PATCH" else None)
                self.refused(answer, 422, "invalid_request", "thread_id")

    def test_no_such_method(self):
        for method, path in (("PUT", ""), ("DELETE", "/history"), ("GET", "/copy"), ("PATCH", "/runs")):
            with self.subTest(method=method, path=path):
                answer = self.apd.call(method, f"/threads/{new_id()}{path}")
                self.refused(answer, 405, "method_not_allowed")
                self.assertIn("allow", {name.lower() for name in answer.headers})


class Metadata(ThreadTest):
    def test_is_merged_member_by_member(self):
        thread = self.thread(metadata={"keep": {"deep": 1}, "change": {"a": 1}, "drop": 1})
        before = self.get(thread)
        after = self.patch(thread, metadata={"change": {"b": 2}, "drop": None, "new": [1], "never": None})
        self.assertEqual(after["metadata"], {"keep": {"deep": 1}, "change": {"b": 2}, "new": [1]})
        self.assertEqual(self.get(thread), after)
        self.assertGreater(after["updated_at"], before["updated_at"])
        self.assertEqual(after["created_at"], before["created_at"])
        self.assertEqual(self.history(thread), [])

    def test_numbers_come_back_as_written(self):
        thread = self.thread()
        self.apd.call("PATCH", f"/threads/{thread}", '{"metadata":{"n":0.1,"big":18446744073709551615,"e":1E5}}')
        self.patch(thread, metadata={"other": 1})
        self.assertIn(b'"n":0.1,"big":18446744073709551615,"e":1E5', self.apd.get(f"/threads/{thread}").body)

    def test_of_a_busy_thread(self):
        thread = self.thread(metadata={"a": 1})
        run = self.hold(thread)
        patched = self.patch(thread, metadata={"b": 2})
        self.assertEqual((patched["metadata"], patched["status"]), ({"a": 1, "b": 2}, "busy"))
        self.cancel(run, "rollback")
        self.assertEqual(self.get(thread)["metadata"], {"a": 1, "b": 2})

    def test_a_patch_of_nothing(self):
        thread = self.thread(metadata={"a": 1})
        for body in ({}, {"metadata": None, "values": None, "messages": None, "checkpoint": None}):
            self.assertEqual(self.patch(thread, **body)["metadata"], {"a": 1})
        self.assertEqual(self.history(thread), [])

    def test_bad_patches(self):
        thread = self.thread()
        for body, where in (({"metadata": 1}, "metadata"), ({"values": [1]}, "values"),
                            ({"messages": {}}, "messages"), ({"messages": [{"role": "user"}]}, "messages[0]"),
                            ({"checkpoint": 1}, "checkpoint"), ({"checkpoint": {}}, "checkpoint"),
                            ({"checkpoint": {"checkpoint_id": "x"}, "values": {}}, "checkpoint")):
            with self.subTest(body=body):
                self.refused(self.apd.call("PATCH", f"/threads/{thread}", body), 422, "invalid_request", where)
        self.assertEqual(self.history(thread), [])


class Copy(ThreadTest):
    def test_is_independent(self):
        thread = self.thread(metadata={"who": "first"})
        self.succeed_on(thread, put(a=1), put(b=2), messages=[message("hi")])
        self.patch(thread, values={"c": 3})
        copy = self.apd.post(f"/threads/{thread}/copy").json
        self.assertNotEqual(copy["thread_id"], thread)
        original = self.get(thread)
        for key in ("values", "messages", "metadata", "status"):
            self.assertEqual(copy[key], original[key])
        history = self.check_history(thread)
        self.assertEqual(self.get(copy["thread_id"]), copy)
        self.assertEqual(self.check_history(copy["thread_id"]), history)
        self.succeed_on(copy["thread_id"], put(a="copy"))
        self.patch(thread, values={"a": "original"}, metadata={"who": "original"})
        self.assertEqual(self.values(thread), {"a": "original", "b": 2, "c": 3})
        self.assertEqual(self.values(copy["thread_id"]), {"a": "copy", "b": 2, "c": 3})
        self.assertEqual(self.get(copy["thread_id"])["metadata"], {"who": "first"})
        self.assertEqual(self.apd.delete(f"/threads/{thread}").status, 204)
        self.assertEqual(self.values(copy["thread_id"]), {"a": "copy", "b": 2, "c": 3})
        self.check_history(copy["thread_id"])

    def test_of_an_empty_and_of_a_busy_thread(self):
        thread = self.thread()
        self.assertEqual(self.apd.post(f"/threads/{thread}/copy").json["values"], {})
        run = self.hold(thread, put(a=1), FOR_EVER)
        copy = self.apd.post(f"/threads/{thread}/copy").json
        self.assertEqual((copy["values"]["a"], copy["status"]), (1, "idle"))
        self.cancel(run, "rollback")
        self.assertEqual(self.values(thread), {})
        self.assertEqual(self.values(copy["thread_id"])["a"], 1)


class Delete(ThreadTest):
    def test_everything_of_it_is_gone(self):
        thread = self.thread()
        run = self.succeed_on(thread, put(a=1))["run"]["run_id"]
        self.assertEqual(self.apd.delete(f"/threads/{thread}").status, 204)
        self.refused(self.apd.get(f"/threads/{thread}"), 404, "thread_not_found")
        self.refused(self.apd.get(f"/threads/{thread}/history"), 404, "thread_not_found")
        self.refused(self.apd.get(f"/runs/{run}"), 404, "run_not_found")
        self.refused(self.apd.get(f"/runs/{run}/wait"), 404, "run_not_found")
        self.assertEqual(self.apd.post("/runs/search", {"thread_id": thread}).json, [])
        self.refused(self.apd.delete(f"/threads/{thread}"), 404, "thread_not_found")
        self.refused(self.apd.post(f"/threads/{thread}/runs", self.body()), 404, "thread_not_found")

    def test_its_id_can_be_used_again(self):
        thread = self.thread(metadata={"old": 1})
        self.succeed_on(thread, put(old=1), messages=[message("old")])
        self.apd.delete(f"/threads/{thread}")
        again = self.apd.post("/threads", {"thread_id": thread}).json
        self.assertEqual((again["values"], again["metadata"]), ({}, {}))
        self.assertNotIn("old", str(self.history(thread)))
        self.succeed_on(thread, put(new=1))
        self.assertEqual(self.values(thread), {"new": 1})
        self.assertEqual(len(self.apd.get(f"/threads/{thread}/runs").json), 1)
        self.check_history(thread)

    def test_stops_what_runs_and_what_waits(self):
        thread = self.thread()
        active = self.hold(thread)
        stream = self.apd.stream("GET", f"/runs/{active}/stream")
        queued = self.begin(thread, put(b=1), multitask_strategy="enqueue")
        self.assertEqual(self.apd.delete(f"/threads/{thread}").status, 204)
        self.assertEqual(stream.next("end").data["status"], "interrupted")
        stream.close()
        for run in (active, queued):
            self.refused(self.apd.get(f"/runs/{run}"), 404, "run_not_found")
        self.refused(self.apd.get(f"/threads/{thread}"), 404, "thread_not_found")
        until(lambda: self.apd.metric("apd_runs_executing") == 0, "the end of the run")


if __name__ == "__main__":
    unittest.main()
