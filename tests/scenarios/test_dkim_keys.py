"""gatepost dkim: keys are made, kept for their owner alone, and their records are what verifiers read."""

import json
import pathlib
import re
import stat
import subprocess

import pytest


def test_keygen_prints_the_record_and_keeps_the_key(make_gateway):
    gateway = make_gateway(start=False)
    gateway.set_up()
    done = gateway.run("dkim", "keygen", "Example.NET", "--selector", "s1")
    assert done.returncode == 0, done.stderr
    path = pathlib.Path(re.search(r"The key is in (\S+)\. ", done.stdout)[1])
    assert path.name == "s1._domainkey.example.net.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    record = re.search(r"^s1\._domainkey\.example\.net\. IN TXT \((.*)\)$", done.stdout, re.M | re.S)[1]
    strings = re.findall(r'"([^"]*)"', record)
    assert len(strings) == 2 and all(len(s) <= 255 for s in strings)
    public = re.fullmatch(r"v=DKIM1; k=rsa; p=([A-Za-z0-9+/=]+)", "".join(strings))[1]
    shown = subprocess.run(["openssl", "pkey", "-in", path, "-pubout"], capture_output=True, text=True,
                           check=True).stdout
    assert "".join(shown.split("\n")[1:-2]) == public


def test_a_key_of_each_kind_and_a_list(make_gateway):
    gateway = make_gateway(start=False)
    gateway.set_up()
    assert "dkim keygen" in gateway.run("dkim", "list").stdout
    made = [json.loads(gateway.run("dkim", "keygen", "example.net", "--json", *more).stdout)
            for more in ([], ["--ed25519"])]
    assert [key["algorithm"] for key in made] == ["rsa-sha256", "ed25519-sha256"]
    assert re.fullmatch(r"g\d{8}", made[0]["selector"]) and made[1]["selector"].endswith("e")
    assert re.fullmatch(r"v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=", made[1]["value"])
    listed = json.loads(gateway.run("dkim", "list", "--json").stdout)
    assert {key["value"] for key in listed} == {key["value"] for key in made}
    assert "PRIVATE" not in json.dumps(listed)
    # A key is never written over.
    again = gateway.run("dkim", "keygen", "example.net")
    assert again.returncode == 1 and "another selector" in again.stderr


@pytest.mark.parametrize("arguments, hint", [
    (["../../etc"], "no domain"), (["localhost"], "no domain"), (["a b.example"], "no domain"),
    (["example.net", "--selector", "../x"], "no selector"), (["example.net", "--selector", "a/b"], "no selector"),
])
def test_names_that_are_none(make_gateway, arguments, hint):
    done = make_gateway(start=False).run("dkim", "keygen", *arguments)
    assert done.returncode == 2 and hint in done.stderr, done
