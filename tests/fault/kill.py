#!/usr/bin/env python3
"""The kill harness: clients at work while the daemon, its workers and their connections die."""

import argparse
import collections
import heapq
import os
import random
import resource
import signal
import sys
import time

from victim import GROWN_UP, PATIENCE, Died, Victim, processes_of  # sets the path to the black-box harness
from aftermath import check_testimony, settle, settle_gauges, verify_all, verify_threads
from clients import Client
from connection import Broken
from harness import new_id
from keepers import Keeper
from kept import Kept
from ledger import Ledger

CLIENTS = 10
KEEPERS = 6
WORKER_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)


class Verifier(Keeper):
    """Reads again what was promised in the lives before."""

    def __init__(self, seed, victim, ledger):
        super().__init__("verifier", seed, victim, ledger, 0)
        self.due = collections.deque()
        self.seen = 0

    def begin_life(self):
        """A life is over: what was made in it is to be found in the next, and some of the rest."""
        with self.ledger.lock:
            new = self.ledger.order[self.seen:]
            self.seen = len(self.ledger.order)
            old = self.random.sample(self.ledger.order, min(20, len(self.ledger.order)))
            kept = [thread for thread in self.ledger.kept.values() if thread.exists and not thread.gone]
            copies = list(self.ledger.frozen)
        self.due.extend(new + old + self.random.sample(kept, min(12, len(kept))) + copies[-3:])

    def run(self):
        while not self.stop.is_set():
            life = self.victim.living(self.stop)
            if life is None:
                return
            if not self.due:
                time.sleep(0.02)
                continue
            promised = self.due.popleft()
            try:
                self.verify(life, promised)
            except Broken:
                self.due.append(promised)

    def verify(self, life, promised):
        """A run, a kept thread, or the id of a copy."""
        if isinstance(promised, Kept):
            self.look_history(life, promised)
        elif isinstance(promised, str):
            self.look_copy(life, promised)
        else:
            self.verify_run(life, promised)
        self.ledger.count("promises looked up")

    def verify_run(self, life, run):
        self.look(life, run)
        if run.result:
            self.wait_for(life, run)


class Chaos:
    """Who kills, stops and lets go on."""

    def __init__(self, seed, victim, ledger):
        self.random = random.Random(f"{seed}/chaos")
        self.victim = victim
        self.ledger = ledger
        self.stopped = []  # heap of (when to go on, pid)
        self.worker_kills = 0
        self.young_kills = 0

    def let_go_on(self, all=False):
        while self.stopped and (all or self.stopped[0][0] <= time.monotonic()):
            _, pid = heapq.heappop(self.stopped)
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def pause(self, pid, longest):
        os.kill(pid, signal.SIGSTOP)
        heapq.heappush(self.stopped, (time.monotonic() + self.random.uniform(0.005, longest), pid))
        self.ledger.count("pauses")

    def worker(self):
        """A worker that may be hurt without making its plugin look broken, or None."""
        workers = processes_of(self.victim.process.pid)
        if self.young_kills >= 3 or self.random.random() < 0.7:
            workers = [worker for worker in workers if worker.age > GROWN_UP]
        return self.random.choice(workers) if workers else None

    def hurt_worker(self):
        """Kills a worker; False if there was none."""
        worker = self.worker()
        if worker is None:
            return False
        try:
            os.kill(worker.pid, self.random.choice(WORKER_SIGNALS))
            os.kill(worker.pid, signal.SIGCONT)
        except ProcessLookupError:
            return False
        if worker.age <= GROWN_UP:
            self.young_kills += 1
        self.worker_kills += 1
        return True

    def molest(self):
        """One pause, of a worker or of the daemon."""
        try:
            if self.random.random() < 0.3:
                self.pause(self.victim.process.pid, 0.15)
            else:
                worker = self.worker()
                if worker:
                    self.pause(worker.pid, 0.3)
        except ProcessLookupError:
            pass

    def assassinate(self, client):
        """
        Has an agent kill the daemon as the first thing it does, when its start must be on disk.
        Without a worker there is no slot, and the start is a commit of its own.
        """
        self.let_go_on(all=True)
        self.victim.check_alive()
        life = self.victim.life
        workers = [w for w in processes_of(self.victim.process.pid) if w.serves("witness")]
        if len(workers) < 3 and all(worker.age > GROWN_UP for worker in workers):
            for worker in workers:
                os.kill(worker.pid, signal.SIGKILL)
                self.worker_kills += 1
        life.dying = True
        client.serial += 1
        body = {"agent_id": "witness", "input": {"steps": 0, "how": "assassin"},
                "metadata": {"tag": f"assassin-{client.serial}"}}
        if self.random.random() < 0.5:
            body.update(thread_id=new_id(), if_not_exists="create")
        try:
            status, record = client.ask(life, "POST", "/runs", body)
            run = self.ledger.created(record, True, life.number, body)
            if not self.victim.is_dead_within(PATIENCE / 10):
                # Its plugin's workers are in disgrace. It must not strike in a later life.
                self.ledger.sends_cancel(run, False)
                client.ask(life, "POST", f"/runs/{run.id}/cancel?wait=true")
                self.ledger.count("assassins called back")
                self.victim.kill_life(dying=True)
                return
        except Broken:
            pass
        self.victim.die_by_assassin()
        self.ledger.count("assassinations")

    def kill(self, client):
        """Ends a life, one way or the other."""
        if self.random.random() < 0.3:
            self.assassinate(client)
            return
        worker = self.worker()
        if worker and self.random.random() < 0.3:
            # One that cannot see the socket close has to be killed by the kernel.
            os.kill(worker.pid, signal.SIGSTOP)
            self.ledger.count("workers stopped when their daemon died")
        self.victim.kill_life()

    def live(self, seconds, kills):
        """Spends a life of the daemon; how many workers could not be killed in it."""
        self.young_kills = 0
        end = time.monotonic() + seconds
        due = sorted(time.monotonic() + self.random.uniform(0, seconds) for _ in range(kills))
        while time.monotonic() < end:
            self.victim.check_alive()
            self.let_go_on()
            if due and due[0] <= time.monotonic() and self.hurt_worker():
                due.pop(0)
            if self.random.random() < 0.08:
                self.molest()
            time.sleep(0.01)
        return len(due)


