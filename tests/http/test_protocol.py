"""HTTP itself: methods, hosts, bodies, limits, and the system routes."""

import json
import socket
import unittest

from harness import DaemonTest, until


def exchange(port, data, finish=True):
    """Sends raw bytes and reads all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(data)
        answer = b""
        while True:
            try:
                chunk = connection.recv(65536)
            except ConnectionResetError:
                return answer
            if not chunk:
                return answer
            answer += chunk


class Protocol(DaemonTest):
    CONFIG = """
http: {max_body: 64KiB, send_timeout: 500ms}
"""

    def test_system_routes(self):
        self.assertEqual(self.apd.get("/ok").json, {"ok": True})
        info = self.apd.get("/info").json
        self.assertEqual(info["name"], "apd")
        document = self.apd.get("/openapi.json").json
        self.assertEqual(document["info"]["version"], info["version"])
        metrics = self.apd.get("/metrics")
        self.assertTrue(metrics.headers["content-type"].startswith("text/plain"))
        for line in metrics.body.decode().splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) \S+ .+|[a-z_]+(\{[^}]*\})? \d+)$')

    def test_unknown_paths_and_methods(self):
        self.refused(self.apd.get("/nowhere"), 404, "not_found")
        answer = self.apd.call("PUT", "/runs")
        self.refused(answer, 405, "method_not_allowed")
        self.assertEqual({method.strip() for method in answer.headers["allow"].split(",")} - {"OPTIONS"}, {"POST"})
        answer = self.apd.call("POST", "/ok")
        self.assertLessEqual({"GET", "HEAD"}, {method.strip() for method in answer.headers["allow"].split(",")})

    def test_head(self):
        answer = self.apd.raw("HEAD", "/ok")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["content-length"], "11")

    def test_cors_is_off(self):
        answer = self.apd.get("/ok", headers={"Origin": "http://evil.example"})
        self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_only_loopback_names(self):
        for host in ("localhost", "localhost:80", "127.0.0.1", "127.1.2.3:99", "[::1]", "a.localhost"):
            self.assertEqual(self.apd.get("/ok", headers={"Host": host}).status, 200, host)
        for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.1"):
            self.refused(self.apd.get("/ok", headers={"Host": host}), 403, "host_refused")

    def test_a_host_is_needed(self):
        answer = exchange(self.apd.port, b"GET /ok HTTP/1.1\r\nConnection: close\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 400"), answer)

    def test_large_bodies(self):
        large = json.dumps({"agent_id": "echo", "input": "x" * 70000})
        self.refused(self.apd.post("/runs/wait", large), 413, "body_too_large")
        fits = json.dumps({"agent_id": "echo", "input": "x" * 60000})
        self.assertEqual(self.apd.post("/runs/wait", fits).status, 200)

    def test_large_chunked_bodies(self):
        head = b"POST /runs/wait HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        answer = exchange(self.apd.port, head + chunk * 3 + b"0\r\n\r\n")
        self.assertIn(b"413", answer.split(b"\r\n")[0])
        self.assertIn(b"body_too_large", answer)
        fits = json.dumps({"agent_id": "echo", "input": "y" * 50000}).encode()
        answer = exchange(self.apd.port, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(fits), fits))
        self.assertIn(b"200", answer.split(b"\r\n")[0])

    def test_slow_senders_cost_only_themselves(self):
        for start in (b"POST /runs/wait HTTP/1.1\r\nHost: loc",
                      b"POST /runs/wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"):
            with socket.create_connection(("127.0.0.1", self.apd.port), timeout=30) as slow:
                slow.sendall(start)
                self.assertEqual(self.apd.get("/ok").status, 200)
                answer = b""
                while chunk := slow.recv(4096):
                    answer += chunk
                self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer)

    def test_pipelined_requests_are_answered_in_order(self):
        requests = b""
        for n in range(5):
            body = json.dumps({"agent_id": "echo", "input": n}).encode()
            close = b"Connection: close\r\n" if n == 4 else b""
            requests += b"POST /runs/wait HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s" % (
                close, len(body), body)
        answer = exchange(self.apd.port, requests)
        places = [answer.find(b'"values":{"echo":%d}' % n) for n in range(5)]
        self.assertEqual(places, sorted(places))
        self.assertNotIn(-1, places)

    def test_content_type_does_not_matter(self):
        answer = self.apd.post("/agents/search", "{}", headers={"Content-Type": "text/plain"})
        self.assertEqual(answer.status, 200)

    def test_an_empty_body_is_an_empty_object(self):
        self.assertEqual(self.apd.call("POST", "/agents/search").status, 200)

    def test_every_operation_of_the_document_is_served(self):
        for path, methods in self.apd.get("/openapi.json").json["paths"].items():
            for method in methods:
                target = path.replace("{run_id}", "01890a5d-ac96-774b-bcce-b302099a8057").replace("{agent_id}", "echo")
                answer = self.apd.call(method.upper(), target, "{}" if method == "post" else None)
                self.assertNotIn(answer.status, (405, 500), target)
                if answer.status == 404:
                    self.assertNotEqual(answer.json["code"], "not_found", target)


class Cors(DaemonTest):
    CONFIG = """
http: {cors: {origins: ["https://app.example"]}}
"""

    def test_a_configured_origin(self):
        answer = self.apd.get("/ok", headers={"Origin": "https://app.example"})
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://app.example")
        self.assertIn("content-location", answer.headers["access-control-expose-headers"].lower())

    def test_another_origin(self):
        answer = self.apd.get("/ok", headers={"Origin": "https://evil.example"})
        self.assertNotIn("access-control-allow-origin", answer.headers)

    def test_preflight(self):
        answer = self.apd.raw("OPTIONS", "/runs/stream", headers={
            "Origin": "https://app.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type", "Access-Control-Request-Private-Network": "true"})
        self.assertIn(answer.status, (200, 204))
        self.assertIn("POST", answer.headers["access-control-allow-methods"])
        self.assertIn("content-type", answer.headers["access-control-allow-headers"].lower())
        self.assertEqual(answer.headers["access-control-allow-private-network"], "true")


if __name__ == "__main__":
    unittest.main()
