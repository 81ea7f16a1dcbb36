"""What a thread's state is: commits, messages by id, patches, branches, its history."""

import unittest

from harness import message, new_id
from threads import FOR_EVER, ThreadTest, put, steps


def said(id, text, role="user"):
    return {"id": id, "role": role, "content": text}


def texts(shown):
    return [m["content"] for m in shown.get("messages", [])]


class Commits(ThreadTest):
    def test_replace_whole_keys(self):
        thread = self.thread()
        self.succeed_on(thread, put(a={"x": 1, "y": 2}, b=1), put(a={"z": 3}, c=[1]))
        self.assertEqual(self.values(thread), {"a": {"z": 3}, "b": 1, "c": [1]})
        self.succeed_on(thread, put(b=None))
        self.assertEqual(self.values(thread), {"a": {"z": 3}, "b": None, "c": [1]})

    def test_remove_keys(self):
        thread = self.thread()
        self.succeed_on(thread, put(a=1, b=2, c=3), {"patch": {"d": 4}, "removed": ["a", "b", "never"]})
        self.assertEqual(self.values(thread), {"c": 3, "d": 4})
        self.succeed_on(thread, {"removed": ["c"]})
        self.assertEqual(self.values(thread), {"d": 4})
        self.check_history(thread)

    def test_outlive_their_run(self):
        thread = self.thread()
        for n in range(1, 6):
            result = self.succeed_on(thread, {"add": {"n": 1}}, put(last=n))
            self.assertEqual(result["values"], {"n": n, "last": n})
        self.assertEqual(self.values(thread), {"n": 5, "last": 5})

    def test_are_text(self):
        thread = self.thread()
        self.apd.post(f"/threads/{thread}/runs/wait",
                      '{"agent_id":"stateful","input":{"steps":[{"patch":{"n":0.10,"e":1E5,"s":"\\u00e9"}}]}}')
        self.assertIn(b'"n":0.10,"e":1E5', self.apd.get(f"/threads/{thread}").body)
        self.assertIn(b'"n":0.10,"e":1E5', self.apd.get(f"/threads/{thread}/history").body)

    def test_show_while_the_run_goes_on(self):
        thread = self.thread()
        run = self.hold(thread, put(a=1), FOR_EVER)
        shown = self.get(thread)
        self.assertEqual((shown["values"]["a"], shown["status"]), (1, "busy"))
        self.cancel(run)
        self.assertEqual(self.values(thread), shown["values"])

    def test_of_a_failed_run_stay(self):
        for last, code in (({"fail": "bad_luck"}, "agent_error"), ({"crash": True}, "agent_crashed")):
            thread = self.thread()
            record = self.run_on(thread, put(a=1), last)["run"]
            self.assertEqual((record["status"], record["error"]["code"]), ("error", code))
            self.assertEqual((self.values(thread), self.status(thread)), ({"a": 1}, "error"))
            self.succeed_on(thread, put(b=2))
            self.assertEqual((self.values(thread), self.status(thread)), ({"a": 1, "b": 2}, "idle"))
            self.check_history(thread)

    def test_the_output_is_what_the_schema_names(self):
        thread = self.thread()
        result = self.succeed_on(thread, put(count=1, other=2), agent_id="output")
        self.assertEqual(result["values"], {"count": 1})
        self.assertEqual(self.values(thread), {"count": 1, "other": 2})
        self.assertEqual(self.result(result["run"]["run_id"])["values"], {"count": 1})
        record = self.run_on(thread, put(count="many"), agent_id="output")["run"]
        self.assertEqual(record["error"]["code"], "invalid_output")

    def test_a_result_does_not_change_with_the_thread(self):
        thread = self.thread()
        results = [self.succeed_on(thread, {"add": {"n": 1}}, messages=[message(str(n))]) for n in range(4)]
        self.patch(thread, values={"n": 0}, messages=[message("last")])
        for n, result in enumerate(results):
            self.assertEqual(result["values"], {"n": n + 1})
            self.assertEqual(texts(result), [str(m) for m in range(n + 1)])
            again = self.result(result["run"]["run_id"])
            self.assertEqual({key: again[key] for key in ("run", "values", "messages")},
                             {key: result[key] for key in ("run", "values", "messages")})


