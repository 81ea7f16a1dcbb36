"""The command line."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import APD, EXAMPLES, PLUGINS


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
        for name in ("echo", "hello", "countdown", "crash"):
            self.assertRegex(result.stdout, rf"(?m)^{name} ")
        lines = apd("agents", "--json").stdout.splitlines()
        self.assertIn("echo", [json.loads(line)["agent_id"] for line in lines])

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

    def test_run_reports_failures(self):
        result = apd("run", "crash", "--input", '{"how":"segv"}', "--plugin-dir", EXAMPLES)
        self.assertEqual(result.returncode, 1)
        self.assertIn("agent_crashed", result.stderr)
        result = apd("run", "nobody", "--message", "x")
        self.assertEqual(result.returncode, 1)
        self.assertIn("nobody", result.stderr)


if __name__ == "__main__":
    unittest.main()
