"""New plugin files under a daemon that works: what comes, what stays, and that nobody notices."""

import http.client
import json
import os
import signal
import threading
import time
import unittest

from harness import PATIENCE, PLUGINS, Daemon, until
from hostile import SANITIZED, PluginDir, workers_of

QUIET = "plugins: {watch: false}\n"
# Each one is a describing worker, a serving one, and a switch.
RELOADS = 60 if SANITIZED else 1000
# On a machine that has other things to do, fewer will do.
TIME = 45


class Reload(unittest.TestCase):
    def open(self, config=""):
        self.dir = PluginDir()
        self.addCleanup(self.dir.close)
        self.version(1)
        self.apd = Daemon(config, plugin_dirs=[self.dir.path, PLUGINS])
        self.addCleanup(self.apd.close)
        until(lambda: self.state() == "ready")

    def version(self, n):
        self.dir.add(f"confine_version_{n}", "version.so")

    def hang_up(self):
        self.apd.process.send_signal(signal.SIGHUP)

    def metadata(self):
        answer = self.apd.get("/agents/version")
        return answer.json["metadata"] if answer.status == 200 else {"state": "gone"}

    def state(self):
        return self.metadata()["state"]

    def run_version(self):
        """Which version's code ran."""
        answer = self.apd.post("/runs/wait", {"agent_id": "version"}).json
        self.assertEqual(answer["run"]["status"], "success", answer)
        return answer["values"]["version"]

    def wait_generation(self, n):
        until(lambda: self.metadata().get("generation") == n, f"generation {n}")


class Hangup(Reload):
    def setUp(self):
        self.open(QUIET)

    def test_a_new_file_serves(self):
        self.assertEqual(self.run_version(), 1)
        self.version(2)
        self.hang_up()
        self.wait_generation(2)
        self.assertEqual(self.run_version(), 2)
        self.assertEqual(self.metadata()["version"], "2")
        self.assertEqual(self.state(), "ready")
        until(lambda: len(workers_of(self.apd, "version")) == 1, "the old worker's end")

    def test_nothing_new_changes_nothing(self):
        workers = until(lambda: workers_of(self.apd, "version"))
        self.hang_up()
        until(lambda: "SIGHUP" in self.apd.log())
        self.assertEqual(self.run_version(), 1)
        self.assertEqual(self.metadata()["generation"], 1)
        self.assertEqual(workers_of(self.apd, "version"), workers)

    def goes_on(self, *words):
        """The old one serves, and says why the new one does not."""
        error = until(lambda: self.metadata().get("reload_error"), "the refusal")
        for word in words:
            self.assertIn(word, error)
        self.assertEqual(self.state(), "ready")
        self.assertEqual(self.run_version(), 1)
        self.version(2)
        self.hang_up()
        until(lambda: self.metadata()["version"] == "2")
        self.assertNotIn("reload_error", self.metadata())
        self.assertEqual(self.run_version(), 2)

    def test_a_file_that_is_no_plugin(self):
        new = self.dir.write(".new", b"\x7fELF and no more")
        new.rename(self.dir.path / "version.so")
        self.hang_up()
        self.goes_on()

    def test_a_plugin_that_cannot_be_described(self):
        self.dir.add("init_crashes", "version.so")
        self.hang_up()
        self.goes_on("could not be described")

    def test_a_plugin_whose_worker_dies_before_it_is_ready(self):
        self.dir.add("confine_stubborn", "version.so")
        self.hang_up()
        self.goes_on("before it was ready", "SIGABRT")
        self.assertEqual(self.apd.get("/ok").status, 200)

    def test_runs_stay_with_the_old_one(self):
        self.dir.add("stop_check", "stop.so")
        self.hang_up()
        until(lambda: self.apd.get("/agents/stop_check").status == 200)
        run_id = self.apd.post("/runs", {"agent_id": "stop_check"}).json["run_id"]
        until(lambda: "started_at" in self.apd.get(f"/runs/{run_id}").json)
        old = workers_of(self.apd, "stop")
        self.dir.add("stop_check", "stop.so")
        self.hang_up()
        until(lambda: self.apd.get("/agents/stop_check").json["metadata"]["generation"] == 2)
        self.assertTrue(set(old) < set(until(lambda: (w := workers_of(self.apd, "stop")) != old and w)))
        self.assertEqual(self.apd.get(f"/runs/{run_id}").json["status"], "pending")
        self.apd.post(f"/runs/{run_id}/cancel?wait=true")
        run = self.apd.get(f"/runs/{run_id}/wait").json["run"]
        self.assertEqual(run["status"], "interrupted", run)
        until(lambda: not set(old) & set(workers_of(self.apd, "stop")), "the old worker's end")


