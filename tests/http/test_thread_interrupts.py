"""People in the loop: agents that ask, answers, what becomes of questions."""

import unittest

from harness import PLUGINS, Daemon, until
from hostile import PluginDir
from threads import FOR_EVER, UNTIL_STOPPED, ThreadTest, put


def ask(*then, **questions):
    return {"ask": questions, "then": list(then)}


def resume(answer, **more):
    return {"agent_id": "stateful", "command": {"resume": answer}, **more}


class InterruptTest(ThreadTest):
    def asked(self, *items, **more):
        """A thread on which a run has ended with questions."""
        thread = self.thread()
        result = self.run_on(thread, *items, **more)
        self.assertEqual(result["run"]["status"], "interrupted", result)
        self.assertNotIn("error", result["run"])
        self.assertEqual(self.status(thread), "interrupted")
        return thread

    def questions(self, shown):
        return {question["id"]: question["value"] for question in shown["interrupts"]}

    def answer(self, thread, answer, **more):
        result = self.apd.post(f"/threads/{thread}/runs/wait", resume(answer, **more))
        self.assertEqual(result.status, 200, result.body)
        return result.json


class Asking(InterruptTest):
    def test_ends_the_run_and_marks_the_thread(self):
        thread = self.thread()
        result = self.run_on(thread, put(a=1), ask(q={"really": True}, r="what?"))
        self.assertEqual((result["status"], result["values"]), ("interrupted", {"a": 1}))
        expected = {"q": {"really": True}, "r": "what?"}
        self.assertEqual(self.questions(result["run"]), expected)
        self.assertEqual(self.questions(self.get(thread)), expected)
        record = self.run_record(result["run"]["run_id"])
        self.assertEqual((record["status"], self.questions(record)), ("interrupted", expected))
        self.assertEqual(self.status(thread), "interrupted")

    def test_shows_in_a_stream(self):
        thread = self.thread()
        stream = self.apd.stream("POST", f"/threads/{thread}/runs/stream",
                                 self.body(put(a=1), ask(q=1), stream_mode=["updates", "values"]))
        events = list(stream)
        stream.close()
        self.assertEqual(events[-1].data["status"], "interrupted")

    def test_an_ephemeral_run_cannot(self):
        record = self.apd.post("/runs/wait", self.body(ask(q=1))).json["run"]
        self.assertEqual(record["status"], "error")

    def test_a_run_that_deletes_its_thread_cannot(self):
        thread = self.thread()
        record = self.run_on(thread, ask(q=1), on_completion="delete")["run"]
        self.assertEqual(record["status"], "error")
        self.refused(self.apd.get(f"/threads/{thread}"), 404, "thread_not_found")


