"""Streams of runs."""

import unittest

from harness import DaemonTest, message, new_id, until


class Streams(DaemonTest):
    CONFIG = """
http: {heartbeat: 200ms}
agents:
  echo: {plugin: echo}
  slow: {plugin: echo, settings: {delay_ms: 150}}
"""

    def events(self, body, method="POST", path="/runs/stream", headers=None):
        stream = self.apd.stream(method, path, body, headers)
        self.assertEqual(stream.status, 200)
        self.assertEqual(stream.headers["content-type"].split(";")[0], "text/event-stream")
        events = list(stream)
        stream.close()
        return events

    def test_metadata_first_end_last(self):
        events = self.events({"agent_id": "echo", "input": 1})
        self.assertEqual(events[0].name, "metadata")
        self.assertEqual(set(events[0].data), {"run_id", "thread_id", "attempt"})
        self.assertIsNone(events[0].id)
        self.assertEqual(events[-1].name, "end")
        self.assertEqual(events[-1].data, {"run_id": events[0].data["run_id"], "status": "success"})
        ids = [int(event.id) for event in events if event.id]
        self.assertEqual(ids, sorted(set(ids)))

    def test_values_at_the_start_and_after_each_commit(self):
        events = self.events({"agent_id": "echo", "input": 1})
        values = [event for event in events if event.name == "values"]
        self.assertEqual([event.data for event in values], [{}, {"echo": 1}])
        self.assertIsNone(values[0].id)
        self.assertEqual({event.name for event in events}, {"metadata", "values", "end"})

    def test_values_hold_the_messages(self):
        events = self.events({"agent_id": "echo", "messages": [message("hi there")]})
        values = [event.data for event in events if event.name == "values"]
        self.assertEqual([len(value["messages"]) for value in values], [1, 2])

    def test_updates(self):
        events = self.events({"agent_id": "echo", "input": 1, "stream_mode": "updates"})
        updates = [event.data for event in events if event.name == "updates"]
        self.assertEqual(updates, [{"echo": {"echo": 1}}])

    def test_messages_word_by_word(self):
        events = self.events({"agent_id": "echo", "messages": [message("one two three")], "stream_mode": "messages"})
        names = [event.name for event in events]
        self.assertEqual(names[1], "messages/metadata")
        self.assertEqual(names[-2], "messages/complete")
        partial = [event.data[0]["content"] for event in events if event.name == "messages/partial"]
        self.assertEqual(partial, ["one ", "one two ", "one two three"])
        complete = events[-2].data[0]
        self.assertEqual((complete["type"], complete["role"], complete["content"]), ("ai", "assistant", "one two three"))
        self.assertIn(complete["id"], events[1].data)

    def test_custom(self):
        events = self.events({"agent_id": "countdown", "input": {"from": 3, "step_ms": 1}, "stream_mode": ["custom"]})
        ticks = [event.data["payload"]["left"] for event in events if event.name == "custom"]
        self.assertEqual(ticks, sorted(ticks, reverse=True))
        self.assertIn(3, ticks)

    def test_several_modes(self):
        events = self.events({"agent_id": "echo", "messages": [message("a b")], "stream_mode": ["updates", "messages"]})
        names = {event.name for event in events}
        self.assertLessEqual({"updates", "messages/partial", "messages/complete"}, names)
        self.assertNotIn("values", names)

    def test_locations(self):
        stream = self.apd.stream("POST", "/runs/stream", {"agent_id": "echo", "input": 1})
        run = next(iter(stream)).data
        self.assertEqual(stream.headers["content-location"], f"/threads/{run['thread_id']}/runs/{run['run_id']}")
        self.assertEqual(self.apd.raw("GET", stream.headers["location"]).status, 200)
        stream.close()

    def test_errors_come_before_the_end(self):
        events = self.events({"agent_id": "crash", "input": {"how": "segv"}})
        self.assertEqual([event.name for event in events[-2:]], ["error", "end"])
        self.assertEqual(events[-2].data["code"], "agent_crashed")
        self.assertEqual(events[-1].data["status"], "error")

    def test_refusals_are_json(self):
        self.refused(self.apd.post("/runs/stream", {"agent_id": "nobody"}), 404, "agent_not_found")

    def test_heartbeats_while_nothing_happens(self):
        stream = self.apd.stream("POST", "/runs/stream", {"agent_id": "countdown",
                                                           "input": {"from": 2, "step_ms": 700}, "stream_mode": "custom"})
        list(stream)
        self.assertGreater(stream.heartbeats, 1)
        stream.close()

    def test_joining_shows_what_comes_next(self):
        first = self.apd.stream("POST", "/runs/stream", {"agent_id": "slow", "messages": [message("a b c d e f g h")],
                                                          "stream_mode": "messages"})
        run_id = first.next("metadata").data["run_id"]
        first.next("messages/partial")
        first.next("messages/partial")
        joined = self.events(None, "GET", f"/runs/{run_id}/stream?stream_mode=messages")
        self.assertEqual(joined[0].name, "metadata")
        self.assertEqual(joined[-1].name, "end")
        partial = [event.data[0]["content"] for event in joined if event.name == "messages/partial"]
        self.assertTrue(partial[0].startswith("a b "))
        rest = [event.id for event in first if event.name == "messages/partial"]
        self.assertEqual([event.id for event in joined if event.name == "messages/partial"], rest[-len(partial):])
        first.close()

    def test_resuming_after_an_event(self):
        whole = self.events({"agent_id": "echo", "messages": [message("a b c d")], "stream_mode": ["messages", "values"]})
        run_id = whole[0].data["run_id"]
        numbered = [event for event in whole if event.id]
        for position, last in enumerate(numbered[:-1]):
            with self.subTest(last=last.id):
                resumed = self.events(None, "GET", f"/runs/{run_id}/stream", {"Last-Event-ID": last.id})
                self.assertEqual([(event.id, event.data) for event in resumed if event.id],
                                 [(event.id, event.data) for event in numbered[position + 1:]])
        again = self.events(None, "GET", f"/runs/{run_id}/stream", {"Last-Event-ID": "-1"})
        self.assertEqual([(event.name, event.data) for event in again], [(event.name, event.data) for event in whole])

    def test_the_stream_of_an_ended_run_just_ends(self):
        run_id = self.apd.post("/runs", {"agent_id": "echo", "input": 1}).json["run_id"]
        self.apd.get(f"/runs/{run_id}/wait")
        events = self.events(None, "GET", f"/runs/{run_id}/stream")
        self.assertEqual([event.name for event in events], ["metadata", "end"])
        self.assertEqual(events[-1].data["status"], "success")

    def test_a_cancelled_run_ends_its_stream(self):
        stream = self.apd.stream("POST", "/runs/stream", {"agent_id": "countdown", "input": {"from": 100, "step_ms": 500}})
        run_id = stream.next("metadata").data["run_id"]
        self.apd.post(f"/runs/{run_id}/cancel")
        events = list(stream)
        self.assertEqual(events[-1].name, "end")
        self.assertEqual(events[-1].data["status"], "interrupted")
        self.assertNotIn("error", [event.name for event in events])
        stream.close()

    def test_head_of_a_stream_has_no_body(self):
        run_id = self.apd.post("/runs", {"agent_id": "echo", "input": 1}).json["run_id"]
        self.apd.get(f"/runs/{run_id}/wait")
        answer = self.apd.raw("HEAD", f"/runs/{run_id}/stream")
        self.assertEqual((answer.status, answer.body), (200, b""))


if __name__ == "__main__":
    unittest.main()
