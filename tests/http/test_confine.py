"""What a worker is kept from, one test a setting; each tried by a plugin that does its best."""

import ctypes
import os
import pwd
import resource
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import APD, Daemon, DaemonTest, until
from hostile import SANITIZED, PluginDir, is_root

# The numbers of Landlock's system calls are the same for all machines.
LANDLOCK_CREATE_RULESET = 444
LIBC = ctypes.CDLL(None, use_errno=True)
LANDLOCK = LIBC.syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)

PLAIN = "  {id}: {{plugin: confine-tries}}\n"


def entry(agent_id, settings):
    return f"  {agent_id}: {{plugin: confine-tries, {settings}}}\n"


def refusal(config, directory, **how):
    """What apd says when it refuses to start."""
    with tempfile.TemporaryDirectory() as data:
        path = Path(data) / "apd.yaml"
        path.write_text(config)
        result = subprocess.run([APD, "agents", "-c", path, "--plugin-dir", directory],
                                capture_output=True, text=True, timeout=60, **how)
        return result.returncode, result.stdout + result.stderr


def without_landlock():
    """For a process that is about to start: a seccomp filter that answers ENOSYS, as old kernels do."""
    class Instruction(ctypes.Structure):
        _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8),
                    ("k", ctypes.c_uint32)]

    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(Instruction))]

    code = (Instruction * 4)((0x20, 0, 0, 0),  # load the call's number
                             (0x15, 0, 1, LANDLOCK_CREATE_RULESET),
                             (0x06, 0, 0, 0x00050000 | 38),  # ENOSYS
                             (0x06, 0, 0, 0x7FFF0000))  # allow
    program = Program(4, code)
    assert LIBC.prctl(38, 1, 0, 0, 0) == 0
    assert LIBC.prctl(22, 2, ctypes.byref(program), 0, 0) == 0


class Tries(DaemonTest):
    ENTRIES = ""
    MORE = ""

    @classmethod
    def setUpClass(cls):
        cls.dir = PluginDir("confine_tries")
        cls.grants = tempfile.TemporaryDirectory(prefix="apd-grants-")
        cls.place = Path(cls.grants.name).resolve()
        cls.place.chmod(0o755)
        for name in ("readable", "writable", "neither"):
            (cls.place / name).mkdir()
            (cls.place / name / "file").write_text("x")
        cls.apd = Daemon(cls.MORE + "agents:\n" + cls.ENTRIES.replace("PLACE", str(cls.place)),
                         plugin_dirs=[cls.dir.path], env={"CONFINE_SECRET": "1"})

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.dir.close()
            cls.grants.cleanup()

    def tries(self, agent_id, what):
        """What came of it: "ok" or an errno's name, and a number."""
        answer = self.apd.post("/runs/wait", {"agent_id": agent_id, "input": what}).json
        self.assertEqual(answer["run"]["status"], "success", answer)
        return answer["values"]["result"], answer["values"]["number"]

    def broken(self, agent_id):
        """Why the agent is broken, once it is."""
        metadata = until(lambda: (m := self.apd.get(f"/agents/{agent_id}").json["metadata"])
                         ["state"] == "broken" and m, f"the end of {agent_id}")
        return metadata["reason"]


