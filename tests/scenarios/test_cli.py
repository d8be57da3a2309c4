"""The command: help, manuals, exit codes, and what the configuration prints of itself."""

import json
import re
import shutil
import subprocess

import pytest

from tests.fakes.gateway import command


def names():
    return command("--man-list").stdout.split("\n")[:-1]


def test_every_command_has_help_and_a_manual():
    assert {"run", "check", "learn", "eval", "replay", "sink", "demo", "setup", "quarantine list",
            "config check"} <= set(names())
    for name in names():
        words = name.split()
        shown = command(*words, "--help")
        assert shown.returncode == 0, (name, shown)
        assert shown.stdout.startswith(f"usage: gatepost {name}"), shown
        manual = command("--man", *words)
        assert manual.returncode == 0 and manual.stdout.startswith(".Dd "), (name, manual)
        assert f"gatepost-{name.replace(' ', '-')}" in manual.stdout
        assert name in command("--help").stdout


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_manuals_are_mdoc():
    for arguments in [["--man"], ["config", "man"], *(["--man", *name.split()] for name in names())]:
        page = command(*arguments).stdout
        done = subprocess.run(["groff", "-mdoc", "-ww", "-Tascii"], input=page, capture_output=True,
                              text=True, check=False)
        assert not done.stderr and len(done.stdout) > 200, (arguments, done.stderr)


@pytest.mark.parametrize("arguments, hint", [
    (["chekc"], 'did you mean "check"?'),
    (["quarantine", "lits"], 'did you mean "quarantine list"?'),
    (["quarantine"], "quarantine list"),
    (["check", "--jsno"], "did you mean --json?"),
    (["quarantine", "show"], "missing argument: ID"),
    (["quarantine", "list", "--limit", "0"], "must lie between 1 and"),
    (["quarantine", "learn", "eggs", "1"], "neither spam nor ham"),
    (["run", "-c"], "needs a value"),
    (["run", "somewhere"], "one argument too many"),
    ([], "COMMAND"),
])
def test_wrong_usage_is_two(arguments, hint):
    done = command(*arguments)
    assert done.returncode == 2 and hint in done.stderr and not done.stdout, done


@pytest.mark.parametrize("arguments", [
    ["status"], ["report", "list"], ["quarantine", "release", "1"], ["quarantine", "delete", "1"],
])
def test_without_a_gateway_they_say_so(make_gateway, arguments):
    gateway = make_gateway(start=False)
    done = gateway.run(*arguments)
    assert done.returncode == 1
    assert "no gateway is running" in done.stderr and "gatepost run" in done.stderr


def test_missing_file_is_named():
    for arguments in (["config", "check"], ["run"], ["status"], ["check"]):
        done = command(*arguments, "-c", "/nonexistent/gatepost.conf")
        assert done.returncode == 1 and "/nonexistent/gatepost.conf" in done.stderr, done


def test_dump_is_a_configuration_with_the_same_dump(make_gateway):
    gateway = make_gateway(start=False, domain_extra="quarantine_score = 6.5",
                           limits="message_size = 10MB", extra='scores { DKIM_NONE = 0.7 }\n'
                           'filter "dnsbl" { zone "bl.example.org" { score = 2 } }')
    first = gateway.run("config", "dump")
    assert first.returncode == 0, first.stderr
    assert re.search(r"quarantine_score = 6.5 +# .*gatepost.conf:\d+\n", first.stdout)
    assert re.search(r"message_size = 10MB +# .*gatepost.conf:\d+\n", first.stdout)
    assert re.search(r"data_timeout = \w+ +# default\n", first.stdout)
    assert "DKIM_NONE = 0.7" in first.stdout and 'zone "bl.example.org" {' in first.stdout
    gateway.write(first.stdout)
    second = gateway.run("config", "dump")

    def bare(text):
        return re.sub(r" +# .*", "", text)
    assert bare(second.stdout) == bare(first.stdout)


def test_sample_can_be_used(make_gateway):
    sample = command("config", "sample").stdout
    lines = [line.strip()[1:] for line in sample.split("\n")
             if line.strip().startswith("#") and not line.strip().startswith("# ")]
    text = "\n".join(lines).replace('"..."', '"sub.example.org"')
    for name, value in (("hostname", '"mx.example.net"'), ("backend", '"smtp://127.0.0.1"'),
                        ("token_file", '""'), ("relay", '"smtp://127.0.0.1"')):
        text = re.sub(rf"^(\s*){name} = .*$", rf"\1{name} = {value}", text, flags=re.M)
    gateway = make_gateway(start=False)
    gateway.write(text)
    done = gateway.run("config", "check")
    assert done.returncode == 0, done.stderr


def test_all_errors_at_once(make_gateway):
    gateway = make_gateway(start=False)
    gateway.write('hostnam = "x"\nlisten "nowhere" { }\npolicy { tag_score = "high" }\n'
                  'filter "spf" { enabled = maybe }\n')
    done = gateway.run("config", "check")
    assert done.returncode == 1
    for place, word in (("1:1", "hostname"), ("2:1", "listen"), ("3:", "tag_score"), ("4:", "enabled")):
        assert re.search(rf"gatepost.conf:{place}.*{word}", done.stderr), (place, done.stderr)


def pair(certificate, key):
    return f'listen "127.0.0.1:0" {{ tls_certificate = "DIR/{certificate}" tls_key = "DIR/{key}" }}'


@pytest.mark.parametrize("line, code, words", [
    (pair("one.crt", "one.key"), 0, "no errors"),
    (pair("none.crt", "one.key"), 1, "none.crt"),
    (pair("one.crt", "none.key"), 1, "none.key"),
    (pair("one.crt", "two.key"), 1, "the key does not belong to the certificate"),
    (pair("one.crt", "one.crt"), 1, "one.crt"),
    ('admin { token_file = "DIR/none" }', 1, "none"),
    ('admin { token_file = "DIR/short" }', 1, "16 to 256 characters"),
    ('admin { listen = "0.0.0.0:8025" }', 0, "speaks no TLS"),
    ('listen "127.0.0.1:0" { proxy_protocol_from = "::/0" }', 0, "claim to come from any address"),
])
def test_what_the_configuration_names_is_looked_at(make_gateway, folder, line, code, words):
    for name in ("one", "two"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-subj", "/CN=x", "-keyout", folder / f"{name}.key",
                        "-out", folder / f"{name}.crt"], check=True, stderr=subprocess.DEVNULL)
        (folder / f"{name}.key").chmod(0o644)
    (folder / "short").write_text("short\n")
    gateway = make_gateway(start=False)
    gateway.write('hostname = "mx.example.net"\ndomain "example.net" { backend = "smtp://127.0.0.1" }\n'
                  + line.replace("DIR", str(folder)) + "\n")
    done = gateway.run("config", "check")
    assert done.returncode == code and words in done.stdout + done.stderr, done
    assert code == 0 or f"{gateway.conf}:3:" in done.stderr, "the place in the file"


def test_check_and_status_print_json(gateway):
    done = gateway.run("status", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hostname"] == "mx.example.net"
    assert gateway.run("status").stdout.startswith("version: ")
