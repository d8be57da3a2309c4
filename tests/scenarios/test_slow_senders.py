"""A mailbox server that takes five connections, and two hundred strangers who send an octet now and then:
they hold none of its connections, so honest mail flows all the while."""

import itertools
import socket

from tests.fakes.smtp import Smtp, proxy_v1

BACKEND_CONNECTIONS, SLOW, HONEST = 5, 200, 40
MESSAGE = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: slow\r\n"
           b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nDear Alice\r\n")
LISTENERS = {"127.0.0.1:0": 'proxy_protocol_from = { "127.0.0.1" }'}


class Slow:
    """In the midst of DATA; says one octet more each time that it is asked to."""

    def __init__(self, port, number):
        self.smtp = Smtp(port, proxy=proxy_v1(f"198.51.100.{number % 250}"))
        self.smtp.ehlo()
        self.smtp.command("MAIL FROM:<slow@example.org>")
        reply = self.smtp.command(f"RCPT TO:<slow{number}@example.net>")
        assert reply.code == 250, reply
        assert self.smtp.command("DATA").code == 354
        self.rest = iter(MESSAGE + b"." b"\r\n")

    def dribble(self, octets=1):
        self.smtp.send(bytes(itertools.islice(self.rest, octets)))

    def finish(self):
        self.dribble(len(MESSAGE) + 3)
        return self.smtp.reply()


def test_honest_mail_flows(make_gateway, make_sink):
    sink = make_sink("--max-connections", BACKEND_CONNECTIONS)
    gateway = make_gateway(backend=sink.url, listeners=LISTENERS,
                           limits="connection_rate = 0 message_rate = 0 recipient_rate = 0 "
                                  f"connections_per_client = {SLOW} backend_connections = {BACKEND_CONNECTIONS}")
    slow = [Slow(gateway.port, i) for i in range(SLOW)]
    for i in range(HONEST):
        for sender in slow[i % 4::4]:
            sender.dribble()
        with Smtp(gateway.port, proxy=proxy_v1("203.0.113.5")) as smtp:
            smtp.ehlo()
            reply = smtp.message(MESSAGE, recipients=[f"honest{i}@example.net"])
        assert reply.code == 250, reply
    assert len(sink.messages()) == HONEST
    # Half of them go away, and the others' patience is rewarded.
    for sender in slow[::2]:
        sender.smtp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sender.smtp.close()
    for sender in slow[1:40:2]:
        assert sender.finish().code == 250
    assert len(sink.messages()) == HONEST + 20
    for sender in slow[41::2]:
        sender.smtp.close()


def test_who_says_nothing_is_let_go(make_gateway, make_sink):
    """Nobody holds a connection for ever: not in a command, not in a message, not octet by octet."""
    gateway = make_gateway(backend=make_sink().url, listeners=LISTENERS,
                           limits="command_timeout = 1s data_timeout = 1s session_timeout = 3s")
    with Smtp(gateway.port, proxy=proxy_v1("203.0.113.5")) as smtp:
        assert smtp.reply().code == 421 and smtp.closed()
    sender = Slow(gateway.port, 1)
    assert sender.smtp.reply().code == 421 and sender.smtp.closed()
    # One who always says something in time, but never ends.
    with Smtp(gateway.port, proxy=proxy_v1("203.0.113.6")) as smtp:
        try:
            while smtp.command("NOOP").code == 250:
                pass
        except (EOFError, OSError):
            pass
        assert smtp.closed()