class Answering(InterruptTest):
    def test_one_answer(self):
        for given in ("yes", {"edit": {"to": 1}}, False, [1, 2], 0.10):
            thread = self.asked(put(a=1), ask({"see": True}, put(b=2), q="?"))
            result = self.answer(thread, given)
            self.assertEqual(result["status"], "success", result)
            seen = result["values"]["seen"]
            self.assertEqual([(r["id"], r["response"]) for r in seen["resume"]], [("q", given)])
            self.assertEqual(seen["values"], {"a": 1})
            shown = self.get(thread)
            self.assertEqual((shown["status"], shown["values"]["b"]), ("idle", 2))
            self.assertNotIn("interrupts", shown)
            self.check_history(thread)

    def test_a_map_of_answers(self):
        thread = self.asked(ask({"see": True}, q=1, r=2))
        seen = self.answer(thread, {"q": "one", "r": {"n": 2}})["values"]["seen"]
        self.assertEqual({r["id"]: r["response"] for r in seen["resume"]}, {"q": "one", "r": {"n": 2}})

    def test_a_part_of_the_answers(self):
        thread = self.asked(ask({"see": True}, q=1, r=2))
        seen = self.answer(thread, {"r": "two"})["values"]["seen"]
        self.assertEqual({r["id"]: r["response"] for r in seen["resume"]}, {"r": "two"})
        self.assertEqual(self.status(thread), "idle")

    def test_several_questions_need_a_map(self):
        thread = self.asked(ask(q=1, r=2))
        for answer in ("yes", {"other": 1}, {"q": 1, "other": 2}):
            self.refused(self.apd.post(f"/threads/{thread}/runs/wait", resume(answer)), 422, "invalid_request")
        self.assertEqual(self.questions(self.get(thread)), {"q": 1, "r": 2})

    def test_an_object_that_names_no_question_is_the_answer(self):
        thread = self.asked(ask({"see": True}, q=1))
        seen = self.answer(thread, {"other": 1})["values"]["seen"]
        self.assertEqual([(r["id"], r["response"]) for r in seen["resume"]], [("q", {"other": 1})])

    def test_nobody_asked(self):
        thread = self.thread()
        self.refused(self.apd.post(f"/threads/{thread}/runs/wait", resume("yes")), 422, "not_interrupted")
        self.succeed_on(thread, put(a=1))
        self.refused(self.apd.post("/runs", resume("yes", thread_id=thread)), 422, "not_interrupted")

    def test_asking_again(self):
        thread = self.asked(ask(put(a=1), ask(put(b=2), second="and?"), first="?"))
        result = self.answer(thread, 1)
        self.assertEqual((result["status"], self.questions(result["run"])), ("interrupted", {"second": "and?"}))
        self.assertEqual(self.questions(self.get(thread)), {"second": "and?"})
        self.assertEqual(self.answer(thread, 2)["status"], "success")
        self.assertEqual((self.values(thread), self.status(thread)), ({"a": 1, "b": 2}, "idle"))

    def test_update_and_goto(self):
        thread = self.asked(put(a=1), ask({"see": True}, q=1))
        body = resume("yes")
        body["command"].update(update={"a": 2, "u": 1}, goto="there")
        result = self.apd.post(f"/threads/{thread}/runs/wait", body).json
        seen = result["values"]["seen"]
        self.assertEqual((seen["values"], seen["jump"]), ({"a": 2, "u": 1}, "there"))

    def test_twice(self):
        thread = self.asked(ask(put(a=1), q=1))
        self.assertEqual(self.answer(thread, 1)["status"], "success")
        self.refused(self.apd.post(f"/threads/{thread}/runs/wait", resume(1)), 422, "not_interrupted")

    def test_bad_commands(self):
        thread = self.asked(ask(q=1))
        for command in (1, "x", [1], {"resume": 1, "update": 1}):
            self.refused(self.apd.post(f"/threads/{thread}/runs", {"agent_id": "stateful", "command": command}),
                         422, "invalid_request", "command")
        self.assertEqual(self.status(thread), "interrupted")


