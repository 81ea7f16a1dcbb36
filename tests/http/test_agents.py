"""The routes under /agents."""

import unittest

from harness import DaemonTest


class Agents(DaemonTest):
    CONFIG = """
agents:
  echo: {plugin: echo}
  slow-echo:
    plugin: echo
    settings: {delay_ms: 5}
    metadata: {team: blue, tier: {level: 2}}
"""

    def ids(self, **body):
        return [agent["agent_id"] for agent in self.apd.post("/agents/search", body).json]

    def test_all_agents_are_listed_by_id(self):
        ids = self.ids(limit=100)
        self.assertEqual(ids, sorted(ids))
        self.assertLessEqual({"echo", "slow-echo", "hello", "countdown", "crash"}, set(ids))

    def test_name_is_a_part_in_either_case(self):
        self.assertEqual(set(self.ids(name="ECH", limit=100)), {"echo", "slow-echo"})
        self.assertEqual(self.ids(name="no such agent"), [])

    def test_metadata_is_contained(self):
        self.assertEqual(self.ids(metadata={"team": "blue"}), ["slow-echo"])
        self.assertEqual(self.ids(metadata={"tier": {"level": 2}}), ["slow-echo"])
        self.assertEqual(self.ids(metadata={"tier": {"level": 3}}), [])

    def test_limit_and_offset(self):
        ids = self.ids(limit=100)
        self.assertEqual(self.ids(limit=2), ids[:2])
        self.assertEqual(self.ids(limit=2, offset=1), ids[1:3])
        self.assertEqual(self.ids(offset=1000), [])

    def test_bad_searches_are_refused(self):
        for body, place in [({"limit": 0}, "limit"), ({"limit": 1001}, "limit"),
                            ({"offset": -1}, "offset"), ({"name": 3}, "name"),
                            ({"metadata": []}, "metadata"), ([], "body")]:
            problem = self.refused(self.apd.post("/agents/search", body), 422, "invalid_request")
            self.assertTrue(problem["message"].startswith(place + ":"), problem)

    def test_an_agent_tells_of_itself(self):
        agent = self.apd.get("/agents/slow-echo").json
        self.assertEqual(agent["metadata"]["plugin"], "echo")
        self.assertEqual(agent["metadata"]["team"], "blue")
        self.assertIn(agent["metadata"]["state"], ("ready", "starting"))
        self.assertIs(agent["capabilities"]["ap.io.messages"], True)

    def test_schemas(self):
        schemas = self.apd.get("/agents/countdown/schemas").json
        self.assertEqual(schemas["agent_id"], "countdown")
        self.assertEqual(schemas["input_schema"]["type"], "object")
        schemas = self.apd.get("/agents/hello/schemas").json
        self.assertEqual(schemas["input_schema"], {})
        self.assertEqual(schemas["output_schema"], {})

    def test_unknown_agents(self):
        self.refused(self.apd.get("/agents/nobody"), 404, "agent_not_found", "nobody")
        self.refused(self.apd.get("/agents/nobody/schemas"), 404, "agent_not_found")


class Listed(DaemonTest):
    CONFIG = """
plugins: {serve: listed}
default_agent: only
agents:
  only: {plugin: echo}
"""

    def test_only_listed_agents_are_served(self):
        agents = self.apd.post("/agents/search", {"limit": 100}).json
        self.assertEqual([agent["agent_id"] for agent in agents], ["only"])

    def test_the_default_agent_runs(self):
        run = self.apd.post("/runs/wait", {"input": 1}).json["run"]
        self.assertEqual(run["agent_id"], "only")


if __name__ == "__main__":
    unittest.main()