class Limits(Tries):
    ENTRIES = (PLAIN.format(id="plain") + entry("few-files", "files: 64") +
               ("" if SANITIZED else entry("small", "memory: 512MiB")) +
               entry("knows", "env: [CONFINE_SECRET]") + entry("starved", "files: 5"))

    def test_files(self):
        result, number = self.tries("few-files", "files 200")
        self.assertEqual(result, "EMFILE")
        self.assertLess(number, 64)
        self.assertEqual(self.tries("plain", "files 200"), ("ok", 200))

    def test_workers_get_the_soft_limit_that_apd_started_with(self):
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertEqual(self.tries("plain", "limit files"), ("ok", soft))

    @unittest.skipIf(SANITIZED, "sanitizers reserve more than any limit")
    def test_memory(self):
        self.assertEqual(self.tries("small", "memory 600"), ("ENOMEM", 600))
        self.assertEqual(self.tries("small", "memory 100"), ("ok", 100))
        self.assertEqual(self.tries("plain", "memory 600"), ("ok", 600))

    def test_no_core_dumps_and_no_new_privileges(self):
        self.assertEqual(self.tries("plain", "limit core"), ("ok", 0))
        self.assertEqual(self.tries("plain", "privileges"), ("ok", 1))

    def test_the_environment_is_what_is_let_through(self):
        self.assertEqual(self.tries("plain", "env PATH")[0], "ENOENT")
        self.assertEqual(self.tries("plain", "env CONFINE_SECRET")[0], "ENOENT")
        self.assertEqual(self.tries("knows", "env CONFINE_SECRET")[0], "ok")

    def test_agents_that_are_confined_differently_share_no_process(self):
        pids = {self.tries(agent_id, "pid")[1] for agent_id in ("plain", "few-files", "knows")}
        self.assertEqual(len(pids), 3)

    def test_a_setting_that_no_worker_survives_breaks_its_agent_only(self):
        reason = self.broken("starved")
        self.assertIn("before it was ready", reason)
        self.assertIn("Too many open files", reason)
        self.assertEqual(self.tries("plain", "pid")[0], "ok")
        self.assertEqual(self.tries("few-files", "pid")[0], "ok")


@unittest.skipIf(LANDLOCK < 1, "this kernel has no Landlock")
class Paths(Tries):
    ENTRIES = (entry("caged", "paths: {read: [PLACE/readable], write: [PLACE/writable]}") +
               entry("sealed", "paths: {read: []}") +
               entry("lost", "paths: {read: [PLACE/not-there]}") + PLAIN.format(id="plain"))

    def test_what_is_granted(self):
        self.assertEqual(self.tries("caged", f"read {self.place}/readable/file")[0], "ok")
        self.assertEqual(self.tries("caged", f"write {self.place}/writable/new")[0], "ok")
        self.assertEqual(self.tries("caged", f"read {self.place}/writable/new")[0], "ok")
        self.assertEqual(self.tries("caged", f"remove {self.place}/writable/new")[0], "ok")

    def test_what_is_not_granted(self):
        for what in ("read {}/neither/file", "write {}/readable/file", "write {}/readable/new",
                     "remove {}/readable/file", "write {}/neither/new", "read /etc/passwd",
                     "read /proc/self/maps", "read {}", "program /usr/bin/true"):
            with self.subTest(what=what):
                self.assertEqual(self.tries("caged", what.format(self.place))[0], "EACCES")
        self.assertTrue((self.place / "readable" / "file").exists())
        self.assertEqual(self.tries("plain", "read /etc/passwd")[0], "ok")

    def test_none_granted_is_less_than_nothing_said(self):
        self.assertEqual(self.tries("sealed", f"read {self.place}/readable/file")[0], "EACCES")
        self.assertEqual(self.tries("sealed", "write /dev/null")[0], "ok")

    @unittest.skipIf(LANDLOCK < 6, "before Linux 6.12 Landlock keeps no signals")
    def test_signals_stay_within(self):
        pid = self.apd.process.pid
        self.assertEqual(self.tries("caged", f"signal {pid}")[0], "EPERM")
        self.assertEqual(self.tries("plain", f"signal {pid}")[0], "ok")

    def test_a_path_that_is_not_there_is_named(self):
        reason = self.broken("lost")
        self.assertIn("landlock", reason)
        self.assertIn("not-there: No such file or directory", reason)
        # Nobody else's agents are hurt, and when the path is there a reload does.
        self.assertEqual(self.tries("caged", "pid")[0], "ok")
        (self.place / "not-there").mkdir()
        self.apd.process.send_signal(1)
        until(lambda: self.apd.get("/agents/lost").json["metadata"]["state"] == "ready")
        self.assertEqual(self.tries("lost", f"read {self.place}/not-there")[0], "ok")
        self.assertEqual(self.tries("lost", f"read {self.place}/neither/file")[0], "EACCES")