class Questions(InterruptTest):
    """What becomes of pending ones."""

    def test_a_plain_run_drops_them(self):
        thread = self.asked(put(a=1), ask(q=1))
        result = self.succeed_on(thread, {"see": True})
        self.assertIsNone(result["values"]["seen"]["resume"])
        shown = self.get(thread)
        self.assertEqual(shown["status"], "idle")
        self.assertNotIn("interrupts", shown)

    def test_a_failed_answer_drops_them(self):
        thread = self.asked(ask({"fail": "x"}, q=1))
        self.assertEqual(self.answer(thread, 1)["status"], "error")
        shown = self.get(thread)
        self.assertEqual(shown["status"], "error")
        self.assertNotIn("interrupts", shown)
        self.refused(self.apd.post(f"/threads/{thread}/runs/wait", resume(1)), 422, "not_interrupted")

    def test_they_do_not_show_while_a_run_is_active(self):
        thread = self.asked(ask(put(held=1), FOR_EVER, q=1))
        run = self.apd.post(f"/threads/{thread}/runs", resume("yes")).json["run_id"]
        until(lambda: "held" in self.values(thread))
        shown = self.get(thread)
        self.assertEqual(shown["status"], "busy")
        self.assertFalse(shown.get("interrupts"))
        self.cancel(run)

    def test_a_rollback_brings_them_back(self):
        for plain in (True, False):
            thread = self.asked(put(a=1), ask(put(held=1), UNTIL_STOPPED, q="?"))
            before = self.get(thread)
            body = self.body(put(held=1), FOR_EVER) if plain else resume("yes")
            run = self.apd.post(f"/threads/{thread}/runs", body).json["run_id"]
            until(lambda: "held" in self.values(thread))
            self.cancel(run, "rollback")
            self.assertEqual(self.get(thread), before)
            again = self.apd.post(f"/threads/{thread}/runs", resume("now"))
            self.assertEqual(again.status, 200, again.body)
            self.cancel(again.json["run_id"])

    def test_a_copy_and_a_patch(self):
        thread = self.asked(put(a=1), ask(put(b=2), q="?"))
        self.assertEqual(self.patch(thread, metadata={"m": 1})["status"], "interrupted")
        self.assertEqual(self.questions(self.patch(thread, values={"a": 2})), {"q": "?"})
        self.assertEqual(self.answer(thread, 1)["values"], {"a": 2, "b": 2})


class Lives(unittest.TestCase):
    """Questions outlive the daemon, and the plugin."""

    def setUp(self):
        self.dir = PluginDir("stateful")
        self.addCleanup(self.dir.close)
        self.apd = Daemon(plugin_dirs=[self.dir.path, PLUGINS])
        self.addCleanup(self.apd.close)

    def ask(self):
        thread = self.apd.post("/threads").json["thread_id"]
        result = self.apd.post(f"/threads/{thread}/runs/wait", {"agent_id": "stateful", "input": {"steps": [
            {"patch": {"a": 1}}, {"version": True}, ask({"see": True}, {"version": True}, q="?")]}}).json
        self.assertEqual((result["status"], result["values"]["version"]), ("interrupted", 1))
        return thread

    def check(self, thread, version):
        shown = self.apd.get(f"/threads/{thread}").json
        self.assertEqual((shown["status"], shown["interrupts"][0]["value"]), ("interrupted", "?"))
        result = self.apd.post(f"/threads/{thread}/runs/wait", resume("yes")).json
        self.assertEqual((result["status"], result["values"]["version"]), ("success", version))
        self.assertEqual(result["values"]["seen"]["resume"][0]["response"], "yes")

    def test_kill_9(self):
        thread = self.ask()
        self.apd.kill()
        self.apd.start()
        self.check(thread, 1)

    def test_a_new_version_after_a_restart(self):
        thread = self.ask()
        self.apd.stop()
        self.dir.add("stateful_2", "stateful.so")
        self.apd.start()
        self.check(thread, 2)

    def test_a_new_version_while_it_runs(self):
        thread, other = self.ask(), self.ask()
        self.dir.add("stateful_2", "stateful.so")
        until(lambda: self.apd.get("/agents/stateful").json["metadata"].get("version") == "2", "the new version")
        self.check(thread, 2)
        self.apd.kill()
        self.apd.start()
        self.check(other, 2)

    def test_an_answer_that_the_daemon_died_over(self):
        thread = self.ask()
        run = self.apd.post(f"/threads/{thread}/runs", resume("yes")).json["run_id"]
        self.apd.kill()
        self.apd.start()
        record = self.apd.get(f"/runs/{run}/wait").json["run"]
        shown = self.apd.get(f"/threads/{thread}").json
        if record["status"] == "success":
            self.assertEqual(shown["status"], "idle")
        else:
            self.assertEqual((record["error"]["code"], shown["status"]), ("daemon_restarted", "error"))


if __name__ == "__main__":
    unittest.main()
