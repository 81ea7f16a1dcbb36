"""What clients were told of a kept thread, and its states and its history held against that."""

import collections

FROZEN = ("values", "messages", "metadata", "status", "updated_at")


class KeptRun:
    """A run of the agent "keeper" on a kept thread, from the moment that a client asks for it."""

    def __init__(self, tag, steps, life):
        self.tag = tag
        self.steps = steps
        self.life = life  # in which it was asked for
        self.run = None  # the ledger's, once a client was told that it exists
        self.absent = False  # it was refused, or never came to be
        self.cancel_sent = False
        self.rollback_sent = False
        self.seen = -1  # the last step that a stream told
        self.value = None  # the last step there is, once it is known to be over

    def tell_ledger(self):
        """What was sent about it before it was known binds less."""
        if self.run:
            self.run.cancel_sent = self.run.cancel_sent or self.cancel_sent
            self.run.rollback_sent = self.run.rollback_sent or self.rollback_sent

    @property
    def over(self):
        return self.absent or bool(self.run and (self.run.ended or self.run.final or self.run.gone))

    @property
    def success(self):
        return bool(self.run and self.run.final and self.run.final["status"] == "success")

    @property
    def may_be_undone(self):
        return self.run is None or self.run.rollback_sent

    @property
    def is_undone(self):
        """Somebody was told that it is gone, and only a rollback can have been why."""
        return bool(self.run and self.run.gone and self.run.rollback_sent and not self.run.delete_sent)


class Kept:
    """A thread that one client works on, and others read. Guarded by the ledger's lock."""

    def __init__(self, ledger, id):
        self.ledger = ledger
        self.id = id
        self.exists = False  # somebody was told so
        self.gone = False  # somebody was told so
        self.delete_sent = False
        self.runs = {}
        self.order = []
        self.asked_for = 0  # changes of any kind that were sent
        self.patches = [0, 0]  # the last that was told, and that was sent; each sets p and says p-N
        self.labels = [0, 0]  # the same of metadata
        self.answers = {}  # by the tag of the answering run: what was answered, and the tag of who asked
        self.touched = False  # at the end, by the harness itself
        self.unsure = set()  # patches that may not have come to be

    # What Client wants of a thread.

    @property
    def free(self):
        return all(run.over for run in self.runs.values())

    @free.setter
    def free(self, value):
        """It follows from what is known of the runs."""

    # ---- what is sent and told ----

    def asks_for(self, tag, steps, life):
        with self.ledger.lock:
            self.asked_for += 1
            run = self.runs[tag] = KeptRun(tag, steps, life)
            self.order.append(run)
            return run

    def stops_others(self, rollback):
        """A strategy that ends the others is sent."""
        with self.ledger.lock:
            for run in self.runs.values():
                if not run.over:
                    run.cancel_sent = True
                    run.rollback_sent = run.rollback_sent or rollback
                    run.tell_ledger()

    def sends_delete(self):
        with self.ledger.lock:
            self.asked_for += 1
            self.delete_sent = True
            for run in self.runs.values():
                if run.run:
                    run.run.delete_sent = True

    def deleted(self):
        with self.ledger.lock:
            self.gone = True
            for run in self.runs.values():
                if run.run:
                    run.run.gone = True

    @property
    def question(self):
        """The tag of the run whose question must be pending, or None."""
        last = next((run for run in reversed(self.order) if not run.absent), None)
        if not self.free or self.touched or last is None or not last.run or last.run.gone or not last.run.final:
            return None
        return last.tag if last.run.final.get("interrupts") else None

    @property
    def rests_in(self):
        """The status that it must have, or None if nobody was told enough."""
        last = next((run for run in reversed(self.order) if not run.absent), None)
        if not self.free or self.touched or last is None or not last.run or last.run.gone or not last.run.final:
            return None
        if last.run.final.get("interrupts"):
            return "interrupted"
        return {"success": "idle", "error": "error", "timeout": "error"}.get(last.run.final["status"])

    # ---- what is read ----

    def before(self):
        """What binds the answer to a read that is sent now."""
        with self.ledger.lock:
            runs = {tag: (run.seen, run.success, run.over, run.is_undone, run.value)
                    for tag, run in self.runs.items()}
            return {"exists": self.exists, "gone": self.gone, "runs": runs, "patch": self.patches[0],
                    "label": self.labels[0], "free": self.free, "rests_in": self.rests_in,
                    "question": self.question, "asked_for": self.asked_for}

    def saw_absent(self, source):
        with self.ledger.lock:
            if self.exists and not self.delete_sent:
                self.ledger.blame(f"{source}: the thread {self.id} vanished")
            elif self.delete_sent:
                self.gone = True

    def saw(self, before, shown, source):
        """A read, sent when the promises were `before`, gave this thread."""
        with self.ledger.lock:
            wrong = self.faults(before, shown) + state_faults(shown, self.runs)
            for fault in wrong:
                self.ledger.blame(f"{source}: thread {self.id}: {fault}: {shown}")
            self.exists = self.exists or not self.delete_sent

    def faults(self, before, shown):
        """What in it is not as it was told."""
        values = shown["values"]
        if before["gone"]:
            return ["it is back"]
        found = []
        for tag, promises in before["runs"].items():
            found += self.run_faults(self.runs[tag], values.get(tag, -1), *promises)
        if not before["patch"] <= values.get("p", 0) <= self.patches[1]:
            found.append(f"p is {values.get('p')}, told {before['patch']}, sent {self.patches[1]}")
        label = shown["metadata"].get("label", 0)
        if not before["label"] <= label <= self.labels[1]:
            found.append(f"label is {label}, told {before['label']}, sent {self.labels[1]}")
        ids = {message["id"] for message in shown.get("messages", [])}
        for n in range(1, before["patch"] + 1):
            if f"p-{n}" not in ids and n not in self.unsure:
                found.append(f"the message of patch {n} is lost")
        if before["asked_for"] == self.asked_for and before["free"]:
            found += self.rest_faults(before, shown)
        return found

    def run_faults(self, run, value, seen, success, over, undone, known):
        may_be_undone = value == -1 and run.may_be_undone
        if undone and value != -1:
            return [f"{run.tag} is undone and there"]
        if value < seen and not may_be_undone:
            return [f"{run.tag} is {value}, told {seen}"]
        if success and value != run.steps - 1 and not may_be_undone:
            return [f"{run.tag} succeeded with {value} instead of {run.steps - 1}"]
        if over and not run.absent and not run.may_be_undone:
            if known is not None and known != value:
                return [f"{run.tag} was {known} at its end, and is {value}"]
            run.value = value
        if run.absent and value != -1:
            return [f"{run.tag} was refused and is there"]
        return []

    def rest_faults(self, before, shown):
        """Nothing went on while it was read."""
        if shown["status"] == "busy":
            return ["it is busy and no run of it is active"]
        if before["rests_in"] and shown["status"] != before["rests_in"]:
            return [f"it is {shown['status']} and not {before['rests_in']}"]
        asked = [question["id"] for question in shown.get("interrupts") or []]
        if before["question"] and asked != [before["question"]]:
            return [f"it asks {asked} and not {before['question']}"]
        return []


