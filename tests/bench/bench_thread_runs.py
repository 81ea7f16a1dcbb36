#!/usr/bin/env python3
"""wrk against POST /threads/ID/runs/wait with echo, each connection on a kept thread of its own, so that each
answer was made durable before; beside the bare server of bare.c, which answers the same bytes at once. Both are
measured in turns; the figures to read are the ratios. usage: bench_thread_runs.py [--seconds S] [--rounds N]"""

import argparse
import json
import statistics
import tempfile
import urllib.request
from pathlib import Path

from bench_runs_wait import BUILD, run_wrk, start

# The input replaces what the last one left, so that threads and answers do not grow under the measurement.
BODY = json.dumps({"agent_id": "echo", "input": {"text": "hi"}})
SCRIPT = """
local n, ids = 0, { %s }
wrk.method = 'POST'
wrk.body = '%s'
wrk.headers['Content-Type'] = 'application/json'
function setup(thread)
   n = n + 1
   thread:set('id', ids[n])
end
function init(args)
   local path = '/threads/' .. id .. '/runs/wait'
   text = wrk.format(nil, path)
end
function request()
   return text
end
"""


def post(port, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body.encode())
    return urllib.request.urlopen(request).read()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--connections", type=int, nargs="*", default=[1, 16, 64])
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        apd, apd_port = start([BUILD / "bin/apd", "serve", "--listen", "127.0.0.1:0", "--data-dir",
                               directory / "data", "--plugin-dir", BUILD / "plugins"], r":(\d+)$")
        ids = [json.loads(post(apd_port, "/threads", "{}"))["thread_id"] for _ in range(max(arguments.connections))]
        (directory / "answer.json").write_bytes(post(apd_port, f"/threads/{ids[0]}/runs/wait", BODY))
        bare, bare_port = start([BUILD / "tests/bench/bare", directory / "answer.json"], r"^(\d+)$")
        script = directory / "post.lua"
        script.write_text(SCRIPT % (",".join(f"'{id}'" for id in ids), BODY))
        try:
            print("| connections | bare req/s | apd req/s | ratio | bare p50 us | apd p50 us | ratio | apd p99 us |")
            print("|---|---|---|---|---|---|---|---|")
            for connections in arguments.connections:
                rows = {"bare": [], "apd": []}
                for _ in range(arguments.rounds):
                    for name, port in (("bare", bare_port), ("apd", apd_port)):
                        # One of wrk's threads for each connection: only those have a state of their own.
                        rows[name].append(run_wrk(port, "/", connections, connections, arguments.seconds, script))
                b, a = ([statistics.median(column) for column in zip(*rows[name])] for name in ("bare", "apd"))
                print(f"| {connections} | {b[0]:,.0f} | {a[0]:,.0f} | {a[0] / b[0]:.2f} | {b[1]:.0f} | {a[1]:.0f} "
                      f"| {a[1] / b[1]:.2f} | {a[2]:.0f} |", flush=True)
        finally:
            apd.terminate()
            bare.kill()
            apd.wait()


if __name__ == "__main__":
    main()
