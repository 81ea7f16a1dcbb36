"""Plugins that break the contract of the SDK, one way each: what their runs, the log and others see of it."""

import os
import signal
import time
import unittest
from pathlib import Path

from harness import PLUGINS, TEST_PLUGINS, Daemon, until
from hostile import SANITIZED, PluginDir, PluginTest, end, group, running, session_of, workers_of, zombies


class Deaths(PluginTest):
    """Plugins that end their process, or take it from the host."""

    NAMES = ["crash", "process_exits", "socket", "stack_overflow", "signals"]
    CONFIG = """
workers: {max_message: 2MiB, max_commit: 64KiB}
runs: {grace: 500ms}
agents:
  socket: {plugin: socket, isolation: run}
  signals: {plugin: signals, isolation: run, timeout: 4s}
"""
    # What is said over the worker's socket, and why the daemon kills the worker for it.
    SOCKET = {
        "close": "it closed its socket",
        "replace": "it closed its socket",
        "all": "",
        "garbage": "it sent a malformed frame",
        "half": "it sent a malformed frame",
        "type": "it sent a frame of an unknown type",
        "hello": "it said HELLO twice",
        "created": "it made an instance that was not asked for",
        "event": "its EMIT is not a JSON object",
        "commit": "its COMMIT is malformed",
        "patch": "its COMMIT is not a JSON object",
        "message": "its COMMIT has messages that are none",
        "endless": "it sent a message over worker.max_message",
    }

    def crashes(self, agent_id, input, words):
        with self.nobody_else_hurt():
            self.fails(self.run_of(agent_id, input), "error", "agent_crashed", words)
        until(lambda: f"{agent_id}.so: its worker ended: " in self.apd.log(), "a line in the log")

    def test_a_trap(self):
        self.crashes("crash", 1, "SIG")
        self.crashes("crash", 1, "SIG")

    def test_a_full_stack(self):
        self.crashes("stack_overflow", 1, "SIGSEGV")
        self.crashes("stack_overflow", 1, "SIGSEGV")

    def test_an_exit_with_success_is_a_death(self):
        self.crashes("process_exits", 1, "exit status")
        self.succeeds("process_exits")

    def test_the_daemon_believes_nothing_on_the_socket(self):
        for what, words in self.SOCKET.items():
            with self.subTest(what=what):
                self.crashes("socket", what, words)
                self.assertIn(words, self.apd.log())
                self.succeeds("socket", "nothing")

    def test_frames_of_other_runs_are_of_no_interest(self):
        self.succeeds("socket", "other")

    def test_signals_that_kill(self):
        for what, words in {"ignore segv": "SIGSEGV", "term": "SIGTERM", "pipe": "SIGPIPE"}.items():
            with self.subTest(what=what):
                self.crashes("signals", what, words)
        self.succeeds("signals", "nothing")

    def test_handlers_that_only_harm_their_process(self):
        for what in ("jump", "ignore term"):
            with self.subTest(what=what), self.nobody_else_hurt():
                self.succeeds("signals", what)
                self.succeeds("signals", "nothing")

    def test_a_handler_that_returns_and_a_stopped_process_run_out_of_time(self):
        with self.nobody_else_hurt():
            ids = [self.apd.post("/runs", {"agent_id": "signals", "input": what}).json["run_id"]
                   for what in ("return", "stop")]
            for run_id in ids:
                self.fails(self.apd.get(f"/runs/{run_id}/wait").json["run"], "timeout", "agent_stuck")
        until(lambda: "signals.so: its worker was killed: a run in it did not stop" in self.apd.log())
        self.succeeds("signals", "nothing")


@unittest.skipUnless((TEST_PLUGINS / "throws.so").exists(), "there is no C++ compiler")
class Exceptions(PluginTest):
    NAMES = ["throws"]

    def test_an_exception_is_a_death_that_is_explained(self):
        with self.nobody_else_hurt():
            self.fails(self.run_of("throws"), "error", "agent_crashed", "SIGABRT")
        until(lambda: "nobody catches this" in self.apd.log(), "the exception in the log")
        self.fails(self.run_of("throws"), "error", "agent_crashed", "SIGABRT")


