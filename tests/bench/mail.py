"""The mail that is sent in measurements: real mail of ../shared/corpora where it is there, else our own
demonstration mail over and over; with a client address, an envelope, and DNS records that let authentication work."""

import base64
import email.utils
import json
import pathlib
import random
import re

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes import corpora

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEED = 20
LESSONS = 1000  # a label
ADDRESS = re.compile(rb"[\w.+=-]+@((?:[a-z0-9-]+\.)+[a-z]{2,})", re.I)
RECEIVED_IP = re.compile(rb"\[(\d{1,3}(?:\.\d{1,3}){3})\]")
SIGNATURE = re.compile(rb"^dkim-signature:(?:.*\r?\n)(?:[ \t].*\r?\n)*", re.I | re.M)
PRIVATE = re.compile(r"^(0|10|127|192\.168|169\.254|172\.(1[6-9]|2\d|3[01])|22[4-9]|2[3-5]\d)\.")


class Mail:
    """count messages in folder: meta (for load), zone (for dnsstub), and lessons {label: [paths]}."""

    def __init__(self, folder, count):
        self.folder, self.random = pathlib.Path(folder), random.Random(SEED)
        self.is_real, self.records = True, set()
        try:
            labelled = corpora.index()
        except pytest.skip.Exception:
            labelled, self.is_real = [], False
        chosen = self.random.sample(labelled, count + 4 * LESSONS) if labelled else []
        self.lessons = {label: [p for name, p in chosen[count:] if name == label][:LESSONS]
                        for label in ("spam", "ham")}
        sources = [path.read_bytes() for _, path in chosen[:count]] or self._demo(count)
        (self.folder / "mail").mkdir()
        lines = [self._line(i, octets) for i, octets in enumerate(sources)]
        self.mean_octets = sum(map(len, sources)) / count
        self.meta, self.zone = self.folder / "meta", self.folder / "zone"
        self.meta.write_text("".join(lines))
        self.zone.write_text("".join(f"{line}\n" for line in sorted(self.records)))

    @staticmethod
    def _demo(count):
        folder = ROOT / "corpus/demo"
        files = [folder / entry["file"] for entry in json.loads((folder / "messages.json").read_text())]
        return [files[i % len(files)].read_bytes() for i in range(count)]

    def _line(self, number, octets):
        octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        path = self.folder / f"mail/{number}.eml"
        path.write_bytes(octets)
        head = octets.partition(b"\r\n\r\n")[0] + b"\r\n"
        client, sender = self._client(head), self._sender(head, number)
        domain = sender.rsplit("@", 1)[1]
        self._publish(domain, client, head)
        return f"{path}\t{client}\tmail.{domain}\t{sender}\tuser{number % 500}@example.net\tmail.{domain}\n"

    def _client(self, head):
        """Who handed it over, as far as it says so."""
        found = [ip.decode() for ip in RECEIVED_IP.findall(head)]
        for ip in found:
            if all(int(part) < 256 for part in ip.split(".")) and not PRIVATE.match(ip):
                return ip
        return f"198.51.{self.random.randrange(100, 150)}.{self.random.randrange(1, 255)}"

    @staticmethod
    def _sender(head, number):
        line = re.search(rb"^from:.*(?:\r\n[ \t].*)*", head, re.I | re.M)
        address = email.utils.parseaddr(line.group()[5:].decode("latin-1"))[1] if line else ""
        found = ADDRESS.fullmatch(address.encode("latin-1"))
        return found.group().decode() if found and len(address) < 200 else f"sender{number}@sender.example"

    def _publish(self, domain, client, head):
        """SPF that names the client for two senders of three, DMARC, and a key for each signature."""
        domain = domain.lower()
        ip = client if hash_of(domain + client) % 3 else "192.0.2.1"
        if not any(r.startswith(f"{domain}\tTXT") for r in self.records):
            self.records.add(f"{domain}\tTXT\tv=spf1 ip4:{ip} -all")
            self.records.add(f"_dmarc.{domain}\tTXT\tv=DMARC1; p=none; rua=mailto:dmarc@{domain}")
            self.records.add(f"{domain}\tA\t{ip}")
        for signature in SIGNATURE.findall(head):
            tags = {k.strip(): v.strip() for k, _, v in
                    (tag.partition(b"=") for tag in re.sub(rb"\s", b"", signature.partition(b":")[2]).split(b";"))}
            names = [tags.get(key, b"").decode("latin-1").lower() for key in (b"s", b"d")]
            if all(re.fullmatch(r"[\w.-]{1,120}", name) for name in names):
                self.records.add(f"{names[0]}._domainkey.{names[1]}\tTXT\t{public_key()}")


def hash_of(text):
    """Not Python's own, which differs from run to run."""
    return sum((i + 1) * ord(c) for i, c in enumerate(text))


_key = []


def public_key():
    """One key of 2048 bits for everybody, made once a run: it has signed nothing, and the verifier hashes and
    computes as it would for the right one."""
    if not _key:
        public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        _key.append("v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode())
    return _key[0]
