"""A mailbox server that answers as a test tells it to, at each step.

    backend = Backend(lmtp=False)
    backend.script = {"RCPT": "450 4.2.0 Later"}         # a reply for this verb, instead of success
    backend.script = {"RCPT": {"b@example.net": "550 5.1.1 No"}}   # by recipient
    backend.script = {"CONTENT": DROP}                   # CONTENT: after DATA's 354, before the dot is read
    backend.script = {"DOT": "554 5.6.0 No"}             # DOT: the reply to the content; LMTP: by recipient too
    backend.script = {"DOT": TAKE_AND_DROP}              # keeps the message, and says nothing
    backend.messages                                     # [(recipients that have it, octets)]

    backend.gate.clear()                                 # takes content, and is silent until gate.set()

The script may change at any time: it is read at each command.
"""

import socket
import socketserver
import threading

DROP = "drop"
TAKE_AND_DROP = "take and drop"


class Dropped(Exception):
    pass


class Session(socketserver.StreamRequestHandler):
    def say(self, reply):
        if reply == DROP:
            raise Dropped
        self.wfile.write(reply.encode() + b"\r\n")

    def scripted(self, verb, default, address=None):
        reply = self.server.backend.script.get(verb, default)
        return reply.get(address, default) if isinstance(reply, dict) else reply

    def content(self):
        lines = []
        while True:
            line = self.rfile.readline()
            if not line.endswith(b"\n"):
                raise Dropped
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)

    def data(self, recipients):
        reply = self.scripted("DATA", "354 Go on")
        self.say(reply)
        if not reply.startswith("354"):
            return
        if self.scripted("CONTENT", "") == DROP:
            raise Dropped
        octets, backend = self.content(), self.server.backend
        replies = [self.scripted("DOT", "250 2.0.0 Taken", r) for r in recipients]
        whole = not backend.lmtp
        having = [r for r, reply in zip(recipients, replies) if reply[:1] == "2" or reply == TAKE_AND_DROP]
        if having:
            backend.messages.append((having, octets))
        if TAKE_AND_DROP in replies:
            raise Dropped
        backend.gate.wait(60)
        for reply in replies[:1] if whole else replies:
            self.say(reply)

    def handle(self):
        self.server.backend.connections.append(self.connection)
        try:
            self.say("220 backend.example.net ready")
            recipients = []
            while True:
                line = self.rfile.readline().decode("latin-1").rstrip("\r\n")
                verb = line[:4].upper()
                if verb == "RCPT":
                    address = line[line.index("<") + 1:line.index(">")]
                    reply = self.scripted(verb, "250 2.1.5 Ok", address)
                    if reply.startswith("2"):
                        recipients.append(address)
                    self.say(reply)
                elif verb in ("EHLO", "LHLO"):
                    self.say("250-backend.example.net\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
                             "250-ENHANCEDSTATUSCODES\r\n250 SIZE 100000000")
                elif verb == "DATA" and recipients:
                    self.data(recipients)
                    recipients = []
                elif verb in ("MAIL", "RSET"):
                    recipients = []
                    self.say(self.scripted(verb, "250 2.1.0 Ok"))
                elif verb == "QUIT" or not line:
                    return
                else:
                    self.say("503 5.5.1 What?")
        except (Dropped, OSError):
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


class Backend:
    def __init__(self, lmtp=False, address=("127.0.0.1", 0)):
        self.lmtp, self.script, self.messages, self.connections = lmtp, {}, [], []
        self.gate = threading.Event()
        self.gate.set()
        self.server = Server(address, Session)
        self.server.daemon_threads = True
        self.server.backend = self
        self.url = f"{'lmtp' if lmtp else 'smtp'}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def owners(self):
        """{recipient: how many messages it has}"""
        found = {}
        for recipients, _ in self.messages:
            for recipient in recipients:
                found[recipient] = found.get(recipient, 0) + 1
        return found

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended
