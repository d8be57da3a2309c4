"""What hostile clients do to an SMTP server, over a real gateway: smuggling, injection, commands out of order,
floods. Each test is a table over one gateway, for which its cases are strangers to each other."""

import re
import socket

import pytest

from tests.fakes.backend import Backend
from tests.fakes.smtp import Smtp, proxy_v1

HEAD = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: abuse\r\n"
        b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n")
MESSAGE = HEAD + b"\r\nDear Alice\r\n"
LISTENERS = {"127.0.0.1:0": "", "127.0.0.2:0": 'proxy_protocol_from = "127.0.0.1"'}
LIMITS = "connection_rate = 0 message_size = 150kB connections_per_client = 1000"
QUICK = "\n".join(f'filter "{name}" {{ enabled = false }}' for name in ("clamav", "rules", "bayes", "geo"))


@pytest.fixture
def backend(closing):
    made = Backend()
    closing.add(made.close)
    return made


@pytest.fixture
def target(make_gateway, backend):
    gateway = make_gateway(backend=backend.url, extra=QUICK, listeners=LISTENERS, limits=LIMITS)
    gateway.expect("backend-down")
    yield gateway
    # Whatever was done to it, it serves.
    backend.script = {}
    with gateway.smtp() as smtp:
        smtp.ehlo()
        assert smtp.message(MESSAGE).code == 250
    assert not gateway.events("role-died") and not gateway.events("inspector-died")


class Wrong(list):
    """Collects what is wrong, so that one run shows all."""

    def unless(self, holds, *what):
        if not holds:
            self.append(" ".join(map(str, what)))

    def show(self):
        assert not self, "\n".join(self)


def replies_to_the_end(smtp):
    """All that comes until the connection ends: codes."""
    found = []
    while True:
        try:
            found.append(smtp.reply())
        except (EOFError, ConnectionResetError):
            return found


def begin(gateway, recipient="alice@example.net", sender="bob@example.org", tls=False, verb="DATA"):
    smtp = gateway.smtp()
    smtp.ehlo()
    if tls:
        smtp.starttls()
        smtp.ehlo()
    assert smtp.command(f"MAIL FROM:<{sender}>").code == 250
    assert smtp.command(f"RCPT TO:<{recipient}>").code == 250
    if verb == "DATA":
        assert smtp.command("DATA").code == 354
    return smtp


# ---- smuggling

SEQUENCES = [b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n.\r\r\n",
             b"\r\r\n.\r\r\n", b"\r\r\n.\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\n\r\n", b"\n\n.\n\n",
             b"\r\n..\r\n", b"\r\n. \r\n", b"\r\n.\t\r\n", b"\x85.\x85", b"\r\n.\r\n"[:3] + b"\x0b\r\n"]
SMUGGLED = (b"MAIL FROM:<admin@example.net>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\n"
            b"From: admin@example.net\r\nSubject: smuggled\r\n\r\nsmuggled\r\n")
PLACES = {"body": HEAD + b"\r\ntext", "headers": HEAD[:-2], "start": HEAD}


def send_data(smtp, octets, way):
    stream = octets + b".\r\nQUIT\r\n"
    if way == "octets":
        for i in range(len(HEAD), len(octets)):
            smtp.send(stream[i:i + 1] if i > len(HEAD) else stream[:i + 1])
        stream = stream[len(octets):]
    smtp.send(stream)


def send_bdat(smtp, octets, split):
    smtp.send(b"BDAT %d\r\n" % split + octets[:split] + b"BDAT %d LAST\r\n" % (len(octets) - split)
              + octets[split:] + b"QUIT\r\n")


