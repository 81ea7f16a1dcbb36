"""Agents that ask: what clients see of the questions, how answers get back, and what is left of neither."""

import signal
import unittest

from harness import EXAMPLES, PLUGINS, Daemon, message, new_id, until
from hostile import PluginDir, PluginTest

MIB = 1 << 20


class AskingTest(PluginTest):
    """Tests of agents that ask, with the words for a dialogue."""

    NAMES = ["asks_for_nothing", "asks_much", "asks_state", "asks_version_1", "asks_waits", "interrupts"]

    @classmethod
    def setUpClass(cls):
        cls.dir = PluginDir(*cls.NAMES)
        cls.apd = Daemon(cls.CONFIG, plugin_dirs=[cls.dir.path, PLUGINS, EXAMPLES])

    def result(self, agent_id, thread_id, **more):
        """A run on a thread, to its end: the whole answer."""
        answer = self.apd.post("/runs/wait", {"agent_id": agent_id, "thread_id": thread_id,
                                              "if_not_exists": "create", **more})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def asks(self, agent_id, thread_id=None, **more):
        """A run that asks: the thread, and the questions as the run shows them."""
        thread_id = thread_id or new_id()
        run = self.result(agent_id, thread_id, **more)["run"]
        self.assertEqual(run["status"], "interrupted", run)
        self.assertNotIn("error", run)
        self.assertEqual(self.apd.get(f"/runs/{run['run_id']}").json["interrupts"], run["interrupts"])
        self.is_asked(thread_id, run["interrupts"])
        return thread_id, run["interrupts"]

    def resume(self, agent_id, thread_id, answer, **command):
        return self.result(agent_id, thread_id, command={"resume": answer, **command})

    def thread(self, thread_id):
        return self.apd.get(f"/threads/{thread_id}").json

    def is_asked(self, thread_id, interrupts):
        thread = self.thread(thread_id)
        self.assertEqual((thread["status"], thread.get("interrupts")), ("interrupted", interrupts))

    def is_not_asked(self, thread_id, status):
        thread = self.thread(thread_id)
        self.assertEqual(thread["status"], status, thread)
        self.assertFalse(thread.get("interrupts"), thread)
        answer = self.apd.post("/runs/wait", {"agent_id": "approval", "thread_id": thread_id,
                                              "command": {"resume": True}})
        self.refused(answer, 422, "not_interrupted")