class Stops(PluginTest):
    """Plugins that do not stop when they are told, and plugins that do."""

    NAMES = ["ignores_stop", "stop_callback", "stop_check", "stop_fd", "thread_exits"]
    CONFIG = """
runs: {grace: 500ms}
agents:
  ignores_stop: {plugin: ignores_stop}
  in-time: {plugin: ignores_stop, timeout: 300ms}
  stop_fd: {plugin: stop_fd, grace: 60s}
  stop_check: {plugin: stop_check, grace: 60s}
"""

    def started(self, agent_id):
        run_id = self.apd.post("/runs", {"agent_id": agent_id, "input": 1}).json["run_id"]
        until(lambda: "started_at" in self.apd.get(f"/runs/{run_id}").json)
        return run_id

    def cancelled(self, agent_id):
        run_id = self.started(agent_id)
        self.apd.post(f"/runs/{run_id}/cancel?wait=true")
        return self.apd.get(f"/runs/{run_id}").json

    def test_what_does_not_stop_is_cut_off_after_the_grace(self):
        for agent_id in ("ignores_stop", "thread_exits"):
            with self.subTest(agent_id=agent_id):
                with self.nobody_else_hurt():
                    self.fails(self.cancelled(agent_id), "interrupted", "agent_stuck")
                until(lambda: f"{agent_id}.so: its worker was killed: a run in it did not stop" in self.apd.log())
                self.succeeds(agent_id)

    def test_what_is_out_of_time_is_cut_off_after_the_grace(self):
        with self.nobody_else_hurt():
            self.fails(self.run_of("in-time", 1), "timeout", "agent_stuck")
        self.succeeds("in-time")

    def test_what_stops_is_not_cut_off(self):
        for agent_id in ("stop_fd", "stop_check"):
            with self.subTest(agent_id=agent_id):
                self.fails(self.cancelled(agent_id), "interrupted", "cancelled")
                self.assertEqual(len(workers_of(self.apd, agent_id)), 1)
        self.assertNotIn("stop_fd.so: its worker was killed", self.apd.log())


class Misuse(PluginTest):
    """Plugins that use the run in a wrong way: the call fails, the run goes on, the log says who did it."""

    NAMES = ["commit_invalid", "emit_host_channel", "emit_invalid", "emit_order", "fails", "flood", "interrupts",
             "late_op", "log_bytes", "log_flood", "odd_status", "output_flood", "threads"]
    CONFIG = """
workers: {max_emit: 1KiB, max_commit: 4KiB}
log: {level: debug}
"""

    def logged(self, *lines):
        for line in lines:
            until(lambda: line in self.apd.log(), f"{line!r} in the log")

    def test_bad_and_large_events(self):
        self.assertEqual(self.statuses("emit_invalid"), [-2, -2, -2, -2, -2, -8, -2, -2, -2, -2, -2, 0, 0])
        self.logged("emit_invalid/emit_invalid: emit() refused an event: expected a value",
                    "emit() refused an event of over 1024 bytes")

    def test_messages_out_of_order(self):
        self.assertEqual(self.statuses("emit_order"), [-2, 0, -2, 0, 0, -2])

    def test_bad_and_large_commits(self):
        self.assertEqual(self.statuses("commit_invalid"), [-2] * 12 + [-8, -2, -2, 0])
        self.logged("commit() refused a step: the patch must be an object",
                    "commit() refused a step of over 4096 bytes")

    def test_questions_where_nobody_can_answer(self):
        self.assertEqual(self.statuses("interrupts"), [-10] * 6)
        self.logged("interrupts/interrupts: interrupt() gave AP_E_UNSUPPORTED: the thread ends with the run")

    def test_channels_of_the_host(self):
        self.assertEqual(self.statuses("emit_host_channel"), [-12, -12])
        self.logged("plugin misbehaving: emit() on channel 0, which is not for agents",
                    "plugin misbehaving: emit() on channel 6, which is not for agents")

    def test_a_run_that_is_over(self):
        self.succeeds("late_op", 1)
        self.assertEqual(self.statuses("late_op"), [-12] * 5)
        self.logged(*[f"late_op: plugin misbehaving: {op}() after invoke() returned"
                      for op in ("commit", "emit", "check", "interrupt", "fail", "release")])

    def test_statuses_that_say_something_else(self):
        for input, line in ((1, "invoke() returned AP_INTERRUPTED without interrupt()"),
                            (22, "invoke() returned the unknown status 77")):
            self.fails(self.run_of("odd_status", input), "error", "agent_error")
            self.logged(f"odd_status/odd_status: plugin misbehaving: {line}")

    def test_a_flood_of_events(self):
        with self.nobody_else_hurt():
            run_id = self.apd.post("/runs", {"agent_id": "flood", "input": 100000}).json["run_id"]
            self.succeeds("echo", 1)
            self.assertEqual(self.apd.get(f"/runs/{run_id}/wait").json["run"]["status"], "success")
        self.succeeds("flood", 0)

    def test_a_flood_of_log_lines(self):
        with self.nobody_else_hurt():
            self.succeeds("log_flood")
        self.assertLess(self.apd.log().count("log_flood: xxxxx"), 1100)
        self.assertLessEqual(max(map(len, self.apd.log().splitlines())), 8192 + 200)

    def test_bytes_that_are_no_text(self):
        self.succeeds("log_bytes")
        self.logged("log_bytes/log_bytes: logged gr\\xfc\\xdf \\xe2\\x82 \\xed\\xa0\\x80 \\xc2\\x9b!\\x00 ä.",
                    "log_bytes: printed gr\\xfc\\xdf \\xe2\\x82 \\xc2\\x9b!\\x00 ä.")
        self.apd.log_path.read_bytes().decode()  # strictly

    def test_a_flood_of_output(self):
        with self.nobody_else_hurt():
            self.succeeds("output_flood")

        def is_told():
            self.succeeds("output_flood")
            return "output_flood: " in self.apd.log() and "lines dropped: more than 1000 a second" in self.apd.log()

        until(is_told, "that lines were dropped")
        log = self.apd.log()
        self.assertIn("\\x1b[2J\\x01\\x7f bell\\x07", log)
        self.assertNotIn("\x1b", log)
        self.assertLessEqual(max(map(len, log.splitlines())), 8192 + 200)

    def test_threads_that_are_done_in_time_are_fine(self):
        self.succeeds("threads")
        self.assertNotIn("threads/threads: plugin misbehaving", self.apd.log())