def rampage(options, chaos, victim, verifier):
    """All the killing; the daemon lives afterwards."""
    begin = time.monotonic()
    kills = left = 0
    while kills < options.daemon_kills:
        if options.seconds and time.monotonic() - begin > options.seconds:
            break
        owed = options.worker_kills * (kills + 1) // (options.daemon_kills + 1) - chaos.worker_kills
        short = chaos.random.random() < 0.1
        chaos.live(chaos.random.uniform(0, 0.1) if short else chaos.random.uniform(0.2, 1.2), max(owed, 0))
        chaos.kill(verifier)
        chaos.let_go_on(all=True)
        kills += 1
        if kills % 10 == 0:
            victim.check_copy()
        while chaos.random.random() < 0.08 and kills < options.daemon_kills:
            victim.kill_newborn(chaos.random.uniform(0, 0.08))
            kills += 1
        victim.start()
        verifier.begin_life()
        if kills % 50 == 0:
            print(f"{kills} daemons and {chaos.worker_kills} workers killed, "
                  f"{len(verifier.ledger.order)} runs", flush=True)
    while chaos.worker_kills < options.worker_kills and not (
            options.seconds and time.monotonic() - begin > options.seconds):
        chaos.live(0.5, min(4, options.worker_kills - chaos.worker_kills))
        chaos.young_kills = 3
    chaos.let_go_on(all=True)


def stop_clients(clients, ledger):
    """The load ends; no client waits for an answer for ever."""
    for client in clients:
        client.stop.set()
    for client in clients:
        client.join(3 * PATIENCE)
        if client.is_alive():
            ledger.blame(f"{client.name} waits for an answer for ever: {client.connection.what}")


def attack(options, victim, ledger):
    """The whole of it, but for what can be read when all is over; how many workers were killed."""
    verifier = Verifier(options.seed, victim, ledger)
    clients = [Client(n, options.seed, victim, ledger) for n in range(CLIENTS)]
    clients += [Keeper(f"t{n}", options.seed, victim, ledger) for n in range(KEEPERS)] + [verifier]
    chaos = Chaos(options.seed, victim, ledger)
    for client in clients:
        client.start()
    try:
        rampage(options, chaos, victim, verifier)
        stop_clients(clients, ledger)
        settle(verifier, victim, ledger)
        victim.kill_life()
        victim.start()
        verify_all(verifier, victim, ledger)
        verify_threads(verifier, victim, ledger)
        settle_gauges(victim, ledger)
        victim.stop()
        victim.bury([])
        victim.check_data()
    except (AssertionError, Broken, Died) as error:
        ledger.blame(f"{error!r}")
    finally:
        victim.process.kill()
    return chaos.worker_kills


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--daemon-kills", type=int, default=20)
    parser.add_argument("--worker-kills", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0, help="stop killing after this time")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    begin = time.monotonic()
    ledger = Ledger()
    victim = Victim(ledger)
    worker_kills = attack(options, victim, ledger)
    victim.check_log()
    check_testimony(victim, ledger)
    for what, n in sorted(ledger.counts.items()):
        print(f"{n:8} {what}")
    print(f"{ledger.counts['daemons killed']} daemons and {worker_kills} workers killed in "
          f"{time.monotonic() - begin:.0f} s: {len(ledger.violations)} promises broken", flush=True)
    if ledger.violations:
        print(f"seed {options.seed}; the log and the data are in {victim.home}", flush=True)
        os._exit(1)  # clients may wait for an answer for ever
    victim.remove()


if __name__ == "__main__":
    main()
