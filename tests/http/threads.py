"""What the tests of threads share: a daemon with the plugin "stateful", words for its input, and what is
true of every history."""

from harness import new_id, until
from hostile import PluginTest

FOR_EVER = {"wait": 600000}
UNTIL_STOPPED = {"wait": "until_stopped"}


def steps(*items):
    """The input of the agents of tests/plugins/stateful.c."""
    return {"steps": list(items)}


def put(**values):
    return {"patch": values}


class ThreadTest(PluginTest):
    """Tests that share a daemon which serves the agents of stateful.c, and echo."""

    NAMES = ["stateful"]

    # ---- threads ----

    def thread(self, **body):
        """A new thread's id."""
        answer = self.apd.post("/threads", body)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["thread_id"]

    def get(self, thread):
        answer = self.apd.get(f"/threads/{thread}")
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def values(self, thread):
        return self.get(thread)["values"]

    def status(self, thread):
        return self.get(thread)["status"]

    def patch(self, thread, **body):
        answer = self.apd.call("PATCH", f"/threads/{thread}", body)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def history(self, thread, query=""):
        answer = self.apd.get(f"/threads/{thread}/history{query or '?limit=1000'}")
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def sources(self, thread):
        """How its checkpoints came to be, oldest first."""
        return [state["checkpoint"]["source"] for state in self.history(thread)][::-1]

    def check_history(self, thread):
        """Parents exist and are older, steps rise by one, the newest is what GET shows; the history."""
        history = self.history(thread)
        seen = {}
        for state in reversed(history):
            checkpoint = state["checkpoint"]
            parent = checkpoint.get("parent_checkpoint_id")
            if parent is None:
                self.assertEqual(checkpoint["step"], 0)
            else:
                self.assertEqual(checkpoint["step"], seen[parent]["step"] + 1)
                self.assertGreater(checkpoint["checkpoint_id"], parent)
            seen[checkpoint["checkpoint_id"]] = checkpoint
        self.assertEqual(len(seen), len(history))
        ids = [state["checkpoint"]["checkpoint_id"] for state in history]
        self.assertEqual(ids, sorted(ids, reverse=True))
        now = self.get(thread)
        if history:
            self.assertEqual(history[0]["values"], now["values"])
            self.assertEqual(history[0].get("messages"), now.get("messages"))
        return history

    # ---- runs ----

    def body(self, *items, **more):
        return {"agent_id": "stateful", "input": steps(*items), **more}

    def run_on(self, thread, *items, **more):
        """The result of a run that was waited for."""
        answer = self.apd.post(f"/threads/{thread}/runs/wait", self.body(*items, **more))
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def succeed_on(self, thread, *items, **more):
        result = self.run_on(thread, *items, **more)
        self.assertEqual(result["run"]["status"], "success", result)
        return result

    def begin(self, thread, *items, **more):
        """A new background run's id."""
        answer = self.apd.post(f"/threads/{thread}/runs", self.body(*items, **more))
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["run_id"]

    def hold(self, thread, *items, **more):
        """A run that has committed {"held": its mark} and waits; its id."""
        mark = new_id()
        more.setdefault("agent_id", "stateful")
        run = self.begin(thread, *(items[:-1] if items else ()), put(held=mark), items[-1] if items else FOR_EVER,
                         **more)
        until(lambda: self.values(thread).get("held") == mark, "the commit of a run that waits")
        return run

    def result(self, run):
        """The result of a run, waited for."""
        answer = self.apd.get(f"/runs/{run}/wait")
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def run_record(self, run):
        answer = self.apd.get(f"/runs/{run}")
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def cancel(self, run, action="interrupt"):
        self.assertEqual(self.apd.post(f"/runs/{run}/cancel?wait=true&action={action}").status, 204)

    def ended_as(self, run, status, code=None):
        """Asserts how a run, which is waited for, ended; its record."""
        record = self.result(run)["run"]
        self.assertEqual((record["status"], record.get("error", {}).get("code")), (status, code), record)
        return record
