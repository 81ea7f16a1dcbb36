"""Runs that are waited for, run in the background, searched, cancelled and deleted."""

import threading
import unittest

from harness import DaemonTest, message, new_id, until


class Wait(DaemonTest):
    def test_echo_answers_the_last_message(self):
        result = self.apd.post("/runs/wait", {"agent_id": "echo", "messages": [message("hi")]}).json
        self.assertEqual(result["run"]["status"], "success")
        self.assertEqual(result["run"]["attempt"], 1)
        self.assertEqual([m["content"] for m in result["messages"]], ["hi", "hi"])
        self.assertEqual([m["role"] for m in result["messages"]], ["user", "assistant"])
        self.assertEqual(len({m["id"] for m in result["messages"]}), 2)
        self.assertNotIn("messages", result["values"])

    def test_input_comes_back_as_it_was_written(self):
        text = '{"agent_id":"echo","input":{"n":0.1,"e":1E5,"big":18446744073709551615,"s":"\\u00e9\\ud83d\\ude00"}}'
        answer = self.apd.post("/runs/wait", text)
        self.assertIn(b'"n":0.1,"e":1E5,"big":18446744073709551615', answer.body)
        self.assertEqual(answer.json["values"]["echo"]["s"], "\u00e9\U0001f600")

    def test_fields_come_back_with_defaults(self):
        run = self.apd.post("/runs/wait", {"agent_id": "echo", "input": 1, "metadata": {"a": 1},
                                           "config": {"tags": ["x"]}, "stream_mode": "values"}).json["run"]
        self.assertEqual(run["metadata"], {"a": 1})
        self.assertEqual(run["config"], {"tags": ["x"]})
        self.assertEqual(run["on_completion"], "delete")
        self.assertEqual(run["on_disconnect"], "cancel")
        self.assertEqual(run["if_not_exists"], "reject")
        self.assertEqual(run["stream_mode"], "values")
        self.assertNotIn("stream_mode", self.apd.post("/runs/wait", {"agent_id": "echo"}).json["run"])

    def test_null_is_absent(self):
        body = {name: None for name in ("thread_id", "input", "messages", "metadata", "config", "webhook",
                                        "on_completion", "on_disconnect", "if_not_exists", "stream_mode")}
        result = self.apd.post("/runs/wait", {**body, "agent_id": "echo"}).json
        self.assertEqual(result["run"]["status"], "success")
        self.assertEqual(result["run"]["metadata"], {})

    def test_server_fields_and_unknown_ones_are_ignored(self):
        mine = new_id()
        run = self.apd.post("/runs/wait", {"agent_id": "echo", "run_id": mine, "status": "error",
                                           "created_at": "x", "updated_at": 3, "colour": "blue"}).json["run"]
        self.assertNotEqual(run["run_id"], mine)
        self.assertEqual(run["status"], "success")
        self.assertNotIn("colour", run)

    def test_bad_bodies_are_refused(self):
        cases = [
            ('{"agent_id":"echo",}', "invalid_json", "line 1, column 20"),
            ('{"agent_id":"echo"', "invalid_json", "line 1"),
            ("[1]", "invalid_request", "body: expected an object"),
            ('{"agent_id":7}', "invalid_request", "agent_id: expected a string"),
            ('{"agent_id":"echo","config":{"recursion_limit":"3"}}', "invalid_request",
             "config.recursion_limit: expected an integer or null, got a string"),
            ('{"agent_id":"echo","messages":[{"role":"user"}]}', "invalid_request", "messages[0]"),
            ('{"agent_id":"echo","thread_id":"abc"}', "invalid_request", "thread_id"),
            ('{"agent_id":"echo","on_disconnect":"explode"}', "invalid_request", "on_disconnect"),
            ('{"agent_id":"echo","stream_mode":["values","x"]}', "invalid_request", "stream_mode"),
            ('{"agent_id":"echo","input":1,"input":2}', "invalid_json", "duplicate"),
            ('{"agent_id":"echo","input":"\\u0000"}', "invalid_json", "line 1"),
            ('{"agent_id":"echo","input":18446744073709551616}', "invalid_json", "range"),
            ('{"agent_id":"echo","input":' + "[" * 200 + "]" * 200 + "}", "invalid_json", "128"),
            (b'{"agent_id":"echo","input":"\xff"}', "invalid_json", "UTF-8"),
            ('{"agent_id":"echo","webhook":"ftp://example.org/"}', "invalid_request", "webhook"),
            ('{"agent_id":"echo","webhook":""}', "invalid_request", "webhook"),
            ('{"assistant_id":"echo"}', "unsupported", "agent_id"),
        ]
        for path in ("/runs/wait", "/runs", "/runs/stream"):
            for body, code, words in cases:
                with self.subTest(path=path, body=body[:60]):
                    self.refused(self.apd.post(path, body), 422, code, words)

    def test_agents_are_needed_and_known(self):
        self.refused(self.apd.post("/runs/wait", {}), 422, "agent_required")
        self.refused(self.apd.post("/runs/wait", {"agent_id": "nobody"}), 404, "agent_not_found")

    def test_input_is_checked_against_the_agent(self):
        problem = self.refused(
            self.apd.post("/runs/wait", {"agent_id": "countdown", "input": {"from": "ten"}}),
            422, "invalid_input", "input.from")
        self.assertEqual(problem["metadata"]["path"], "/input/from")

    def test_messages_only_where_the_agent_takes_them(self):
        self.refused(self.apd.post("/runs/wait", {"agent_id": "countdown", "messages": [message("x")]}),
                     422, "messages_unsupported")

    def test_a_failing_run_is_still_200(self):
        result = self.apd.post("/runs/wait", {"agent_id": "crash", "input": {"how": "abort"}}).json
        self.assertEqual(result["run"]["status"], "error")
        self.assertEqual(result["run"]["error"]["code"], "agent_crashed")
        self.assertIn("SIGABRT", result["run"]["error"]["message"])

    def test_many_at_once(self):
        results = []

        def one(n):
            results.append(self.apd.post("/runs/wait", {"agent_id": "echo", "input": n}).json["values"]["echo"])

        threads = [threading.Thread(target=one, args=(n,)) for n in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(results), list(range(100)))


