"""Finding threads: by metadata, values and status, in pages."""

import unittest

from harness import new_id
from threads import ThreadTest, put


class Search(ThreadTest):
    def found(self, **body):
        answer = self.apd.post("/threads/search", body)
        self.assertEqual(answer.status, 200, answer.body)
        return [thread["thread_id"] for thread in answer.json]

    def test_by_metadata(self):
        mark = new_id()
        ids = [self.thread(metadata={"mark": mark, "n": n, "deep": {"n": n, "tags": ["all", f"t{n}"]}})
               for n in range(5)]
        self.assertEqual(self.found(metadata={"mark": mark}), ids[::-1])
        self.assertEqual(self.found(metadata={"mark": mark, "n": 3}), [ids[3]])
        self.assertEqual(self.found(metadata={"mark": mark, "n": 3.0}), [ids[3]])
        self.assertEqual(self.found(metadata={"mark": mark, "deep": {"n": 2}}), [ids[2]])
        self.assertEqual(self.found(metadata={"mark": mark, "deep": {"tags": ["t4"]}}), [ids[4]])
        self.assertEqual(self.found(metadata={"mark": mark, "deep": {"tags": ["all"]}}), ids[::-1])
        self.assertEqual(self.found(metadata={"mark": mark, "n": "3"}), [])
        self.assertEqual(self.found(metadata={"mark": mark, "none": None}), [])
        self.assertEqual(self.found(metadata={"mark": new_id()}), [])

    def test_what_a_patch_changes_is_found_and_not_reordered(self):
        mark = new_id()
        ids = [self.thread(metadata={"mark": mark}) for _ in range(3)]
        self.patch(ids[0], metadata={"colour": "red"})
        self.patch(ids[2], metadata={"mark": None})
        self.succeed_on(ids[0], put(a=1))
        self.assertEqual(self.found(metadata={"mark": mark}), [ids[1], ids[0]])
        self.assertEqual(self.found(metadata={"mark": mark, "colour": "red"}), [ids[0]])
        self.apd.delete(f"/threads/{ids[1]}")
        self.assertEqual(self.found(metadata={"mark": mark}), [ids[0]])

    def test_by_values(self):
        mark = new_id()
        ids = [self.thread(metadata={"mark": mark}) for _ in range(3)]
        for n, thread in enumerate(ids):
            self.succeed_on(thread, put(user={"name": f"u{n}", "age": 7}, mark=mark))
        self.assertEqual(self.found(values={"mark": mark}), ids[::-1])
        self.assertEqual(self.found(values={"mark": mark, "user": {"name": "u1"}}), [ids[1]])
        self.assertEqual(self.found(values={"mark": mark}, metadata={"mark": mark}, limit=1), [ids[2]])
        self.patch(ids[1], values={"user": {"name": "other"}})
        self.assertEqual(self.found(values={"mark": mark, "user": {"name": "u1"}}), [])
        self.assertEqual(self.found(values={"mark": mark, "user": {"name": "other"}}), [ids[1]])

    def test_by_status(self):
        mark = {"mark": new_id()}
        idle, busy, failed, asked = (self.thread(metadata=mark) for _ in range(4))
        run = self.hold(busy)
        self.run_on(failed, {"fail": "x"})
        self.run_on(asked, {"ask": {"q": 1}})
        for thread, status in ((idle, "idle"), (busy, "busy"), (failed, "error"), (asked, "interrupted")):
            self.assertEqual(self.status(thread), status)
            self.assertEqual(self.found(metadata=mark, status=status), [thread])
            self.assertEqual(self.apd.post("/threads/search", {"metadata": mark, "status": status}).json,
                             [self.get(thread)])
        self.cancel(run)
        self.assertEqual(self.found(metadata=mark, status="busy"), [])
        self.assertEqual(self.found(metadata=mark, status="idle"), [busy, idle])

    def test_in_pages(self):
        mark = {"mark": new_id()}
        ids = [self.thread(metadata=mark) for _ in range(25)][::-1]
        self.assertEqual(self.found(metadata=mark), ids[:10])
        self.assertEqual(self.found(metadata=mark, limit=1000), ids)
        pages = []
        for offset in range(0, 30, 6):
            pages += self.found(metadata=mark, limit=6, offset=offset)
        self.assertEqual(pages, ids)
        self.assertEqual(self.found(metadata=mark, offset=100), [])

    def test_without_any_filter(self):
        last = self.thread()
        self.assertEqual(self.found(limit=1), [last])
        self.assertEqual(self.found(metadata=None, values=None, status=None, limit=1, offset=None), [last])
        self.assertEqual(self.found(metadata={}, values={}, limit=1), [last])

    def test_a_thread_shows_all_of_itself(self):
        mark = {"mark": new_id()}
        thread = self.thread(metadata=mark)
        self.apd.post(f"/threads/{thread}/runs/wait", {"agent_id": "echo", "messages": [
            {"role": "user", "content": "hi"}]})
        self.assertEqual(self.apd.post("/threads/search", {"metadata": mark}).json, [self.get(thread)])

    def test_ephemeral_threads_are_not_found(self):
        run = self.apd.post("/runs/wait", {"agent_id": "echo", "input": 1, "on_disconnect": "continue"}).json["run"]
        self.assertNotIn(run["thread_id"], self.found(limit=1000))

    def test_bad_questions(self):
        for body, where in (({"status": "pending"}, "status"), ({"metadata": 1}, "metadata"),
                            ({"values": []}, "values"), ({"limit": 0}, "limit"), ({"limit": 1001}, "limit"),
                            ({"offset": -1}, "offset"), ({"limit": "x"}, "limit")):
            with self.subTest(body=body):
                self.refused(self.apd.post("/threads/search", body), 422, "invalid_request", where)


if __name__ == "__main__":
    unittest.main()