@unittest.skipUnless(is_root(), "only root starts workers as others")
class User(Tries):
    ENTRIES = (entry("nobody", "user: nobody") +
               entry("lonely", "user: nobody, processes: FORKS") + PLAIN.format(id="plain"))
    FORKS = 48

    @classmethod
    def setUpClass(cls):
        # The limit counts all of the user's threads, also those that are not ours.
        uid, taken = pwd.getpwnam("nobody").pw_uid, 0
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and process.stat().st_uid == uid:
                    taken += len(list((process / "task").iterdir()))
            except OSError:
                pass
        cls.ENTRIES = cls.ENTRIES.replace("FORKS", str(taken + cls.FORKS))
        super().setUpClass()

    def test_it_is_another_user_for_good(self):
        user = pwd.getpwnam("nobody")
        self.assertEqual(self.tries("nobody", "uid"), ("ok", user.pw_uid))
        self.assertEqual(self.tries("plain", "uid"), ("ok", 0))
        self.assertEqual(self.tries("nobody", "groups")[1],
                         len(os.getgrouplist(user.pw_name, user.pw_gid)))
        for what in ("setuid 0", "setgroups", f"signal {self.apd.process.pid}"):
            self.assertEqual(self.tries("nobody", what)[0], "EPERM", what)

    def test_it_has_that_users_files_only(self):
        secret = self.place / "neither" / "file"
        secret.chmod(0o600)
        self.assertEqual(self.tries("nobody", f"read {secret}")[0], "EACCES")
        self.assertEqual(self.tries("nobody", f"write {self.place}/readable/new")[0], "EACCES")
        self.assertEqual(self.tries("plain", f"read {secret}")[0], "ok")

    def test_processes(self):
        result, number = self.tries("lonely", "forks 200")
        self.assertEqual(result, "EAGAIN")
        self.assertLess(number, self.FORKS)

    def test_a_worker_goes_with_its_daemon(self):
        pid = self.tries("nobody", "pid")[1]
        self.assertTrue(Path(f"/proc/{pid}").exists())
        self.apd.kill()
        until(lambda: not Path(f"/proc/{pid}").exists() or
              "zombie" in Path(f"/proc/{pid}/status").read_text(), "the worker's end")
        self.apd.start()


class Refusals(unittest.TestCase):
    """What cannot be kept is not begun."""

    @classmethod
    def setUpClass(cls):
        cls.dir = PluginDir("confine_tries")
        cls.addClassCleanup(cls.dir.close)

    def refused(self, settings, *words, **how):
        status, text = refusal("agents:\n" + entry("mine", settings), self.dir.path, **how)
        self.assertEqual(status, 1, text)
        for word in words:
            self.assertIn(word, text)

    def test_unknown_users(self):
        if is_root():
            self.refused("user: no-such-user", "agents.mine.user", 'there is no user "no-such-user"')

    @unittest.skipUnless(is_root(), "only root can become somebody who is not")
    def test_only_root_starts_workers_as_others(self):
        apd = [str(APD), "agents", "--plugin-dir", str(self.dir.path)]
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "apd.yaml"
            path.write_text("workers: {user: nobody}\n")
            os.chmod(directory, 0o755)
            if not all(os.stat(p).st_mode & 1 for p in APD.parents):
                self.skipTest("nobody but us can reach the program")
            result = subprocess.run([*apd, "-c", str(path)], capture_output=True, text=True,
                                    timeout=60, user="nobody", group=65534, extra_groups=[])
        self.assertEqual(result.returncode, 1)
        self.assertIn("workers.user: only an apd that runs as root", result.stderr)

    def test_paths_must_be_absolute(self):
        self.refused("paths: {write: [data]}", 'agents.mine.paths.write: "data" is not an absolute path')

    def test_a_kernel_without_landlock(self):
        self.refused("paths: {read: [/srv]}", "agents.mine.paths: this kernel has no Landlock",
                     preexec_fn=without_landlock)
        status, text = refusal("agents:\n" + PLAIN.format(id="mine"), self.dir.path,
                               preexec_fn=without_landlock)
        self.assertEqual(status, 0, text)

    @unittest.skipIf(LANDLOCK < 1, "this kernel has no Landlock")
    def test_a_plugin_is_confined_already_when_it_is_described(self):
        status, text = refusal(
            "agents:\n  mine: {plugin: confine_tries, paths: {read: [/no-such-place]}}\n", self.dir.path)
        self.assertEqual(status, 0, text)
        self.assertRegex(text, r"mine .*broken .*landlock: /no-such-place: No such file or directory")


if __name__ == "__main__":
    unittest.main()
