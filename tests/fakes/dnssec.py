"""A scripted DNS server whose zone is signed (RFC 4034, algorithm 13).

    dns = SignedDns("signed.example", {"signed.example": {"TXT": ["v=spf1 -all"]}})
    path.write_text(dns.anchor)              # for dns { trust_anchor = FILE }
    dns.broken.add("bad.signed.example")     # what is signed there is not what is sent
    dns.bare.add("bare.signed.example")      # the signature is held back

Names outside the zone are answered unsigned; of aliases the first alone is signed: let it follow none.
Negative answers carry no proof.
"""

import hashlib
import struct
import time

import dnslib
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from tests.fakes.dns import Dns

ECDSA_P256, KEY_FLAGS, TTL = 13, 257, 5


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.lower().split(".") if label) + b"\0"


def wire_data(record):
    """The record's data, without compression."""
    buffer = dnslib.dns.DNSBuffer()
    record.rdata.pack(buffer)
    return bytes(buffer.data)


class SignedDns(Dns):
    def __init__(self, apex, zone=None):
        self.apex, self.broken, self.bare = apex, set(), set()
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        self.public = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        self.dnskey = struct.pack("!HBB", KEY_FLAGS, 3, ECDSA_P256) + self.public
        total = sum(octet << 8 if i % 2 == 0 else octet for i, octet in enumerate(self.dnskey))
        self.tag = (total + (total >> 16)) & 0xffff
        digest = hashlib.sha256(wire_name(apex) + self.dnskey).hexdigest()
        self.anchor = f"{apex}. IN DS {self.tag} {ECDSA_P256} 2 {digest}\n"
        super().__init__(zone)

    def sign(self, name, kind, records):
        """The RRSIG of a set (RFC 4034 3.1.8.1)."""
        now, labels = int(time.time()), len(name.split("."))
        head = struct.pack("!HBBIIIH", kind, ECDSA_P256, labels, TTL, now + 86400, now - 86400, self.tag)
        data = sorted(wire_data(record) for record in records)
        text = head + wire_name(self.apex) + b"".join(
            wire_name(name) + struct.pack("!HHIH", kind, 1, TTL, len(d)) + d for d in data)
        r, s = utils.decode_dss_signature(self.key.sign(text, ec.ECDSA(hashes.SHA256())))
        signature = bytearray(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        if name in self.broken:
            signature[5] ^= 1
        octets = head + wire_name(self.apex) + bytes(signature)
        return dnslib.RR(name, dnslib.QTYPE.RRSIG, ttl=TTL, rdata=dnslib.RD(octets))

    def answer(self, packet, is_udp=False):
        octets = super().answer(packet, False)
        if octets is None:
            return None
        reply = dnslib.DNSRecord.parse(octets)
        name, kind = str(reply.q.qname).rstrip(".").lower(), reply.q.qtype
        if name != self.apex and not name.endswith("." + self.apex):
            return octets
        if kind == dnslib.QTYPE.DNSKEY and name == self.apex:
            reply.header.rcode, reply.auth = 0, []
            reply.add_answer(dnslib.RR(name, kind, ttl=TTL, rdata=dnslib.RD(self.dnskey)))
        for kind in {record.rtype for record in reply.rr if record.rname == reply.q.qname}:
            if name not in self.bare:
                reply.add_answer(self.sign(name, kind, [r for r in reply.rr if r.rtype == kind and r.rname == reply.q.qname]))
        reply.add_ar(dnslib.EDNS0(flags="do", udp_len=1232))
        return reply.pack()
