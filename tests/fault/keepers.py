"""The load on kept threads: runs that count in their state, with all strategies, patches, copies, branches,
deletions, questions and answers; and reading it all again."""

import json

from clients import Client
from harness import new_id
from kept import FROZEN, Kept, chain_faults, keeper_faults, state_faults

STRATEGIES = ("reject", "enqueue", "interrupt", "rollback")
MOST_COPIES = 12


class Keeper(Client):
    """A client with kept threads of its own, on which nobody else makes runs."""

    def __init__(self, n, seed, victim, ledger, threads=2):
        super().__init__(n, seed, victim, ledger, 0)
        self.threads = [self.new_thread() for _ in range(threads)]
        self.deeds = ((self.background, 4), (self.wait, 4), (self.stream, 5), (self.patch, 3), (self.label, 2),
                      (self.look_around, 3), (self.read_history, 2), (self.copy, 1), (self.drop, 0.5),
                      (self.answer, 4), (self.cancel, 2), (self.list, 1), (self.find_lost, 3))

    def new_thread(self):
        kept = Kept(self.ledger, new_id())
        with self.ledger.lock:
            self.ledger.kept[kept.id] = kept
        return kept

    def some_thread(self, life):
        """One of its threads, that exists."""
        kept = self.random.choice(self.threads)
        if not kept.exists:
            body = {"thread_id": kept.id, "if_exists": "do_nothing", "metadata": {"label": 0}}
            status, shown = self.ask(life, "POST", "/threads", body)
            if status != 200:
                self.ledger.blame(f"POST /threads {body}: {status} {shown}")
            kept.exists = True
        return kept

    # ---- runs: what Client makes of them ----

    def body(self):
        pick = self.random
        kept = self.some_thread(self.victim.life)
        self.serial += 1
        tag = f"k-{self.n}-{self.serial}"
        steps = pick.choice((1, 2, 5, 15))
        how = pick.choices(("polite", "deaf", "fail", "segv", "ask"), (12, 1, 1, 1, 5))[0]
        body = {"agent_id": pick.choice(("keeper", "keeper-safe")), "thread_id": kept.id,
                "metadata": {"tag": tag}, "messages": [{"id": f"u-{tag}", "role": "user", "content": tag}],
                "input": {"tag": tag, "steps": steps, "step_ms": pick.choice((0, 0, 2, 10, 40)), "how": how}}
        strategy = pick.choices(STRATEGIES, (3, 4, 2, 2))[0]
        if strategy != "reject" or pick.random() < 0.5:
            body["multitask_strategy"] = strategy
        if pick.random() < 0.5:
            body["on_disconnect"] = "continue"
        if pick.random() < 0.2:
            body["if_not_exists"] = "create"
        return body, kept

    def creates(self, path, thread, connection, body):
        strategy = body.get("multitask_strategy")
        free = thread.free
        if strategy in ("interrupt", "rollback"):
            thread.stops_others(strategy == "rollback")
        thread.asks_for(body["metadata"]["tag"], body["input"]["steps"], self.victim.lives)
        if self.random.random() < 0.5:
            path = f"/threads/{thread.id}{path}"
        connection.send("POST", path, body)
        return free

    def refused(self, body, thread, free, status, answer):
        if status == 200:
            return False
        thread.runs[body["metadata"]["tag"]].absent = True
        if body.get("multitask_strategy", "reject") != "reject":
            self.ledger.blame(f"{body}: {status} {answer}")
        return super().refused(body, thread, free, status, answer)

    def take(self, run, event, seen, last):
        if event[1] == "updates":
            tag = run.first["metadata"]["tag"]
            step = next(iter(json.loads(event[2]).values())).get(tag)
            with self.ledger.lock:
                told = run.kept
                if step is None or step >= told.steps or step < 0:
                    self.ledger.blame(f"stream of {run.id}: {event}")
                else:
                    told.seen = max(told.seen, step)
        return super().take(run, event, seen, last)

    def find_lost(self, life):
        """What became of runs that were asked for when a connection broke."""
        kept = self.random.choice(self.threads)
        for run in [run for run in kept.order if run.run is None and not run.absent]:
            status, records = self.ask(life, "POST", "/runs/search", {
                "thread_id": kept.id, "metadata": {"tag": run.tag}})
            if status != 200:
                return
            if records:
                run.cancel_sent = True  # its creator left
                found = self.ledger.created(records[0], True, life.number, {
                    "agent_id": records[0]["agent_id"], "input": records[0]["input"]}, logged=False)
                self.wait_for(life, found)
            elif run.life < life.number:
                run.absent = True

    # ---- changes of a thread ----

    def patch(self, life):
        kept = self.some_thread(life)
        with self.ledger.lock:
            free = kept.free
            kept.asked_for += 1
            kept.patches[1] += 1
            n = kept.patches[1]
            kept.unsure.add(n)
        before = kept.before()
        status, shown = self.ask(life, "PATCH", f"/threads/{kept.id}", {
            "values": {"p": n}, "messages": [{"id": f"p-{n}", "role": "user", "content": str(n)}]})
        if status == 200:
            with self.ledger.lock:
                kept.patches[0] = n
                kept.unsure.discard(n)
            before["patch"] = n
            kept.saw(before, shown, "PATCH")
        elif status != 422 or free:
            self.ledger.blame(f"PATCH of {kept.id}: {status} {shown}")
        else:
            self.ledger.count("patches refused: thread busy")

    def label(self, life):
        """Metadata can always be changed."""
        kept = self.some_thread(life)
        with self.ledger.lock:
            kept.labels[1] += 1
            n = kept.labels[1]
        before = kept.before()
        status, shown = self.ask(life, "PATCH", f"/threads/{kept.id}", {"metadata": {"label": n}})
        if status != 200:
            self.ledger.blame(f"PATCH of the metadata of {kept.id}: {status} {shown}")
            return
        with self.ledger.lock:
            kept.labels[0] = n
        before["label"] = n
        kept.saw(before, shown, "PATCH metadata")

    def copy(self, life):
        """A copy stays as it is, whatever becomes of the original; some are branches of what was."""
        kept = self.some_thread(life)
        before = kept.before()
        status, shown = self.ask(life, "POST", f"/threads/{kept.id}/copy")
        if status != 200:
            self.ledger.blame(f"copy of {kept.id}: {status} {shown}")
            return
        for fault in state_faults(shown, kept.runs):
            self.ledger.blame(f"copy of {kept.id}: {fault}: {shown}")
        lost = [tag for tag, (seen, *_) in before["runs"].items()
                if shown["values"].get(tag, -1) < seen and not kept.runs[tag].may_be_undone]
        if lost:
            self.ledger.blame(f"copy of {kept.id}: {lost} are not in it: {shown}")
        if self.random.random() < 0.5:
            shown = self.branch(life, shown)
        with self.ledger.lock:
            self.ledger.frozen[shown["thread_id"]] = shown
            extra = list(self.ledger.frozen)[:-MOST_COPIES]
        for id in extra:
            self.drop_copy(life, id)
        self.ledger.count("copies")

    def branch(self, life, shown):
        """Goes back in the history of a copy; what it is then."""
        id = shown["thread_id"]
        status, history = self.ask(life, "GET", f"/threads/{id}/history?limit=20")
        if status != 200 or not history:
            return shown
        at = self.random.choice(history)
        status, after = self.ask(life, "PATCH", f"/threads/{id}", {
            "checkpoint": at["checkpoint"], "values": {"branch": 1}})
        if status != 200 or after["values"] != {**at["values"], "branch": 1} \
                or after.get("messages", []) != at.get("messages", []):
            self.ledger.blame(f"branch of {id} at {at}: {status} {after}")
        self.ledger.count("branches")
        return after

    def drop_copy(self, life, id):
        with self.ledger.lock:
            if not self.ledger.frozen.pop(id, None):
                return
        status, answer = self.ask(life, "DELETE", f"/threads/{id}")
        if status != 204:
            self.ledger.blame(f"DELETE of the copy {id}: {status} {answer}")

    def drop(self, life):
        """Deletes a thread, whatever goes on in it, and begins another."""
        kept = self.some_thread(life)
        self.threads[self.threads.index(kept)] = self.new_thread()
        kept.stops_others(False)
        kept.sends_delete()
        status, answer = self.ask(life, "DELETE", f"/threads/{kept.id}")
        if status != 204:
            self.ledger.blame(f"DELETE of the thread {kept.id}: {status} {answer}")
            return
        kept.deleted()
        self.look_thread(life, kept)
        self.ledger.count("threads deleted")

    def answer(self, life):
        """Answers a question that must be pending."""
        kept = self.some_thread(life)
        asked = kept.question
        if not asked:
            return
        body, _ = self.body()
        body["thread_id"] = kept.id
        body.pop("multitask_strategy", None)
        tag = body["metadata"]["tag"]
        given = self.random.choice((tag, {"of": tag}, {asked: tag}))
        body["command"] = {"resume": given}
        body["on_disconnect"] = "continue"
        kept.asks_for(tag, body["input"]["steps"], self.victim.lives)
        status, answer = self.ask(life, "POST", f"/threads/{kept.id}/runs/wait", body)
        if self.refused(body, kept, True, status, answer):
            return
        run = self.ledger.created(answer["run"], True, life.number, body, logged=False)
        self.ledger.saw_result(run, (False, False), answer, "answer")
        if answer["values"].get(tag, -1) >= 0:
            expected = tag if isinstance(given, dict) and asked in given else given
            now = answer["values"].get("answer"), answer["values"].get("asked")
            if now != (expected, asked):
                self.ledger.blame(f"answer {given} to {asked} in {kept.id} came as {now}")
        self.ledger.count("questions answered")

    # ---- reading ----

    def look_around(self, life):
        self.look_thread(life, self.some_thread(life))

    def read_history(self, life):
        self.look_history(life, self.some_thread(life))

    def list(self, life):
        """GET /threads/ID/runs has every run that somebody was told of."""
        kept = self.some_thread(life)
        with self.ledger.lock:
            known = {run.run.id: run for run in kept.order if run.run}
        status, records = self.ask(life, "GET", f"/threads/{kept.id}/runs?limit=1000")
        if status != 200:
            self.ledger.blame(f"runs of {kept.id}: {status} {records}")
            return
        found = {record["run_id"] for record in records}
        for id, run in known.items():
            if id not in found and not (run.may_be_undone or run.run.delete_sent):
                self.ledger.blame(f"runs of {kept.id}: {id} is missing")

    def look_thread(self, life, kept):
        """GET /threads/ID; what it gave, or None."""
        before = kept.before()
        status, shown = self.ask(life, "GET", f"/threads/{kept.id}")
        if status == 200:
            kept.saw(before, shown, "GET")
        elif status == 404:
            kept.saw_absent("GET")
        else:
            self.ledger.blame(f"GET of the thread {kept.id}: {status} {shown}")
        self.ledger.count("threads read")
        return shown if status == 200 else None

    def whole_history(self, life, id):
        """All checkpoints, or None: there is no such thread, or it went on meanwhile."""
        history, before = [], ""
        while True:
            status, page = self.ask(life, "GET", f"/threads/{id}/history?limit=1000{before}")
            if status != 200:
                if status not in (404, 422):
                    self.ledger.blame(f"history of {id}: {status} {page}")
                return None
            history += page
            if len(page) < 1000:
                return history
            before = "&before=" + page[-1]["checkpoint"]["checkpoint_id"]

    def look_history(self, life, kept):
        """The history is a chain, and its newest state is the thread's if nothing went on meanwhile."""
        before = self.look_thread(life, kept)
        history = self.whole_history(life, kept.id)
        after = self.look_thread(life, kept)
        if history is None or before is None or after is None:
            return
        faults = chain_faults(history) + keeper_faults(history)
        if before == after and history and before["status"] != "busy":
            newest = history[0]
            if (newest["values"], newest.get("messages", [])) != (before["values"], before.get("messages", [])):
                faults.append(f"its newest is {newest}, the thread {before}")
            self.ledger.count("histories compared with their threads")
        for fault in faults:
            self.ledger.blame(f"history of {kept.id}: {fault}")
        self.ledger.count("histories read")

    def look_copy(self, life, id):
        """A copy that nobody touched is as it was."""
        with self.ledger.lock:
            was = self.ledger.frozen.get(id)
        status, shown = self.ask(life, "GET", f"/threads/{id}")
        with self.ledger.lock:
            if id not in self.ledger.frozen:
                return
        if status != 200 or [shown.get(key) for key in FROZEN] != [was.get(key) for key in FROZEN]:
            self.ledger.blame(f"the copy {id} was {was} and is {status} {shown}")
