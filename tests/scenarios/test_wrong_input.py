"""What people and machines do wrong: a clear error that names the thing, and nothing lost."""

import base64
import os
import socket
import subprocess

import pytest

from tests.fakes import gateway as fakes
from tests.fakes.dns import Dns
from tests.fakes.smtp import proxy_v1

HEAD = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: wrong\r\n"
        b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n")
MESSAGE = HEAD + b"\r\nDear Alice\r\n"


def noise(octets):
    """A message that cannot be compressed."""
    return HEAD + b"\r\n" + base64.encodebytes(os.urandom(octets)).replace(b"\n", b"\r\n")


def refused_start(gateway, *words):
    done = gateway.run("run")
    assert done.returncode == 1, done
    for word in words:
        assert str(word) in done.stderr, done.stderr
    errors = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(errors) == 1, "one mistake, one error: " + done.stderr


@pytest.mark.parametrize("arguments, code, words", [
    (["--frobnicate"], 2, "frobnicate"),
    (["frobnicate"], 2, "frobnicate"),
    (["run", "--frobnicate"], 2, "frobnicate"),
    (["run", "-c"], 2, "-c"),
    (["run", "-c", "/nonexistent/gatepost.conf"], 1, "/nonexistent/gatepost.conf"),
    (["config", "check", "-c", "/nonexistent/gatepost.conf"], 1, "/nonexistent/gatepost.conf"),
    (["config", "check", "-c", "/"], 1, "/"),
    (["quarantine", "list", "-c", "/nonexistent/gatepost.conf"], 1, "/nonexistent/gatepost.conf"),
    (["check", "/nonexistent/message"], 1, "/nonexistent/message"),
    (["check", "--facts", "/nonexistent/facts"], 1, "/nonexistent/facts"),
    (["learn", "spam", "/nonexistent/message"], 1, "/nonexistent/message"),
    (["learn", "eggs", "/nonexistent/message"], 2, "eggs"),
    (["replay", "/nonexistent/facts", "/nonexistent/verdict"], 1, "/nonexistent/facts"),
    (["eval", "--index", "/nonexistent/index"], 1, "/nonexistent/index"),
    (["sink", "--smtp", "nowhere"], 2, "nowhere: not an address"),
    (["sink", "--lmtp", "127.0.0.1:0", "--smtp", "127.0.0.1:99999"], 2, "99999"),
    (["sink"] + ["--smtp", "127.0.0.1:0"] * 9, 2, "more than 8"),
])
def test_command_line(folder, arguments, code, words):
    conf = folder / "gatepost.conf"
    conf.write_text(f'hostname = "a.example"\nstate_dir = "{folder}/state"\n'
                    'domain "a.example" { backend = "smtp://h" }\n')
    if arguments[0] == "learn":
        arguments = [*arguments, "-c", str(conf)]
    done = fakes.command(*arguments)
    assert done.returncode == code, done
    assert words in done.stderr, done.stderr
    assert not done.stdout or arguments[0] == "learn"  # which tells how many it has learnt


def test_commands_say_that_no_gateway_runs(make_gateway):
    gateway = make_gateway(start=False)
    for words in (["quarantine", "release", "x"], ["quarantine", "delete", "x"]):
        done = gateway.run(*words)
        assert done.returncode == 1 and done.stderr, done


def test_unreadable_key(make_gateway, folder):
    key, certificate = folder / "key.pem", folder / "cert.pem"
    gateway = make_gateway(start=False, listeners={
        "127.0.0.1:0": f'tls_certificate = "{certificate}" tls_key = "{key}"'})
    refused_start(gateway, certificate)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=mx.example.net", "-keyout", str(key), "-out", str(certificate)],
                   check=True, capture_output=True)
    if os.geteuid() != 0 or fakes.runs_as_nobody():  # nothing is unreadable for root
        key.chmod(0)
        refused_start(gateway, key)
        key.chmod(0o644)
    key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    refused_start(gateway, key)


def test_key_that_breaks_later(make_gateway, sink, folder):
    """The generation that serves goes on when a reload finds that its key is gone."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=mx.example.net", "-keyout", str(key), "-out", str(certificate)],
                   check=True, capture_output=True)
    key.chmod(0o644)
    gateway = make_gateway(backend=sink.url, listeners={
        "127.0.0.1:0": f'tls_certificate = "{certificate}" tls_key = "{key}"'})
    gateway.expect("reload-refused", "start-failed")
    key.unlink()
    assert str(key) in gateway.reload()["text"]
    with gateway.smtp() as smtp:
        smtp.ehlo()
        smtp.starttls()
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250


def test_backend_down(make_gateway, make_sink):
    """First nobody is there, then somebody: the sender's retry is taken."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    gateway = make_gateway(backend=f"smtp://127.0.0.1:{port}", domain_extra="verify_recipients = false")
    gateway.expect("backend-down")
    with gateway.smtp() as smtp:
        smtp.ehlo()
        reply = smtp.message(MESSAGE)
        assert (reply.code, reply.text[:5]) == (451, "4.4.1"), reply
    assert not gateway.held()


