"""Every row of the outcome table from end to end, and every named fault point with every fault: a reply 2xx
means that each recipient has an owner, any other that nobody has one, but for the places where the table
says that a duplicate may come. After that the sender's retry always succeeds.

The rows for recipients of one message who are judged differently (JUDGED/SOME_HELD, HOLDING/…) need
policies of single recipients, which no configuration has yet: unit/gateway/outcome_test has them."""

import dataclasses
import itertools
import time

import pytest

from tests.fakes.backend import DROP, TAKE_AND_DROP, Backend
from tests.fakes.smtp import Smtp

MESSAGE = (b"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: outcome\r\n"
           b"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%s@example.org>\r\n\r\nDear Alice\r\n")
HOLD = 'policy { tag_score = -900 quarantine_score = -900 reject_score = 900 }'
QUICK = "\n".join(f'filter "{name}" {{ enabled = false }}' for name in ("clamav", "rules", "bayes", "geo"))
EXPECTED = ("backend-down", "backend-refuses-us", "delivery-uncertain", "delivery-repeated")
numbers = itertools.count()


def send(port, recipients, sender="bob@example.org"):
    """The last reply's code and text; (None, "") if the connection ended instead."""
    try:
        with Smtp(port) as smtp:
            smtp.ehlo()
            reply = smtp.message(MESSAGE % str(next(numbers)).encode(), sender=sender, recipients=recipients)
            return reply.code, reply.text
    except (OSError, EOFError):
        return None, ""


def owners(gateway, backend):
    """{recipient: (mailbox server, quarantine)}"""
    held, delivered = gateway.held(), backend.owners()
    found = {}
    for address in {*delivered, *(f"{local}@example.net" for local in held)}:
        found[address] = (delivered.get(address, 0), len(held.get(address.split("@")[0], [])))
    return found


def settled(gateway, backend, wanted):
    """owners() of those who are wanted to have some, or none: the keeper drops what the sender keeps
    after the sender has been told."""
    deadline = time.monotonic() + 10
    while True:
        after = owners(gateway, backend)
        found = {recipient: after.get(recipient, (0, 0)) for recipient in wanted}
        if found == wanted or time.monotonic() > deadline:
            return found


# ---- rows: one gateway for all of them, the mailbox server's script changes

@dataclasses.dataclass
class Row:
    name: str
    script: dict
    code: int
    enhanced: str
    a: tuple = (0, 0)  # owners of a@, at the mailbox server and in quarantine
    b: tuple = (0, 0)
    event: str = ""


NO = "550 5.1.1 No such mailbox"
LATER = "450 4.2.0 Later"
ROWS = [
    Row("content-taken", {}, 250, "2.0.0", (1, 0), (1, 0)),
    Row("mail-later", {"MAIL": LATER}, 450, "4.2.0"),
    Row("mail-refused", {"MAIL": "553 5.1.8 Unknown sender"}, 553, "5.1.8"),
    Row("blamed-at-mail", {"MAIL": "530 5.7.0 Authentication required"}, 451, "4.4.1", event="backend-refuses-us"),
    Row("blamed-at-rcpt", {"RCPT": "554 5.7.1 Relay access denied"}, 451, "4.4.1", event="backend-refuses-us"),
    Row("421-at-mail", {"MAIL": "421 4.3.2 Closing"}, 451, "4."),
    Row("lost-at-mail", {"MAIL": DROP}, 451, "4.4.2"),
    Row("nonsense-at-mail", {"MAIL": "what?"}, 451, "4.4.2"),
    Row("rcpt-all-refused", {"RCPT": NO}, 550, "5.1.1"),
    Row("rcpt-later", {"RCPT": LATER}, 451, "4.3.0"),
    Row("rcpt-some-later", {"RCPT": {"b": LATER}}, 451, "4.3.0"),
    Row("rcpt-some-refused", {"RCPT": {"b": NO}}, 250, "2.0.0", (1, 0), (0, 1)),
    Row("rcpt-some-refused-content-later", {"RCPT": {"b": NO}, "DOT": LATER}, 450, "4.2.0"),
    Row("rcpt-some-refused-content-refused", {"RCPT": {"b": NO}, "DOT": "554 5.6.0 No"}, 554, "5.6.0"),
    Row("rcpt-some-refused-lost", {"RCPT": {"b": NO}, "CONTENT": DROP}, 451, "4.4.2"),
    Row("lost-at-rcpt", {"RCPT": DROP}, 451, "4.4.2"),
    Row("data-later", {"DATA": "451 4.3.0 Later"}, 451, "4.3.0"),
    Row("data-refused", {"DATA": "554 5.5.1 No"}, 554, "5.5.1"),
    Row("blamed-at-data", {"DATA": "554 5.7.1 Client host rejected"}, 451, "4.4.1", event="backend-refuses-us"),
    Row("lost-at-data", {"DATA": DROP}, 451, "4.4.2"),
    Row("lost-in-content", {"CONTENT": DROP}, 451, "4.4.2"),
    Row("content-later", {"DOT": "452 4.2.2 Full"}, 452, "4.2.2"),
    Row("content-refused", {"DOT": "554 5.6.0 No"}, 554, "5.6.0"),
    Row("lost-after-dot", {"DOT": DROP}, 451, "4.4.2", event="delivery-uncertain"),
    Row("lost-after-dot-taken", {"DOT": TAKE_AND_DROP}, 451, "4.4.2", (1, 0), (1, 0), event="delivery-uncertain"),
]
LMTP_ROWS = [
    Row("content-taken", {}, 250, "2.0.0", (1, 0), (1, 0)),
    Row("content-later", {"DOT": LATER}, 450, "4.2.0"),
    Row("content-refused", {"DOT": NO}, 550, "5.1.1"),
    Row("content-some-later", {"DOT": {"b": LATER}}, 451, "4.3.0", (1, 0), event="delivery-repeated"),
    Row("content-some-refused", {"DOT": {"b": NO}}, 250, "2.0.0", (1, 0), (0, 1)),
    Row("rcpt-and-content-some-refused", {"RCPT": {"c": NO}, "DOT": {"b": NO}}, 250, "2.0.0", (1, 0), (0, 1)),
    Row("lost-after-dot", {"DOT": DROP}, 451, "4.4.2", event="delivery-uncertain"),
    Row("lost-between-replies", {"DOT": {"b": DROP}}, 451, "4.4.2", (1, 0), event="delivery-uncertain"),
]