@pytest.mark.parametrize("way", ["at-once", "octets", "tls", "bdat", "bdat-edge"])
def test_smuggling(target, backend, way):
    """One message was said to begin: at most one arrives, with no line end but CRLF in it, and the sender is
    told 250 just as often."""
    wrong = Wrong()
    places = {"body": PLACES["body"]} if way == "tls" else PLACES  # there only the records are others
    for place, before in places.items():
        for number, sequence in enumerate(SEQUENCES):
            local, case = f"{way}-{place}-{number}", f"{way} {place} {sequence!r}:"
            smtp = begin(target, f"{local}@example.net", tls=way == "tls", verb="BDAT" if "bdat" in way else "DATA")
            try:
                octets = before + sequence + SMUGGLED
                if "bdat" in way:
                    send_bdat(smtp, octets, len(before) + (len(sequence) // 2 + 1 if way == "bdat-edge" else 0))
                else:
                    send_data(smtp, octets, way)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it had heard enough
            replies = replies_to_the_end(smtp)
            smtp.close()
            taken = sum(reply.code == 250 and "taken as" in reply.text for reply in replies)
            there = [octets for recipients, octets in backend.messages if f"{local}@example.net" in recipients]
            wrong.unless(len(there) <= 1 and len(there) == taken, case, replies, f"{len(there)} downstream")
            for octets in there:
                rest = octets.replace(b"\r\n", b"")
                wrong.unless(b"\r" not in rest and b"\n" not in rest, case, "a bare CR or LF left us")
    wrong.unless(not any("victim@example.net" in r for r, _ in backend.messages), "a message was smuggled in")
    wrong.show()


# ---- STARTTLS

def test_starttls(target, backend):
    wrong = Wrong()
    # What is sent behind STARTTLS in the clear is not answered inside TLS, nor at all.
    for injected in (b"RSET\r\n", b"EHLO x\r\n", b"MAIL FROM:<x@example.org>\r\nRCPT TO:<victim@example.net>\r\n", b"x"):
        with target.smtp() as smtp:
            smtp.ehlo()
            smtp.send(b"STARTTLS\r\n" + injected)
            reply = smtp.reply()
            wrong.unless(reply.code == 501 and smtp.closed(), injected, reply)
    # All that was said before it is forgotten.
    with target.smtp() as smtp:
        smtp.ehlo()
        smtp.command("MAIL FROM:<bob@example.org>")
        smtp.command("RCPT TO:<alice@example.net>")
        smtp.starttls()
        for command in ("RCPT TO:<alice@example.net>", "DATA", "MAIL FROM:<bob@example.org>"):
            wrong.unless(smtp.command(command).code == 503, command, "after STARTTLS")
        smtp.ehlo()
        wrong.unless(smtp.command("DATA").code == 503, "DATA after EHLO in TLS")
        wrong.unless(smtp.command("STARTTLS").code == 503, "STARTTLS twice")
        wrong.unless(smtp.message(MESSAGE).code == 250, "a message in TLS")
    # No handshake comes; half of one; the end of TLS within a message.
    for octets in (b"EHLO x\r\n", b"\x16\x03\x01\x02\x00", b"\0" * 4096):
        with target.smtp() as smtp:
            smtp.ehlo()
            smtp.command("STARTTLS")
            replies = b""
            try:
                smtp.send(octets)
                smtp.socket.shutdown(socket.SHUT_WR)
                while chunk := smtp.socket.recv(4096):
                    replies += chunk
            except OSError:
                pass  # it had heard enough
            wrong.unless(b"250" not in replies, "no handshake", octets[:8], replies)
    for verb in ("DATA", "BDAT 1000"):
        smtp = begin(target, tls=True, verb="")
        smtp.send(verb.encode() + b"\r\n")
        if verb == "DATA":
            smtp.reply()
        smtp.send(HEAD)
        smtp.close()
    wrong.unless(len(backend.messages) == 1, len(backend.messages), "downstream")
    wrong.show()


# ---- order, groups, floods

DIALOGUES = {
    "data-before-354": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n" + MESSAGE + b".\r\n"],
                        [250, 250, 250, 554, "end"]),
    "helo-and-groups": ([b"HELO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\n"], [250, 554, "end"]),
    "ehlo-in-a-group": ([b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n"], [554, "end"]),
    "no-ehlo": ([b"MAIL FROM:<a@b.example>\r\n"], [503]),
    "rset": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\nRSET\r\nDATA\r\n"],
             [250, 250, 250, 250, 503]),
    "ehlo-again": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\n", b"EHLO y\r\n", b"DATA\r\n"],
                   [250, 250, 250, 250, 503]),
    "helo-again": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\n", b"HELO y\r\n",
                    b"RCPT TO:<c@example.net>\r\n"], [250, 250, 250, 250, 503]),
    "mail-twice": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nMAIL FROM:<a@b.example>\r\n"], [250, 250, 503]),
    "no-recipient": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nDATA\r\n"], [250, 250, 503]),
    "no-good-recipient": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@elsewhere.example>\r\nDATA\r\n"],
                          [250, 250, 550, 554]),
    "size-over": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example> SIZE=1000000\r\n"], [250, 552]),
    "size-huge": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example> SIZE=99999999999999999999\r\n"], [250, (501, 552)]),
    "size-negative": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example> SIZE=-1\r\n"], [250, 501]),
    "size-twice": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example> SIZE=1 SIZE=2\r\n"], [250, 501]),
    "unknown-parameter": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example> FOO=1\r\n"], [250, 555]),
    "utf8-unasked": ([b"EHLO x\r\n", "MAIL FROM:<ä@b.example>\r\n".encode(), b"MAIL FROM:<a@b.example>\r\n"],
                     [250, (501, 553), 250]),
    "smtputf8-unoffered": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example> SMTPUTF8\r\n"], [250, 555]),
    "dsn-unoffered": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example> ENVID=a+00b\r\n",
                       b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net> ORCPT=rfc822;a+00\r\n"], [250, 555, 250, 555]),
    "nul-in-a-path": ([b"EHLO x\r\n", b"MAIL FROM:<a\0@b.example>\r\n"], [250, (500, 501, 553)]),
    "lf-in-a-command": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\nRCPT TO:<c@example.net>\r\n"], [250, (500, 501, 554)]),
    "cr-in-a-command": ([b"EHLO x\r\n", b"MAIL FROM:<a\r@b.example>\r\n"], [250, (500, 501, 553)]),
    "xclient": ([b"EHLO x\r\n", b"XCLIENT ADDR=192.0.2.1\r\n"], [250, (500, 502)]),
    "xforward": ([b"EHLO x\r\n", b"XFORWARD ADDR=192.0.2.1\r\n"], [250, (500, 502)]),
    "second-proxy-header": ([b"PROXY TCP4 192.0.2.9 127.0.0.1 1 25\r\n"], [(500, 502)]),
    "auth": ([b"EHLO x\r\n", b"AUTH PLAIN AGEAYg==\r\n"], [250, 502]),
    "browser": ([b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"], [554, "end"]),
    "long-line": ([b"NOOP " + b"x" * 5000 + b"\r\n", b"NOOP\r\n"], [500, 250]),
    "endless-line": ([b"x" * 100_000], [500, "end"]),
    "errors": ([b"EHLO x\r\n", b"FOO\r\n" * 30], [250] + [500] * 21 + [421, "end"]),
    "bad-recipients": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<no@elsewhere.example>\r\n" * 30 + b"NOOP\r\n"],
                       [250, 250] + [550] * 20 + [(550, 421), "421-end"]),
    "many-recipients": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\n",
                         b"".join(b"RCPT TO:<c%d@example.net>\r\n" % i for i in range(102))],
                        [250, 250] + [250] * 100 + [452, 452]),
    "two-domains-of-one-policy": ([b"EHLO x\r\n", b"MAIL FROM:<>\r\nRCPT TO:<c@example.net>\r\n"], [250, 250, 250]),
    # BDAT
    "bdat-first": ([b"EHLO x\r\n", b"BDAT 6\r\nQUIT\r\nNOOP\r\n"], [250, 503, 250]),
    "bdat-negative": ([b"EHLO x\r\n", b"BDAT -1\r\n"], [250, 501, "end"]),
    "bdat-plus": ([b"EHLO x\r\n", b"BDAT +1\r\n"], [250, 501, "end"]),
    "bdat-nothing": ([b"EHLO x\r\n", b"BDAT\r\n"], [250, 501, "end"]),
    "bdat-words": ([b"EHLO x\r\n", b"BDAT 1 LAST x\r\n"], [250, 501, "end"]),
    "bdat-2-31": ([b"EHLO x\r\n", b"BDAT 2147483648 LAST\r\n"], [250, 552, "end"]),
    "bdat-2-63": ([b"EHLO x\r\n", b"BDAT 9223372036854775808\r\n"], [250, (501, 552), "end"]),
    "bdat-2-64": ([b"EHLO x\r\n", b"BDAT 18446744073709551617\r\n"], [250, (501, 552), "end"]),
    "bdat-then-data": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\nBDAT 3\r\nabcDATA\r\n"],
                       [250, 250, 250, 250, 503]),
    "bdat-error-then-data": ([b"EHLO x\r\n", b"BDAT 3\r\nabcDATA\r\n"], [250, 503, 503]),
    "bdat-rset": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\nBDAT 3\r\nabcRSET\r\nBDAT 0 LAST\r\n"],
                  [250, 250, 250, 250, 250, 503]),
    "bdat-rcpt": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\nBDAT 3\r\nabcRCPT TO:<d@example.net>\r\n"],
                  [250, 250, 250, 250, 503]),
    "bdat-too-big": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\n",
                      b"BDAT 200000\r\n" + b"x\r\n" * 66666 + b"x\n", b"BDAT 1 LAST\r\nxNOOP\r\n"],
                     [250, 250, 250, 552, 503, 250]),
    "bdat-empty": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\nBDAT 0\r\nBDAT 0\r\nBDAT 0 LAST\r\n"],
                   [250, 250, 250, 250, 250, (250, 550, 554)]),
    "bdat-tiny": ([b"EHLO x\r\n", b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.net>\r\n", b"BDAT 1\r\nx" * 10_001],
                  [250, 250, 250] + [250] * 10_000 + [552]),
}


