"""One message from a sender to a mailbox server, and who may send where."""

import json

import pytest

from tests.fakes.smtp import proxy_v1

MESSAGE = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: hello\r\n"
           b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n"
           b"Dear Alice,\r\n.\r\n..two dots\r\n8bit: \xc3\xa4\r\n")


def body_of(octets):
    return octets.split(b"\r\n\r\n", 1)[1]


def test_a_message_arrives_whole(gateway, sink):
    with gateway.smtp() as smtp:
        smtp.ehlo()
        reply = smtp.message(MESSAGE)
    assert reply.code == 250, reply
    own, stored = sink.stored()[0]
    assert own["X-Original-To"] == ["alice@example.net"]
    assert body_of(stored) == body_of(MESSAGE)
    assert stored.endswith(MESSAGE), "our headers stand on top, the rest is as it came"
    assert stored.startswith(b"Received: ") or b"\r\nReceived: " in stored.split(b"\r\nFrom:")[0]
    line = gateway.wait_event("message")
    assert line["action"] in ("forward", "tag")
    assert line["rcpt"] == ["alice@example.net"]


def test_elsewhere_is_refused(gateway, sink):
    with gateway.smtp() as smtp:
        smtp.ehlo()
        smtp.command("MAIL FROM:<bob@example.org>")
        for recipient in ("x@example.com", "x@sub.example.net", "x"):
            reply = smtp.command(f"RCPT TO:<{recipient}>")
            assert reply.code in (550, 553, 501), reply
        reply = smtp.command("RCPT TO:<x@example.com>")
        assert reply.code == 550 and reply.text.startswith("5.7.1"), reply
        assert smtp.command("RCPT TO:<alice@EXAMPLE.net>").code == 250
    assert not sink.messages()


def test_lmtp_backend(make_gateway, make_sink):
    sink = make_sink(protocol="lmtp")
    gateway = make_gateway(backend=sink.url)
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE, recipients=["a@example.net", "b@example.net"]).code == 250
    own, _ = sink.stored()[0]
    assert own["X-Original-To"] == ["a@example.net", "b@example.net"]


def test_starttls(gateway, sink):
    with gateway.smtp() as smtp:
        assert "STARTTLS" in smtp.ehlo().lines
        smtp.starttls()
        assert "STARTTLS" not in smtp.ehlo().lines
        assert smtp.message(MESSAGE).code == 250
    assert gateway.wait_event("message")["tls"].startswith("TLSv1.")
    assert len(sink.messages()) == 1


def test_proxy_header_names_the_client(make_gateway, sink):
    gateway = make_gateway(backend=sink.url, listeners={
        "127.0.0.1:0": 'proxy_protocol_from = "127.0.0.1"'})
    with gateway.smtp(proxy=proxy_v1("192.0.2.7")) as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250
    assert gateway.wait_event("message")["client"] == "192.0.2.7"


def test_backend_down_is_the_senders_to_retry(make_gateway, make_sink):
    sink = make_sink()
    sink.close()
    gateway = make_gateway(backend=sink.url)
    gateway.expect("backend-down")
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code // 100 == 4


def test_backend_behind_aliases(make_gateway, sink, dns):
    dns.follows = False
    dns.zone.update({"box.example": {"CNAME": ["a.example"]}, "a.example": {"CNAME": ["b.example"]},
                     "b.example": {"A": ["127.0.0.1"]}})
    gateway = make_gateway(backend=f"smtp://box.example:{sink.port}")
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250
    assert len(sink.messages()) == 1


def test_second_backend_when_the_first_is_down(make_gateway, make_sink):
    first, second = make_sink(), make_sink()
    first.close()
    gateway = make_gateway(backend=[first.url, second.url])
    gateway.expect("backend-down")
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250
    assert len(second.messages()) == 1