class Dialogues(AskingTest):
    """examples/approval and its users."""

    def said(self, result):
        return [m["content"] for m in result["messages"] if m["role"] == "assistant"]

    def test_an_answer(self):
        thread, questions = self.asks("approval", messages=[message("water the plants")])
        self.assertEqual([q["id"] for q in questions], ["order-1"])
        self.assertEqual(questions[0]["value"]["action"], "water the plants")
        self.assertEqual(self.thread(thread)["values"], {"outcomes": [], "proposed": ["water the plants"]})
        result = self.resume("approval", thread, {"decision": "approve"})
        self.assertEqual(result["run"]["status"], "success", result)
        self.assertNotIn("interrupts", result["run"])
        self.assertEqual(result["values"]["outcomes"], [
            {"proposed": "water the plants", "decision": "approve", "action": "water the plants"}])
        self.assertEqual(self.said(result), ["Done: water the plants"])
        self.is_not_asked(thread, "idle")

    def test_other_answers(self):
        for answer, outcome, words in [
                (True, {"decision": "approve", "action": "a"}, "Done: a"),
                (False, {"decision": "reject"}, "Not done: a"),
                ({"decision": "edit", "action": "b"}, {"decision": "edit", "action": "b"}, "Done: b"),
                ({"decision": "reject", "reason": 7}, {"decision": "reject", "reason": 7}, "Not done: a")]:
            with self.subTest(answer=answer):
                thread, _ = self.asks("approval", input={"actions": ["a"]})
                result = self.resume("approval", thread, answer)
                self.assertEqual(result["values"]["outcomes"], [{"proposed": "a", **outcome}])
                self.assertEqual(self.said(result), [words])

    def test_a_bad_answer_is_asked_for_again(self):
        thread, _ = self.asks("approval", input={"actions": ["a"]})
        run = self.resume("approval", thread, {"decision": "perhaps"})["run"]
        self.assertEqual(run["status"], "interrupted")
        self.assertIn("expected approve", run["interrupts"][0]["value"]["problem"])
        self.is_asked(thread, run["interrupts"])
        self.assertEqual(self.resume("approval", thread, True)["run"]["status"], "success")

    def test_several_questions(self):
        thread, questions = self.asks("approval", input={"actions": ["a", "b", "c"]})
        self.assertEqual([q["id"] for q in questions], ["order-1", "order-2", "order-3"])
        answer = self.apd.post("/runs/wait", {"agent_id": "approval", "thread_id": thread,
                                              "command": {"resume": True}})
        self.refused(answer, 422, "invalid_request")
        self.is_asked(thread, questions)
        result = self.resume("approval", thread, {"order-2": False})
        self.assertEqual([q["id"] for q in result["run"]["interrupts"]], ["order-1", "order-3"])
        self.is_asked(thread, result["run"]["interrupts"])
        result = self.resume("approval", thread, {"order-3": True, "order-1": {"decision": "edit", "action": "A"}})
        self.assertEqual(result["run"]["status"], "success")
        self.assertEqual([o["decision"] for o in result["values"]["outcomes"]], ["reject", "edit", "approve"])
        self.assertEqual(self.said(result), ["Not done: b", "Done: A", "Done: c"])

    def test_a_map_for_one_question(self):
        thread, _ = self.asks("approval", input={"actions": ["a"]})
        self.assertEqual(self.said(self.resume("approval", thread, {"order-1": True})), ["Done: a"])

    def test_a_stream_ends_with_the_question(self):
        thread = new_id()
        stream = self.apd.stream("POST", "/runs/stream", {
            "agent_id": "approval", "thread_id": thread, "if_not_exists": "create",
            "input": {"actions": ["a"]}, "stream_mode": ["values"]})
        events = list(stream)
        stream.close()
        self.assertEqual(events[-1].name, "end")
        self.assertEqual(events[-1].data["status"], "interrupted")
        run = self.apd.get(f"/runs/{events[-1].data['run_id']}").json
        self.is_asked(thread, run["interrupts"])

    def test_in_the_background(self):
        thread = new_id()
        run = self.apd.post("/runs", {"agent_id": "approval", "thread_id": thread, "if_not_exists": "create",
                                      "input": {"actions": ["a"]}}).json
        self.assertNotIn("interrupts", run)
        run = self.apd.get(f"/runs/{run['run_id']}/wait").json["run"]
        self.is_asked(thread, run["interrupts"])
        run = self.apd.post("/runs", {"agent_id": "approval", "thread_id": thread,
                                      "command": {"resume": True}}).json
        self.assertEqual(run["command"], {"resume": True})
        result = self.apd.get(f"/runs/{run['run_id']}/wait").json
        self.assertEqual((result["run"]["status"], self.said(result)), ("success", ["Done: a"]))

    def test_where_nobody_can_answer(self):
        run = self.run_of("approval", {"actions": ["a"]})
        self.fails(run, "error", "agent_error", "nobody can answer")
        self.assertEqual(run["error"]["agent_code"], "nobody_to_ask")
        self.assertNotIn("interrupts", run)

    def test_answers_without_a_question(self):
        for body in ({"thread_id": new_id(), "if_not_exists": "create"}, {"thread_id": new_id()}, {}):
            answer = self.apd.post("/runs/wait", {"agent_id": "approval", "command": {"resume": 1}, **body})
            self.assertIn((answer.status, answer.json["code"]),
                          [(422, "not_interrupted"), (404, "thread_not_found"), (422, "thread_required")])


