"""Debian's real Dovecot with the recipe of gateway/deploy/dovecot: moves between folders are lessons."""

import imaplib

import pytest

from tests.fakes.gateway import TIMEOUT
from tests.fakes.servers import Imap, free_port

TOKEN = "0123456789abcdef-token"


def message(number):
    return (f"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: Offer {number}\r\n"
            f"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number}@example.org>\r\n\r\n"
            f"This is offer {number}, the best of its kind.\r\n").encode()


@pytest.fixture
def imap(make_gateway, folder, sink, closing):
    token = folder / "admin.token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o644)
    gateway = make_gateway(backend=sink.url, extra=f'admin {{ listen = "127.0.0.2:0" token_file = "{token}" }}')
    port = [line["port"] for line in gateway.events("listening") if line["listener"] == "127.0.0.2:0"][-1]
    server = Imap(f"127.0.0.2:{port}", TOKEN)
    closing.add(server.close)
    client = imaplib.IMAP4("127.0.0.1", server.port, timeout=TIMEOUT)
    closing.add(client.shutdown)
    client.login("alice", "any")
    client.server, client.gateway = server, gateway
    return client


def put(imap, folder, octets):
    done, data = imap.append(folder, "", None, octets)
    assert done == "OK", data


def move(imap, source, target):
    """The first message of a folder, with MOVE (RFC 6851)."""
    assert imap.select(source)[0] == "OK"
    done, data = imap._simple_command("MOVE", "1", target)
    assert done == "OK", data


def lessons(imap):
    """Dovecot answers when the script has run, so what was learned is counted by then."""
    told = imap.gateway.api("/stat")
    labels = {line["symbol"]: line["revision"] for line in told["statfiles"]}
    assert labels["BAYES_SPAM"] + labels["BAYES_HAM"] == told["learned"]
    return labels["BAYES_SPAM"], labels["BAYES_HAM"]


def test_moves_are_lessons(imap):
    put(imap, "INBOX", message(1))
    assert lessons(imap) == (0, 0)
    move(imap, "INBOX", "Junk")
    assert lessons(imap) == (1, 0), imap.server.log.read_text()
    move(imap, "Junk", "INBOX")
    assert lessons(imap) == (1, 1), imap.server.log.read_text()


def test_copy_and_store_is_a_lesson_too(imap):
    put(imap, "INBOX", message(2))
    imap.select("INBOX")
    assert imap.copy("1", "Junk")[0] == "OK"
    assert lessons(imap) == (1, 0), imap.server.log.read_text()


def test_what_says_nothing(imap):
    put(imap, "Junk", message(3))
    assert lessons(imap) == (0, 0), "put there by the server, or an import"
    move(imap, "Junk", "Trash")
    assert lessons(imap) == (0, 0), "tidied up"
    put(imap, "INBOX", message(4))
    move(imap, "INBOX", "Trash")
    assert lessons(imap) == (0, 0)


def test_the_giver_is_the_mailbox_user(imap):
    put(imap, "INBOX", message(5))
    move(imap, "INBOX", "Junk")
    imap.gateway.stop()
    for who, count in (("bob", 0), ("alice", 1)):
        undone = imap.gateway.run("bayes", "undo", "--who", who)
        assert undone.returncode == 0 and f"{count} " in undone.stdout, undone.stdout + undone.stderr


def test_a_move_succeeds_without_the_gateway(imap):
    imap.server.aim(f"127.0.0.1:{free_port()}")
    put(imap, "INBOX", message(6))
    move(imap, "INBOX", "Junk")
    imap.select("Junk")
    assert imap.search(None, "ALL")[1] == [b"1"]
    assert lessons(imap) == (0, 0)