class Background(DaemonTest):
    def create(self, **body):
        return self.apd.post("/runs", {"agent_id": "echo", **body}).json

    def test_a_run_can_be_polled_waited_for_and_deleted(self):
        run = self.create(input="x")
        self.assertEqual(run["status"], "pending")
        result = self.apd.get(f"/runs/{run['run_id']}/wait").json
        self.assertEqual(result["run"]["status"], "success")
        self.assertEqual(result["values"], {"echo": "x"})
        again = self.apd.get(f"/runs/{run['run_id']}").json
        self.assertEqual(again, result["run"])
        self.assertEqual(self.apd.get(f"/runs/{run['run_id']}/wait").json, result)
        self.assertEqual(self.apd.delete(f"/runs/{run['run_id']}").status, 204)
        self.refused(self.apd.get(f"/runs/{run['run_id']}"), 404, "run_not_found")
        self.refused(self.apd.delete(f"/runs/{run['run_id']}"), 404, "run_not_found")

    def test_unknown_and_malformed_ids(self):
        for method, path in [("GET", ""), ("GET", "/wait"), ("GET", "/stream"), ("POST", "/cancel"), ("DELETE", "")]:
            with self.subTest(method=method, path=path):
                self.refused(self.apd.call(method, f"/runs/{new_id()}{path}"), 404, "run_not_found")
                self.refused(self.apd.call(method, f"/runs/xyz{path}"), 422, "invalid_request")

    def test_an_active_run_is_not_deleted(self):
        run = self.create(agent_id="countdown", input={"from": 1000, "step_ms": 1000})
        self.refused(self.apd.delete(f"/runs/{run['run_id']}"), 422, "run_active")
        self.assertEqual(self.apd.post(f"/runs/{run['run_id']}/cancel?wait=true").status, 204)

    def test_cancel_interrupts(self):
        run = self.create(agent_id="countdown", input={"from": 1000, "step_ms": 1000})
        until(lambda: "started_at" in self.apd.get(f"/runs/{run['run_id']}").json)
        self.assertEqual(self.apd.post(f"/runs/{run['run_id']}/cancel?wait=true&action=interrupt").status, 204)
        ended = self.apd.get(f"/runs/{run['run_id']}").json
        self.assertEqual(ended["status"], "interrupted")
        self.assertEqual(ended["error"]["code"], "cancelled")
        self.assertEqual(self.apd.post(f"/runs/{run['run_id']}/cancel").status, 204)
        self.assertEqual(self.apd.post(f"/runs/{run['run_id']}/cancel?wait=true").status, 204)

    def test_cancel_without_waiting(self):
        run = self.create(agent_id="countdown", input={"from": 1000, "step_ms": 1000})
        self.assertEqual(self.apd.post(f"/runs/{run['run_id']}/cancel").status, 204)
        self.assertEqual(self.apd.get(f"/runs/{run['run_id']}/wait").json["run"]["status"], "interrupted")

    def test_rollback_removes_the_run(self):
        run = self.create(agent_id="countdown", input={"from": 1000, "step_ms": 1000})
        self.assertEqual(self.apd.post(f"/runs/{run['run_id']}/cancel?wait=true&action=rollback").status, 204)
        self.refused(self.apd.get(f"/runs/{run['run_id']}"), 404, "run_not_found")

    def test_bad_cancels(self):
        run = self.create(input=1)
        for query in ("wait=maybe", "action=explode", "wait=1"):
            self.refused(self.apd.post(f"/runs/{run['run_id']}/cancel?{query}"), 422, "invalid_request",
                         query.split("=")[0])

    def test_search(self):
        mark = new_id()
        ids = [self.create(input=n, metadata={"mark": mark, "n": n})["run_id"] for n in range(5)]
        for run_id in ids:
            self.apd.get(f"/runs/{run_id}/wait")
        search = lambda **body: [run["run_id"] for run in self.apd.post("/runs/search", body).json]
        self.assertEqual(search(metadata={"mark": mark}), ids[::-1])
        self.assertEqual(search(metadata={"mark": mark}, limit=2, offset=1), ids[::-1][1:3])
        self.assertEqual(search(metadata={"mark": mark, "n": 3}), [ids[3]])
        self.assertEqual(search(metadata={"mark": mark}, status="error"), [])
        self.assertEqual(len(search(metadata={"mark": mark}, status="success")), 5)
        self.assertEqual(search(metadata={"mark": mark}, agent_id="hello"), [])
        self.assertEqual(search(thread_id=new_id()), [])
        self.refused(self.apd.post("/runs/search", {"status": "running"}), 422, "invalid_request", "status")
        self.refused(self.apd.post("/runs/search", {"thread_id": "x"}), 422, "invalid_request", "thread_id")

    def test_threads_exist_or_not(self):
        thread = new_id()
        self.refused(self.apd.post("/runs", {"agent_id": "echo", "thread_id": thread}), 404, "thread_not_found")
        run = self.create(thread_id=thread, if_not_exists="create", input=1)
        self.assertEqual(run["thread_id"], thread)
        self.assertEqual(run["on_completion"], "keep")
        self.apd.get(f"/runs/{run['run_id']}/wait")
        self.assertEqual(self.apd.post("/runs/wait", {"agent_id": "echo", "thread_id": thread}).json["run"]["status"],
                         "success")
        listed = self.apd.post("/runs/search", {"thread_id": thread}).json
        self.assertEqual(len(listed), 2)

    def test_one_active_run_a_thread(self):
        thread = new_id()
        run = self.create(agent_id="countdown", input={"from": 1000, "step_ms": 1000}, thread_id=thread,
                          if_not_exists="create")
        self.refused(self.apd.post("/runs/wait", {"agent_id": "echo", "thread_id": thread}), 409, "thread_busy")
        self.apd.post(f"/runs/{run['run_id']}/cancel?wait=true")
        self.assertEqual(self.apd.post("/runs/wait", {"agent_id": "echo", "thread_id": thread}).status, 200)

    def test_ephemeral_threads_are_gone(self):
        run = self.create(input=1)
        self.apd.get(f"/runs/{run['run_id']}/wait")
        self.refused(self.apd.post("/runs", {"agent_id": "echo", "thread_id": run["thread_id"]}), 404,
                     "thread_not_found")

    def test_on_completion_keep_keeps_a_thread_of_its_own(self):
        run = self.create(input=1, on_completion="keep")
        self.apd.get(f"/runs/{run['run_id']}/wait")
        again = self.create(input=2, thread_id=run["thread_id"])
        self.assertEqual(again["thread_id"], run["thread_id"])
        self.apd.get(f"/runs/{again['run_id']}/wait")

    def test_on_completion_delete_removes_the_thread(self):
        thread = new_id()
        self.apd.post("/runs/wait", {"agent_id": "echo", "thread_id": thread, "if_not_exists": "create",
                                     "on_completion": "delete"})
        self.refused(self.apd.post("/runs", {"agent_id": "echo", "thread_id": thread}), 404, "thread_not_found")


class Limits(DaemonTest):
    CONFIG = """
runs: {queue_per_agent: 2, timeout: 300ms, grace: 200ms}
workers: {max: 1}
"""

    def test_a_run_out_of_time_ends_as_timeout(self):
        result = self.apd.post("/runs/wait", {"agent_id": "countdown", "input": {"from": 1000, "step_ms": 1000}}).json
        self.assertEqual(result["run"]["status"], "timeout")
        self.assertEqual(result["run"]["error"]["code"], "deadline")

    def test_an_endless_loop_is_ended(self):
        result = self.apd.post("/runs/wait", {"agent_id": "crash", "input": {"how": "loop"}}).json
        self.assertEqual(result["run"]["status"], "timeout")
        self.assertEqual(result["run"]["error"]["code"], "agent_stuck")
        self.assertEqual(self.apd.post("/runs/wait", {"agent_id": "crash", "input": {"how": "none"}}).json["run"]["status"],
                         "success")


if __name__ == "__main__":
    unittest.main()
