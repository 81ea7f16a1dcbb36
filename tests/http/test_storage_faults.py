"""Disks that are full, refuse or are read-only: what was acknowledged is there afterwards."""

import os
import resource
import shutil
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from harness import APD, PATIENCE, Daemon, DaemonTest, new_id, until


class Faults(DaemonTest):
    """What is the same for every way in which a disk can refuse; not a test by itself."""

    CONFIG = "runs: {queue_per_agent: 100000, queue: 100000}\n"

    def setUp(self):
        self.acknowledged = []

    @classmethod
    def start(cls, data_dir=None):
        cls.apd = Daemon(cls.CONFIG, data_dir=data_dir)

    @classmethod
    def setUpClass(cls):
        if cls is Faults:
            raise unittest.SkipTest("the base of the others")
        cls.start()

    def create(self, size=1000, **more):
        """Creates a background run; notes those that were acknowledged."""
        answer = self.apd.post("/runs", {"agent_id": "echo", "input": "x" * size, **more})
        if answer.status == 200:
            self.acknowledged.append(answer.json["run_id"])
        return answer

    def until_refused(self):
        """Creates runs until the storage refuses one."""
        for _ in range(5000):
            answer = self.create(20000)
            if answer.status != 200:
                self.refused(answer, 503, "storage_unavailable")
                return
        self.fail("the storage takes everything")

    def until_taken(self):
        """Creates runs until one is taken."""
        until(lambda: self.create().status == 200, "a run that is stored")

    def check_acknowledged(self):
        """All runs that clients heard of are there, and come to their ends."""
        self.assertGreater(len(self.acknowledged), 0)
        for run_id in self.acknowledged:
            answer = self.apd.get(f"/runs/{run_id}/wait")
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(answer.json["run"]["status"], "success")

    def check_refusals(self):
        """While nothing can be stored, writes are refused and reads go on."""
        before = self.apd.metric("apd_storage_failures_total")
        self.refused(self.create(100000), 503, "storage_unavailable")
        thread = {"thread_id": new_id(), "if_not_exists": "create"}
        for path in ("/runs", "/runs/wait", "/runs/stream"):
            answer = self.apd.post(path, {"agent_id": "echo", "input": "x" * 100000, **thread})
            self.refused(answer, 503, "storage_unavailable")
        self.assertGreaterEqual(self.apd.metric("apd_storage_failures_total"), before + 4)
        self.assertEqual(self.apd.get(f"/runs/{self.acknowledged[0]}").status, 200)
        self.assertEqual(self.apd.post("/runs/search", {}).status, 200)
        self.assertEqual(self.apd.post("/agents/search", {}).status, 200)
        # Of this run nothing has to be stored before it is told.
        answer = self.apd.post("/runs/wait", {"agent_id": "echo", "input": 1})
        self.assertEqual((answer.status, answer.json["values"]), (200, {"echo": 1}))

    def check_log(self):
        """The log tells of the beginning and the end, not of every refusal."""
        text = self.apd.log()
        failed = text.count("transactions fail, nothing is stored")
        self.assertGreaterEqual(failed, 1, text)
        self.assertLess(failed, 100, text)
        self.assertIn("transactions work again", text)

    def fault_and_recovery(self):
        """A fault while several clients write: nothing that was acknowledged is lost."""
        for _ in range(20):
            self.assertEqual(self.create().status, 200)
        self.fault()
        try:
            self.until_refused()
            self.check_refusals()
        finally:
            self.repair()
        self.until_taken()
        self.check_acknowledged()
        self.check_log()
        self.apd.kill()
        self.apd.start()
        self.check_acknowledged()

    def fault_under_load(self):
        """The same fault comes and goes while four clients create runs."""
        stop = threading.Event()
        statuses, problems = set(), []

        def client():
            while not stop.is_set():
                try:
                    statuses.add(self.create(5000).status)
                except Exception as error:
                    problems.append(repr(error))
                    return

        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                count = len(self.acknowledged)
                until(lambda: len(self.acknowledged) > count + 20 or problems)
                failures = self.apd.metric("apd_storage_failures_total")
                self.fault()
                try:
                    until(lambda: self.apd.metric("apd_storage_failures_total") > failures + 20)
                finally:
                    self.repair()
            count = len(self.acknowledged)
            until(lambda: len(self.acknowledged) > count + 20 or problems)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(problems, [])
        self.assertEqual(statuses, {200, 503})
        self.check_acknowledged()


