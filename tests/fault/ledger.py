"""The ledger: every promise that a client was given, and every answer held against them."""

import collections
import threading

SAFE = {"echo", "slow", "countdown", "witness-safe", "keeper-safe"}
KEPT = ("run_id", "agent_id", "thread_id", "metadata", "input", "created_at")


class Run:
    """What clients were told of one run. The fields are guarded by the ledger's lock."""

    def __init__(self, record, durable, life):
        self.id = record["run_id"]
        self.first = {key: record.get(key) for key in KEPT}  # created_at: None until it was seen
        self.safe = record["agent_id"] in SAFE
        self.durable = durable  # survives kill -9; else it may be lost with its life
        self.life = life
        self.body = {}  # that it was made with
        self.logged = True  # else nobody could read its events before it was joined
        self.final = None  # the record of its end
        self.result = None  # the answer of a wait
        self.ended = False  # somebody was told so
        self.status = None  # that a stream gave at its end
        self.gone = False  # somebody was told so
        self.cancel_sent = False  # also by a client that left
        self.rollback_sent = False
        self.delete_sent = False
        self.kept = None  # of a keeper: what is known of its commits
        self.streams = {}  # (life, modes): the longest list of events from the run's first on

    def promises(self):
        """What binds an answer to a request that is sent now."""
        return self.ended or self.final is not None, self.gone