def state_faults(shown, runs=None):
    """What no state can be, whatever was told: n counts all steps, messages say what values say."""
    values = shown["values"]
    messages = {message["id"]: message["content"] for message in shown.get("messages", [])}
    steps = {tag: value for tag, value in values.items() if tag.startswith("k-")}
    found = []
    if sum(value + 1 for value in steps.values()) != values.get("n", 0):
        found.append(f"n is {values.get('n')} and the steps are {steps}")
    for tag, value in steps.items():
        if messages.get(tag) != str(value) or f"u-{tag}" not in messages:
            found.append(f"{tag} is {value}, its messages are {messages.get(tag)} and {messages.get('u-' + tag)}")
        if runs is not None and (tag not in runs or value >= runs[tag].steps):
            found.append(f"{tag} is {value}, which nobody asked for")
    if "messages" in values:
        found.append("its messages are in its values")
    return found


def chain_faults(history):
    """What no history can be. Newest first; all of it."""
    found = []
    known = {}
    ids = [state["checkpoint"]["checkpoint_id"] for state in history]
    if ids != sorted(set(ids), reverse=True):
        found.append(f"the order is {ids}")
    for state in reversed(history):
        checkpoint = state["checkpoint"]
        parent = known.get(checkpoint.get("parent_checkpoint_id"))
        if parent is None and (checkpoint.get("parent_checkpoint_id") or checkpoint["step"] != 0):
            found.append(f"the parent of {checkpoint} is missing")
        elif parent and checkpoint["step"] != parent["step"] + 1:
            found.append(f"{checkpoint} is no step from {parent}")
        known[checkpoint["checkpoint_id"]] = checkpoint
    inputs = collections.Counter(state["checkpoint"].get("run_id") for state in history
                                 if state["checkpoint"]["source"] == "input")
    return found + [f"the run {run} has {n} inputs" for run, n in inputs.items() if n > 1]


def keeper_faults(history):
    """What no history of a thread of keepers can be, as far as it is no chain_faults()."""
    found = []
    counts = {None: 0}
    for state in reversed(history):
        checkpoint, values = state["checkpoint"], state["values"]
        count = counts[checkpoint["checkpoint_id"]] = values.get("n", 0)
        before = counts.get(checkpoint.get("parent_checkpoint_id"), 0)
        # The one commit that is none of a keeper is the harness' own at the end.
        steps = 1 if checkpoint["source"] == "loop" and "echo" not in values else 0
        if count != before + steps:
            found.append(f"{checkpoint}: n goes from {before} to {count}")
        found += [f"{checkpoint}: {fault}" for fault in state_faults(state)]
    return found
