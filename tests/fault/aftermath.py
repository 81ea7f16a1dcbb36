"""Peace: everything ends, and everything that was promised is looked up."""

import collections

from harness import until
from kept import chain_faults


def settle(verifier, victim, ledger):
    """Peace: everything ends, and everything that was promised is there."""
    life = victim.life

    def pending():
        return verifier.ask(life, "POST", "/runs/search", {"status": "pending", "limit": 100})[1]

    try:
        until(lambda: not pending(), "the end of all runs")
        # Runs that nobody was promised anything about have no rows before their end.
        until(lambda: not victim.metric("apd_runs_queued") + victim.metric("apd_runs_executing"), "idleness")
    except AssertionError as error:
        ledger.blame(f"{error}: {pending()}")
    verify_all(verifier, victim, ledger)
    verify_threads(verifier, victim, ledger)
    threads = [thread for thread in ledger.kept.values() if thread.exists and not thread.delete_sent]
    for thread in [*ledger.threads.values(), *threads]:
        thread.touched = True
        status, answer = verifier.ask(life, "POST", "/runs/wait", {
            "agent_id": "echo", "input": 1, "thread_id": thread.id, "if_not_exists": "create"})
        if status != 200 or answer["run"]["status"] != "success":
            ledger.blame(f"a new run on the thread {thread.id}: {status} {answer}")
    settle_gauges(victim, ledger)


def verify_all(verifier, victim, ledger):
    """Every run that anybody knows of, and those of which only the daemon knows."""
    life = victim.life
    known = list(ledger.order)
    offset, found = 0, set()
    while True:
        status, records = verifier.ask(life, "POST", "/runs/search", {"limit": 100, "offset": offset})
        for record in records:
            found.add(record["run_id"])
            if record["run_id"] not in ledger.runs:
                run = ledger.created(record, True, life.number, {})
                run.cancel_sent = run.rollback_sent = True
                ledger.count("runs whose clients never heard of them")
        if len(records) < 100:
            break
        offset += 100
    for run in list(ledger.order):
        verifier.verify(life, run)
        if run.final is None and not run.gone:
            ledger.blame(f"{run.id} has not ended: {run.first}")
    for run in known:
        if not run.gone and run.id not in found and not comes_to_be_found(verifier, life, run):
            ledger.blame(f"{run.id} is not found by search")
        if run.gone and run.id in found:
            ledger.blame(f"{run.id} is gone and found by search")


def verify_threads(verifier, victim, ledger):
    """Every thread that anybody knows of, and those of which only the daemon knows."""
    life = victim.life
    for promised in [*ledger.kept.values(), *ledger.frozen]:
        verifier.verify(life, promised)
    status, busy = verifier.ask(life, "POST", "/threads/search", {"status": "busy", "limit": 1000})
    if status != 200 or busy:
        ledger.blame(f"threads are busy in peace: {status} {busy}")
    found, offset = set(), 0
    while True:
        status, page = verifier.ask(life, "POST", "/threads/search", {"limit": 100, "offset": offset})
        for shown in page:
            found.add(shown["thread_id"])
            verify_thread(verifier, life, shown)
        if len(page) < 100:
            break
        offset += 100
    for thread in ledger.kept.values():
        if thread.exists and not thread.delete_sent and thread.id not in found:
            ledger.blame(f"the thread {thread.id} is not found by search")
        if thread.gone and thread.id in found:
            ledger.blame(f"the thread {thread.id} is gone and found by search")


def verify_thread(verifier, life, shown):
    """Whosoever thread it is: search and GET show the same, and its history is a chain that ends in it."""
    id = shown["thread_id"]
    status, now = verifier.ask(life, "GET", f"/threads/{id}")
    history = verifier.whole_history(life, id)
    faults = chain_faults(history) if history is not None else ["it has no history"]
    if status != 200 or now != shown:
        faults.append(f"search shows {shown}, GET {status} {now}")
    if history and (history[0]["values"], history[0].get("messages")) != (now["values"], now.get("messages")):
        faults.append(f"its newest state is {history[0]}, GET shows {now}")
    for fault in faults:
        verifier.ledger.blame(f"thread {id}: {fault}")
    verifier.ledger.count("threads verified at the end")


def comes_to_be_found(verifier, life, run):
    """True if the row of a run that nobody was promised anything about was only on its way."""
    def rows():
        return verifier.ask(life, "POST", "/runs/search", {"thread_id": run.first["thread_id"]})[1]

    try:
        return not run.durable and bool(until(rows))
    except AssertionError:
        return False


def settle_gauges(victim, ledger):
    """Nothing is left over. (The request for the numbers waits itself while they are made.)"""
    idle = {"apd_runs_queued": 0, "apd_runs_executing": 0, "apd_http_streams": 0,
            "apd_http_waiting_requests": 1, "apd_http_connections": 1, "apd_http_body_bytes": 0,
            "apd_runs_in_memory": 0, "apd_threads_in_memory": 0, "apd_event_log_bytes": 0}
    for name, value in idle.items():
        try:
            until(lambda: victim.metric(name) == value, name)
        except AssertionError:
            ledger.blame(f"{name} stays at {victim.metric(name)} instead of {value}")


def check_testimony(victim, ledger):
    """What the agents themselves wrote down of their invocations."""
    invoked = collections.Counter()
    for line in victim.testimony.read_text().splitlines():
        run_id, agent, attempt = line.split()
        invoked[run_id] += 1
        if agent == "witness" and (invoked[run_id] > 1 or attempt != "1"):
            ledger.blame(f"{run_id}, which is not retry-safe, was invoked {invoked[run_id]} times: {line}")
    for run in ledger.order:
        if run.first["agent_id"].startswith("witness") and (run.final or {}).get("status") == "success" \
                and not invoked[run.id]:
            ledger.blame(f"{run.id} succeeded without having been invoked: {run.final}")
    ledger.count("invocations witnessed", sum(invoked.values()))
    ledger.count("runs invoked again", sum(1 for n in invoked.values() if n > 1))
