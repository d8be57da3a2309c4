"""An authority, certificates of it, and a scripted HTTPS server on loopback.

    authority = Authority(folder)
    cert, key = authority.issue("mx.example.net", days=90)     # PEM files
    server = Https(*authority.issue("mta-sts.example.net"))
    server.reply = text("version: STSv1\r\n…")                 # the octets of each response
    ... SSL_CERT_FILE=authority.path ... server.port ... server.requests
    server.close()
"""

import datetime
import os
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.gateway import runs_as_nobody

NOBODY = 65534


def text(body, status="200 OK", kind="text/plain; charset=utf-8", more=""):
    """A response of known length."""
    octets = body if isinstance(body, bytes) else body.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(octets)}\r\n\r\n"
    return head.encode() + octets


def _name(common, organization):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common),
                      x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization)])


class Authority:
    def __init__(self, folder, organization="An Authority"):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name("Root", organization)
        self.path = folder / f"authority-{os.urandom(4).hex()}.pem"
        self._put(self.path, self._sign(self.name, self.key, 3650, x509.BasicConstraints(True, None)), 0o644)

    def _sign(self, subject, key, days, *extensions):
        now = datetime.datetime.utcnow()
        made = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(days=100))
                .not_valid_after(now + datetime.timedelta(days=days)))
        for extension in extensions:
            made = made.add_extension(extension, False)
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    @staticmethod
    def _put(path, octets, mode):
        path.write_bytes(octets)
        path.chmod(mode)
        if runs_as_nobody():
            os.chown(path, NOBODY, NOBODY)

    def issue(self, name, days=90, key_of=None, url=None):
        """Paths of a certificate and its key, or somebody else's key. url: where the issuer says more of itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name, "Example")
        extensions = [x509.SubjectAlternativeName([x509.DNSName(name)])]
        if url:
            extensions.append(x509.AuthorityInformationAccess([x509.AccessDescription(
                x509.AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url))]))
        made = self._sign(subject, key, days, *extensions)
        other = ec.generate_private_key(ec.SECP256R1()) if key_of == "other" else key
        stem = f"{name}-{os.urandom(4).hex()}"
        paths = self.folder / f"{stem}-cert.pem", self.folder / f"{stem}-key.pem"
        self._put(paths[0], made, 0o644)
        self._put(paths[1], other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                serialization.NoEncryption()), 0o600)
        return paths


class Https:
    def __init__(self, certificate, key, address="127.0.0.1"):
        self.reply = text("")
        self.requests = []
        self.address = address
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server((address, 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(plain,), daemon=True).start()

    def _answer(self, plain):
        plain.settimeout(20)
        try:
            with self._context.wrap_socket(plain, server_side=True) as connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    got = connection.recv(4096)
                    if not got:
                        return
                    request += got
                self.requests.append(request)
                connection.sendall(self.reply)
                connection.unwrap()
        except OSError:  # the client did not like us
            pass
        finally:
            plain.close()

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self._listener.close()