class FileLimit(Faults):
    """The system lets files grow no further, which needs no privilege to try."""

    def fault(self):
        sizes = [file.stat().st_size for file in Path(self.apd.data_dir).iterdir()]
        self.limit(max(sizes))

    def repair(self):
        self.limit(None)

    def limit(self, size):
        hard = resource.prlimit(self.apd.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.apd.process.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    def test_fault_and_recovery(self):
        self.fault_and_recovery()

    def test_fault_under_load(self):
        self.fault_under_load()


def mount(*arguments):
    return subprocess.run(["mount", *arguments], stderr=subprocess.PIPE, text=True)


class FullDisk(Faults):
    """A small file system, filled up by somebody else; without that it has room for all the tests write."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0 or not shutil.which("mount"):
            raise unittest.SkipTest("only root can mount a small disk")
        cls.disk = Path(tempfile.mkdtemp(prefix="apd-disk-"))
        cls.addClassCleanup(cls.disk.rmdir)
        mounted = mount("-t", "tmpfs", "-o", "size=128m", "tmpfs", str(cls.disk))
        if mounted.returncode != 0:
            raise unittest.SkipTest(f"cannot mount a small disk: {mounted.stderr.strip()}")
        cls.addClassCleanup(subprocess.run, ["umount", "-l", str(cls.disk)], check=True)
        cls.start(cls.disk / "data")

    def fault(self):
        with open(self.disk / "filler", "wb", buffering=0) as filler:
            for size in (1 << 20, 4096):
                try:
                    while filler.write(bytes(size)):
                        pass
                except OSError:
                    pass

    def repair(self):
        (self.disk / "filler").unlink()

    def test_fault_and_recovery(self):
        self.fault_and_recovery()

    def test_fault_under_load(self):
        self.fault_under_load()

    def test_runs_that_end_while_the_disk_is_full(self):
        """A run's end that cannot be stored is told when it can be."""
        answer = self.apd.post("/runs", {"agent_id": "countdown", "input": {"from": 4, "step_ms": 100}})
        run_id = answer.json["run_id"]
        executed = "apd_runs_executing"
        self.fault()
        try:
            until(lambda: self.apd.metric(executed) == 0)
            # Its end has been tried and failed; until it is durable nobody is told.
            failures = self.apd.metric("apd_storage_failures_total")
            until(lambda: self.apd.metric("apd_storage_failures_total") > failures)
            self.assertEqual(self.apd.get(f"/runs/{run_id}").json["status"], "pending")
        finally:
            self.repair()
        answer = self.apd.get(f"/runs/{run_id}/wait")
        self.assertEqual(answer.json["run"]["status"], "success")

    def test_a_read_only_disk_is_refused_at_the_start(self):
        directory = self.disk / "elsewhere"
        directory.mkdir()
        if mount("--bind", str(directory), str(directory)).returncode != 0:
            self.skipTest("cannot bind a directory")
        try:
            if mount("-o", "remount,bind,ro", str(directory)).returncode != 0:
                self.skipTest("cannot make a directory read-only")
            done = subprocess.run([APD, "serve", "--listen", "127.0.0.1:0", "--data-dir", directory / "data"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("Read-only file system", done.stderr)
        finally:
            subprocess.run(["umount", "-l", str(directory)], check=True)


if __name__ == "__main__":
    unittest.main()
