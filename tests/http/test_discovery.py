"""Plugin files and directories that apd must not trust or cannot load: refused by name and with the reason."""

import json
import os
import random
import signal
import struct
import subprocess
import unittest

from harness import APD, PLUGINS, TEST_PLUGINS, Daemon, DaemonTest, until
from hostile import PluginDir, is_root


def elf(patches, size=None):
    """A good plugin's bytes with some replaced: {offset: bytes}."""
    data = bytearray((TEST_PLUGINS / "bare.so").read_bytes())
    for at, new in patches.items():
        data[at:at + len(new)] = new
    return bytes(data[:size])


def reason_of(apd, agent_id):
    return apd.get(f"/agents/{agent_id}").json["metadata"].get("reason")


class Refused(DaemonTest):
    """Every file that cannot be served is a broken agent of the file's name, when that is a free id."""

    PLUGINS = {
        "no_symbol": "it does not export ap_plugin_v1: it is no apd plugin",
        "wrong_magic": "magic: wanted 0x31765041, found 0x12345678",
        "wrong_major": "abi_major: wanted 1, found 2",
        "wrong_minor": "abi_minor: the ABI is a draft, wanted exactly 0, found 7",
        "needs_minor": "needs_minor: wanted at most 0, found 9",
        "small_plugin": "size: wanted at least 80, found 24",
        "no_name": "plugin: name: wanted a text, found none",
        "no_agents": "plugin: agents: wanted one at least, found none",
        "small_agent": "plugin: agents[0].size: wanted at least ",
        "small_info": "plugin: agents[0].info.size: wanted at least ",
        "no_info": "plugin: agents[0].info: wanted a description, found none",
        "missing_id": "plugin: agents[0].info.id: wanted an id, found none",
        "malformed_id": 'agents[0].info.id: wanted 1 to 64 of [A-Za-z0-9._-], found "two words"',
        "long_id": "agents[0].info.id: wanted 1 to 64 of [A-Za-z0-9._-]",
        "duplicate_id": 'agents[1].info.id: wanted an id of its own, found "agent" again',
        "no_invoke": "agent agent: invoke: wanted a function, found none",
        "bad_schema": "agent agent: input_schema: wanted JSON, found expected a value at line 1, column 9",
        "schema_not_object": "agent agent: output_schema: wanted an object or a boolean, found an array",
        "bad_metadata": "agent agent: metadata: wanted an object, found true",
        "unmet_needs": 'needs: wanted extensions of this host, found "com.example.nothing/1"',
        "init_fails": "init: no_model: The model is not there.",
        "init_crashes": "it could not be described: ",
        "init_babbles": "init: bad [31m: \ufffd\ufffd \"quoted\"   second line   end",
        "not_a_library": "it is not an ELF file",
        "origin": "its run path has $ORIGIN in it: $ORIGIN/lib",
        "ctor_crashes": "it could not be described: SIG",
        "ctor_exits": "it could not be described: exit status 0",
        "ctor_hangs": "it could not be described: it took longer than 5 s",
        "ctor_writes": "it could not be described: it sent a malformed frame",
    }
    FILES = {
        "empty": (b"", "it is empty"),
        "script": (b"#!/bin/sh\n", "it is not an ELF file"),
        "header": (elf({}, 60), "it is not an ELF file"),
        "truncated": (elf({}, 700), "its dynamic section is malformed"),
        "bits32": (elf({4: b"\1"}), "it is a 32-bit file"),
        "endian": (elf({5: b"\2"}), "its byte order is not this machine's"),
        "machine": (elf({18: b"\0\xf0"}), "it is for another kind of machine"),
        "program": (elf({16: b"\2\0"}), "it is not a shared object"),
        "headers": (elf({56: b"\xff\xff"}), "its program headers are malformed"),
        "far": (elf({32: struct.pack("<Q", 2**64 - 64)}), "its program headers are cut off"),
    }

    @classmethod
    def setUpClass(cls):
        cls.dir = PluginDir("bare", *cls.PLUGINS)
        cls.wanted = dict(cls.PLUGINS)
        for name, (data, words) in cls.FILES.items():
            cls.dir.write(f"{name}.so", data).chmod(0o644)
            cls.wanted[name] = words
        path = cls.dir.path
        (path / "link.so").symlink_to("bare.so")
        os.mkfifo(path / "fifo.so")
        (path / "folder.so").mkdir()
        for name, mode, words in (("group", 0o664, "its group may write to it"),
                                  ("world", 0o646, "everybody may write to it")):
            cls.dir.add("good", f"{name}.so").chmod(mode)
            cls.wanted[name] = words
        cls.wanted |= {"link": "it is a symbolic link", "fifo": "it is not a regular file",
                       "folder": "it is not a regular file"}
        if is_root():
            os.chown(cls.dir.add("good", "foreign.so"), 12345, 12345)
            cls.wanted["foreign"] = "it belongs neither to root nor to apd's user"
        cls.dir.write("two words.so", b"")
        cls.dir.write("notes.txt", b"no plugin")
        cls.dir.write(".hidden.so", b"no plugin")
        cls.apd = Daemon(plugin_dirs=[path, PLUGINS])

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.dir.close()

    def test_each_is_listed_with_its_reason(self):
        agents = {agent["agent_id"]: agent["metadata"]
                  for agent in self.apd.post("/agents/search", {"limit": 1000}).json}
        broken = {name for name, metadata in agents.items() if metadata["state"] == "broken"}
        self.assertEqual(broken, set(self.wanted))
        for name, words in self.wanted.items():
            with self.subTest(name=name):
                self.assertIn(words, agents[name]["reason"])
                self.assertTrue(agents[name]["reason"].startswith(f"plugin {self.dir.path}/{name}.so: "))
                self.assertEqual(self.apd.get(f"/agents/{name}").json["metadata"], agents[name])
                self.assertEqual(self.apd.get(f"/agents/{name}/schemas").json["input_schema"], {})
        for name in ("two words", "notes", ".hidden", "hidden"):
            self.assertNotIn(name, agents)

    def test_their_runs_are_refused_with_the_reason(self):
        for name, words in self.wanted.items():
            with self.subTest(name=name):
                answer = self.apd.post("/runs", {"agent_id": name, "input": 1})
                self.refused(answer, 503, "agent_unavailable", words)

    def test_each_is_named_in_the_log_once(self):
        self.apd.process.send_signal(signal.SIGHUP)
        until(lambda: "SIGHUP" in self.apd.log())
        self.apd.post("/runs/wait", {"agent_id": "bare"})
        lines = self.apd.log().splitlines()
        for name in [*self.wanted, "two words"]:
            with self.subTest(name=name):
                named = [line for line in lines if f"plugin {self.dir.path}/{name}.so is refused: " in line]
                self.assertEqual(len(named), 1, named)
                if name != "init_babbles":
                    self.assertIn(self.wanted.get(name, ""), named[0])

    def test_the_others_are_served(self):
        for agent_id in ("bare", "echo"):
            run = self.apd.post("/runs/wait", {"agent_id": agent_id, "input": 1}).json["run"]
            self.assertEqual(run["status"], "success", run)

    def output(self, command):
        return subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode()

    def test_the_command_lists_them(self):
        directory = PluginDir("wrong_major", "init_babbles", "bare")
        self.addCleanup(directory.close)
        command = [APD, "agents", "--plugin-dir", directory.path]
        table = self.output(command)
        self.assertRegex(table, r"(?m)^wrong_major .* broken .*abi_major: wanted 1, found 2$")
        self.assertRegex(table, r"(?m)^bare .* ok ")
        self.assertNotRegex(table, r"[\x00-\x09\x0b-\x1f\x7f]")
        lines = self.output([*command, "--json"])
        states = {a["agent_id"]: a["metadata"]["state"] for a in map(json.loads, lines.splitlines())}
        self.assertEqual(states["wrong_major"], "broken")