class Limits(PluginTest):
    NAMES = ["bare", "forks", "hog"]
    CONFIG = "workers: {files: 200, processes: 4000%s}\n" % ("" if SANITIZED else ", memory: 256MiB")

    def limit(self, pid, name):
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
            if line.startswith(name):
                return [int(n) if n.isdigit() else n for n in line[len(name):].split()[:2]]
        raise AssertionError(name)

    def test_limits_are_in_force(self):
        self.succeeds("bare")
        pid = workers_of(self.apd, "bare")[0]
        self.assertEqual(self.limit(pid, "Max open files"), [200, 200])
        self.assertEqual(self.limit(pid, "Max processes"), [4000, 4000])
        self.assertEqual(self.limit(pid, "Max core file size"), [0, 0])
        if not SANITIZED:
            self.assertEqual(self.limit(pid, "Max address space"), [256 << 20, 256 << 20])

    @unittest.skipIf(SANITIZED, "a sanitizer needs more address space")
    def test_memory_is_bounded(self):
        with self.nobody_else_hurt():
            self.fails(self.run_of("hog", "f"), "error", "agent_error", "no memory left")
            self.fails(self.run_of("hog", "crash"), "error", "agent_crashed", "SIGSEGV")
            # The host's own part of the process has no memory either: it ends, or it gets by.
            run = self.run_of("hog", "go on")
            self.assertIn(run.get("error", {"code": "agent_crashed"})["code"], ("agent_crashed", "agent_error"))
        self.succeeds("hog", "nothing")

    def test_processes_left_behind_end_with_their_worker(self):
        for n in (1, 50):
            with self.subTest(n=n), self.nobody_else_hurt():
                result = self.apd.post("/runs/wait", {"agent_id": "forks", "input": n}).json
                self.assertEqual(result["values"]["made"], n)
                workers = workers_of(self.apd, "forks")
                self.assertEqual(len(workers), 1)
                self.assertEqual(len(group(workers[0])), n + 1)
                self.fails(self.run_of("forks", 0), "error", "agent_crashed")
                until(lambda: not group(workers[0]), "the end of the group")

    def test_processes_left_behind_end_with_the_daemon(self):
        directory = PluginDir("forks")
        self.addCleanup(directory.close)
        apd = Daemon(plugin_dirs=[directory.path])
        result = apd.post("/runs/wait", {"agent_id": "forks", "input": 5}).json
        self.assertEqual(result["values"]["made"], 5)
        worker = workers_of(apd, "forks")[0]
        apd.close()
        until(lambda: not group(worker), "the end of the group")


class Parent(Daemon):
    """A daemon that has a child from before it was one."""

    def command(self):
        return ["sh", "-c", 'sleep 60 & exec "$@"', "sh", *super().command()]