@pytest.mark.parametrize("on_error, code", [("ignore", 250), ("tempfail", 451)])
def test_dns_dead(make_gateway, sink, closing, on_error, code):
    """Nobody answers any question: what that means is the administrator's to say, and nothing hangs."""
    dead = Dns()
    closing.add(dead.close)
    dead.find = lambda name, kind: ("TIMEOUT", [])
    gateway = make_gateway(
        dns=dead, backend=sink.url, limits="evaluate_timeout = 2s",
        extra=f'filter "dnsbl" {{ on_error = {on_error} timeout = 1s }}',
        listeners={"127.0.0.1:0": 'proxy_protocol_from = "127.0.0.1"'})
    gateway.expect("filter-failed", "dnssec-broken")
    with gateway.smtp(proxy=proxy_v1("198.51.100.1")) as smtp:
        smtp.ehlo()
        reply = smtp.message(MESSAGE)
        assert reply.code == code, reply
    assert len(sink.messages()) == (code == 250)


@pytest.fixture
def small_disk(folder):
    """state_dir on a file system that has room for little."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    state = folder / "state"
    state.mkdir()
    owner = fakes.NOBODY if fakes.runs_as_nobody() else 0
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=6m,uid={owner},gid={owner},mode=755", "gatepost",
                           str(state)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("file systems cannot be mounted here: " + done.stderr.strip())
    yield state
    subprocess.run(["umount", "-l", str(state)], check=True)


def test_disk_full(small_disk, make_gateway, sink, closing):
    gateway = make_gateway(backend=sink.url, extra="policy { tag_score = -900 quarantine_score = -900 }")
    gateway.expect("quarantine-store-failed", "quarantine-not-durable", "report-count-lost",
                   "quarantine-settle-failed", "delete-failed", "model-not-durable")
    codes = []
    while codes.count(250) < 100:
        with gateway.smtp() as smtp:
            smtp.ehlo()
            reply = smtp.message(noise(300_000), recipients=[f"m{len(codes)}@example.net"])
            codes.append(reply.code)
            if reply.code != 250:
                assert reply.code in (451, 452), reply
                assert "4.3." in reply.text, reply
                break
    assert 2 < len(codes) < 50, "the disk was to become full"
    held = gateway.held()
    taken = [f"m{i}" for i, code in enumerate(codes) if code == 250]
    assert sorted(held) == sorted(taken), "what was taken is there, what was not is not"
    for local in taken[:3]:
        done = gateway.run("quarantine", "delete", held[local][0])
        assert done.returncode == 0, done.stderr
    with gateway.smtp() as smtp:
        smtp.ehlo()
        reply = smtp.message(noise(300_000), recipients=["later@example.net"])
        assert reply.code == 250, reply
    assert sorted(gateway.held()) == sorted([*taken[3:], "later"])
    gateway.stop()
    assert sorted(gateway.held()) == sorted([*taken[3:], "later"])


def test_broken_virus_database(make_gateway, sink, folder):
    database = folder / "clamav"
    database.mkdir()
    (database / "broken.ndb").write_text("this is:no signature\n")
    clamav = f'filter "clamav" {{ database = {{ "{database}" }} }}'
    gateway = make_gateway(start=False, backend=sink.url, extra=clamav)
    refused_start(gateway, database)
    (database / "broken.ndb").unlink()
    gateway = make_gateway(backend=sink.url)
    gateway.expect("reload-refused", "start-failed", "config-warning")
    (database / "broken.ndb").write_text("this is:no signature\n")
    gateway.parts["extra"] = clamav
    gateway.write()
    assert str(database) in gateway.reload()["text"]
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250


@pytest.mark.parametrize("name, octets, code, enhanced", [
    ("size", noise(200_000), 552, "5.3.4"),
    ("line", HEAD + b"\r\n" + b"x" * 70_000 + b"\r\n", 554, "5.6.0"),
    ("circles", b"Received: from a by b; Fri, 20 Nov 2026 12:00:00 +0000\r\n" * 101 + MESSAGE, 554, "5.4.6"),
    ("nul", HEAD + b"\r\nnul \0 nul\r\n", 550, "5.6.0"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_message_over_a_limit(make_gateway, sink, name, octets, code, enhanced):
    gateway = make_gateway(backend=sink.url, limits="message_size = 150kB")
    with gateway.smtp() as smtp:
        smtp.ehlo()
        reply = smtp.message(octets)
        assert (reply.code, reply.text[:5]) == (code, enhanced), reply
    assert not sink.messages() and not gateway.held()
    assert gateway.wait_event("message")["action"] == "reject"


@pytest.mark.parametrize("name, octets", [
    ("headers", b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + MESSAGE),
    ("header", b"X-Long: " + b"\r\n ".join([b"y" * 900] * 600) + b"\r\n" + MESSAGE),
    ("parts", HEAD + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
     + b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 3000 + b"--b--\r\n"),
    ("depth", HEAD + b"MIME-Version: 1.0\r\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(500)) + b"\r\nx\r\n"),
    ("urls", HEAD + b"\r\n" + b"".join(b"http://h%d.example/\r\n" % i for i in range(3000))),
], ids=lambda value: value if isinstance(value, str) else "")
def test_message_over_a_limit_of_the_parsers(gateway, sink, name, octets):
    """Too much to look at: it has an owner all the same, or the sender is told."""
    with gateway.smtp() as smtp:
        smtp.ehlo()
        reply = smtp.message(octets)
    there = len(sink.messages()) + len(gateway.held())
    assert there == (reply.code == 250), reply
    assert reply.code == 250 or reply.code // 100 == 5, reply
    gateway.wait_event("message")