class Changes(unittest.TestCase):
    """What happens as files come, change and go."""

    def start(self, *dirs, config=""):
        apd = Daemon(config, plugin_dirs=[getattr(directory, "path", directory) for directory in dirs])
        self.addCleanup(apd.close)
        return apd

    def directory(self, *names):
        directory = PluginDir(*names)
        self.addCleanup(directory.close)
        return directory

    def state(self, apd, agent_id):
        answer = apd.get(f"/agents/{agent_id}")
        return answer.json["metadata"]["state"] if answer.status == 200 else None

    def test_broken_until_it_changes(self):
        directory = self.directory("init_fails")
        apd = self.start(directory)
        self.assertEqual(self.state(apd, "init_fails"), "broken")
        directory.add("bare", "init_fails.so")
        apd.process.send_signal(signal.SIGHUP)
        until(lambda: self.state(apd, "bare") == "ready")
        self.assertIsNone(self.state(apd, "init_fails"))
        # The good version goes on where the next one is broken, and tells of it.
        directory.add("wrong_major", "init_fails.so")
        apd.process.send_signal(signal.SIGHUP)
        until(lambda: "reload_error" in apd.get("/agents/bare").json["metadata"])
        self.assertIsNone(self.state(apd, "init_fails"))
        self.assertEqual(apd.post("/runs/wait", {"agent_id": "bare"}).json["run"]["status"], "success")
        # And what is gone is not shown.
        (directory.path / "init_fails.so").unlink()
        apd.process.send_signal(signal.SIGHUP)
        until(lambda: self.state(apd, "bare") is None)
        self.assertIsNone(self.state(apd, "init_fails"))

    def test_a_broken_file_takes_no_id_from_an_agent(self):
        first, second = self.directory("no_name"), self.directory()
        first.write("bare.so", b"no plugin")
        second.add("bare", "other.so")
        apd = self.start(first, second)
        self.assertNotEqual(self.state(apd, "bare"), "broken")
        self.assertEqual(apd.post("/runs/wait", {"agent_id": "bare"}).json["run"]["status"], "success")
        self.assertIn(f"plugin {first.path}/bare.so is refused: it is not an ELF file", apd.log())
        # The only agent that works is the one for runs that name none.
        self.assertEqual(apd.post("/runs/wait", {}).json["run"]["agent_id"], "bare")

    def test_the_first_broken_file_of_a_name_is_shown(self):
        first, second = self.directory("no_name"), self.directory()
        second.write("no_name.so", b"no plugin")
        apd = self.start(first, second)
        self.assertIn(f"plugin {first.path}/no_name.so: ", reason_of(apd, "no_name"))
        apd_answer = apd.post("/runs/wait", {})
        self.assertEqual((apd_answer.status, apd_answer.json["code"]), (422, "agent_required"))

    def test_the_first_file_with_an_id_wins(self):
        first, second = self.directory("bare"), self.directory("bare")
        second.add("bare", "copy.so")
        apd = self.start(first, second)
        for name in ("bare", "copy"):
            self.assertIn(f"agent bare of plugin {second.path}/{name}.so is not served: the id is taken by "
                          f"{first.path}/bare.so", apd.log())
        self.assertIsNone(self.state(apd, "copy"))
        self.assertEqual(apd.post("/runs/wait", {"agent_id": "bare"}).json["run"]["status"], "success")

    def test_a_configured_agent_shows_the_file_in_its_place(self):
        directory = self.directory("no_name", "no_agents")
        apd = self.start(directory, config="agents: {mine: {plugin: no_name, metadata: {team: red}}}\n")
        self.assertIn("no_name.so: plugin: name: wanted a text", reason_of(apd, "mine"))
        self.assertEqual(apd.get("/agents/mine").json["metadata"]["team"], "red")
        self.assertIsNone(self.state(apd, "no_name"))
        self.assertEqual(self.state(apd, "no_agents"), "broken")

    def test_only_listed_agents_are_shown_where_that_is_wanted(self):
        directory = self.directory("no_name")
        apd = self.start(directory, PLUGINS, config="plugins: {serve: listed}\nagents: {echo: {plugin: echo}}\n")
        ids = [agent["agent_id"] for agent in apd.post("/agents/search", {"limit": 100}).json]
        self.assertEqual(ids, ["echo"])
        self.assertIn("no_name.so is refused: ", apd.log())

    def test_a_directory_that_cannot_be_read_hides_no_changes_of_another(self):
        directory = self.directory()
        (directory.path / "plugins").mkdir()
        directory.add("bare", "plugins/a.so")
        file = directory.write("plug", b"no directory")
        apd = self.start(file, directory.path / "plugins")
        directory.add("good", "plugins/a.so")
        apd.process.send_signal(signal.SIGHUP)
        until(lambda: self.state(apd, "good") == "ready")

    def test_directories_that_others_may_write_to(self):
        for mode, words in ((0o777, "everybody may write to it"), (0o1777, "everybody may write to it"),
                            (0o775, "its group may write to it"), (0o755, None)):
            with self.subTest(mode=oct(mode)):
                directory = self.directory("bare")
                directory.path.chmod(mode)
                self.check_trust(directory.path, directory.path, words)

    def test_parents_that_others_may_write_to(self):
        for mode, words in ((0o777, "everybody may write to it"), (0o1777, None)):
            with self.subTest(mode=oct(mode)):
                directory = self.directory()
                (directory.path / "inner").mkdir(0o755)
                directory.add("bare", "inner/bare.so")
                directory.path.chmod(mode)
                self.check_trust(directory.path / "inner", directory.path, words)

    @unittest.skipUnless(is_root(), "only root gives files away")
    def test_directories_of_others(self):
        directory = self.directory("bare")
        os.chown(directory.path, 12345, 12345)
        self.check_trust(directory.path, directory.path, "it belongs neither to root nor to apd's user")

    def check_trust(self, plugins, culprit, words):
        """Asserts that the directory is refused with these words, or not, and for which directory's sake."""
        apd = self.start(plugins)
        if words:
            self.assertEqual(reason_of(apd, "bare"), f"plugin {plugins}/bare.so: directory {culprit}: {words}")
            self.assertIn(f"plugin directory {plugins} is refused: directory {culprit}: {words}", apd.log())
            answer = apd.post("/runs", {"agent_id": "bare"})
            self.assertEqual((answer.status, answer.json["code"]), (503, "agent_unavailable"))
        else:
            self.assertEqual(apd.post("/runs/wait", {"agent_id": "bare"}).json["run"]["status"], "success")