class Strays(PluginTest):
    """Plugins that leave processes behind which are not in the worker's group any more."""

    NAMES = ["bare", "crash", "forks_away"]
    CONFIG = """
agents:
  first: {plugin: forks_away}
  second: {plugin: forks_away, env: [OTHER=1]}
"""
    WAYS = ("session", "daemon", "program", "family", "hidden")

    def leave(self, agent_id, how):
        values = self.apd.post("/runs/wait", {"agent_id": agent_id, "input": how}).json["values"]
        self.assertGreater(values["pid"], 0)
        self.addCleanup(end, values["pid"])
        return values["pid"], values["session"]

    def crash(self, agent_id):
        self.fails(self.run_of(agent_id, "crash"), "error", "agent_crashed", "SIG")

    def test_they_end_with_their_worker(self):
        for how in self.WAYS:
            with self.subTest(how=how), self.nobody_else_hurt():
                pid, session = self.leave("first", how)
                self.assertTrue(running(pid))
                self.crash("first")
                until(lambda: not running(pid), f"the end of {how}")
                until(lambda: not session_of(session), f"the end of what {how} left")

    def test_they_live_as_long_as_their_worker(self):
        pids = [self.leave("first", how)[0] for how in self.WAYS if how != "hidden"]
        gone, _ = self.leave("second", "daemon")
        self.crash("second")
        until(lambda: not running(gone))
        self.crash("second")
        self.assertEqual([running(pid) for pid in pids], [True] * len(pids))
        self.crash("first")
        until(lambda: not any(running(pid) for pid in pids))

    def test_one_that_is_another_all_the_time_is_caught(self):
        _, session = self.leave("first", "chain")
        until(lambda: session_of(session))
        self.crash("first")
        until(lambda: not session_of(session))
        self.assertFalse(session_of(session))

    def test_nobody_is_left_dead(self):
        self.succeeds("first", "many")
        until(lambda: not zombies(self.apd.process.pid), "the end of zombies")

    def test_they_end_with_the_daemon(self):
        directory = PluginDir("forks_away")
        self.addCleanup(directory.close)
        apd = Daemon(plugin_dirs=[directory.path])
        pids = [apd.post("/runs/wait", {"agent_id": "forks_away", "input": how}).json["values"]["pid"]
                for how in self.WAYS]
        self.assertTrue(all(map(running, pids)))
        apd.close()
        until(lambda: not any(map(running, pids)))

    def test_what_apd_had_before_it_was_apd_is_not_its_business(self):
        directory = PluginDir("forks_away")
        self.addCleanup(directory.close)
        apd = Parent(plugin_dirs=[directory.path])
        try:
            mine = until(lambda: [pid for pid in apd.workers()
                                  if Path(f"/proc/{pid}/comm").read_text() == "sleep\n"])[0]
            self.addCleanup(end, mine)
            pid = apd.post("/runs/wait", {"agent_id": "forks_away", "input": "daemon"}).json["values"]["pid"]
            apd.post("/runs/wait", {"agent_id": "forks_away", "input": "crash"})
            until(lambda: not running(pid))
        finally:
            apd.close()
        self.assertTrue(running(mine))


class Instances(PluginTest):
    """Plugins that misbehave where their instances are made."""

    NAMES = ["create_crashes", "create_fails", "create_slow"]
    CONFIG = """
agents:
  create_fails: {plugin: create_fails}
"""

    def state(self, agent_id):
        return self.apd.get(f"/agents/{agent_id}").json["metadata"]["state"]

    def test_a_slow_one_is_waited_for(self):
        run_id = self.apd.post("/runs", {"agent_id": "create_slow"}).json["run_id"]
        with self.nobody_else_hurt():
            pass
        self.assertEqual(self.apd.get(f"/runs/{run_id}/wait").json["run"]["status"], "success")
        self.assertEqual(self.state("create_slow"), "ready")

    def test_a_failure_breaks_the_agent(self):
        until(lambda: self.state("create_fails") == "broken")
        reason = self.apd.get("/agents/create_fails").json["metadata"]["reason"]
        self.assertTrue(reason.startswith("its create() failed with status -11 (bad_key): xxx"), reason)
        self.refused(self.apd.post("/runs/wait", {"agent_id": "create_fails"}), 503, "agent_unavailable", reason[:60])
        self.assertIn("agent create_fails: its create() failed with status -11 (bad_key)", self.apd.log())

    def test_deaths_break_the_plugin_until_it_changes(self):
        with self.nobody_else_hurt():
            run = self.run_of("create_crashes") if self.state("create_crashes") != "broken" else None
            until(lambda: self.state("create_crashes") == "broken")
        words = "its worker ended 5 times before it was ready: SIG"
        if run:
            self.fails(run, "error", "agent_unavailable", words)
        self.refused(self.apd.post("/runs", {"agent_id": "create_crashes"}), 503, "agent_unavailable", words)
        self.assertRegex(self.apd.log(), f"create_crashes.so is broken.*: {words}")
        self.dir.add("bare", "create_crashes.so")
        self.apd.process.send_signal(signal.SIGHUP)
        until(lambda: self.apd.get("/agents/create_crashes").status == 404)
        self.succeeds("bare")