def talk(smtp, pieces, expected):
    """None, or what came instead."""
    codes = []
    for piece in pieces:
        try:
            smtp.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            break
        wanted = len([e for e in expected if not isinstance(e, str)])
        share = piece.count(b"\r\n") if piece is not pieces[-1] else wanted
        while len(codes) < wanted and share > 0:
            try:
                codes.append(smtp.reply().code)
            except (EOFError, ConnectionResetError):
                codes.append("end")
                break
            share -= 1
            if piece[:4] in (b"BDAT", b"EHLO") and piece is not pieces[-1]:
                break
    for e, code in zip(expected, codes):
        if code not in (e if isinstance(e, tuple) else (e,)):
            return codes
    if expected[-1] == "421-end":
        rest = [reply.code for reply in replies_to_the_end(smtp)]
        return None if 421 in [*codes, *rest] else codes + rest
    if expected[-1] == "end":
        return None if smtp.closed() else [*codes, "still open"]
    return None


def test_dialogues(target, backend):
    wrong = Wrong()
    for name, (pieces, expected) in DIALOGUES.items():
        with target.smtp() as smtp:
            smtp.socket.settimeout(20)
            try:
                came = talk(smtp, pieces, expected)
            except TimeoutError:
                came = "silence"
            wrong.unless(came is None, name, came if len(str(came)) < 300 else str(came)[-300:], "instead of",
                         str(expected)[-200:])
    wrong.unless(not [m for m in backend.messages if b"Dear Alice" in m[1]], "something was delivered")
    wrong.show()