class Mutations(unittest.TestCase):
    """Files whose headers lie."""

    def test_files_whose_headers_lie_harm_nobody(self):
        directory = PluginDir("bare")
        self.addCleanup(directory.close)
        chance = random.Random(20261123)
        good = elf({})
        phoff, phnum = struct.unpack_from("<Q", good, 32)[0], struct.unpack_from("<H", good, 56)[0]
        tables = [range(16, 64), range(phoff, phoff + 56 * phnum)]
        for i in range(phnum):
            kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", good, phoff + 56 * i)
            if kind == 2:
                tables.append(range(offset, offset + size))
        for n in range(40):
            data = bytearray(good)
            for _ in range(chance.choice((1, 2, 8))):
                data[chance.choice(chance.choice(tables))] = chance.choice((0, 1, 0x7f, 0x80, 0xff))
            directory.write(f"lie_{n}.so", bytes(data)).chmod(0o644)
        apd = Daemon(plugin_dirs=[directory.path, PLUGINS])
        self.addCleanup(apd.close)
        for agent_id in ("bare", "echo"):
            self.assertEqual(apd.post("/runs/wait", {"agent_id": agent_id}).json["run"]["status"], "success")
        agents = {agent["agent_id"]: agent["metadata"] for agent in apd.post("/agents/search", {"limit": 100}).json}
        broken = [name for name in agents if name.startswith("lie_")]
        self.assertTrue(broken)
        for name in broken:
            self.assertEqual(agents[name]["state"], "broken")
            self.assertIn(f"/{name}.so: ", agents[name]["reason"])


if __name__ == "__main__":
    unittest.main()