def test_refusal_of_the_mailbox_server_is_passed_on(make_gateway, make_sink):
    sink = make_sink("--reject-rcpt", "nobody@*=550 5.1.1 no such mailbox")
    gateway = make_gateway(backend=sink.url)
    with gateway.smtp() as smtp:
        smtp.ehlo()
        smtp.command("MAIL FROM:<bob@example.org>")
        reply = smtp.command("RCPT TO:<nobody@example.net>")
        assert (reply.code, reply.text[:5]) == (550, "5.1.1"), reply
        assert smtp.command("RCPT TO:<alice@example.net>").code == 250
        assert smtp.data(MESSAGE).code == 250


def test_quarantine_from_end_to_end(make_gateway, sink):
    gateway = make_gateway(backend=sink.url, extra="policy { tag_score = -900 quarantine_score = -900 }")
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250
    assert not sink.messages()
    assert gateway.wait_event("message")["action"] == "quarantine"
    rows = json.loads(gateway.run("quarantine", "list", "--json").stdout)
    assert [row["rcpt_to"] for row in rows] == [["alice@example.net"]]
    shown = gateway.run("quarantine", "show", rows[0]["id"])
    assert shown.returncode == 0 and "hello" in shown.stdout
    raw = gateway.run("quarantine", "show", "--message", rows[0]["id"], text=False)
    assert raw.stdout == MESSAGE
    released = gateway.run("quarantine", "release", rows[0]["id"])
    assert released.returncode == 0, released.stderr
    gateway.wait(lambda line: line["event"] in ("released", "release-done", "release"))
    assert [body_of(stored) for stored in sink.messages()] == [body_of(MESSAGE)]
    again = gateway.run("quarantine", "release", rows[0]["id"])
    assert again.returncode == 1, "once released is released"
    assert gateway.stop() == 0
    offline = gateway.run("quarantine", "list", "--json")
    assert json.loads(offline.stdout)[0]["state"] == "released"


def test_reload_drops_no_connection(gateway, sink):
    with gateway.smtp() as old:
        old.ehlo()
        assert gateway.reload()["event"] == "reloaded"
        with gateway.smtp() as new:
            new.ehlo()
            assert new.message(MESSAGE).code == 250
        assert old.message(MESSAGE).code == 250
    assert len(sink.messages()) == 2


def test_broken_configuration_changes_nothing(gateway, sink):
    gateway.expect("config-error", "reload-refused")
    gateway.write("hostnam = \"x\"\n")
    assert gateway.reload()["event"] == "reload-refused"
    assert any("gatepost.conf:1:1: unknown key" in line["text"] for line in gateway.events("config-error"))
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250
    assert len(sink.messages()) == 1


def test_stop_finishes_what_is_under_way(gateway, sink):
    with gateway.smtp() as smtp:
        smtp.ehlo()
        smtp.command("MAIL FROM:<bob@example.org>")
        smtp.command("RCPT TO:<alice@example.net>")
        assert smtp.command("DATA").code == 354
        smtp.send(MESSAGE[:100])
        gateway.terminate()
        gateway.wait_event("stopping")
        smtp.send(MESSAGE[100:].replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert smtp.reply().code == 250
    assert len(sink.messages()) == 1


@pytest.mark.parametrize("text, words", [
    ("", "no domain section"),
    ("domain \"a.example\" { backend = \"smtp://h\" }\nfilter \"spff\" { }\n", "spff"),
    ("domain \"a.example\" { backend = \"smtp://h\" }\npolicy { tag_scor = 1 }\n", "tag_score"),
])
def test_wrong_configuration_is_named(make_gateway, text, words):
    gateway = make_gateway(start=False)
    gateway.write(f'hostname = "mx.example.net"\nstate_dir = "{gateway.state}"\n'
                  f'listen "127.0.0.1:0" {{ }}\n{text}')
    for name in (["config", "check"], ["run"]):
        done = gateway.run(*name)
        assert done.returncode == 1, done
        assert words in done.stderr, done.stderr
