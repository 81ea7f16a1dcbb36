"""The daemon that is killed again and again, one life after the other on one data directory."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "http"))

from harness import BUILD, EXAMPLES, PATIENCE, PLUGINS, Daemon, until

CONFIG = """
runs: {{timeout: 5s, grace: 300ms, shutdown_grace: 500ms}}
workers: {{max: 4, drain: 1s, idle: 2s}}
http: {{heartbeat: 200ms}}
events: {{linger: 3s}}
agents:
  echo: {{plugin: echo}}
  slow: {{plugin: echo, settings: {{delay_ms: 10}}}}
  witness: {{plugin: witness, agent: witness, settings: {{file: {file}}}}}
  witness-safe: {{plugin: witness, agent: witness-safe, settings: {{file: {file}}}}}
"""

# A worker of that age has said HELLO: five that die younger within a minute break their plugin.
GROWN_UP = 0.15 if PATIENCE <= 30 else 1.5
TICKS = os.sysconf("SC_CLK_TCK")


class Died(Exception):
    """The daemon ended by itself."""


class Life:
    """From a start of the daemon to its end."""

    def __init__(self, number, process):
        self.number = number
        self.process = process
        self.port = None
        self.dying = False  # set before it is killed: connections may break from then on


class Process:
    """A process as /proc tells of it."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        with open("/proc/uptime") as uptime:
            now = float(uptime.read().split()[0])
        self.pid = pid
        self.dead = fields[0] in "ZX"
        self.session = int(fields[3])
        self.started = int(fields[19])
        self.age = now - self.started / TICKS

    def serves(self, plugin):
        """True for a worker of this plugin."""
        try:
            return plugin in Path(f"/proc/{self.pid}/cmdline").read_text()
        except OSError:
            return False


def processes_of(session):
    """The living processes of a session, but for its leader."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            process = Process(int(name))
        except OSError:
            continue
        if process.session == session and process.pid != session and not process.dead:
            found.append(process)
    return found


class Victim(Daemon):
    def __init__(self, ledger):
        self.ledger = ledger
        self.home = Path(tempfile.mkdtemp(prefix="apd-kill-"))
        self.testimony = self.home / "testimony"
        self.lives = 0
        self.life = None
        self.up = threading.Condition()
        super().__init__(
            CONFIG.format(file=self.testimony), data_dir=self.home / "data",
            plugin_dirs=[PLUGINS, EXAMPLES, BUILD / "tests" / "fault"], check=False)

    # ---- one life ----

    def spawn(self):
        """Begins a life, in a session of its own, by which its workers are found."""
        with open(self.home / "log", "a") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        self.log_path = self.home / "log"
        self.lives += 1
        return Life(self.lives, self.process)

    def start(self):
        life = self.spawn()
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line.startswith("listening on http://127.0.0.1:"):
            raise AssertionError(f"apd did not start: {line!r}\n{self.log()[-6000:]}")
        self.port = life.port = int(line.rpartition(":")[2])
        with self.up:
            self.life = life
            self.up.notify_all()

    def living(self, stop):
        """The present life; waits for the next one to begin. None when stop is set."""
        with self.up:
            while not stop.is_set():
                if self.life and not self.life.dying:
                    return self.life
                self.up.wait(0.1)
        return None

    def check_alive(self):
        """Only we end its lives."""
        if self.process.poll() is not None:
            self.life.dying = True
            self.ledger.blame(f"apd ended by itself with {self.process.returncode}\n{self.log()[-6000:]}")
            raise Died("there is nothing left to kill")

    def kill_life(self, dying=False):
        """kill -9, and no worker outlives it."""
        if not dying:
            self.check_alive()
        self.life.dying = True
        os.kill(self.process.pid, signal.SIGSTOP)
        workers = processes_of(self.process.pid)
        self.process.kill()
        self.bury(workers)

    def is_dead_within(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def die_by_assassin(self):
        """An agent kills, or has killed, its daemon."""
        if not self.is_dead_within(PATIENCE):
            self.ledger.blame("an assassin was neither refused nor invoked")
            self.process.kill()
        self.bury([])
        if self.process.returncode != -signal.SIGKILL:
            self.ledger.blame(f"apd ended with {self.process.returncode}\n{self.log()[-6000:]}")

    def kill_newborn(self, after):
        """A life that ends before it can say that it began."""
        self.spawn()
        time.sleep(after)
        self.process.kill()
        self.bury([])

    def bury(self, workers):
        """The daemon is dead, or about to be; so must its workers be."""
        session = self.process.pid
        if self.process.wait() == -signal.SIGKILL:
            self.ledger.count("daemons killed")
        self.process.stdout.close()
        try:
            until(lambda: not processes_of(session), f"the end of workers {[w.pid for w in workers]}")
        except AssertionError:
            self.ledger.blame(f"workers outlived the daemon: {[vars(p) for p in processes_of(session)]}")
            for orphan in processes_of(session):
                os.kill(orphan.pid, signal.SIGKILL)

    def check_log(self):
        """No sanitizer found anything. (The faults that we cause are SEGV and ABRT to them.)"""
        found = re.search(r".*(runtime error:|use-after|overflow on|LeakSanitizer: detected|"
                          r"WARNING: ThreadSanitizer).*(\n.*){30}", self.log())
        if found:
            self.ledger.blame(found.group())

    # ---- its data ----

    def check_data(self, path=None):
        """What the daemon left on disk is a whole database."""
        path = path or self.home / "data"
        for file in path.glob("*.db"):
            database = sqlite3.connect(file)
            verdict = database.execute("PRAGMA integrity_check").fetchall()
            database.close()
            self.ledger.count("databases checked")
            if verdict != [("ok",)]:
                self.ledger.blame(f"{file}: {verdict}")

    def check_copy(self):
        """The same of a copy, so that the daemon does its recovery itself."""
        copy = self.home / "copy"
        copy.mkdir()
        for file in (self.home / "data").iterdir():
            if not file.name.endswith("-shm"):
                shutil.copy(file, copy)
        self.check_data(copy)
        shutil.rmtree(copy)

    def remove(self):
        shutil.rmtree(self.home)
        self.temp.cleanup()
