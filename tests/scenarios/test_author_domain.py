"""Whom a message is from, when domains are written in Unicode: one canonical A-label wherever a domain is
compared, looked up or shown; what has none is no author."""

import json

import pytest

from tests.fakes import gateway as fakes

REST = "To: alice@example.net\r\nSubject: x\r\nDate: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@x.example>\r\n\r\nHi\r\n"
BOOKS = "xn--bcher-kva.example"
ZONE = {BOOKS: {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]}, f"_dmarc.{BOOKS}": {"TXT": ["v=DMARC1; p=reject"]},
        "example.org": {"TXT": ["v=spf1 -all"]}, "_dmarc.example.org": {"TXT": ["v=DMARC1; p=reject"]}}


@pytest.fixture
def check(tmp_path):
    def run(author, sender="", conf="", **facts):
        facts = {"now": "2026-11-20T12:00:00Z", "client": {"ip": "192.0.2.1"}, "helo": "mail.x.example",
                 "mail_from": sender, "dns": ZONE, **facts}
        (tmp_path / "facts").write_text(json.dumps(facts))
        (tmp_path / "message").write_bytes((f"From: {author}\r\n" + REST).encode("utf-8", "surrogateescape"))
        options = []
        if conf:
            (tmp_path / "conf").write_text(conf)
            options = ["-c", tmp_path / "conf"]
        done = fakes.command("check", "--json", "--facts", tmp_path / "facts", *options, tmp_path / "message",
                             user=None, group=None, extra_groups=None)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    return run


def author_of(verdict):
    dmarc = verdict["auth"]["dmarc"]
    return dmarc["author_domain"] if dmarc else None


@pytest.mark.parametrize("domain", [
    "bücher.example", "BÜCHER.example", "bu\u0308cher.example", "XN--BCHER-KVA.example",
    "bücher\u3002example", "ｂücher.example", "bü\u00adcher.example",
])
def test_every_spelling_is_one_domain(check, domain):
    verdict = check(f"<a@{domain}>", sender=f"a@{domain}")
    auth = verdict["auth"]
    assert (auth["spf"]["result"], auth["spf"]["domain"]) == ("pass", BOOKS), auth["spf"]
    assert author_of(verdict) == BOOKS and auth["dmarc"]["result"] == "pass", auth["dmarc"]
    assert f"header.from={BOOKS}" in verdict["authentication_results"]
    assert verdict["authentication_results"].isascii()


@pytest.mark.parametrize("domain, canonical", [
    ("ex\u0430mple.org", "xn--exmple-4nf.org"),      # Cyrillic a
    ("examp\u04cfe.org", None),                      # Cyrillic palochka
    ("exa\u200bmple.org", "example.org"),            # zero width: mapped away, so it is the real one
    ("ＥＸＡＭＰＬＥ.ORG", "example.org"),           # full width: the same
    ("example.org\u2024x.example", None),            # one dot leader
])
def test_what_looks_alike_is_what_it_is(check, domain, canonical):
    """Never the domain that it looks like, unless the standards say that it is that one."""
    verdict = check(f"<a@{domain}>", sender="a@attack.example")
    if verdict["action"] == "reject":
        assert author_of(verdict) in (None, ""), verdict["auth"]["dmarc"]
        return
    assert canonical is None or author_of(verdict) == canonical, verdict["auth"]["dmarc"]
    assert (author_of(verdict) == "example.org") == (canonical == "example.org")
    assert verdict["auth"]["dmarc"]["result"] != "pass"


@pytest.mark.parametrize("author", [
    "a\uff20example.org",                       # full width @
    "a@b\u00fccher.example\x00.example.org",    # NUL
    "a@xn--a.example", "a@xn--bcher-.example",  # A-labels of nothing
    "a@b\udcff.example",                        # no UTF-8
    "a@\u202egro.elpmaxe",                      # right to left
    "a@exam\u0338ple..org", "a@-x.example", "a@ex ample.org", "a@[192.0.2.1]", "a@example.org\u200e x",
])
def test_what_has_no_canonical_form_is_no_author(check, author):
    verdict = check(author, sender="a@attack.example")
    assert verdict["action"] == "reject" and verdict["reply"].startswith("550 5."), verdict
    assert "From" in verdict["reply"] or "header" in verdict["reply"].lower() or "NUL" in verdict["reply"]
    assert verdict["reply"].isascii()


def test_a_signature_in_unicode_is_of_the_same_domain(check):
    """d= in A-labels (RFC 8616 4); one in Unicode names the same key, or none."""
    signature = ("DKIM-Signature: v=1; a=rsa-sha256; d=bücher.example; s=s; h=from; "
                 "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=dGVzdA==")
    verdict = check(f"<a@bücher.example>\r\n{signature}")
    assert verdict["auth"]["dkim"][0]["domain"] in (BOOKS, ""), verdict["auth"]["dkim"]
    assert verdict["authentication_results"].isascii()


def test_recipients_and_configuration(check):
    conf = ('hostname = "mx.example.net"\nstate_dir = "/nonexistent"\n'
            'domain "BÜCHER.example" { backend = "smtp://127.0.0.1:9" reject_score = -40 '
            'quarantine_score = -45 tag_score = -50 }\n'
            'domain "example.net" { backend = "smtp://127.0.0.1:9" }\n')
    for recipient in ("alice@bücher.example", f"alice@{BOOKS}", "alice@Bücher.EXAMPLE"):
        verdict = check(f"<a@{BOOKS}>", sender=f"a@{BOOKS}", conf=conf, rcpt_to=[recipient])
        assert verdict["recipients"][0]["action"] == "reject", verdict
        assert "relaying" not in verdict["reply"], (recipient, verdict["reply"])
