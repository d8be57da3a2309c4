"""A scripted DNS server on loopback, UDP and TCP.

    dns = Dns({"example.org": {"TXT": ["v=spf1 -all"], "MX": [[10, "mx.example.org"]]},
               "slow.example.org": {"rcode": "TIMEOUT"},
               "broken.example.org": {"TXT": {"rcode": "SERVFAIL"}}})
    ... forward = { dns.address } ...
    dns.zone["late.example.org"] = {"A": ["192.0.2.1"]}     # may change while it runs
    dns.hold("late.example.org")                            # answers wait ...
    dns.release("late.example.org")                         # ... until this
    dns.asked("late.example.org", "A")                      # how often it was asked
    dns.close()

The zone has the form of `gatepost check --facts`: names that are not listed, and under
which none is, do not exist.
"""

import socket
import socketserver
import threading

import dnslib

RCODES = {"NXDOMAIN": 3, "SERVFAIL": 2, "REFUSED": 5}


def record_data(kind, value):
    """The dnslib record of one value as it stands in a zone."""
    if kind == "TXT":
        strings = value if isinstance(value, list) else [value]
        pieces = []
        for string in strings:
            octets = string.encode("latin-1")
            pieces += [octets[i:i + 255] for i in range(0, len(octets), 255)] or [b""]
        return dnslib.TXT(pieces)
    if kind == "MX":
        return dnslib.MX(value[1], value[0])
    if kind in ("CAA", "TLSA"):
        return getattr(dnslib, kind)(*value)
    return getattr(dnslib, kind)(value)


class Dns:
    def __init__(self, zone=None, address="127.0.0.1"):
        self.zone = zone or {}
        self.questions = []
        self.follows = True  # aliases, as a recursive server does; else one step an answer
        self.negative_ttl = 5
        self._changed = threading.Condition()
        self._held = set()
        self._udp, self._tcp = self._servers(address)
        self.port = self._udp.server_address[1]
        self.address = f"{address}@{self.port}"
        for server in (self._udp, self._tcp):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def _servers(self, address):
        """Both protocols on one port that the kernel chose."""
        owner = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                reply = owner.answer(self.request[0], True)
                if reply:
                    self.request[1].sendto(reply, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                head = self.request.recv(2, socket.MSG_WAITALL)
                if len(head) == 2:
                    size = int.from_bytes(head, "big")
                    reply = owner.answer(self.request.recv(size, socket.MSG_WAITALL))
                    if reply:
                        self.request.sendall(len(reply).to_bytes(2, "big") + reply)

        class UdpServer(socketserver.ThreadingUDPServer):
            daemon_threads = True
            max_packet_size = 65535

        class TcpServer(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        for _ in range(50):
            udp = UdpServer((address, 0), Udp)
            try:
                return udp, TcpServer((address, udp.server_address[1]), Tcp)
            except OSError:  # somebody has that port over TCP
                udp.server_close()
        raise OSError("no port is free over both UDP and TCP")

    def close(self):
        with self._changed:
            self._held.clear()
            self._changed.notify_all()
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()

    def hold(self, name):
        with self._changed:
            self._held.add(name.lower())

    def release(self, name):
        with self._changed:
            self._held.discard(name.lower())
            self._changed.notify_all()

    def asked(self, name, kind):
        with self._changed:
            return self.questions.count((name.lower(), kind))

    def wait_asked(self, name, kind, timeout=20):
        """Until the question has come."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: (name.lower(), kind) in self.questions, timeout), \
                f"{name} {kind} was not asked"

    def find(self, name, kind):
        """(rcode, records as the zone has them)"""
        entry = {key.lower(): value for key, value in self.zone.items()}.get(name)
        if entry is None:
            below = any(key.lower().endswith("." + name) for key in self.zone)
            return ("NOERROR" if below else "NXDOMAIN"), []
        if kind in entry:
            value = entry[kind]
            return (value["rcode"], []) if isinstance(value, dict) else ("NOERROR", value)
        return entry.get("rcode", "NOERROR"), []

    def answer(self, packet, is_udp=False):
        """The reply's octets, or None for silence."""
        try:
            request = dnslib.DNSRecord.parse(packet)
        except dnslib.DNSError:
            return None
        name = str(request.q.qname).rstrip(".").lower()
        kind = dnslib.QTYPE[request.q.qtype]
        with self._changed:
            self.questions.append((name, kind))
            self._changed.notify_all()
            self._changed.wait_for(lambda: name not in self._held)
        reply = request.reply(ra=1, aa=0)
        rcode, values = self.find(name, kind)
        if rcode == "TIMEOUT":
            return None
        reply.header.rcode = RCODES.get(rcode, 0)
        owner = name
        for _ in range(16):
            alias = self.zone.get(owner, {}).get("CNAME")
            if kind == "CNAME" or not alias or values:
                break
            reply.add_answer(dnslib.RR(owner, dnslib.QTYPE.CNAME, ttl=5, rdata=dnslib.CNAME(alias[0])))
            owner = alias[0].rstrip(".").lower()
            if not self.follows:
                break
            rcode, values = self.find(owner, kind)
            reply.header.rcode = RCODES.get(rcode, 0)
        for value in values:
            reply.add_answer(dnslib.RR(owner, request.q.qtype, ttl=5, rdata=record_data(kind, value)))
        if not reply.rr and rcode in ("NOERROR", "NXDOMAIN"):  # RFC 2308 3
            soa = dnslib.SOA("ns.invalid", "hostmaster.invalid", (1, 3600, 600, 86400, self.negative_ttl))
            zone = ".".join(name.split(".")[-2:])
            reply.add_auth(dnslib.RR(zone, dnslib.QTYPE.SOA, ttl=self.negative_ttl, rdata=soa))
        octets = reply.pack()
        if is_udp and len(octets) > 1232:  # RFC 7766: come again over TCP
            short = request.reply(ra=1, aa=0)
            short.header.tc = 1
            return short.pack()
        return octets
