"""The load: clients that make runs, follow, cancel and delete them, and leave without a word."""

import datetime
import json
import random
import threading
import time

from connection import Broken, Connection
from harness import new_id
from ledger import Thread

MODES = (("custom",), ("updates",), ("custom", "updates"), ("messages",), ("values",))
ENDLESS = 1000000
LINGER = 3  # as victim.py configures it


def is_endless(body):
    """True for the body of a run that only somebody else ends."""
    return body.get("input") == {"how": "loop"} or (body.get("input") or {}).get("steps") == ENDLESS


def is_durable(body):
    """True for the body of a run whose result is on disk before it is told."""
    return "thread_id" in body or "on_disconnect" in body


class Missed(Exception):
    """A stream said that events are gone."""


class Client(threading.Thread):
    """One of several clients; its choices come from the seed, their order in time does not."""

    def __init__(self, n, seed, victim, ledger, threads=3):
        super().__init__(name=f"client-{n}", daemon=True)
        self.n = n
        self.random = random.Random(f"{seed}/client/{n}")
        self.victim = victim
        self.ledger = ledger
        self.stop = threading.Event()
        self.threads = [Thread(new_id()) for _ in range(threads)]
        self.serial = 0
        for thread in self.threads:
            ledger.threads[thread.id] = thread
        self.deeds = ((self.background, 5), (self.wait, 4), (self.stream, 5), (self.cancel, 3),
                      (self.delete, 2), (self.search, 1), (self.read, 3))

    def run(self):
        while not self.stop.is_set():
            deed = self.random.choices([d for d, _ in self.deeds], [w for _, w in self.deeds])[0]
            life = self.victim.living(self.stop)
            if life is None:
                return
            try:
                deed(life)
            except Broken:
                self.ledger.count("requests cut by the daemon's death")
            except Exception as error:
                self.ledger.blame(f"{deed.__name__}: {error!r}")
                raise

    # ---- bodies ----

    def input_for(self, agent):
        pick = self.random
        if agent == "crash":
            return {"how": pick.choices(("none", "segv", "abort", "exit", "loop"), (6, 2, 2, 2, 1))[0]}
        if agent == "countdown":
            return {"from": pick.choice((2, 10, 40)), "step_ms": pick.choice((0, 2, 10, 30))}
        steps = pick.choice((0, 3, 10, 40, ENDLESS))
        return {"steps": steps, "step_ms": 20 if steps == ENDLESS else pick.choice((0, 2, 10, 30)),
                "how": pick.choices(("polite", "deaf"), (9, 1))[0]}

    def body(self):
        """The body of a new run, and the client's thread that it is bound to, or None."""
        agent = self.random.choices(
            ("echo", "slow", "countdown", "witness", "witness-safe", "crash"), (3, 2, 3, 6, 4, 1))[0]
        self.serial += 1
        body = {"agent_id": agent, "metadata": {"tag": f"{self.n}-{self.serial}"}}
        if agent in ("echo", "slow"):
            words = " ".join(str(n) for n in range(self.random.choice((1, 5, 20))))
            body["messages"] = [{"role": "user", "content": words}]
        else:
            body["input"] = self.input_for(agent)
        if self.random.random() < 0.5 and body.get("input") != {"how": "loop"}:
            body["on_disconnect"] = "continue"
        thread = self.random.choice(self.threads) if self.random.random() < 0.4 else None
        if thread:
            body["thread_id"] = thread.id
            body["if_not_exists"] = "reject" if thread.exists else "create"
        elif self.random.random() < 0.1:
            body.update(thread_id=new_id(), if_not_exists="create", on_completion="delete")
        return body, thread

    def creates(self, path, thread, connection, body):
        """Sends a creation; what the client knew of the thread before."""
        connection.send("POST", path, body)
        free = thread.free if thread else True
        if thread:
            thread.free = False
        return free

    def refused(self, body, thread, free, status, answer):
        """True if the creation was refused, which only a busy thread is a reason for."""
        if status == 200:
            if thread:
                thread.exists = True
            return False
        if status != 409 or free:
            self.ledger.blame(f"{body}: {status} {answer}")
        self.ledger.count("creations refused: thread busy")
        return True

    # ---- creation ----

    def background(self, life):
        body, thread = self.body()
        connection = Connection(self.ledger, life)
        try:
            free = self.creates("/runs", thread, connection, body)
            status, record = connection.receive()
        finally:
            connection.close()
        if self.refused(body, thread, free, status, record):
            return
        run = self.ledger.created(record, True, life.number, body)
        self.ledger.saw(run, (False, False), record, "POST /runs")
        if self.follow_up(life, run) and thread:
            thread.free = True

    def follow_up(self, life, run):
        """What a client does with a run that goes on without it; True if it is known to be over."""
        choice = self.random.choice(("leave", "wait", "join", "join", "cancel", "read"))
        if is_endless(run.body):
            choice = self.random.choice(("cancel", "cancel", "cancel", "join and cancel"))
        if choice == "wait":
            return self.wait_for(life, run)
        if choice == "join":
            return self.follow(life, run, self.random.choice(MODES))
        if choice == "cancel":
            time.sleep(self.random.choice((0, 0, 0.01, 0.1)))
            return self.cancel_one(life, run)
        if choice == "join and cancel":
            joiner = self.beside(self.follow, life, run, ("custom",))
            time.sleep(self.random.uniform(0, 0.2))
            try:
                return self.cancel_one(life, run)
            finally:
                joiner.join()
        if choice == "read":
            self.look(life, run)
        return False

    def beside(self, work, *args):
        """Does something in a thread of its own."""
        def guarded():
            try:
                work(*args)
            except Broken:
                pass
            except Exception as error:
                self.ledger.blame(f"{work.__name__}: {error!r}")
                raise

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def wait(self, life):
        body, thread = self.body()
        connection = Connection(self.ledger, life)
        try:
            free = self.creates("/runs/wait", thread, connection, body)
            if self.random.random() < 0.2 or is_endless(body):
                time.sleep(self.random.choice((0, 0.005, 0.05, 0.3)))
                connection.reset()
                return
            status, answer = connection.receive()
        finally:
            connection.close()
        if self.refused(body, thread, free, status, answer):
            return
        run = self.ledger.created(answer["run"], is_durable(body), life.number, body, logged=False)
        self.ledger.saw_result(run, (False, False), answer, "POST /runs/wait")
        if thread:
            thread.free = True
        if self.random.random() < 0.3:
            self.look(life, run)

    def stream(self, life):
        body, thread = self.body()
        modes = self.random.choice(MODES)
        body["stream_mode"] = list(modes)
        connection = Connection(self.ledger, life)
        helpers = []
        try:
            free = self.creates("/runs/stream", thread, connection, body)
            connection.what += f": {body}"
            status = connection.begin_stream()
            if self.refused(body, thread, free, status, None):
                return
            run, events = self.stream_begun(life, connection, body)
            if self.random.random() < 0.4:
                helpers.append(self.beside(self.follow, life, run, modes))
            over = self.read_created(life, run, modes, connection, events)
            if over and thread:
                thread.free = True
            elif is_endless(body):
                self.cancel_one(life, run)
        finally:
            connection.close()
            for helper in helpers:
                helper.join()

    def stream_begun(self, life, connection, body):
        """The run of a stream that begins, and the events that follow."""
        events = connection.events()
        first = next(events, (None, None, None))
        if first[1] != "metadata":
            if not life.dying:
                self.ledger.blame(f"{body}: the stream begins with {first}")
            raise Broken
        record = {key: body.get(key) for key in ("agent_id", "metadata", "input")}
        record.update(json.loads(first[2]))
        return self.ledger.created(record, is_durable(body), life.number, body), events

    def read_created(self, life, run, modes, connection, events):
        """Reads the stream of a run's creator, perhaps not to its end; True if it was."""
        cut = None
        if is_endless(run.body) or self.random.random() < 0.25:
            cut = self.random.choice((0, 1, 3, 10))
        seen = []
        over = False
        try:
            for event in events:
                over = self.take(run, event, seen, None)
                if cut is not None and len(seen) >= cut and not over:
                    if "on_disconnect" not in run.body:
                        self.ledger.sends_cancel(run, False)
                    connection.reset()
                    return False
            if not over and not life.dying:
                self.ledger.blame(f"stream of {run.id} broke off after {seen[-1:]}")
        finally:
            self.ledger.saw_stream(run, life.number, modes, seen, True)
            self.check_numbers(run, seen, over)
        return over

    # ---- streams ----

    def take(self, run, event, seen, last):
        """Takes an event of a stream; True if it is the end."""
        id, name, data = event
        if name == "error" and "events_missed" in data:
            raise Missed(f"behind {last}")
        if name == "end":
            self.ledger.saw_end_event(run, json.loads(data)["status"])
        if id is not None:
            before = seen[-1][0] if seen else last
            if before is not None and id <= before and not (name == "end" and id == before):
                self.ledger.blame(f"stream of {run.id}: {id} after {before}")
            if not seen or seen[-1][0] != id:
                seen.append(event)
        return name == "end"

    def follow(self, life, run, modes):
        """Reads a run's stream, perhaps with interruptions; True if it was read to its end."""
        whole = self.random.random() < 0.7
        query = "&".join(f"stream_mode={mode}" for mode in modes)
        seen = []
        over = False
        try:
            while not over:
                cut = self.random.choice((1, 2, 5)) if self.random.random() < 0.5 else None
                over = self.follow_once(life, run, query, seen, whole, cut)
                if over is None:
                    return False
                if not over and not seen and not whole:
                    return False
        finally:
            self.ledger.saw_stream(run, life.number, modes, seen, whole)
            if whole and run.life == life.number:
                self.check_numbers(run, seen, over)
        return True

    def follow_once(self, life, run, query, seen, whole, cut):
        """One connection of a joiner: True at the end, False when it was cut, None without a run."""
        headers = {}
        last = seen[-1][0] if seen else None
        if seen or whole:
            headers["Last-Event-ID"] = str(last if seen else -1)
        before = self.ledger.before(run)
        connection = Connection(self.ledger, life)
        try:
            connection.send("GET", f"/runs/{run.id}/stream?{query}", headers=headers)
            status = connection.begin_stream()
            if status != 200:
                if status == 404:
                    self.ledger.saw_absent(run, life.number, "GET stream")
                else:
                    self.ledger.blame(f"GET /runs/{run.id}/stream: {status}")
                return None
            if before[1]:
                self.ledger.blame(f"GET /runs/{run.id}/stream: it is back")
            n = 0
            for event in connection.events():
                if n == 0 and event[1] != "metadata":
                    self.ledger.blame(f"stream of {run.id} begins with {event}")
                n += 1
                if self.take(run, event, seen, last):
                    if headers:
                        self.ledger.count("streams resumed")
                    return True
                if cut is not None and n > cut:
                    connection.reset()
                    return False
            if not life.dying:
                self.ledger.blame(f"stream of {run.id} broke off after {seen[-1:]}")
            raise Broken
        except Missed as missed:
            if seen or not self.log_is_gone(life, run):
                self.ledger.blame(f"stream of {run.id}: events were missed {missed}: {run.final or run.first}")
            self.ledger.count("streams asked for too late")
            return None
        finally:
            connection.close()

    def log_is_gone(self, life, run):
        """True if nobody can have all events of the run any more."""
        if run.life != life.number or not run.logged:
            return True
        record = self.look(life, run)
        if record is None:
            return True
        if "ended_at" not in record:
            return False
        ended_at = datetime.datetime.fromisoformat(record["ended_at"]).timestamp()
        return time.time() - ended_at > LINGER - 0.5

    def check_numbers(self, run, seen, over):
        """The numbers that an agent counts tell whether an event is missing."""
        body = run.body
        if body["agent_id"] not in ("witness", "witness-safe", "countdown"):
            return
        down = body["agent_id"] == "countdown"
        first = body["input"]["from"] if down else 0
        last = 0 if down else body["input"]["steps"]
        for name in ("custom", "updates"):
            number = None
            for _, event, data in seen:
                if event != name:
                    continue
                value = next(iter(json.loads(data).values())) if name == "updates" else json.loads(data)["payload"]
                value = value["left" if down else "n"]
                expected = first if number is None else number + (-1 if down else 1)
                again = run.safe and value == first
                if value != expected and not again:
                    self.ledger.blame(f"stream of {run.id}: {name} {value} instead of {expected}: {seen}")
                    return
                number = value
            # An agent that is deaf to a cancel may end well, but nobody listens to it any more.
            stopped = run.cancel_sent and not down and body["input"]["how"] == "deaf"
            if over and run.status == "success" and number not in (None, last) and not stopped:
                self.ledger.blame(f"stream of {run.id}: {name} ends with {number}, not {last}: {seen}")

    # ---- what is done to runs ----

    def some(self):
        """A run that was made before; mostly one of the last."""
        with self.ledger.lock:
            if not self.ledger.order:
                return None
            recent = self.ledger.order[-60:] if self.random.random() < 0.8 else self.ledger.order
            return self.random.choice(recent)

    def ask(self, life, method, path, body=None):
        connection = Connection(self.ledger, life)
        try:
            connection.send(method, path, body)
            return connection.receive()
        finally:
            connection.close()

    def look(self, life, run):
        """GET /runs/ID."""
        before = self.ledger.before(run)
        status, record = self.ask(life, "GET", f"/runs/{run.id}")
        if status == 200:
            self.ledger.saw(run, before, record, "GET")
        elif status == 404:
            self.ledger.saw_absent(run, life.number, "GET")
        else:
            self.ledger.blame(f"GET /runs/{run.id}: {status} {record}")
        return record if status == 200 else None

    def wait_for(self, life, run):
        """GET /runs/ID/wait; True if the run is over."""
        before = self.ledger.before(run)
        status, answer = self.ask(life, "GET", f"/runs/{run.id}/wait")
        if status == 200:
            if before[1]:
                self.ledger.blame(f"GET /runs/{run.id}/wait: it is back")
            self.ledger.saw_result(run, before, answer, "GET wait")
        elif status == 404:
            self.ledger.saw_absent(run, life.number, "GET wait")
        else:
            self.ledger.blame(f"GET /runs/{run.id}/wait: {status} {answer}")
        return status in (200, 404)

    def cancel_one(self, life, run):
        """Cancels; True if the run is known to be over."""
        wait = self.random.random() < 0.6
        rollback = self.random.random() < 0.4
        before = self.ledger.before(run)
        self.ledger.sends_cancel(run, rollback)
        status, answer = self.ask(life, "POST", f"/runs/{run.id}/cancel?wait={'true' if wait else 'false'}"
                                  f"&action={'rollback' if rollback else 'interrupt'}")
        if status == 404:
            self.ledger.saw_absent(run, life.number, "cancel")
            return True
        if status != 204:
            self.ledger.blame(f"cancel of {run.id}: {status} {answer}")
            return False
        if before[1]:
            self.ledger.blame(f"cancel of {run.id}: it is back")
        if wait:
            self.ledger.cancelled(run)
            self.look(life, run)
        return wait

    def cancel(self, life):
        run = self.some()
        if run:
            self.cancel_one(life, run)

    def delete(self, life):
        run = self.some()
        if run is None:
            return
        before = self.ledger.before(run)
        with self.ledger.lock:
            run.delete_sent = True
        status, answer = self.ask(life, "DELETE", f"/runs/{run.id}")
        if status == 204:
            if before[1]:
                self.ledger.blame(f"DELETE of {run.id}: it was back")
            self.ledger.deleted(run)
            self.look(life, run)
        elif status == 404:
            self.ledger.saw_absent(run, life.number, "DELETE")
        elif status != 422 or before[0]:
            self.ledger.blame(f"DELETE of {run.id}, promised {before}: {status} {answer}")

    def read(self, life):
        run = self.some()
        if run is None:
            return
        if run.final and self.random.random() < 0.5:
            self.wait_for(life, run)
        elif run.body and not is_endless(run.body) and self.random.random() < 0.3:
            self.follow(life, run, self.random.choice(MODES))
        else:
            self.look(life, run)

    def search(self, life):
        by = self.random.choice(({}, {"status": "pending"}, {"agent_id": "witness"}, {"status": "interrupted"},
                                 {"thread_id": self.random.choice(self.threads).id},
                                 {"metadata": {"tag": f"{self.n}-{self.random.randint(1, self.serial + 1)}"}}))
        with self.ledger.lock:
            before = {run.id: run.promises() for run in self.ledger.order[-400:]}
        status, records = self.ask(life, "POST", "/runs/search", {**by, "limit": self.random.choice((1, 10, 100))})
        if status == 503:
            self.ledger.count("searches out of time")
            return
        if status != 200:
            self.ledger.blame(f"search {by}: {status} {records}")
            return
        for record in records:
            with self.ledger.lock:
                run = self.ledger.runs.get(record["run_id"])
            if run and run.id in before:
                self.ledger.saw(run, before[run.id], record, f"search {by}")
        self.ledger.count("searches")