def test_nothing_is_left_of_a_refused_message(target, backend):
    """R2: after any end of a message the next one begins from nothing."""
    wrong = Wrong()
    ends = {"refused": b"From: x@a.example\r\n" + MESSAGE, "nul": HEAD + b"\r\n\0\r\n", "too big": HEAD + b"\r\n" + b"x" * 160_000,
            "taken": MESSAGE}
    for name, octets in ends.items():
        smtp = begin(target, f"first-{name.replace(' ', '')}@example.net", verb="")
        first = smtp.data(octets)
        wrong.unless((first.code == 250) == (name == "taken"), name, first)
        if name != "nul" and not (first.code == 552):
            wrong.unless(smtp.command("RCPT TO:<second@example.net>").code == 503, name, "RCPT without MAIL")
            wrong.unless(smtp.command("DATA").code == 503, name, "DATA without MAIL")
            reply = smtp.message(MESSAGE, recipients=[f"second-{name.replace(' ', '')}@example.net"])
            wrong.unless(reply.code == 250, name, "the next message", reply)
        smtp.close()
    for recipients, _ in backend.messages:
        wrong.unless(len(recipients) == 1, recipients)
    wrong.show()


def test_early_talker(target):
    with socket.create_connection(("127.0.0.2", target.ports["127.0.0.2:0"]), 20) as s:
        s.sendall(proxy_v1("192.0.2.7") + b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n")
        answer = b"".join(iter(lambda: s.recv(4096), b""))
    assert answer.startswith(b"554 ") and answer.count(b"\r\n") == 1, answer


def test_client_that_leaves(target, dns, backend):
    """R15: it goes while its look-ups are under way, at each stage."""
    for i, commands in enumerate((b"", b"EHLO x\r\n", b"EHLO x\r\nMAIL FROM:<a@gone%d.example>\r\n",)):
        dns.hold("1.0.0.127.in-addr.arpa")
        smtp = target.smtp()
        for command in commands.splitlines(True):
            smtp.send(command.replace(b"%d", b"%d" % i))
        smtp.close()
        dns.release("1.0.0.127.in-addr.arpa")
    dns.zone["held.example"] = {"TXT": ["v=spf1 -all"]}
    dns.hold("held.example")
    smtp = begin(target, sender="a@held.example", verb="")
    smtp.command("DATA")
    smtp.send(MESSAGE + b".\r\n")
    dns.wait_asked("held.example", "TXT")
    smtp.close()
    dns.release("held.example")


# ---- PROXY

V2 = b"\r\n\r\n\0\r\nQUIT\n"
PROXIES = {
    "v1": (proxy_v1("192.0.2.7"), 220), "v1-6": (proxy_v1("2001:db8::7", to="::1"), 220),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", 220),
    "v2": (V2 + b"\x21\x11\0\x0c\xc0\0\2\7\x7f\0\0\1\x9c\x40\0\x19", 220),
    "v2-local": (V2 + b"\x20\0\0\0", 220),
    "none": (b"EHLO x\r\n", None), "http": (b"GET / HTTP/1.1\r\n\r\n", None),
    "v1-long": (b"PROXY TCP4 192.0.2.7 127.0.0.1 1 " + b"2" * 100 + b"\r\n", None),
    "v1-lf": (b"PROXY TCP4 192.0.2.7 127.0.0.1 1 25\n", None),
    "v1-octal": (b"PROXY TCP4 0300.0.2.7 127.0.0.1 1 25\r\n", None),
    "v1-port": (b"PROXY TCP4 192.0.2.7 127.0.0.1 99999 25\r\n", None),
    "v1-family": (b"PROXY TCP4 2001:db8::7 ::1 1 25\r\n", None),
    "v2-version": (V2 + b"\x31\x11\0\x0c" + b"\0" * 12, None),
    "v2-short": (V2 + b"\x21\x11\0\4\xc0\0\2\7", None),
    "v2-long": (V2 + b"\x21\x11\xff\xff" + b"\0" * 65535, None),
    "v2-tlv": (V2 + b"\x21\x11\0\x10\xc0\0\2\7\x7f\0\0\1\x9c\x40\0\x19\x04\xff\xff\0", (220, None)),
    "v2-unix": (V2 + b"\x21\x31\0\xd8" + b"a" * 216, (220, None)),
}


def test_proxy_header(target, backend):
    wrong, port = Wrong(), target.ports["127.0.0.2:0"]
    for name, (octets, expected) in PROXIES.items():
        code, taken = None, None
        with socket.create_connection(("127.0.0.2", port), 20) as s:
            smtp = Smtp.__new__(Smtp)
            smtp.socket, smtp.buffer = s, b""
            try:
                s.sendall(octets)
                if expected is None:
                    s.shutdown(socket.SHUT_WR)
                code = smtp.reply().code
                smtp.ehlo()
                taken = smtp.message(MESSAGE, recipients=[f"proxy-{name}@example.net"]).code
            except (EOFError, OSError, ValueError):
                pass
        wrong.unless(code in (expected if isinstance(expected, tuple) else (expected,)), name, code)
        if name in ("v1", "v1-6", "v2"):
            wrong.unless(taken == 250, name, "mail:", taken)
        if name in ("v2-local", "v1-unknown", "v2-unix"):
            wrong.unless(taken != 250, name, "mail was taken from nobody")
    # From an address that is not listed the header is not even read.
    with socket.socket() as s:
        s.bind(("127.0.0.9", 0))
        s.settimeout(20)
        s.connect(("127.0.0.2", port))
        try:
            s.sendall(proxy_v1("192.0.2.7"))
            wrong.unless(s.recv(100) == b"", "an unlisted source was answered")
        except ConnectionResetError:
            pass
    # On a listener without it, it is no command; and the client stays who it is.
    clients = {line["client"] for line in target.events("message")}
    wrong.unless(clients <= {"192.0.2.7", "2001:db8::7", "127.0.0.1"}, clients)
    wrong.show()


# ---- honest but odd

def test_odd_but_right(target, backend):
    wrong = Wrong()
    cases = {
        "null-sender": ("", MESSAGE),
        "quoted-sender": ('"a b"@example.org', MESSAGE),
        "eight-bit": ("bob@example.org", HEAD + b"\r\n\xc3\xa4\xff\xfe 8 bit without a word\r\n"),
        "eight-bit-header": ("bob@example.org", b"X-Odd: \xc3\xa4\xff\r\n" + MESSAGE),
        "long-header": ("bob@example.org", b"X-Long: " + b"y" * 60_000 + b"\r\n" + MESSAGE),
        "folded-header": ("bob@example.org", b"X-Long: " + b"\r\n ".join([b"y" * 900] * 100) + b"\r\n" + MESSAGE),
        "dots": ("bob@example.org", HEAD + b"\r\n.\r\n..\r\n...\r\n.x\r\n"),
        "long-line": ("bob@example.org", HEAD + b"\r\n" + b"z" * 60_000 + b"\r\n"),
        "no-body": ("bob@example.org", HEAD),
        "empty-body": ("bob@example.org", HEAD + b"\r\n"),
        "fifty-hops": ("bob@example.org", b"Received: from a by b; Fri, 20 Nov 2026 12:00:00 +0000\r\n" * 50 + MESSAGE),
    }
    for name, (sender, octets) in cases.items():
        with target.smtp() as smtp:
            smtp.ehlo()
            reply = smtp.message(octets, sender=sender, recipients=[f"odd-{name}@example.net"])
        wrong.unless(reply.code == 250, name, reply)
        there = [got for recipients, got in backend.messages if f"odd-{name}@example.net" in recipients]
        wrong.unless(len(there) == 1 and there[0].endswith(octets), name, "arrived", there and there[0][-300:])
    with target.smtp() as smtp:
        smtp.ehlo()
        reply = smtp.message(b"Received: from a by b; Fri, 20 Nov 2026 12:00:00 +0000\r\n" * 101 + MESSAGE)
        wrong.unless((reply.code, reply.text[:5]) == (554, "5.4.6"), "101 hops", reply)
    wrong.show()


ANSWERS = {
    "control characters": ("550 5.1.1 \x1b[31mred\x07 \x00 nul", 550), "no text": ("550", 550), "no code": ("hello", 451),
    "two codes": ("550-5.1.1 a\r\n250 2.0.0 b", 451), "three hundred lines": ("550-5.1.1 a\r\n" * 300 + "550 5.1.1 b", 451),
    "long line": ("550 5.1.1 " + "x" * 10_000, (451, 550)), "eight bit": ("550 5.1.1 \u00e4\u00ff", 550), "class": ("550 2.1.1 no", 550),
    "no such code": ("999 9.9.9 what", 451), "low code": ("150 1.1.1 what", 451), "stale text": ("451-4.2.1 later\r\n451", 451),
}


def test_odd_answers_of_the_mailbox_server(target, backend):
    """R9, R10: they reach the sender as replies that are none but well-formed, or as a 451 of ours."""
    wrong = Wrong()
    for number, (name, (answer, code)) in enumerate(ANSWERS.items()):
        backend.script = {"RCPT": answer}
        with target.smtp() as smtp:
            smtp.ehlo()
            smtp.command("MAIL FROM:<bob@example.org>")
            try:
                reply = smtp.command(f"RCPT TO:<answer{number}@example.net>")
            except (AssertionError, EOFError) as failure:
                wrong.append(f"{name}: {failure}")
                continue
        wrong.unless(reply.code in (code if isinstance(code, tuple) else (code,)), name, reply)
        wrong.unless(re.fullmatch(r"[ -~]*", reply.text), name, "text", reply)
        wrong.unless(reply.text[:1] == str(reply.code)[:1], name, "class", reply)
    wrong.show()


def test_log_lines_are_one_line_each(target, backend):
    """What clients say is escaped: no line of the log is anything but JSON."""
    with target.smtp() as smtp:
        smtp.send(b'EHLO x\x1b[31m\xff"\\\r\n')
        smtp.reply()
        smtp.ehlo('x"\\')
        smtp.command("MAIL FROM:<\"a\\\"b\"@example.org>")
        smtp.command("RCPT TO:<alice@example.net>")
        smtp.data(b"Subject: \x1b]0;x\x07 \xe2\x80\xae \"\\ =?utf-8?b?Cg0KDQ==?=\r\n" + MESSAGE)
    target.wait_event("message")
    assert not target.noise
