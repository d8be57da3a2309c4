"""A raw SMTP client: says exactly what it is told, and reads replies.

    with Smtp(port) as smtp:
        smtp.ehlo()
        assert smtp.command("MAIL FROM:<a@example.org>").code == 250
        reply = smtp.data(b"Subject: x\\r\\n\\r\\nbody\\r\\n")
"""

import collections
import socket
import ssl

Reply = collections.namedtuple("Reply", "code lines")
Reply.text = property(lambda self: " ".join(self.lines))


class Smtp:
    def __init__(self, port, host="127.0.0.1", proxy=None, timeout=60, greet=True):
        """proxy: the PROXY header's octets, sent before anything else."""
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        if proxy:
            self.send(proxy)
        self.banner = self.reply() if greet else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets)

    def line(self):
        while b"\n" not in self.buffer:
            got = self.socket.recv(65536)
            if not got:
                raise EOFError(f"connection closed; so far {self.buffer!r}")
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\n", 1)
        assert line.endswith(b"\r"), f"a reply line without CRLF: {line!r}"
        return line[:-1].decode("utf-8", "replace")

    def reply(self):
        lines = []
        while True:
            line = self.line()
            assert line[:3].isdigit() and line[3:4] in ("", " ", "-"), f"no reply: {line!r}"
            lines.append(line[4:])
            if line[3:4] != "-":
                return Reply(int(line[:3]), lines)

    def command(self, line):
        self.send(line.encode() + b"\r\n")
        return self.reply()

    def ehlo(self, name="client.example.org"):
        reply = self.command(f"EHLO {name}")
        assert reply.code == 250, reply
        return reply

    def starttls(self):
        assert self.command("STARTTLS").code == 220
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        self.buffer = b""

    def data(self, message):
        """The message as it is on the wire, but without its dots."""
        reply = self.command("DATA")
        if reply.code != 354:
            return reply
        stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line
                               for line in message.split(b"\r\n"))
        self.send(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return self.reply()

    def message(self, message, sender="sender@example.org", recipients=("alice@example.net",)):
        """A whole transaction; the first reply that is no success, or the last."""
        reply = self.command(f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            if reply.code // 100 != 2:
                return reply
            reply = self.command(f"RCPT TO:<{recipient}>")
        return self.data(message) if reply.code // 100 == 2 else reply

    def closed(self):
        """Has the server closed, with nothing more to read? Waits for it."""
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def proxy_v1(client, port=40000, to="127.0.0.1"):
    family = "TCP6" if ":" in client else "TCP4"
    return f"PROXY {family} {client} {to} {port} 25\r\n".encode()