def scripted(script, prefix):
    """The script with the recipients of this row."""
    return {verb: {f"{prefix}{local}@example.net": reply for local, reply in value.items()}
            if isinstance(value, dict) else value for verb, value in script.items()}


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
def test_rows(make_gateway, closing, lmtp):
    backend = Backend(lmtp)
    closing.add(backend.close)
    gateway = make_gateway(backend=backend.url, domain_extra="verify_recipients = false", extra=QUICK,
                           limits="connection_rate = 0")
    gateway.expect(*EXPECTED)
    wrong = []
    for i, row in enumerate(LMTP_ROWS if lmtp else ROWS):
        prefix = f"r{i}"
        names = ["a", "b"] + (["c"] if "and-content" in row.name else [])
        recipients = [f"{prefix}{name}@example.net" for name in names]
        backend.script, seen = scripted(row.script, prefix), len(gateway.log)
        code, text = send(gateway.port, recipients)
        wanted = dict(zip(recipients, [row.a, row.b, (0, 1)]))
        found = list(settled(gateway, backend, wanted).values())
        if (code, text[:len(row.enhanced)]) != (row.code, row.enhanced) or found[:2] != [row.a, row.b]:
            wrong.append(f"{row.name}: {code} {text}, owners {found}")
        if len(names) > 2 and found[2] != (0, 1):
            wrong.append(f"{row.name}: c has {found[2]}")
        if row.event and not any(line["event"] == row.event for line in gateway.log[seen:]):
            wrong.append(f"{row.name}: {row.event} is not in the log")
        # The sender tries again, and all is well by now.
        backend.script = {}
        if code // 100 == 4:
            code, text = send(gateway.port, recipients)
            after = owners(gateway, backend)
            if code != 250 or not all(sum(after.get(r, (0, 0))) for r in recipients):
                wrong.append(f"{row.name}: the retry got {code} {text}, owners {after}")
    assert not wrong, "\n".join(wrong)


def test_row_unreachable(make_gateway, closing):
    backend = Backend()
    backend.close()
    gateway = make_gateway(backend=backend.url, domain_extra="verify_recipients = false", extra=QUICK)
    gateway.expect(*EXPECTED)
    code, text = send(gateway.port, ["a@example.net"])
    assert (code, text[:5]) == (451, "4.4.1"), text
    assert not gateway.held()


@pytest.mark.parametrize("extra, code, held", [
    (HOLD, 250, ["a", "b"]),
    ("policy { tag_score = -900 quarantine_score = -900 reject_score = -900 }", 550, []),
], ids=["nobody-forwarded", "all-refused"])
def test_row_of_the_verdict(make_gateway, closing, extra, code, held):
    backend = Backend()
    closing.add(backend.close)
    gateway = make_gateway(backend=backend.url, extra=extra + "\n" + QUICK)
    assert send(gateway.port, ["a@example.net", "b@example.net"])[0] == code
    assert sorted(gateway.held()) == held and not backend.messages