class Questions(AskingTest):
    """What becomes of questions, and what an agent gets back."""

    def test_a_plain_run_drops_them(self):
        thread, _ = self.asks("asks_waits")
        self.assertEqual(self.result("echo", thread, input=1)["run"]["status"], "success")
        self.is_not_asked(thread, "idle")

    def test_a_run_that_asks_replaces_them(self):
        thread, old = self.asks("approval", input={"actions": ["a", "b"]})
        _, new = self.asks("approval", thread, input={"actions": ["c"]})
        self.assertNotEqual(old, new)
        result = self.resume("approval", thread, True)
        self.assertEqual(result["values"]["outcomes"][0]["action"], "c")

    def test_asked_but_not_interrupted(self):
        for input, run_status, thread_status in (
                (1, "success", "idle"), ("fail", "error", "error"), ("crash", "error", "error")):
            with self.subTest(input=input):
                thread = new_id()
                run = self.result("asks_for_nothing", thread, input=input)["run"]
                self.assertEqual(run["status"], run_status)
                self.assertNotIn("interrupts", run)
                self.is_not_asked(thread, thread_status)

    def started(self, thread):
        """A run that resumes asks_waits, and has committed."""
        body = {"agent_id": "asks_waits", "thread_id": thread, "command": {"resume": "go"}}
        run_id = self.apd.post("/runs", body).json["run_id"]
        until(lambda: self.thread(thread)["values"].get("resumed"), "the commit of the resumed run")
        shown = self.thread(thread)
        self.assertEqual(shown["status"], "busy")
        self.assertFalse(shown.get("interrupts"))
        return run_id

    def test_a_rollback_brings_them_back(self):
        thread, questions = self.asks("asks_waits")
        for _ in range(2):
            run_id = self.started(thread)
            self.apd.post(f"/runs/{run_id}/cancel?action=rollback&wait=true")
            self.assertEqual(self.apd.get(f"/runs/{run_id}").status, 404)
            self.is_asked(thread, questions)
            self.assertEqual(self.thread(thread)["values"], {"asked": True})

    def test_a_cancelled_run_has_answered_them(self):
        thread, _ = self.asks("asks_waits")
        run_id = self.started(thread)
        self.apd.post(f"/runs/{run_id}/cancel?wait=true")
        self.assertEqual(self.thread(thread)["values"], {"asked": True, "resumed": True})
        self.is_not_asked(thread, "idle")

    def test_a_second_answer_comes_too_late(self):
        thread, _ = self.asks("asks_waits")
        run_id = self.started(thread)
        body = {"agent_id": "asks_waits", "thread_id": thread, "command": {"resume": "no"}}
        self.refused(self.apd.post("/runs/wait", body), 409, "thread_busy")
        self.apd.post(f"/runs/{run_id}/cancel?wait=true")

    def test_what_was_committed_is_there(self):
        thread, _ = self.asks("asks_state", messages=[message("hello")])
        result = self.resume("asks_state", thread, "yes")
        self.assertEqual((result["run"]["status"], result["values"]), ("success", {"kept": [1, 2]}), result)
        self.assertEqual([m["content"] for m in result["messages"]], ["hello", "?"])

    def test_once_per_invoke(self):
        thread, questions = self.asks("interrupts", input=1)
        self.assertEqual(questions, [{"id": "q", "value": {"ok": True}}, {"id": "r", "value": None}])
        self.assertEqual(self.thread(thread)["values"], {"status": [-2, -2, -2, -2, 0, -12]})
        self.assertIn("interrupts: plugin misbehaving: interrupt() twice in one invoke()", self.apd.log())
        result = self.resume("interrupts", thread, {"q": [1], "r": None})
        answers = result["values"]["resume"]
        self.assertEqual(sorted(answers, key=lambda answer: answer["id"]), [
            {"namespace": [], "id": "q", "response": [1]}, {"namespace": [], "id": "r", "response": None}])
        self.assertEqual(result["values"]["left"], 1)


class Sizes(AskingTest):
    CONFIG = "workers: {max_commit: 2MiB}\n"
    NAMES = ["asks_much"]

    def much(self, n, payload, continuation):
        return f"{n} {payload} {continuation}"

    def test_namespaces_and_all_bytes(self):
        thread, questions = self.asks("asks_much", input=self.much(1, 6, 70000))
        self.assertEqual(questions, [{"id": "q0", "namespace": ["outer", "inner"], "value": "pppp"}])
        values = self.resume("asks_much", thread, [1, 2])["values"]
        self.assertEqual((values["continuation"], values["same"]), (70000, 70000))

    def test_nothing_left(self):
        thread, _ = self.asks("asks_much", input=self.much(1, 6, 0))
        values = self.resume("asks_much", thread, 0)["values"]
        self.assertEqual((values["continuation"], values["jump"]), (0, None))

    def test_a_place_to_go_to(self):
        thread, _ = self.asks("asks_much", input=self.much(1, 6, 3))
        values = self.resume("asks_much", thread, 1, goto={"node": ["x"]})["values"]
        self.assertEqual(values["jump"], {"node": ["x"]})

    def test_an_update_comes_first(self):
        thread, _ = self.asks("asks_much", input=self.much(1, 6, 3))
        values = self.resume("asks_much", thread, 1, update={"new": [1], "continuation": "old"})["values"]
        self.assertEqual((values["new"], values["continuation"]), ([1], 3))

    def test_up_to_the_limits(self):
        thread, _ = self.asks("asks_much", messages=[message("m" * (3 * MIB))],
                              input=self.much(1, MIB, MIB - 100))
        result = self.resume("asks_much", thread, "r" * (3 * MIB))
        self.assertEqual(result["run"]["status"], "success", result["run"].get("error"))
        self.assertEqual(result["values"]["same"], MIB - 100)
        self.assertGreater(result["values"]["resume"], 3 * MIB)
        self.assertGreater(result["values"]["transcript"], 3 * MIB)

    def test_as_many_as_anybody_answers(self):
        thread, questions = self.asks("asks_much", input=self.much(1000, 6, 3))
        self.assertEqual(len({q["id"] for q in questions}), 1000)
        result = self.resume("asks_much", thread, {q["id"]: q["id"] for q in questions})
        self.assertEqual(result["run"]["status"], "success")

    def test_beyond(self):
        for input in (self.much(1001, 6, 3), self.much(1, MIB, MIB), self.much(1, 6, 2 * MIB)):
            with self.subTest(input=input):
                thread = new_id()
                result = self.result("asks_much", thread, input=input)
                self.assertEqual((result["run"]["status"], result["values"]), ("success", {"status": [-8]}))
                self.is_not_asked(thread, "idle")


