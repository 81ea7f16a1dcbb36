"""apd check: good plugins pass, and each bad one fails the checks that it should."""

import json
import subprocess
import unittest

from harness import APD, BUILD, EXAMPLES, PATIENCE, PLUGINS, TEST_PLUGINS

RUNS = ["run-empty-input", "run-random-input", "stop-before-start", "stop-while-running", "deadline-passed",
        "emit-returns-cancelled"]

# What a plugin fails of the checks that are run on it here (all where none are named). A set has all of them.
BAD = {
    "not_a_library": {"symbol-exported-alone", "abi-fields"},
    "no_symbol": {"symbol-exported-alone", "abi-fields"},
    "wrong_magic": {"abi-fields"},
    "wrong_major": {"abi-fields"},
    "wrong_minor": {"abi-fields"},
    "needs_minor": {"abi-fields"},
    "small_plugin": {"abi-fields"},
    "small_agent": {"abi-fields"},
    "small_info": {"abi-fields"},
    "no_agents": {"abi-fields"},
    "no_info": {"abi-fields"},
    "no_invoke": {"abi-fields"},
    "no_name": {"abi-fields"},
    "unmet_needs": {"abi-fields"},
    "missing_id": {"ids-unique"},
    "malformed_id": {"ids-unique"},
    "long_id": {"ids-unique"},
    "duplicate_id": {"ids-unique"},
    "bad_schema": {"schemas-are-json-schema"},
    "schema_not_object": {"schemas-are-json-schema"},
    "schema_unknown_type": {"schemas-are-json-schema"},
    "bad_metadata": {"schemas-are-json-schema"},
    "init_fails": {"describe-under-100ms"},
    "init_crashes": {"describe-under-100ms"},
    "create_fails": {"create-destroy-1000"},
    "create_mute": {"create-bad-config"},
    "invents_extensions": {"unknown-extension-null"},
    "asks_in_memory": {"resume-in-new-process"},
    "not_reentrant": {"concurrent-runs"},
}

# Plugins whose failures are looked at one check at a time, since others would only take longer.
ONLY = {
    ("exports_more", "symbol-exported-alone"): "helper",
    ("init_slow", "describe-under-100ms"): "it took ",
    ("leaves_things", "no-threads-left"): "still runs",
    ("leaves_things", "no-fds-left"): "/dev/null",
    ("crash", "run-empty-input"): "SIGILL",
    ("crash", "no-fds-left"): "SIGILL",
    ("commit_invalid", "run-empty-input"): "commit() refused",
    ("emit_invalid", "run-empty-input"): "emit() refused",
    ("emit_order", "run-random-input"): "no block is open",
    ("emit_host_channel", "run-empty-input"): "not for agents",
    ("odd_status", "run-empty-input"): "unknown status 77",
    ("late_op", "run-random-input"): "after invoke() returned",
    ("hides_cancel", "stop-before-start"): "AP_E_FAILED and not AP_E_CANCELLED",
    ("hides_cancel", "stop-while-running"): "AP_E_FAILED and not AP_E_CANCELLED",
    ("hides_cancel", "deadline-passed"): "AP_E_FAILED and not AP_E_DEADLINE",
    ("hides_cancel", "emit-returns-cancelled"): "(broken: It broke.)",
    ("interrupts", "interrupt-then-resume"): "interrupt() refused",
    ("stop_callback", "stop-before-start"): "in stop()",
    ("ignores_stop", "stop-before-start"): "did not end within 1000 ms",
}


def check(path, *arguments, grace=10):
    return subprocess.run([APD, "check", path, "--grace", str(grace), *arguments], capture_output=True, text=True,
                          timeout=10 * PATIENCE)


def results(process):
    return {line["name"]: line for line in map(json.loads, process.stdout.splitlines())}


