"""The command line."""

import contextlib
import json
import os
import pty
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import APD, EXAMPLES, PLUGINS, TEST_PLUGINS, Daemon, message


def apd(*arguments, **kwargs):
    return subprocess.run([APD, *map(str, arguments)], capture_output=True, text=True, timeout=120, **kwargs)


class Cli(unittest.TestCase):
    def test_version_and_help(self):
        self.assertRegex(apd("--version").stdout, r"^apd \d+\.\d+\.\d+\n$")
        for arguments in (["--help"], ["serve", "--help"], ["agents", "--help"], ["run", "--help"]):
            result = apd(*arguments)
            self.assertEqual(result.returncode, 0)
            self.assertTrue(result.stdout.startswith("usage: apd "), result.stdout)

    def test_mistakes(self):
        for arguments, words in [(["fly"], 'no command "fly"'), ([], "usage"), (["serve", "--fast"], "--fast"),
                                 (["serve", "--listen"], "HOST:PORT"), (["serve", "x"], "x"),
                                 (["agents", "--json=1"], "takes no value"), (["run"], "name an agent"),
                                 (["run", "echo", "--input", "{"], "--input: line 1"),
                                 (["run", "echo", "--configurable", "3"], "expected an object"),
                                 (["serve", "-c", "/nonexistent.yaml"], "/nonexistent.yaml")]:
            result = apd(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn(words, result.stderr)

    def test_an_address_in_use_is_named(self):
        with tempfile.TemporaryDirectory() as directory:
            result = apd("serve", "--listen", "203.0.113.1:8000", "--data-dir", Path(directory) / "data")
            self.assertEqual(result.returncode, 1)
            self.assertIn("203.0.113.1", result.stderr)

    def test_agents_are_listed(self):
        result = apd("agents", "--plugin-dir", PLUGINS, "--plugin-dir", EXAMPLES)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout.startswith("AGENT"))
        for name in ("echo", "hello", "countdown", "crash", "approval", "tally"):
            self.assertRegex(result.stdout, rf"(?m)^{name} ")
        lines = apd("agents", "--json").stdout.splitlines()
        self.assertIn("echo", [json.loads(line)["agent_id"] for line in lines])

    def test_what_plugins_say_does_not_command_the_terminal(self):
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(TEST_PLUGINS / "log_bytes.so", directory)
            result = apd("agents", "--plugin-dir", directory)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("bad \\x1b[31m\\x0ared \\xc2\\x9b \\x7f\n", result.stdout)
        self.assertIn(" 1.0.0\\x1b[1m ok ", result.stdout)
        self.assertNotIn("\x1b", result.stdout)

    def test_run_streams_to_the_terminal(self):
        for extra in ([], ["--in-process"]):
            with self.subTest(extra=extra):
                result = apd("run", "echo", "--message", "hello you", *extra)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertTrue(result.stdout.startswith("hello you\n"), result.stdout)

    def test_run_prints_json(self):
        result = apd("run", "echo", "--input", '{"a":1}', "--json")
        events = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(events[0]["event"], "started")
        self.assertEqual(events[-1]["event"], "ended")
        self.assertEqual(events[-1]["status"], "success")

    def test_run_of_an_agent_that_asks(self):
        """Nobody can answer there: the user sees what it is about to ask, and why it cannot."""
        result = apd("run", "approval", "--plugin-dir", EXAMPLES, "--message", "water the plants")
        self.assertEqual(result.returncode, 1)
        self.assertIn('[propose] {"outcomes":[],"proposed":["water the plants"]}\n', result.stdout)
        self.assertIn("nobody could answer", result.stderr)
        self.assertIn("nobody_to_ask", result.stderr)

    def test_run_reports_failures(self):
        result = apd("run", "crash", "--input", '{"how":"segv"}', "--plugin-dir", EXAMPLES)
        self.assertEqual(result.returncode, 1)
        self.assertIn("agent_crashed", result.stderr)
        result = apd("run", "nobody", "--message", "x")
        self.assertEqual(result.returncode, 1)
        self.assertIn("nobody", result.stderr)

    def test_run_checks_as_the_server_does(self):
        server = Daemon()
        self.addCleanup(server.close)
        for body, arguments in [({"input": {"from": "x"}}, ["--input", '{"from":"x"}']), ({}, []),
                                ({"messages": [message("x")]}, ["--message", "x"])]:
            with self.subTest(body=body):
                answer = server.post("/runs/wait", {"agent_id": "countdown", **body})
                self.assertEqual(answer.status, 422)
                result = apd("run", "countdown", *arguments, "--plugin-dir", EXAMPLES)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(f"apd run: {answer.json['message']}\n", result.stderr)
        result = apd("run", "countdown", "--input", '{"from":2,"step_ms":0}', "--plugin-dir", EXAMPLES)
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_run_shows_terminals_what_can_be_seen(self):
        main, other = pty.openpty()
        self.addCleanup(os.close, main)
        with subprocess.Popen([APD, "run", "echo", "-m", "a\x1b[2Jb\tc\nd\u009be"], stdout=other) as process:
            os.close(other)
            output = b""
            with contextlib.suppress(OSError):  # its end is an error
                while data := os.read(main, 4096):
                    output += data
            self.assertEqual(process.wait(), 0)
        self.assertTrue(output.startswith(rb"a\x1b[2Jb" + b"\tc\r\nd" + rb"\xc2\x9be" + b"\r\n"), output)
        piped = apd("run", "echo", "-m", "a\x1b[2Jb").stdout
        self.assertTrue(piped.startswith("a\x1b[2Jb\n"), piped)


if __name__ == "__main__":
    unittest.main()
