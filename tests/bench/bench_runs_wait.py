#!/usr/bin/env python3
"""wrk against POST /runs/wait with echo, beside the bare server of bare.c that parses and answers the
same bytes. Both run at once and are measured in turns, so that what the machine does hits both; the
figures to read are the ratios. usage: bench_runs_wait.py [--seconds S] [--rounds N]"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

BUILD = Path(os.environ.get("APD_BUILD_DIR", Path(__file__).resolve().parents[2] / "build" / "release"))
BODY = json.dumps({"agent_id": "echo", "messages": [{"role": "user", "content": "hi"}]})


def start(command, pattern):
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL)
    return process, int(re.search(pattern, process.stdout.readline()).group(1))


def run_wrk(port, path, threads, connections, seconds, script):
    """Requests a second, and p50 and p99 in microseconds."""
    out = subprocess.run(["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script,
                          f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(out)

    def micros(percent):
        value, unit = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", out).groups()
        return float(value) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]

    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), micros(50), micros(99)


def measure(port, connections, seconds, script):
    return run_wrk(port, "/runs/wait", 1 if connections == 1 else 2, connections, seconds, script)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        script = directory / "post.lua"
        script.write_text(f"wrk.method = 'POST'\nwrk.body = '{BODY}'\n"
                          "wrk.headers['Content-Type'] = 'application/json'\n")
        apd, apd_port = start([BUILD / "bin/apd", "serve", "--listen", "127.0.0.1:0", "--data-dir",
                               directory / "data", "--plugin-dir", BUILD / "plugins"], r":(\d+)$")
        request = urllib.request.Request(f"http://127.0.0.1:{apd_port}/runs/wait", BODY.encode())
        (directory / "answer.json").write_bytes(urllib.request.urlopen(request).read())
        bare, bare_port = start([BUILD / "tests/bench/bare", directory / "answer.json"], r"^(\d+)$")
        try:
            print("| connections | bare req/s | apd req/s | ratio | bare p50 us | apd p50 us | ratio | apd p99 us |")
            print("|---|---|---|---|---|---|---|---|")
            for connections in (1, 64, 256):
                rows = {"bare": [], "apd": []}
                for _ in range(arguments.rounds):
                    rows["bare"].append(measure(bare_port, connections, arguments.seconds, script))
                    rows["apd"].append(measure(apd_port, connections, arguments.seconds, script))
                b, a = ([statistics.median(column) for column in zip(*rows[name])] for name in ("bare", "apd"))
                print(f"| {connections} | {b[0]:,.0f} | {a[0]:,.0f} | {a[0] / b[0]:.2f} | {b[1]:.0f} | {a[1]:.0f} "
                      f"| {a[1] / b[1]:.2f} | {a[2]:.0f} |", flush=True)
        finally:
            apd.terminate()
            bare.kill()
            apd.wait()


if __name__ == "__main__":
    main()
