"""apd.yaml: what it refuses, and how it says so."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import APD


def refusal(text):
    """What `apd agents` says of a configuration."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "apd.yaml"
        path.write_text(text)
        result = subprocess.run([APD, "agents", "-c", str(path)], capture_output=True, text=True, timeout=60)
        return result.returncode, result.stderr.replace(str(path), "apd.yaml")


class Config(unittest.TestCase):
    def refused(self, text, *words):
        status, error = refusal(text)
        self.assertNotEqual(status, 0)
        for word in words:
            self.assertIn(word, error)

    def test_unknown_keys_name_the_nearest(self):
        self.refused("workers:\n  maxx: 3\n", "apd.yaml:2: workers.maxx: unknown key", 'did you mean "max"?')
        self.refused("lisen: x\n", "apd.yaml:1: lisen: unknown key", '"listen"')
        self.refused("agents:\n  a:\n    plugin: echo\n    setings: {}\n", "apd.yaml:4: agents.a.setings", '"settings"')

    def test_values_of_the_wrong_kind(self):
        self.refused("runs:\n  timeout: soon\n", "apd.yaml:2: runs.timeout: expected a duration")
        self.refused("http:\n  max_body: 16 megs\n", "apd.yaml:2: http.max_body: expected a size")
        self.refused("workers:\n  max: 0\n", "apd.yaml:2: workers.max: must lie between 1 and 1024")
        self.refused("workers:\n  isolation: none\n", "expected one of process, run")
        self.refused("workers: 3\n", "apd.yaml:1: workers: expected a mapping")
        self.refused("plugins:\n  dirs: {a: b}\n", "plugins.dirs: expected a list")

    def test_agents(self):
        self.refused("agents:\n  a: {}\n", "apd.yaml:2: agents.a", '"plugin" is missing')
        self.refused("agents:\n  'a b': {plugin: echo}\n", "apd.yaml:2", "an agent's id")
        self.refused("agents:\n  a: {plugin: no-such-plugin}\n", "no-such-plugin")

    def test_bad_yaml_names_the_line(self):
        self.refused("a: [\n", "apd.yaml:")

    def test_settings_are_checked(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "apd.yaml"
            path.write_text("agents:\n  a: {plugin: echo, settings: {delay_ms: fast}}\n")
            result = subprocess.run([APD, "agents", "-c", str(path)], capture_output=True, text=True, timeout=60)
            self.assertIn("delay_ms", result.stdout + result.stderr)


if __name__ == "__main__":
    unittest.main()