class Ledger:
    def __init__(self):
        self.lock = threading.RLock()
        self.runs = {}
        self.order = []  # for choosing one
        self.threads = {}
        self.kept = {}  # threads that keep what runs commit
        self.frozen = {}  # copies that nobody touches: what they were when they were made
        self.violations = []
        self.counts = collections.Counter()

    def blame(self, what):
        """A promise was broken."""
        with self.lock:
            self.violations.append(what)
            if len(self.violations) <= 20:
                print(f"VIOLATION: {what}", flush=True)

    def count(self, what, n=1):
        with self.lock:
            self.counts[what] += n

    def created(self, record, durable, life, body, logged=True):
        """A client was told that the run exists; logged: its events were kept from the first on."""
        with self.lock:
            run = self.runs.get(record["run_id"])
            if run is None:
                run = self.runs[record["run_id"]] = Run(record, durable, life)
                run.body = body
                run.logged = logged
                self.order.append(run)
                self.counts["runs"] += 1
                self.keep(run)
            return run

    def keep(self, run):
        """Joins a run on a kept thread with what is known of its commits."""
        thread = self.kept.get(run.first["thread_id"])
        if thread and run.first["agent_id"].startswith("keeper"):
            run.kept = thread.runs.get((run.first["metadata"] or {}).get("tag"))
            if run.kept is None:
                self.blame(f"{run.id} on the thread {thread.id} was asked for by nobody: {run.first}")
            else:
                run.kept.run = run
                run.kept.tell_ledger()
                run.delete_sent = thread.delete_sent

    def before(self, run):
        with self.lock:
            return run.promises()

    def saw(self, run, before, record, source):
        """A read, sent when the promises were `before`, gave this record of the run."""
        was_over, was_gone = before
        with self.lock:
            now = {key: record.get(key) for key in KEPT}
            if run.first["created_at"] is None:
                run.first["created_at"] = now["created_at"]
            if was_gone:
                self.blame(f"{source}: {run.id} is back: {record}")
            if now != run.first:
                self.blame(f"{source}: {run.id} changed from {run.first} to {now}")
            if not run.safe and record["attempt"] > 1:
                self.blame(f"{source}: {run.id} of an agent that is not retry-safe: {record}")
            if record["attempt"] > 3:
                self.blame(f"{source}: {run.id} has more attempts than it may: {record}")
            if record["status"] == "pending":
                if was_over:
                    self.blame(f"{source}: {run.id} is pending after its end {run.final}")
            elif run.final is None:
                self.saw_end(run, record, source)
            elif run.final != record:
                self.blame(f"{source}: {run.id} ended twice: {run.final} and {record}")

    def saw_end(self, run, record, source):
        run.final = record
        error = (record.get("error") or {}).get("code", "-")
        self.counts[f"ended {record['status']} {error}"] += 1
        if "ended_at" not in record:
            self.blame(f"{source}: {run.id} ended without ended_at: {record}")
        if error == "cancelled" and not run.cancel_sent:
            self.blame(f"{source}: {run.id} was cancelled by nobody: {record}")
        if run.status and run.status != record["status"]:
            self.blame(f"{source}: {run.id} ended {run.status} in a stream and now {record}")

    def saw_end_event(self, run, status):
        """A stream of the run came to its end."""
        with self.lock:
            run.ended = True
            if status == "interrupted" and run.rollback_sent:
                return
            if (run.final or {}).get("status", status) != status or run.status not in (None, status):
                self.blame(f"stream of {run.id} ended {status}: {run.status}, {run.final}")
            run.status = status

    def saw_result(self, run, before, answer, source):
        """A wait was answered. Of a run that is undone its waiters hear once, and nobody else."""
        with self.lock:
            record = answer["run"]
            if answer.get("status", record["status"]) != record["status"]:
                self.blame(f"{source}: {run.id} has two statuses: {answer}")
            answer = {key: value for key, value in answer.items() if key != "status"}  # below a thread
            if record["status"] == "interrupted" and run.rollback_sent:
                run.ended = True
                self.counts["undone runs told of"] += 1
                return
            if record["status"] == "pending":
                self.blame(f"{source}: {run.id} was waited for and is pending")
                return
            self.saw(run, before, record, source)
            if run.result is None:
                run.result = answer
            elif run.result != answer:
                self.blame(f"{source}: {run.id} has two results: {run.result} and {answer}")

    def saw_absent(self, run, life, source):
        """A read said 404 in this life of the daemon."""
        with self.lock:
            lost = not run.durable and life != run.life
            undone = run.rollback_sent and run.final is None
            if not (run.gone or run.delete_sent or undone or lost):
                self.blame(f"{source}: {run.id} vanished; last seen {run.final or run.first}")
            elif not run.gone:
                self.counts["seen gone" + (" (lost)" if lost and not run.delete_sent else "")] += 1
            run.gone = True

    def sends_cancel(self, run, rollback):
        with self.lock:
            if rollback:
                run.rollback_sent = True
            else:
                run.cancel_sent = True

    def cancelled(self, run):
        """A cancel with wait=true was answered: the run is over."""
        with self.lock:
            run.ended = True
            self.counts["cancels waited for"] += 1

    def deleted(self, run):
        with self.lock:
            run.gone = True
            self.counts["deletions"] += 1

    def saw_stream(self, run, life, modes, events, whole):
        """
        A reader saw these events with ids, in this order, resumed or not; whole: from the
        run's first one on. What others saw in this life must be the same.
        """
        with self.lock:
            known = run.streams.get((life, modes), [])
            if whole:
                short, long = sorted((known, events), key=len)
                if long[: len(short)] != short:
                    self.blame(f"stream of {run.id}: two readers saw {short} and {long}")
                run.streams[(life, modes)] = long
                if known:
                    self.counts["streams compared"] += 1
            elif events and known:
                ids = [event[0] for event in known]
                at = ids.index(events[0][0]) if events[0][0] in ids else None
                if at is not None:
                    n = min(len(known) - at, len(events))
                    if known[at : at + n] != events[:n]:
                        self.blame(f"stream of {run.id}: {known} was joined as {events}")
                    self.counts["joins compared"] += 1


class Thread:
    """What clients were told of a thread; one client at a time uses it."""

    def __init__(self, id):
        self.id = id
        self.exists = False  # somebody was told so
        self.free = True  # the client knows that no run of it is active
        self.lock = threading.Lock()