# ---- fault points

# A way through the table: what is configured, and what the mailbox server says.
WAYS = {
    "held": (HOLD, False, {}),
    "forwarded": ("", False, {}),
    "late": ("", False, {"RCPT": {"b": NO}}),
    "refused": ("", True, {"DOT": {"b": NO}}),
}
# Where somebody may have the message although the sender keeps it: design.md, section 3.5.
MAY_HAVE = {
    ("held", "keeper.after-flush"), ("held", "front.after-store"), ("held", "front.before-settle"),
    ("held", "front.after-settle"), ("held", "keeper.flush"),
    ("forwarded", "front.after-dot-reply"), ("forwarded", "front.after-content"),
    ("forwarded", "front.before-settle"), ("forwarded", "front.after-settle"),
    ("late", "keeper.after-flush"), ("late", "front.after-store"), ("late", "front.before-settle"),
    ("late", "front.after-settle"), ("late", "keeper.flush"), ("late", "front.before-content"),
    ("late", "front.after-content"), ("late", "front.after-dot-reply"),
    ("refused", "front.before-store"), ("refused", "keeper.store"), ("refused", "keeper.flush"),
    ("refused", "keeper.after-flush"), ("refused", "front.after-store"), ("refused", "front.before-settle"),
    ("refused", "front.after-settle"), ("refused", "front.after-content"), ("refused", "front.after-dot-reply"),
}
POINTS = {
    "held": ["front.body-open", "front.body-write", "front.before-store", "keeper.store", "keeper.flush",
             "keeper.after-flush", "front.after-store", "front.before-settle", "front.after-settle"],
    "forwarded": ["front.before-offer", "front.after-offer", "front.before-content", "front.after-dot-reply",
                  "front.after-content", "front.before-settle", "front.after-settle"],
    "late": ["front.before-store", "keeper.store", "keeper.flush", "keeper.after-flush", "front.after-store",
             "front.before-content", "front.after-dot-reply"],
    "refused": ["front.before-store", "keeper.store", "keeper.flush", "keeper.after-flush", "front.after-store",
                "front.before-settle", "front.after-settle"],
}
FAULTS = [(way, point, deed) for way, points in POINTS.items() for point in points
          for deed in ("kill", "enospc", "eio")
          # nothing can fail there, and nothing tells the one error from the other here
          if not (deed != "kill" and "settle" in point)
          and not (deed == "enospc" and point not in ("front.before-store", "keeper.store"))]


@pytest.mark.parametrize("way, point, deed", FAULTS, ids=["-".join(fault) for fault in FAULTS])
def test_fault(make_gateway, closing, way, point, deed):
    extra, lmtp, script = WAYS[way]
    backend = Backend(lmtp)
    closing.add(backend.close)
    recipients = ["a@example.net", "b@example.net"]
    backend.script = scripted(script, "")
    gateway = make_gateway(backend=backend.url, domain_extra="verify_recipients = false",
                           extra=extra + "\n" + QUICK, environment={"GATEPOST_FAULT": f"{point}={deed}:1"})
    gateway.expect(*EXPECTED, "role-died", "quarantine-store-failed", "quarantine-not-durable",
                   "quarantine-recovered", "inspector-died")
    code, text = send(gateway.port, recipients)
    if deed == "kill":
        gateway.wait_event("role-died")
    assert code is None or code // 100 in (2, 4), f"{code} {text}: our own trouble is never the sender's fault"
    if deed == "enospc":
        assert (code, text[:5]) == (452, "4.3.1"), text
    elif deed == "eio" and code // 100 == 4:
        assert code in (451, 452), text
    found = owners(gateway, backend)
    if code == 250:
        assert all(sum(found.get(r, (0, 0))) for r in recipients), f"{code}, owners {found}"
    # Who lives on takes back what is held for nobody.
    elif (way, point) not in MAY_HAVE or (way == "held" and deed == "eio"):
        none = {recipient: (0, 0) for recipient in recipients}
        found = settled(gateway, backend, none)
        assert found == none, f"{code} {text}, but owners {found}"
    # The sender's retry: taken, and then each has an owner.
    code, text = send(gateway.port, recipients)
    assert code == 250, f"the retry: {code} {text}\n{gateway.tail()}"
    gateway.stop()
    found = owners(gateway, backend)
    assert all(sum(found.get(r, (0, 0))) for r in recipients), found
