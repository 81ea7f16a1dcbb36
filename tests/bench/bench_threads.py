#!/usr/bin/env python3
"""What threads cost when they are long, and when they are many. A thread of many turns: bytes on disk for each
byte of its messages, and the time of a GET for each KB of its answer, beside the same at turn 10. Many threads: the
time of a search by a selective metadata key, beside the same with 1,000 threads.
usage: bench_threads.py [--turns N] [--threads N]"""

import argparse
import http.client
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_runs_wait import BUILD, start

TEXT = "x" * 1000
KEYS = 40  # that are looked for
SCRIPT = """
local n, thread_number = 0, 0
function setup(thread)
   thread_number = thread_number + 1
   thread:set('number', thread_number)
end
function request()
   n = n + 1
   return wrk.format('POST', nil, nil, '{"metadata":{"user":"BASE-' .. number .. '-' .. n
                     .. '","team":"t' .. n % 100 .. '"}}')
end
"""


class Daemon:
    """apd on one data directory, from one life to the next."""

    def __init__(self, directory):
        self.directory = directory
        self.start()

    def start(self):
        self.process, self.port = start([
            BUILD / "bin/apd", "serve", "--listen", "127.0.0.1:0", "--data-dir", self.directory, "--plugin-dir",
            BUILD / "plugins"], r":(\d+)$")
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port)

    def stop(self):
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def ask(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body))
        response = self.connection.getresponse()
        text = response.read()
        if response.status != 200:
            sys.exit(f"{method} {path}: {response.status} {text!r}")
        return text

    def bytes_on_disk(self):
        """Of everything in the database; the daemon lives its next life afterwards."""
        self.stop()
        size = sum(file.stat().st_size for file in Path(self.directory).glob("*.db*"))
        self.start()
        return size


def seconds_of(work, times):
    """The median time of one call."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def long_thread(directory, turns):
    apd = Daemon(directory)
    empty = apd.bytes_on_disk()
    thread = json.loads(apd.ask("POST", "/threads", {}))["thread_id"]
    print("| turns | messages KB | on disk KB | ratio | GET ms | GET us a KB | ratio |")
    print("|---|---|---|---|---|---|---|")
    first = None
    for turn in range(1, turns + 1):
        apd.ask("POST", f"/threads/{thread}/runs/wait", {
            "agent_id": "echo", "messages": [{"role": "user", "content": TEXT}]})
        if turn not in (10, turns // 4, turns // 2, turns * 3 // 4, turns):
            continue
        messages = len(json.dumps(json.loads(apd.ask("GET", f"/threads/{thread}"))["messages"]))
        disk = apd.bytes_on_disk() - empty
        size = len(apd.ask("GET", f"/threads/{thread}"))
        seconds = seconds_of(lambda: apd.ask("GET", f"/threads/{thread}"), 50)
        each = seconds * 1e6 / (size / 1024)
        first = first or each
        print(f"| {turn} | {messages / 1024:,.0f} | {disk / 1024:,.0f} | {disk / messages:.2f} | {seconds * 1e3:.2f} "
              f"| {each:.1f} | {each / first:.2f} |", flush=True)
    apd.stop()


def fill(apd, script, have, want):
    """Makes threads until there are about so many; how many there are."""
    while have < want:
        seconds = 1 if want - have < 20000 else 10
        script.write_text(SCRIPT.replace("BASE", f"u{have}"))
        command = ["wrk", "-t2", "-c64", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{apd.port}/threads"]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in out:
            sys.exit(out)
        have += int(re.search(r"(\d+) requests in", out).group(1))
    return have


def many_threads(directory, threads):
    apd = Daemon(directory / "data")
    script = directory / "fill.lua"
    for n in range(KEYS):
        apd.ask("POST", "/threads", {"metadata": {"user": f"sought-{n}", "team": f"t{n}"}})
    print("| threads | search ms | ratio | create req/s |")
    print("|---|---|---|---|")
    have, first, rest = KEYS, None, list(range(KEYS))
    for want in (1000, threads):
        begin, before = time.perf_counter(), have
        if want == 1000:
            for n in range(have, want):
                apd.ask("POST", "/threads", {"metadata": {"user": f"early-{n}", "team": f"t{n % 100}"}})
            have = want
        else:
            have = fill(apd, script, have, want)
        rate = (have - before) / (time.perf_counter() - begin)

        def search():
            rest.append(n := rest.pop(0))
            found = json.loads(apd.ask("POST", "/threads/search", {"metadata": {"user": f"sought-{n}"}}))
            if len(found) != 1:
                sys.exit(f"sought-{n}: {found}")

        seconds = seconds_of(search, 10 * KEYS)
        first = first or seconds
        print(f"| {have:,} | {seconds * 1e3:.3f} | {seconds / first:.2f} | {rate:,.0f} |", flush=True)
    apd.stop()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=1000)
    arguments.add_argument("--threads", type=int, default=1000000)
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        long_thread(Path(directory) / "long", arguments.turns)
        print()
        many_threads(Path(directory), arguments.threads)


if __name__ == "__main__":
    main()
