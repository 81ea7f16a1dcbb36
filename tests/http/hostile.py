"""What the tests of plugins share: directories made of plugins of tests/plugins, and looking at processes."""

import contextlib
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

from harness import BUILD, PLUGINS, TEST_PLUGINS, Daemon, DaemonTest

# Sanitizers take more address space than any limit, and replace what some tests look at.
SANITIZED = bool(re.search(r"^APD_SANITIZE:\w+=\S", (BUILD / "CMakeCache.txt").read_text(), re.M))


class PluginDir:
    """A plugin directory of its own."""

    def __init__(self, *names):
        self.temp = tempfile.TemporaryDirectory(prefix="apd-plugins-")
        self.path = Path(self.temp.name).resolve()
        for name in names:
            self.add(name)

    def add(self, name, file=None):
        """Puts a plugin into it, in one step, as whoever replaces a plugin should."""
        to = self.path / (file or f"{name}.so")
        new = self.path / ".new"
        shutil.copyfile(TEST_PLUGINS / f"{name}.so", new)
        new.chmod(0o755)
        new.rename(to)
        return to

    def write(self, file, data):
        (self.path / file).write_bytes(data)
        return self.path / file

    def close(self):
        self.temp.cleanup()


def workers_of(apd, plugin):
    """The workers whose plugin, by the name of its memory file, is this one."""
    found = []
    for pid in apd.workers():
        with contextlib.suppress(OSError):
            if f"memfd:apd:{plugin}.so#" in Path(f"/proc/{pid}/maps").read_text():
                found.append(pid)
    return found


def processes():
    """Of each process: its pid, its state, its parent, its group and its session."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, *ids = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                yield int(entry.name), state, *map(int, ids)


def group(pgid):
    """The processes of a group that are not yet gone."""
    return [pid for pid, state, _, group, _ in processes() if group == pgid and state not in "ZX"]


def session_of(sid):
    """The processes of a session that are not yet gone."""
    return [pid for pid, state, _, _, session in processes() if session == sid and state not in "ZX"]


def zombies(parent):
    """Its children that are gone and not waited for."""
    return [pid for pid, state, ppid, *_ in processes() if ppid == parent and state == "Z"]


def running(pid):
    """True if the process is not yet gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def end(pid):
    """Ends a process that a test left, if it is still there."""
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)


class PluginTest(DaemonTest):
    """Tests that share a daemon which serves some plugins of tests/plugins, and echo as a bystander."""

    NAMES = ()

    @classmethod
    def setUpClass(cls):
        cls.dir = PluginDir(*cls.NAMES)
        cls.apd = Daemon(cls.CONFIG, plugin_dirs=[cls.dir.path, PLUGINS])

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.dir.close()

    def run_of(self, agent_id, input=None, **more):
        """A run to its end."""
        answer = self.apd.post("/runs/wait", {"agent_id": agent_id, "input": input, **more})
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json["run"]

    def statuses(self, agent_id):
        """What a run that succeeds tells of what its calls gave."""
        result = self.apd.post("/runs/wait", {"agent_id": agent_id, "input": 1}).json
        self.assertEqual(result["run"]["status"], "success", result)
        return result["values"]["status"]

    def fails(self, run, status, code, words=""):
        """Asserts how a run ended."""
        self.assertEqual(run["status"], status, run)
        self.assertEqual(run["error"]["code"], code, run)
        self.assertIn(words, run["error"]["message"])

    def succeeds(self, agent_id, input=None):
        self.assertEqual(self.run_of(agent_id, input)["status"], "success")

    @contextlib.contextmanager
    def nobody_else_hurt(self):
        """Asserts that the bystander keeps its workers and serves meanwhile."""
        self.succeeds("echo", 1)
        before = workers_of(self.apd, "echo")
        self.assertTrue(before)
        yield
        self.succeeds("echo", 2)
        self.assertLessEqual(set(before), set(workers_of(self.apd, "echo")))


def is_root():
    return os.geteuid() == 0