class Lives(unittest.TestCase):
    """Questions outlive the daemon that asked them, and the version of the agent."""

    def open(self, config=""):
        self.dir = PluginDir()
        self.addCleanup(self.dir.close)
        self.dir.add("asks_version_1", "asks_version.so")
        self.dir.add("asks_waits")
        self.apd = Daemon(config, plugin_dirs=[self.dir.path, PLUGINS, EXAMPLES])
        self.addCleanup(self.apd.close)

    def run_on(self, thread_id, agent_id="asks_version", **more):
        answer = self.apd.post("/runs/wait", {"agent_id": agent_id, "thread_id": thread_id,
                                              "if_not_exists": "create", **more})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def ask(self, agent_id="asks_version", **more):
        thread_id = new_id()
        run = self.run_on(thread_id, agent_id, **more)["run"]
        self.assertEqual(run["status"], "interrupted", run)
        return thread_id, run

    def test_kill_9(self):
        self.open()
        thread, run = self.ask("approval", input={"actions": ["a", "b"]})
        partly = self.run_on(thread, "approval", command={"resume": {"order-1": True}})["run"]
        self.assertEqual(len(partly["interrupts"]), 1)
        self.apd.kill()
        self.apd.start()
        shown = self.apd.get(f"/threads/{thread}").json
        self.assertEqual((shown["status"], shown["interrupts"]), ("interrupted", partly["interrupts"]))
        self.assertEqual(self.apd.get(f"/runs/{run['run_id']}").json["interrupts"], run["interrupts"])
        result = self.run_on(thread, "approval", command={"resume": True})
        self.assertEqual([o["proposed"] for o in result["values"]["outcomes"]], ["a", "b"])
        self.assertEqual(self.apd.get(f"/threads/{thread}").json["status"], "idle")

    def test_kill_9_of_the_resumed_run(self):
        self.open("runs: {shutdown_grace: 500ms}")
        thread, _ = self.ask("asks_waits")
        run_id = self.apd.post("/runs", {"agent_id": "asks_waits", "thread_id": thread,
                                         "command": {"resume": 1}}).json["run_id"]
        until(lambda: self.apd.get(f"/threads/{thread}").json["values"].get("resumed"), "its commit")
        self.apd.kill()
        self.apd.start()
        run = self.apd.get(f"/runs/{run_id}/wait").json["run"]
        self.assertEqual((run["status"], run["error"]["code"]), ("error", "daemon_restarted"))
        shown = self.apd.get(f"/threads/{thread}").json
        self.assertEqual((shown["status"], shown["values"]), ("error", {"asked": True, "resumed": True}))
        self.assertFalse(shown.get("interrupts"))

    def replace(self, version, generation):
        self.dir.add(f"asks_version_{version}", "asks_version.so")
        self.apd.process.send_signal(signal.SIGHUP)
        until(lambda: self.apd.get("/agents/asks_version").json["metadata"]["generation"] == generation,
              "the new generation")

    def test_a_newer_version_goes_on(self):
        self.open("plugins: {watch: false}\n")
        thread, _ = self.ask()
        self.replace(2, 2)
        result = self.run_on(thread, command={"resume": 1})
        self.assertEqual((result["run"]["status"], result["values"]), ("success", {"asked": 1, "went_on": 2}))

    def test_an_older_version_says_that_it_cannot(self):
        self.open("plugins: {watch: false}\n")
        self.replace(2, 2)
        thread, _ = self.ask()
        self.replace(1, 3)
        run = self.run_on(thread, command={"resume": 1})["run"]
        self.assertEqual((run["status"], run["error"]["agent_code"]), ("error", "unknown_continuation"))
        shown = self.apd.get(f"/threads/{thread}").json
        self.assertEqual(shown["status"], "error")
        self.assertFalse(shown.get("interrupts"))


if __name__ == "__main__":
    unittest.main()