class Messages(ThreadTest):
    def test_of_requests_are_appended_or_replace(self):
        thread = self.thread()
        self.succeed_on(thread, messages=[said("a", "one"), said("b", "two"), message("three")])
        self.succeed_on(thread, messages=[said("b", "TWO"), said("c", "four")])
        shown = self.get(thread)
        self.assertEqual(texts(shown), ["one", "TWO", "three", "four"])
        self.assertEqual(len({m["id"] for m in shown["messages"]}), 4)
        self.assertNotIn("messages", shown["values"])
        self.check_history(thread)

    def test_of_commits_are_combined(self):
        thread = self.thread()
        self.succeed_on(thread, put(messages=[said("a", "one", "assistant"), said("b", "two", "assistant")]),
                        put(messages=[said("a", "ONE", "assistant"), {"type": "remove", "id": "b"},
                                      said("c", "three", "assistant")]),
                        messages=[said("q", "zero")])
        self.assertEqual(texts(self.get(thread)), ["zero", "ONE", "three"])
        self.assertEqual(self.values(thread), {})

    def test_of_a_patch_are_combined(self):
        thread = self.thread()
        self.succeed_on(thread, messages=[said("a", "one"), said("b", "two")])
        shown = self.patch(thread, messages=[said("b", "TWO"), message("three")])
        self.assertEqual(texts(shown), ["one", "TWO", "three"])
        self.assertEqual(self.get(thread), shown)

    def test_a_conversation(self):
        thread = self.thread()
        for n in range(3):
            result = self.apd.post(f"/threads/{thread}/runs/wait",
                                   {"agent_id": "echo", "messages": [message(f"turn {n}")]}).json
            self.assertEqual(texts(result), [f"turn {m // 2}" for m in range(2 * n + 2)])
            self.assertEqual([m["role"] for m in result["messages"]], ["user", "assistant"] * (n + 1))
        self.assertEqual(self.get(thread)["messages"], result["messages"])

    def test_who_sees_the_transcript(self):
        thread = self.thread()
        self.succeed_on(thread, messages=[said("a", "one")])
        self.patch(thread, messages=[said("b", "two")])
        result = self.succeed_on(thread, {"see": True}, agent_id="transcript", messages=[said("c", "three")])
        seen = result["values"]["seen"]
        self.assertEqual(texts({"messages": seen["transcript"]}), ["one", "two", "three"])
        self.assertEqual(texts(seen), ["three"])
        seen = self.succeed_on(thread, {"see": True}, messages=[said("d", "four")])["values"]["seen"]
        self.assertIsNone(seen["transcript"])
        self.assertEqual(texts(seen), ["four"])

    def test_none_where_there_never_were_any(self):
        thread = self.thread()
        self.succeed_on(thread, put(a=1))
        self.assertNotIn("messages", self.get(thread))


class Patch(ThreadTest):
    def test_is_a_checkpoint(self):
        thread = self.thread()
        first = self.patch(thread, values={"a": {"x": 1}, "b": 1})
        self.assertEqual((first["values"], first["status"]), ({"a": {"x": 1}, "b": 1}, "idle"))
        self.patch(thread, values={"a": {"y": 2}, "b": None}, metadata={"m": 1})
        self.assertEqual(self.values(thread), {"a": {"y": 2}, "b": None})
        self.assertEqual(self.sources(thread), ["update", "update"])
        self.check_history(thread)
        self.assertEqual(self.succeed_on(thread, {"see": True})["values"]["seen"]["values"],
                         {"a": {"y": 2}, "b": None})

    def test_of_a_busy_thread_is_refused(self):
        thread = self.thread()
        run = self.hold(thread)
        for body in ({"values": {"a": 1}}, {"messages": [message("x")]}, {"values": {"a": 1}, "metadata": {"m": 1}}):
            self.refused(self.apd.call("PATCH", f"/threads/{thread}", body), 422, "thread_busy")
        self.assertEqual(self.get(thread)["metadata"], {})
        self.cancel(run)
        self.patch(thread, values={"a": 1})
        self.assertEqual(self.values(thread)["a"], 1)

    def test_branches_from_a_checkpoint(self):
        thread = self.thread()
        self.succeed_on(thread, put(a=1), put(a=2, b=2), put(a=3, c=3), messages=[said("m", "hi")])
        history = self.check_history(thread)
        at = history[1]
        self.assertEqual(at["values"], {"a": 2, "b": 2})
        shown = self.patch(thread, checkpoint=at["checkpoint"], values={"b": "branch"}, messages=[said("n", "ho")])
        self.assertEqual((shown["values"], texts(shown)), ({"a": 2, "b": "branch"}, ["hi", "ho"]))
        after = self.check_history(thread)
        self.assertEqual(after[1:], history)
        self.assertEqual(after[0]["checkpoint"]["source"], "fork")
        self.assertEqual(after[0]["checkpoint"]["parent_checkpoint_id"], at["checkpoint"]["checkpoint_id"])
        self.succeed_on(thread, {"add": {"a": 10}})
        self.assertEqual(self.values(thread), {"a": 12, "b": "branch"})
        self.check_history(thread)

    def test_a_branch_without_a_change_goes_back(self):
        thread = self.thread()
        self.succeed_on(thread, put(a=1), put(a=2))
        at = self.history(thread)[1]["checkpoint"]
        shown = self.patch(thread, checkpoint={"checkpoint_id": at["checkpoint_id"]}, values={})
        self.assertEqual(shown["values"], {"a": 1})
        self.check_history(thread)

    def test_with_metadata_alone_the_checkpoint_is_ignored(self):
        thread = self.thread()
        self.succeed_on(thread, put(a=1), put(a=2))
        at = self.history(thread)[1]["checkpoint"]
        shown = self.patch(thread, checkpoint=at, metadata={"m": 1})
        self.assertEqual((shown["values"], shown["metadata"]), ({"a": 2}, {"m": 1}))

    def test_an_unknown_checkpoint(self):
        thread, other = self.thread(), self.thread()
        self.patch(other, values={"a": 1})
        for id in (new_id(), self.history(other)[0]["checkpoint"]["checkpoint_id"]):
            self.refused(self.apd.call("PATCH", f"/threads/{thread}", {
                "checkpoint": {"checkpoint_id": id}, "values": {"a": 1}}), 404, "checkpoint_not_found")
        self.assertEqual(self.history(thread), [])


