"""Whoever may report mail may try to spoil the classifier: a thousand lessons move no verdict."""

import http.client
import json
import random
import re
import socket

from tests.fakes.gateway import TIMEOUT

# The quotas are lifted: they alone would stop a thousand lessons within a day.
UNLIMITED = "learn { user_quota = 0 user_ham_quota = 0 sender_quota = 0 tenant_quota = 0 }"
KNOWN, HELD, POISON = 120, 30, 1000


class Words:
    """Made-up mail of two kinds, as unlike each other as real mail is, from a fixed seed."""

    def __init__(self):
        self.chance = random.Random(5)
        self.common, self.spam, self.ham = self.vocabulary(600), self.vocabulary(150), self.vocabulary(150)

    def vocabulary(self, count):
        return ["".join(self.chance.choice("bcdfgklmnprstv") + self.chance.choice("aeiou")
                        for _ in range(self.chance.randint(2, 5))) for _ in range(count)]

    def text(self, own, count=70, share=.3):
        return [self.chance.choice(own if self.chance.random() < share else self.common) for _ in range(count)]

    def message(self, words, sender, number):
        lines = "\n".join(" ".join(words[at:at + 10]) for at in range(0, len(words), 10))
        return (f"From: {sender}\nTo: alice@example.net\nSubject: {' '.join(words[:4])}\n"
                f"Date: Fri, 20 Nov 2026 12:00:00 +0000\nMessage-ID: <{number}@{sender.split('@')[1]}>\n\n"
                f"{lines}\n").encode()

    def mail(self, is_spam, number):
        sender = f"{self.chance.choice(self.spam if is_spam else self.ham)}@{'example.com' if is_spam else 'example.org'}"
        return self.message(self.text(self.spam if is_spam else self.ham), sender, number)


class Control(http.client.HTTPConnection):
    """The admin API over the control socket, one connection for all requests."""

    def __init__(self, path):
        super().__init__("gatepost", timeout=TIMEOUT)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self.path)

    def post(self, path, body, **headers):
        self.request("POST", path, body, headers)
        answer = self.getresponse()
        return answer.status, answer.read().decode()


def verdict(control, message, to="alice@example.net"):
    """What is done with it, which band it is in, and the log-odds behind that."""
    status, body = control.post("/checkv2", message, Rcpt=to, IP="192.0.2.1")
    assert status == 200, body
    answer = json.loads(body)
    band = [name for name in answer["symbols"] if name.startswith("BAYES_")]
    assert len(band) == 1, "the classifier must count"
    return answer["action"], float(re.search(r"log-odds of spam are (-?\d+\.\d)", body).group(1))


def teach(control, messages, label, **headers):
    """How many were taken."""
    answers = [control.post(f"/learn{label}", message, **headers) for message in messages]
    assert {status for status, _ in answers} <= {200, 500}, answers[-1]
    return sum(status == 200 for status, _ in answers)


def test_a_thousand_lessons_of_one_user_move_no_verdict(make_gateway, sink):
    gateway = make_gateway(backend=sink.url, extra=UNLIMITED)
    gateway.expect("lesson-harmful", "lesson-refused", "lesson-accepted")
    control, words = Control(gateway.state / "control.sock"), Words()
    for number in range(KNOWN):
        assert teach(control, [words.mail(True, number)], "spam") == 1
        assert teach(control, [words.mail(False, number)], "ham") == 1
    held = [words.mail(number % 2 == 0, 10000 + number) for number in range(2 * HELD)]
    before = [verdict(control, message) for message in held]
    assert all((odds > 0) == (number % 2 == 0) for number, (_, odds) in enumerate(before))

    salad = [words.message(words.text(words.spam, 100, 1), "friend@example.org", 20000 + n) for n in range(POISON)]
    invoices = [words.message(f"Invoice {n} of {words.chance.randint(10, 999)} EUR".split()
                              + [words.ham[k % len(words.ham)] for k in range(60)], "billing@example.org", 30000 + n)
                for n in range(POISON)]
    for attack, label, who in ((salad, "ham", "mallory"), (invoices, "spam", "trudy")):
        taken = teach(control, attack, label, **{"Deliver-To": f"{who}@example.net"})
        after = [verdict(control, message) for message in held]
        moved = max(abs(new - old) for (_, old), (_, new) in zip(before, after))
        print(f"{POISON} lessons of {label} by {who}: {POISON - taken} refused, largest move {moved:.2f}")
        assert [action for action, _ in after] == [action for action, _ in before]
        assert [odds > 0 for _, odds in after] == [odds > 0 for _, odds in before]
        assert moved < 1, "no move is near a change of verdict"
    # What was refused may be looked at, and taken after all.
    refused = json.loads(gateway.run("bayes", "review", "--json").stdout)["refused"]
    assert {lesson["who"] for lesson in refused} == {"mallory@example.net", "trudy@example.net"}
    status = gateway.api("/api/v1/bayes")
    assert status["refused"] == len(refused) and "refused as harmful" in gateway.run("bayes", "status").stdout
    logged = status["logged"]
    assert gateway.run("bayes", "accept", refused[0]["id"]).returncode == 0
    assert gateway.api("/api/v1/bayes")["logged"] == logged + 1
    assert gateway.run("bayes", "accept", refused[0]["id"]).returncode == 1
    # What users say truly is still heard.
    heard = sum(teach(control, [words.mail(n % 2 == 0, 40000 + n)], "ham" if n % 2 else "spam",
                      **{"Deliver-To": f"user{n}@example.net"}) for n in range(20))
    print(f"of 20 right lessons of other users {heard} are taken")
    assert heard >= 19
    counters = dict(re.findall(r"^gatepost_(lessons_\w+_total) (\d+)$", gateway_metrics(control), re.M))
    assert int(counters["lessons_harmful_total"]) > 0, counters


def test_domains_have_opinions_of_their_own(make_gateway, sink):
    others = "".join(f'domain "{name}" {{ backend = {{ "{sink.url}" }} }} ' for name in ("example.org", "example.com"))
    gateway = make_gateway(backend=sink.url, extra=UNLIMITED + others)
    control, words = Control(gateway.state / "control.sock"), Words()
    for number in range(60):
        assert teach(control, [words.mail(True, number)], "spam") == 1
        assert teach(control, [words.mail(False, number)], "ham") == 1
    own = words.vocabulary(100)
    issues = [words.message(words.text(own, 60, 1), "news@example.com", 500 + n) for n in range(30)]
    for number in range(12):
        for label, domain in (("spam", "example.net"), ("ham", "example.org")):
            assert teach(control, [issues[2 * number + (label == "ham")]], label,
                         **{"Deliver-To": f"user{number}@{domain}"}) == 1
    odds = {domain: verdict(control, issues[29], f"bob@{domain}")[1]
            for domain in ("example.net", "example.org", "example.com")}
    print(odds)
    assert odds["example.net"] > 1 and odds["example.org"] < -1
    assert odds["example.org"] < odds["example.com"] < odds["example.net"], "the others see what all see"
    # One judgement for recipients in both is that of all.
    control.putrequest("POST", "/checkv2")
    for name, value in (("Rcpt", "bob@example.net"), ("Rcpt", "bob@example.org"), ("IP", "192.0.2.1"),
                        ("Content-Length", len(issues[29]))):
        control.putheader(name, value)
    control.endheaders(issues[29])
    assert f"log-odds of spam are {odds['example.com']:.1f}." in control.getresponse().read().decode()


def gateway_metrics(control):
    control.request("GET", "/metrics")
    return control.getresponse().read().decode()
