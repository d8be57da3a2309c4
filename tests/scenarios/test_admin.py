"""The admin API over HTTP: who may ask what, requests that two parsers could read differently, learning."""

import json
import os
import signal
import socket

import pytest

from tests.fakes.gateway import TIMEOUT

TOKEN = "0123456789abcdef-token"
EML = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: Cheap watches %d\r\n"
       b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%d@example.org>\r\n\r\n%s\r\n")


def http(port, octets):
    """Status and body of the first answer."""
    with socket.create_connection(("127.0.0.2", port), timeout=TIMEOUT) as s:
        s.sendall(octets)
        s.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, head, body


def get(port, path, *headers):
    lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
    return http(port, "\r\n".join(lines).encode())


@pytest.fixture
def admin(make_gateway, folder, sink):
    def make(token=True):
        section = 'admin { listen = "127.0.0.2:0"'
        if token:
            path = folder / "admin.token"
            path.write_text(TOKEN + "\n")
            path.chmod(0o644)
            section += f' token_file = "{path}"'
        gateway = make_gateway(backend=sink.url, extra=section + " }")
        port = [line["port"] for line in gateway.events("listening")
                if line["listener"] not in gateway.parts["listeners"]][-1]
        return gateway, port
    return make


def test_who_may_ask_what(admin):
    _, port = admin()
    for path in ("/healthz", "/metrics", "/api/v1/status"):
        assert get(port, path)[0] == 200, path
    assert b"gatepost_connections_total" in get(port, "/metrics")[2]
    for path in ("/api/v1/quarantine", "/api/v1/reports", "/api/v1/quarantine/x"):
        assert get(port, path)[0] == 401, path
        assert get(port, path, "Authorization: Bearer wrong")[0] == 401, path
        assert get(port, path, f"Authorization: Bearer {TOKEN}")[0] in (200, 404), path
    assert get(port, "/nothing")[0] == 404
    assert http(port, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")[0] == 405
    status, head, _ = get(port, "/healthz")
    assert b"nosniff" in head and b"default-src 'none'" in head


def test_without_a_token_file_only_figures(admin):
    _, port = admin(token=False)
    assert get(port, "/healthz")[0] == 200
    status, _, body = get(port, "/api/v1/quarantine", "Authorization: Bearer ")
    assert status == 401 and b"token_file" in body


@pytest.mark.parametrize("headers", [
    b"Content-Length: 0\r\nContent-Length: 5\r\n",
    b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    b"Host: y\r\n",
])
def test_ambiguous_requests_are_refused(admin, headers):
    _, port = admin()
    status, _, _ = http(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n")
    assert status in (0, 400), "refused, or the connection closed"


def test_hostile_paths_reach_nothing(admin):
    gateway, port = admin()
    key = f"Authorization: Bearer {TOKEN}"
    for path in ("/api/v1/quarantine/../../etc/passwd", "/api/v1/quarantine/%2e%2e%2fx", "/api/v1/quarantine/a'OR'1",
                 "/api/v1/quarantine/" + "a" * 500, "/api/v1/quarantine//message", "/api/v1/quarantine?limit=-1",
                 "/api/v1/quarantine?limit=99999999999999999999", "/api/v1/reports?limit=x"):
        assert get(port, path, key)[0] in (400, 404), path
    assert get(port, "/healthz")[0] == 200
    assert gateway.api("/api/v1/status")["keeper"]


def test_learning_counts_and_is_heard(make_gateway, sink):
    gateway = make_gateway(backend=sink.url, extra='filter "bayes" { min_learned = 5 }')
    for i in range(8):
        for label, words in (("spam", b"buy cheap watches now best price casino pills"),
                             ("ham", b"the minutes of our meeting on gardening are attached")):
            answer = gateway.api(f"/api/v1/learn?label={label}", EML % (i, i, words))
            assert answer == {"ok": True}
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(EML % (99, 99, b"buy cheap watches now best price casino pills")).code == 250
        assert smtp.message(EML % (98, 98, b"the minutes of our meeting on gardening are attached")).code == 250
    first, second = gateway.wait_event("message"), gateway.wait_event("message", 2)
    names = [name for name in first["findings"] if name.startswith("BAYES_")]
    assert names and first["findings"][names[0]] > 0, first
    names = [name for name in second["findings"] if name.startswith("BAYES_")]
    assert names and second["findings"][names[0]] < 0, second
    assert gateway.api("/api/v1/learn?label=spam", b"no headers at all") == {"ok": True}


def metrics(port):
    lines = get(port, "/metrics")[2].decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}


def test_metrics_of_the_classifier(admin):
    gateway, port = admin()
    found = metrics(port)
    assert found["gatepost_bayes_counts"] == 0 and found['gatepost_bayes_learned_total{label="ham"}'] == 0
    for i in range(50):
        gateway.api("/api/v1/learn?label=spam", EML % (i, i, b"buy cheap watches now"))
        gateway.api("/api/v1/learn?label=ham", EML % (i, i, b"the minutes of our meeting"))
    found = metrics(port)
    assert found['gatepost_bayes_learned_total{label="spam"}'] == 50
    assert found["gatepost_bayes_counts"] == 1 and 0 < found["gatepost_bayes_error_ratio"] < .2
    for name in ("disagreement_ratio", "rebuilding", 'label_noise_ratio{label="spam"}'):
        assert f"gatepost_bayes_{name}" in found
    assert found["gatepost_lessons_refused_total"] == 0


def test_metrics_do_not_wait_for_a_trainer_that_is_busy(admin):
    gateway, port = admin()
    [pid] = gateway.pids("trainer")
    os.kill(pid, signal.SIGSTOP)
    try:
        found = metrics(port)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert "gatepost_connections_total" in found and "gatepost_bayes_counts" not in found
    assert "gatepost_bayes_counts" in metrics(port)


def test_the_classifier_over_http(admin):
    _, port = admin()
    key = f"Authorization: Bearer {TOKEN}"
    assert get(port, "/api/v1/bayes")[0] == 401
    assert json.loads(get(port, "/api/v1/bayes", key)[2])["needs"] == "50 more spam and 50 more ham"

    def post(path):
        return http(port, (f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n"
                           f"{key}\r\n\r\n").encode())
    for path in ("/api/v1/bayes/undo", "/api/v1/bayes/undo?since=-1", "/api/v1/bayes/undo?since=x"):
        status, _, body = post(path)
        assert status == 400 and b"since" in body
    assert json.loads(post("/api/v1/bayes/rebuild")[2]) == {"rebuilding": True}


def test_command_learn_teaches_the_running_gateway(make_gateway, sink, folder):
    gateway = make_gateway(backend=sink.url)
    mbox = folder / "mbox"
    mbox.write_bytes(b"".join(b"From x@example.org Fri Nov 20 12:00:00 2026\n"
                              + (EML % (i, i, b"hello")).replace(b"\r\n", b"\n") + b"\n" for i in range(3)))
    mbox.chmod(0o644)
    done = gateway.run("learn", "ham", str(mbox))
    assert done.returncode == 0, done.stderr
    assert "3 messages" in done.stdout
    done = gateway.run("learn", "maybe", str(mbox))
    assert done.returncode == 2
    done = gateway.run("learn", "ham", str(folder / "nothing"))
    assert done.returncode == 1 and "nothing: No such file" in done.stderr and not done.stdout


def test_reports_are_counted(make_gateway, sink, dns):
    dns.zone["_dmarc.example.org"] = {"TXT": ["v=DMARC1; p=none; rua=mailto:reports@example.org"]}
    gateway = make_gateway(backend=sink.url)
    with gateway.smtp() as smtp:
        smtp.ehlo()
        for i in range(3):
            assert smtp.message(EML % (i, i, b"hello")).code == 250
    gateway.wait_event("message", 3)
    done = gateway.run("report", "list", "--json")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    while '"count": 3' not in text:  # sent off without waiting: asked again until it has arrived
        text = gateway.run("report", "list", "--json").stdout
    rows = json.loads(text)
    assert [row["domain"] for row in rows] == ["example.org"]
    assert rows[0]["row"]["p"] == "none"


def test_without_a_scanner_mail_flows(make_gateway, sink):
    gateway = make_gateway(backend=sink.url, extra='filter "clamav" { enabled = false }')
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(EML % (1, 1, b"hello")).code == 250
    assert gateway.wait_event("message")["action"] == "forward"
    assert not gateway.events("child-failed")


def test_a_client_that_does_not_wait(gateway):
    """What was asked of the keeper is answered when nobody is there any more."""
    keeper, web = gateway.pids("keeper")[0], gateway.pids("web")[0]
    os.kill(keeper, signal.SIGSTOP)
    try:
        for request in (b"POST /api/v1/quarantine/x/release HTTP/1.1\r\n", b"GET /api/v1/quarantine/x/message HTTP/1.1\r\n",
                        b"POST /api/v1/quarantine/x/learn?label=spam HTTP/1.1\r\n"):
            for linger in (b"\0" * 8, b"\1\0\0\0\0\0\0\0"):  # closed, and reset
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(str(gateway.state / "control.sock"))
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    s.sendall(request + b"Host: x\r\nContent-Length: 0\r\n\r\n")
                    # A second one behind it, and half of a third.
                    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea")
        gateway.api("/api/v1/status")  # web has seen them all by now, and waits for the keeper
    finally:
        os.kill(keeper, signal.SIGCONT)
    gateway.api("/api/v1/status")
    done = gateway.run("quarantine", "release", "x")
    assert done.returncode == 1, "there is no such entry"
    assert gateway.pids("web") == [web]