class Removal(Reload):
    def setUp(self):
        self.open(QUIET + "workers: {max: 1, isolation: run}\n")

    def test_an_agent_whose_file_is_removed(self):
        self.dir.add("stop_check", "stop.so")
        self.hang_up()
        until(lambda: self.apd.get("/agents/stop_check").status == 200)
        first, *queued = [self.apd.post("/runs", {"agent_id": "stop_check"}).json["run_id"] for _ in range(4)]
        until(lambda: "started_at" in self.apd.get(f"/runs/{first}").json)
        (self.dir.path / "stop.so").unlink()
        self.hang_up()
        until(lambda: self.apd.get("/agents/stop_check").status == 404)
        self.assertEqual(self.apd.post("/runs", {"agent_id": "stop_check"}).status, 404)
        for run_id in queued:
            run = self.apd.get(f"/runs/{run_id}/wait").json["run"]
            self.assertEqual((run["status"], run["error"]["code"]), ("error", "agent_removed"))
        # The one that executes goes on, until somebody stops it.
        self.assertEqual(self.apd.get(f"/runs/{first}").json["status"], "pending")
        self.apd.post(f"/runs/{first}/cancel?wait=true")
        self.assertEqual(self.apd.get(f"/runs/{first}").json["status"], "interrupted")
        until(lambda: not workers_of(self.apd, "stop"), "the end of its worker")
        self.assertEqual(self.run_version(), 1)


class Watch(Reload):
    """Nobody tells apd: it sees for itself."""

    def setUp(self):
        self.open()

    def test_files_come_change_and_go(self):
        self.version(2)
        until(lambda: self.metadata()["version"] == "2")
        self.assertEqual(self.run_version(), 2)
        self.dir.add("bare")
        until(lambda: self.apd.get("/agents/bare").status == 200)
        (self.dir.path / "version.so").unlink()
        until(lambda: self.state() == "gone")
        self.version(1)
        until(lambda: self.state() == "ready")
        self.assertEqual(self.run_version(), 1)

    def test_a_directory_that_is_made_later(self):
        place = PluginDir()
        self.addCleanup(place.close)
        missing = place.path / "not" / "yet"
        apd = Daemon(plugin_dirs=[missing, PLUGINS])
        self.addCleanup(apd.close)
        self.assertIn(f"plugin directory {missing} is not there: apd looks again when it comes", apd.log())
        missing.mkdir(parents=True)
        (self.dir.path / "version.so").rename(missing / "version.so")
        until(lambda: apd.get("/agents/version").status == 200)
        (missing / "version.so").unlink()
        until(lambda: apd.get("/agents/version").status == 404)

    def test_a_file_that_is_copied_slowly_is_read_once_it_is_whole(self):
        data = (self.dir.path / "version.so").read_bytes()
        self.version(2)
        until(lambda: self.metadata()["version"] == "2")
        with open(self.dir.path / "version.so", "wb") as file:
            for at in range(0, len(data), len(data) // 8 + 1):
                file.write(data[at:at + len(data) // 8 + 1])
                file.flush()
        until(lambda: self.metadata()["version"] == "1")
        self.assertNotIn("refused", self.apd.log())
        self.assertEqual(self.run_version(), 1)


class Load(Reload):
    """Reloads under load lose nothing and delay nothing."""

    CLIENTS = 4

    def setUp(self):
        self.open(QUIET)
        self.stop = threading.Event()
        self.latencies, self.versions, self.wrong = [], set(), []

    def client(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.apd.port, timeout=PATIENCE)
        body = json.dumps({"agent_id": "version"})
        while not self.stop.is_set():
            begin = time.monotonic()
            try:
                connection.request("POST", "/runs/wait", body)
                response = connection.getresponse()
                answer = json.loads(response.read())
                if response.status != 200 or answer["run"]["status"] != "success":
                    self.wrong.append(answer)
                else:
                    self.versions.add(answer["values"]["version"])
            except (OSError, http.client.HTTPException, KeyError) as error:
                self.wrong.append(repr(error))
                connection.close()
            self.latencies.append(time.monotonic() - begin)
        connection.close()

    def generation(self):
        return self.metadata().get("generation", 0)

    def test_a_thousand_reloads_during_traffic(self):
        self.apd.documents = []  # this is about the daemon, not about its answers' schemas
        clients = [threading.Thread(target=self.client) for _ in range(self.CLIENTS)]
        for client in clients:
            client.start()
        self.addCleanup(self.stop.set)
        begin, reloads = time.monotonic(), 0
        for n in range(RELOADS):
            self.version(2 - n % 2)
            self.hang_up()
            until(lambda: self.generation() == n + 2, f"reload {n + 1}")
            reloads += 1
            self.assertFalse(self.wrong, self.wrong[:3])
            if time.monotonic() - begin > TIME:
                break
        elapsed = time.monotonic() - begin
        self.stop.set()
        for client in clients:
            client.join()
        self.assertFalse(self.wrong, self.wrong[:3])
        self.assertEqual(self.versions, {1, 2})
        self.assertGreaterEqual(reloads, RELOADS // 10)
        self.assertGreater(len(self.latencies), reloads)
        # What a run waits for is the machine, never a worker that has to start first.
        self.assertLess(max(self.latencies), PATIENCE / 3)
        self.assertEqual(self.apd.metric("apd_worker_crashes_total"), 0)
        until(lambda: len(workers_of(self.apd, "version")) == 1, "the end of all old workers")
        if os.environ.get("APD_TEST_VERBOSE"):
            ordered = sorted(self.latencies)
            print(f"{reloads} reloads in {elapsed:.1f} s, {len(ordered)} runs, p50 "
                  f"{ordered[len(ordered) // 2] * 1e3:.1f} ms, p99 {ordered[len(ordered) * 99 // 100] * 1e3:.1f} ms, "
                  f"worst {ordered[-1] * 1e3:.1f} ms")


if __name__ == "__main__":
    unittest.main()