class History(ThreadTest):
    def test_tells_how_each_came_to_be(self):
        thread = self.thread()
        self.patch(thread, values={"p": 1})
        run = self.succeed_on(thread, put(a=1), {**put(a=2), "name": "second"}, messages=[message("hi")])["run"]
        self.patch(thread, values={"p": 2})
        history = self.check_history(thread)
        self.assertEqual(self.sources(thread), ["update", "input", "loop", "loop", "update"])
        self.assertEqual([state["checkpoint"].get("run_id") for state in history],
                         [None, run["run_id"], run["run_id"], run["run_id"], None])
        self.assertEqual([state["values"] for state in history],
                         [{"p": 2, "a": 2}, {"p": 1, "a": 2}, {"p": 1, "a": 1}, {"p": 1}, {"p": 1}])
        self.assertEqual([texts(state) for state in history], [["hi"]] * 4 + [[]])
        self.assertEqual([state["checkpoint"]["step"] for state in history], [4, 3, 2, 1, 0])

    def test_in_pages(self):
        thread = self.thread()
        self.succeed_on(thread, *[put(n=n) for n in range(24)])
        whole = self.check_history(thread)
        self.assertEqual(len(whole), 25)
        self.assertEqual(self.history(thread, "?limit=5"), whole[:5])
        self.assertLessEqual(len(self.history(thread, "?")), len(whole))
        pages, before = [], ""
        while page := self.history(thread, f"?limit=7{before}"):
            pages += page
            before = "&before=" + page[-1]["checkpoint"]["checkpoint_id"]
        self.assertEqual(pages, whole)

    def test_bad_questions(self):
        thread = self.thread()
        for query in ("limit=0", "limit=1001", "limit=x", "limit=-1", "before=xyz"):
            with self.subTest(query=query):
                self.refused(self.apd.get(f"/threads/{thread}/history?{query}"), 422, "invalid_request",
                             query.split("=")[0])
        self.assertIn(self.apd.get(f"/threads/{thread}/history?before={new_id()}").status, (404, 422))

    def test_of_a_long_thread(self):
        thread = self.thread()
        for turn in range(4):
            self.succeed_on(thread, *[put(**{f"k{n % 7}": turn * 100 + n, "text": "x" * 500}) for n in range(30)],
                            messages=[said(f"m{turn}", "y" * 1000)])
        history = self.check_history(thread)
        self.assertEqual(len(history), 4 * 31)
        state = {}
        for item in reversed(history):
            if item["checkpoint"]["source"] == "loop":
                n = len([c for c in history if c["checkpoint"]["source"] == "loop"
                         and c["checkpoint"]["checkpoint_id"] < item["checkpoint"]["checkpoint_id"]])
                state.update({f"k{n % 30 % 7}": n // 30 * 100 + n % 30, "text": "x" * 500})
            self.assertEqual(item["values"], state)


class Size(ThreadTest):
    CONFIG = "workers: {max_commit: 64KiB}"

    def test_a_commit_too_big_changes_nothing(self):
        thread = self.thread()
        record = self.run_on(thread, put(a=1), put(b="x" * 70000))["run"]
        self.assertEqual(record["status"], "error")
        self.assertEqual(self.values(thread), {"a": 1})
        self.check_history(thread)


if __name__ == "__main__":
    unittest.main()