class Hangs(PluginTest):
    NAMES = ["create_hangs"]
    CONFIG = "workers: {create_timeout: 300ms}\n"

    def test_one_that_does_not_return_breaks_the_plugin_until_it_changes(self):
        words = ("its worker ended 5 times before it was ready: its create() did not return "
                 "within 0.3 s")
        with self.nobody_else_hurt():
            # It waits in the queue, and hears of it.
            self.fails(self.run_of("create_hangs"), "error", "agent_unavailable", words)
        self.refused(self.apd.post("/runs", {"agent_id": "create_hangs"}), 503, "agent_unavailable", words)
        self.assertEqual(self.apd.log().count("create_hangs.so: its worker ended"), 5)
        self.apd.process.send_signal(signal.SIGHUP)
        self.succeeds("echo", 1)
        self.assertEqual(self.apd.get("/agents/create_hangs").json["metadata"]["state"], "broken")
        self.dir.add("bare", "create_hangs.so")
        until(lambda: self.apd.get("/agents/create_hangs").status == 404)
        self.succeeds("bare")


class Ends(unittest.TestCase):
    """Plugins that misbehave at the end of their process."""

    def daemon(self, name):
        directory = PluginDir(name)
        self.addCleanup(directory.close)
        apd = Daemon(plugin_dirs=[directory.path, PLUGINS])
        self.addCleanup(apd.close)
        run = apd.post("/runs/wait", {"agent_id": name}).json["run"]
        self.assertEqual(run["status"], "success")
        return directory, apd

    def renewed(self, directory, apd, name):
        """Replaces the plugin by itself: the old worker is told to quit."""
        old = workers_of(apd, name)
        directory.add(name)
        apd.process.send_signal(signal.SIGHUP)
        until(lambda: apd.get(f"/agents/{name}").json["metadata"]["generation"] >= 2)
        run = apd.post("/runs/wait", {"agent_id": name}).json["run"]
        self.assertEqual(run["status"], "success")
        until(lambda: not set(old) & set(apd.workers()), "the end of the old worker")
        for pid in old:
            until(lambda: not group(pid), "the end of its group")

    def test_a_crash_in_destroy(self):
        directory, apd = self.daemon("destroy_crashes")
        self.renewed(directory, apd, "destroy_crashes")
        until(lambda: "a worker that was told to quit ended: SIG" in apd.log())

    def test_a_destroy_that_hangs(self):
        directory, apd = self.daemon("destroy_hangs")
        self.renewed(directory, apd, "destroy_hangs")
        until(lambda: "a worker that was told to quit ended: it did not quit in time" in apd.log())
        begin = time.monotonic()
        apd.stop()
        self.assertLess(time.monotonic() - begin, 8)

    def test_a_thread_left_behind(self):
        directory, apd = self.daemon("thread_stays")
        self.renewed(directory, apd, "thread_stays")

    def test_what_is_left_changed_is_named(self):
        directory, apd = self.daemon("changes_process")
        self.renewed(directory, apd, "changes_process")
        lines = ["the handler of SIGTERM was changed", "the umask was changed", "the locale was changed",
                 "the working directory was changed", "the environment was changed", "processes left behind"]
        if not SANITIZED:
            lines.append("threads left behind: 1")
        for line in lines:
            self.assertIn(f"warn agent: changes_process: plugin misbehaving: {line}\n", apd.log())

    def test_what_changes_nothing_is_not_blamed(self):
        directory, apd = self.daemon("bare")
        self.renewed(directory, apd, "bare")
        self.assertNotIn("misbehaving", apd.log())

    def test_a_child_left_behind(self):
        directory, apd = self.daemon("process_exits")
        worker = workers_of(apd, "process_exits")[0]
        os.kill(worker, signal.SIGKILL)
        until(lambda: not group(worker))
        run = apd.post("/runs/wait", {"agent_id": "process_exits"}).json["run"]
        self.assertEqual(run["status"], "success")


if __name__ == "__main__":
    unittest.main()