class Check(unittest.TestCase):
    def failed(self, path, *arguments, **kwargs):
        process = check(path, "--json", *arguments, **kwargs)
        lines = results(process)
        failed = {name for name, line in lines.items() if line["result"] == "fail"}
        self.assertEqual(process.returncode, 1 if failed else 0, process.stderr)
        self.assertEqual(process.stderr, "")
        return failed, lines

    def test_good_plugins_pass(self):
        for path in (PLUGINS / "echo.so", EXAMPLES / "hello.so", EXAMPLES / "countdown.so", EXAMPLES / "approval.so",
                     EXAMPLES / "tally.so", TEST_PLUGINS / "good.so", TEST_PLUGINS / "asks_state.so",
                     TEST_PLUGINS / "bare.so", TEST_PLUGINS / "asks.so"):
            with self.subTest(path=path.name):
                failed, lines = self.failed(path)
                self.assertEqual(failed, set(), lines)
                self.assertEqual(lines["run-random-input"]["result"], "ok")
        self.assertEqual(lines["resume-in-new-process"]["result"], "ok")

    def test_bad_plugins_fail(self):
        for name, wanted in BAD.items():
            with self.subTest(plugin=name):
                failed, lines = self.failed(TEST_PLUGINS / f"{name}.so")
                self.assertEqual(failed, wanted, lines)
                for check_name in wanted:
                    self.assertTrue(lines[check_name]["reason"])

    def test_checks_find_what_they_look_for(self):
        for (name, only), words in ONLY.items():
            with self.subTest(plugin=name, check=only):
                failed, lines = self.failed(TEST_PLUGINS / f"{name}.so", "--only", only, grace=1)
                self.assertEqual(failed, {only}, lines)
                # A sanitizer takes the place of some signals.
                if words != "SIGILL" or "SIG" in lines[only]["reason"]:
                    self.assertIn(words, lines[only]["reason"])

    def test_leaks_are_found(self):
        if "fsanitize" in (BUILD / "build.ninja").read_text():
            self.skipTest("a sanitizer's allocator does not tell what is allocated")
        failed, lines = self.failed(TEST_PLUGINS / "leaves_things.so", "--only", "create-destroy-1000")
        self.assertEqual(failed, {"create-destroy-1000"})
        self.assertIn("bytes", lines["create-destroy-1000"]["reason"])

    def test_slow_start_is_no_end(self):
        _, lines = self.failed(TEST_PLUGINS / "init_slow.so", "--only", "run-empty-input")
        self.assertEqual(lines["run-empty-input"]["result"], "ok")

    def test_what_builds_on_a_failure_is_skipped(self):
        failed, lines = self.failed(TEST_PLUGINS / "wrong_magic.so", "--only", "run-empty-input")
        self.assertEqual(failed, set())
        self.assertIn("abi-fields", lines["run-empty-input"]["reason"])

    def test_crash_is_found_by_chance(self):
        failed, _ = self.failed(EXAMPLES / "crash.so", "--only", "run-random-input", grace=1)
        self.assertEqual(failed, {"run-random-input"})

    def test_settings(self):
        process = check(PLUGINS / "echo.so", "--settings", '{"delay_ms":1}', "--only", "run-empty-input")
        self.assertEqual(process.stdout, "ok   run-empty-input\n1 ok, 0 failed, 0 skipped\n")
        process = check(PLUGINS / "echo.so", "--settings", '{"delay_ms":"x"}', "--only", "run-empty-input")
        self.assertIn("does not match its settings_schema", process.stdout)
        self.assertIn("1 skipped", process.stdout)

    def test_output(self):
        process = check(TEST_PLUGINS / "wrong_magic.so")
        self.assertEqual(process.returncode, 1)
        self.assertIn("FAIL abi-fields  magic: wanted 0x31765041, found 0x12345678\n", process.stdout)
        self.assertRegex(process.stdout, r"\n\d+ ok, 1 failed, \d+ skipped\n$")

    def test_in_process(self):
        process = check(EXAMPLES / "hello.so", "--in-process", "--only", "run-empty-input")
        self.assertEqual((process.returncode, process.stdout),
                         (0, "ok   run-empty-input\n1 ok, 0 failed, 0 skipped\n"), process.stderr)

    def test_command_line(self):
        process = subprocess.run([APD, "check", "--list"], capture_output=True, text=True, timeout=PATIENCE)
        names = [line.split()[0] for line in process.stdout.splitlines()]
        self.assertEqual(process.returncode, 0)
        self.assertEqual(len(names), len(set(names)))
        found = set().union(*BAD.values()) | {only for _, only in ONLY}
        self.assertEqual(set(names), found, "every check has a plugin that fails it")
        self.assertTrue(set(RUNS) <= set(names))
        for arguments, words in [([], "name a plugin"), (["/nonexistent.so"], "No such file"), (["a", "b"], "b"),
                                 ([str(EXAMPLES)], "not a regular file"), (["--only", "x", "y"], "no check"),
                                 (["--settings", "[]", "y"], "object"), (["--grace", "x", "y"], "number"),
                                 (["--in-process", str(EXAMPLES / "hello.so")], "--only")]:
            process = subprocess.run([APD, "check", *arguments], capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(process.returncode, 2, arguments)
            self.assertIn(words, process.stderr)


if __name__ == "__main__":
    unittest.main()
