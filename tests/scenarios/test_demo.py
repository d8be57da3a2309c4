"""The demonstration: its messages, its DNS, and what the gateway says of them."""

import json
import re
import socket
import shutil
import subprocess

import pytest

from tests.fakes.dns import Dns
from tests.fakes.gateway import GATEPOST, ROOT, TIMEOUT, environment, identity

DEMO = ROOT / "corpus/demo"
EXPECTED = {
    "ham.eml": {"forward"}, "newsletter.eml": {"forward"}, "signed.eml": {"forward"},
    "spam.eml": {"reject"}, "listed.eml": {"tag", "quarantine"}, "forged.eml": {"quarantine"},
    "spf-fail.eml": {"forward", "tag"}, "dmarc-reject.eml": {"reject"},
    "phishing.eml": {"forward", "tag", "quarantine"}, "two-froms.eml": {"reject"},
    "virus.eml": {"quarantine"}, "gtube.eml": {"reject"},
}


@pytest.fixture
def dns():
    server = Dns(json.loads((DEMO / "dns.json").read_text())["dns"])
    yield server
    server.close()


def test_what_becomes_of_a_dozen_messages(make_gateway, sink, folder):
    gateway = make_gateway(backend=sink.url, start=False, listeners={
        "127.0.0.1:0": 'proxy_protocol_from = "127.0.0.1"'})
    # the demonstration reads the port from the file, so this one must be known before
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    gateway.write(gateway.text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))
    log = folder / "gatepost.log"
    gateway.log_copy = log
    try:
        gateway.start()
        done = gateway.run("demo", "--json", "--log", log)
    finally:
        gateway.stop()
    assert done.returncode == 0, done.stderr
    index = {row["title"]: row["file"] for row in json.loads((DEMO / "messages.json").read_text())}
    actions = {index[row["message"]]: row["action"] for row in json.loads(done.stdout)}
    assert set(actions) == set(EXPECTED)
    wrong = {file: action for file, action in actions.items() if action not in EXPECTED[file]}
    assert not wrong, (wrong, done.stdout)
    delivered = [own for own, _ in sink.stored()]
    assert len(delivered) == sum(action in ("forward", "tag") for action in actions.values())


def test_demo_dns_answers_as_the_file_says():
    """Its answers are those of the scripted server."""
    import dnslib

    zone = json.loads((DEMO / "dns.json").read_text())["dns"]
    scripted = Dns(zone)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    process = subprocess.Popen([str(GATEPOST), "demo-dns", str(port), str(DEMO / "dns.json")],
                               env=environment(), **identity())
    questions = [(name, kind) for name, types in zone.items() for kind in types]
    questions += [("no.such.example", "A"), ("harbour-books.example", "AAAA")]

    def ask(to, name, kind):
        packet = dnslib.DNSRecord.question(name, kind).send("127.0.0.1", to, timeout=TIMEOUT)
        reply = dnslib.DNSRecord.parse(packet)
        return reply.header.rcode, sorted(str(rr.rdata) for rr in reply.rr)

    try:
        wait_for_socket(process, port)
        for name, kind in questions:
            assert ask(port, name, kind) == ask(scripted.port, name, kind), (name, kind)
    finally:
        process.terminate()
        process.wait(TIMEOUT)
        scripted.close()


def wait_for_socket(process, port):
    """Until the kernel lists its UDP socket."""
    wanted = f":{port:04X} "
    while wanted not in open("/proc/net/udp", encoding="ascii").read():
        assert process.poll() is None


def test_no_test_string_stands_in_the_repository():
    """Scanners of mail and of disks would stumble over the repository itself."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    # Put together here as in the program, so that this file is no exception.
    for pieces in (("EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE"), ("NSBN3*2IDNEN*", "GTUBE-STANDARD")):
        found = subprocess.run(["git", "grep", "-l", "-F", "".join(pieces)], cwd=ROOT,
                               capture_output=True, text=True, check=False)
        files = [name for name in found.stdout.split() if not re.match(r"rules/", name)]
        assert not files, files
