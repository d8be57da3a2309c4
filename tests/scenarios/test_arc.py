"""ARC over real SMTP: what a trusted list saw pass is delivered, and the same from anybody else is held."""

import subprocess

import pytest

from tests.fakes import gateway as fakes

TOOLS = fakes.GATEPOST.parents[1] / "tests"
MESSAGE = ("From: Ann <ann@author.example>\r\nTo: alice@example.net\r\nSubject: [list] hello\r\n"
           "Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@author.example>\r\n\r\nHi\r\n")
SAW = ("Authentication-Results: mx.list.example; dkim=pass header.d=author.example;\r\n"
       "\tdmarc=pass header.from=author.example\r\n")
TRUST = 'filter "arc" { trusted_sealers = { "list.example" } }'

pytestmark = pytest.mark.skipif(not (TOOLS / "arc_seal").exists(), reason="tests/arc_seal is not built")


@pytest.fixture(params=["rsa", "ed25519"])
def sealed(request, dns, tmp_path):
    """A message that list.example has sealed, its key in the DNS, and its author's policy."""
    made = subprocess.run([TOOLS / "dkim_sign", "--key", request.param], capture_output=True, check=True)
    pem, record = made.stdout.rsplit(b"\n", 1)
    (tmp_path / "key.pem").write_bytes(pem + b"\n")
    (tmp_path / "records").write_bytes(b"")
    (tmp_path / "message.eml").write_bytes((SAW + MESSAGE).encode())
    done = subprocess.run(
        [TOOLS / "arc_seal", tmp_path / "message.eml", tmp_path / "key.pem", tmp_path / "records",
         "mx.list.example", "list.example", "s1", "from:to:subject:date:message-id", "1795176000"],
        capture_output=True, check=True)
    text = record.decode()
    dns.zone.update({
        "s1._domainkey.list.example": {"TXT": [[text[i:i + 255] for i in range(0, len(text), 255)]]},
        "_dmarc.author.example": {"TXT": ["v=DMARC1; p=reject"]},
        "author.example": {"TXT": ["v=spf1 -all"], "A": ["192.0.2.7"], "MX": [[10, "author.example"]]},
        "list.example": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"], "A": ["127.0.0.1"], "MX": [[10, "list.example"]]},
    })
    return done.stdout + MESSAGE.encode()


def send(gateway, message):
    with gateway.smtp() as smtp:
        smtp.ehlo("list.example")
        return smtp.message(message, sender="bounces@list.example", recipients=["alice@example.net"])


def test_a_trusted_list_is_believed(make_gateway, sink, sealed):
    gateway = make_gateway(backend=sink.url, extra=TRUST)
    assert send(gateway, sealed).code == 250
    delivered = sink.messages()[0]
    results = delivered.split(b"\r\nARC-Seal:")[0].replace(b"\r\n", b"").replace(b"\t", b" ")
    assert b"arc=pass" in results and b'dmarc=fail reason="trusted_forwarder"' in results, delivered
    assert not gateway.held()


def test_a_list_that_nobody_trusts_is_not(make_gateway, sink, sealed):
    gateway = make_gateway(backend=sink.url)
    assert send(gateway, sealed).code == 250
    assert gateway.held() and not sink.messages()


def test_a_changed_message_is_not_what_was_seen(make_gateway, sink, sealed):
    gateway = make_gateway(backend=sink.url, extra=TRUST)
    assert send(gateway, sealed.replace(b"\r\n\r\nHi", b"\r\n\r\nPay")).code == 250
    assert gateway.held() and not sink.messages()
