"""Real mailbox servers: Debian's Postfix and Dovecot, each on a free port with a folder of its own.

messages() tells each message by the local part that it was for. Starting them takes root; without it the tests that need them are skipped.
"""

import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

WAIT = 60


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def needs(program):
    if os.geteuid() != 0:
        pytest.skip(f"starting {program} takes root")
    if not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"):
        pytest.skip(f"{program} is not installed")


def wait_for(port, what, greeting=b"220"):
    """Until it greets: connection attempts are the event, bounded by WAIT."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as s:
                if s.recv(len(greeting), socket.MSG_WAITALL) == greeting:
                    return
        except OSError:
            pass
    raise AssertionError(f"{what} did not start")


class Server:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gatepost-backend-"))
        self.folder.chmod(0o755)  # the servers' own users come through it
        self.maildirs = self.folder / "maildirs"
        self.port = free_port()
        user = pwd.getpwnam("nobody")
        self.uid, self.gid = user.pw_uid, user.pw_gid
        self.maildirs.mkdir(parents=True)
        os.chown(self.maildirs, self.uid, self.gid)

    def messages(self):
        """{local part: [octets, …]}, with the line ends of a Maildir."""
        found = {}
        for box in self.maildirs.iterdir():
            files = [*(box / "new").glob("*"), *(box / "cur").glob("*")]
            found[box.name] = [path.read_bytes() for path in files]
        return found


class Postfix(Server):
    """extra: more lines of main.cf, which win over those here."""

    def __init__(self, extra=""):
        needs("postfix")
        super().__init__()
        self.config = self.folder / "etc"
        for name in ("etc", "queue", "data"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        (self.config / "main.cf").write_text(f"""
compatibility_level = 3.6
queue_directory = {self.folder}/queue
data_directory = {self.folder}/data
maillog_file = {self.folder}/mail.log
maillog_file_prefixes = {self.folder}
myhostname = backend.example.net
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = example.net
virtual_mailbox_base = {self.maildirs}
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{self.uid}
virtual_gid_maps = static:{self.gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
message_size_limit = 52428800
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
alias_maps =
{extra}
""")
        # What Debian ships, unchrooted, with the server on our port.
        master = pathlib.Path("/usr/share/postfix/master.cf.dist")
        lines = []
        for line in master.read_text().splitlines():
            words = line.split()
            if len(words) == 8 and not line.startswith("#"):
                if words[0] == "smtp" and words[1] == "inet":
                    words[0] = f"127.0.0.1:{self.port}"
                if words[0] == "pickup" or words[1] == "inet" and words[0] != f"127.0.0.1:{self.port}":
                    continue
                words[4] = "n"
                line = " ".join(words)
            lines.append(line)
        lines.append("postlog unix-dgram n - n - 1 postlogd")
        (self.config / "master.cf").write_text("\n".join(dict.fromkeys(lines)) + "\n")
        self.run("start")
        wait_for(self.port, "Postfix")
        self.url = f"smtp://127.0.0.1:{self.port}"

    def run(self, verb):
        done = subprocess.run(["postfix", "-c", str(self.config), verb], capture_output=True,
                              text=True, check=False, timeout=WAIT,
                              env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        assert done.returncode == 0 or verb != "start", done.stderr + done.stdout

    def messages(self):
        """As above; all lie in one Maildir, and Postfix names the recipient in a header on top."""
        found = {}
        for path in (self.maildirs / "box/new").glob("*"):
            octets = path.read_bytes()
            local = re.search(rb"^Delivered-To: ([^@]+)@", octets, re.M).group(1).decode()
            found.setdefault(local, []).append(octets)
        return found

    def settle(self):
        """Until its queue is empty: all that it took is in mailboxes."""
        end = time.monotonic() + WAIT
        queues = [self.folder / "queue" / name for name in ("maildrop", "incoming", "active", "deferred")]
        while time.monotonic() < end:
            if not any(p.is_file() for q in queues if q.is_dir() for p in q.rglob("*")):
                return
        raise AssertionError("Postfix still has mail in its queue")

    def close(self):
        self.run("stop")
        shutil.rmtree(self.folder, ignore_errors=True)


class Dovecot(Server):
    def __init__(self):
        needs("dovecot")
        super().__init__()
        for name in ("run", "state"):
            (self.folder / name).mkdir()
        conf = self.folder / "dovecot.conf"
        conf.write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/dovecot.log
protocols = lmtp
ssl = no
mail_location = maildir:{self.maildirs}/%n
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = optimized
userdb {{
  driver = static
  args = uid={self.uid} gid={self.gid} home={self.maildirs}/%n allow_all_users=yes
}}
passdb {{
  driver = static
  args = nopassword=y
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {self.port}
  }}
  process_limit = 40
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
""")
        self.process = subprocess.Popen(["dovecot", "-F", "-c", str(conf)],
                                        env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        wait_for(self.port, "Dovecot")
        self.url = f"lmtp://127.0.0.1:{self.port}"

    def settle(self):
        """LMTP answers when the message is in the mailbox."""

    def close(self):
        self.process.terminate()
        self.process.wait(WAIT)
        shutil.rmtree(self.folder, ignore_errors=True)


class Imap(Server):
    """Dovecot with mailboxes over IMAP and the recipe of gateway/deploy/dovecot, its folder moved.

    Any user, any password. gateway: "127.0.0.1:8025", asked with the token.
    """

    RECIPE = pathlib.Path(__file__).resolve().parents[2] / "gateway/deploy/dovecot"

    def __init__(self, gateway, token):
        needs("dovecot")
        needs("rspamc")
        if not list(pathlib.Path("/usr/lib/dovecot").glob("**/*imap_sieve_plugin.so")):
            pytest.skip("dovecot-sieve is not installed")
        super().__init__()
        self.recipe = self.folder / "gatepost"
        for name in ("run", "state", "gatepost", "gatepost/bin"):
            (self.folder / name).mkdir()
        for name in ("report-spam.sieve", "report-ham.sieve", "90-gatepost.conf", "gatepost-learn"):
            there = self.recipe / ("bin" if name == "gatepost-learn" else ".") / name
            there.write_text((self.RECIPE / name).read_text().replace("/etc/dovecot/gatepost", str(self.recipe)))
            there.chmod((self.RECIPE / name).stat().st_mode & 0o777)
        self.aim(gateway)
        (self.recipe / "token").write_text(token + "\n")
        (self.recipe / "token").chmod(0o400)
        os.chown(self.recipe / "token", self.uid, self.gid)
        self.log = self.folder / "dovecot.log"
        conf = self.folder / "dovecot.conf"
        conf.write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.log}
protocols = imap
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{self.maildirs}/%n
first_valid_uid = 1
first_valid_gid = 1
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Junk {{
    auto = create
  }}
  mailbox Trash {{
    auto = create
  }}
}}
userdb {{
  driver = static
  args = uid={self.uid} gid={self.gid} home={self.maildirs}/%n allow_all_users=yes
}}
passdb {{
  driver = static
  args = nopassword=y
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {self.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
!include {self.recipe}/90-gatepost.conf
""")
        environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        for name in ("report-spam.sieve", "report-ham.sieve"):
            subprocess.run(["sievec", "-c", str(conf), str(self.recipe / name)], check=True, timeout=WAIT,
                           env=environment)
        self.process = subprocess.Popen(["dovecot", "-F", "-c", str(conf)], env=environment)
        wait_for(self.port, "Dovecot", b"* OK")

    def aim(self, gateway):
        """Where the gateway is."""
        (self.recipe / "server").write_text(gateway + "\n")

    def close(self):
        self.process.terminate()
        self.process.wait(WAIT)
        shutil.rmtree(self.folder, ignore_errors=True)
