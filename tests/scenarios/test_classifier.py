"""gatepost eval and learn: what outside tests rely on, and every kind of mailbox that is walked."""

import json
import sqlite3
import time

import pytest

from tests.fakes.gateway import TIMEOUT, command

SPAM = b"From: a%d@example.org\nSubject: cheap watches %d\n\nBuy cheap replica watches now, offer %d!\n"
HAM = b"From: b%d@example.net\nSubject: the meeting\n\nCan we move the meeting %d to Monday? Agenda %d\n"


def write(path, data):
    path.write_bytes(data)
    path.chmod(0o644)
    return path


def corpus(folder, count=60):
    lines = []
    for i in range(count):
        label, text = ("spam", SPAM) if i % 2 else ("ham", HAM)
        write(folder / f"{i} of them.eml", text % (i, i, i))
        lines.append(f"{label} {i} of them.eml\n")
    return write(folder / "index", "".join(lines).encode())


def judged(output):
    return [(label, float(score)) for label, score in (line.split(" ") for line in output.splitlines())]


def test_eval_prints_a_line_a_message_and_learns(folder):
    index = corpus(folder)
    done = command("eval", "--index", index)
    assert done.returncode == 0, done.stderr
    rows = judged(done.stdout)
    assert [label for label, _ in rows] == ["ham", "spam"] * 30
    assert all((score > 0) == (label == "spam") for label, score in rows[20:])
    assert command("eval", "--index", index).stdout == done.stdout


def test_eval_keeps_the_model_in_an_empty_folder_only(folder):
    index = corpus(folder, 4)
    kept = folder / "model"
    kept.mkdir()
    kept.chmod(0o777)
    assert command("eval", "--index", index, "--model", kept).returncode == 0
    assert list(kept.iterdir())
    again = command("eval", "--index", index, "--model", kept)
    assert again.returncode == 1 and "not empty" in again.stderr and not again.stdout


def test_eval_stops_at_what_it_cannot_read(folder):
    index = corpus(folder, 4)
    write(index, index.read_bytes() + b"spam gone.eml\nham 0 of them.eml\n")
    done = command("eval", "--index", index)
    assert done.returncode == 1 and "gone.eml" in done.stderr
    assert len(done.stdout.splitlines()) == 4


@pytest.mark.parametrize("line", [b"eggs 0 of them.eml", b"spam", b"SPAM 0 of them.eml"])
def test_eval_refuses_a_wrong_index_before_it_begins(folder, line):
    index = corpus(folder, 4)
    write(index, index.read_bytes() + line + b"\n")
    done = command("eval", "--index", index)
    assert done.returncode == 1 and not done.stdout and ":5" in done.stderr
    assert command("eval", "--index", folder / "none").returncode == 1
    assert command("eval").returncode == 2


def evaluated(index, *options):
    done = command("eval", "--index", index, *options)
    assert done.returncode == 0, done.stderr
    return judged(done.stdout)


def is_right(row):
    return (row[1] > 0) == (row[0] == "spam")


def test_eval_with_late_feedback(folder):
    index = corpus(folder, 30)
    immediate = evaluated(index)
    assert evaluated(index, "--feedback", "immediate") == immediate
    assert evaluated(index, "--feedback", "delayed=0") == immediate
    assert all(score == 0 for _, score in evaluated(index, "--feedback", "delayed=30"))
    # The first label is known to the sixth message, and not before.
    late = evaluated(index, "--feedback", "delayed=4")
    assert [score != 0 for _, score in late[:6]] == [False] * 5 + [True]
    assert late[5][1] == evaluated(index, "--no-learn-after", "1")[5][1]


def test_eval_with_partial_feedback(folder):
    index = corpus(folder, 30)
    immediate = evaluated(index)
    assert evaluated(index, "--feedback=partial=100") == immediate
    assert all(score == 0 for _, score in evaluated(index, "--feedback=partial=0"))
    half = evaluated(index, "--feedback=partial=50")
    assert half not in (immediate, evaluated(index, "--feedback=partial=50", "--seed=2"))
    assert half == evaluated(index, "--feedback=partial=50", "--seed=1")


def test_eval_with_feedback_on_errors(folder):
    index = corpus(folder, 40)
    rows = evaluated(index, "--feedback", "errors")
    assert rows[0][1] == 0 and rows[1][1] != 0
    assert rows[1] == evaluated(index)[1]
    # Once all are judged right nothing is learned: of what is new, the second is judged as the first.
    assert all(is_right(row) for row in rows[20:])
    write(folder / "new.eml", b"From: c@example.net\nSubject: the meeting on Monday\n\nThe minutes are ready, see you.\n")
    write(index, index.read_bytes() + b"ham new.eml\nham new.eml\n")
    assert len({score for _, score in evaluated(index, "--feedback", "errors")[-2:]}) == 1
    assert len({score for _, score in evaluated(index)[-2:]}) == 2


def test_eval_with_wrong_labels(folder):
    index = corpus(folder, 40)
    rows = evaluated(index, "--flip", "100")
    # The true labels are printed, the wrong ones were learned.
    assert [label for label, _ in rows] == ["ham", "spam"] * 20
    assert not any(is_right(row) for row in rows[10:])
    assert evaluated(index, "--flip", "0") == evaluated(index)
    some = evaluated(index, "--flip", "30")
    assert some not in (rows, evaluated(index), evaluated(index, "--flip", "30", "--seed", "2"))


def test_eval_shuffles_the_same_way_everywhere(folder):
    index = corpus(folder, 8)
    order = [label for label, _ in evaluated(index, "--shuffle", "--seed", "7")]
    assert order == ["ham", "spam", "ham", "spam", "ham", "spam", "spam", "ham"]
    assert [label for label, _ in evaluated(index, "--shuffle", "--seed", "8")] != order


def test_eval_across_corpora(folder):
    train = corpus(folder, 40)
    other = write(folder / "other", b"spam 5 of them.eml\nham 6 of them.eml\nspam 5 of them.eml\n")
    rows = evaluated(other, "--train", train)
    assert [label for label, _ in rows] == ["spam", "ham", "spam"] and all(map(is_right, rows))
    assert rows[0] == rows[2]  # what is judged is not learned
    whole = write(folder / "whole", train.read_bytes() + other.read_bytes())
    assert evaluated(whole, "--no-learn-after", "40")[40:] == rows
    done = command("eval", "--index", other, "--train", folder / "none")
    assert done.returncode == 1 and not done.stdout


@pytest.mark.parametrize("options", [
    ["--feedback", "delayed"], ["--feedback", "delayed=-1"], ["--feedback", "partial=101"],
    ["--feedback", "never"], ["--flip", "101"], ["--flip", "x"], ["--seed", "-1"],
    ["--no-learn-after", "-1"], ["--train", "index", "--feedback", "errors"]])
def test_eval_refuses_wrong_options(folder, options):
    done = command("eval", "--index", corpus(folder, 2), *options)
    assert done.returncode == 2 and options[0] in done.stderr and not done.stdout


@pytest.fixture
def teach(folder):
    state = folder / "state"
    state.mkdir()
    state.chmod(0o777)
    conf = write(folder / "gatepost.conf", f'hostname = "mx.example.net"\nstate_dir = "{state}"\n'
                 'domain "example.net" { backend = { "smtp://127.0.0.1:1" } }\n'.encode())

    def run(*arguments):
        done = command(arguments[0], *arguments[1:], "-c", conf)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


def learned(output):
    return int(output.split(" ")[0])


def test_learn_walks_mailboxes(folder, teach):
    quoted = SPAM % (1, 1, 1) + b"\nFrom here on it is a sentence.\n>From an older letter\n"
    # A sentence that nobody quoted does not begin a message.
    quoted += b"\nFrom my window: nothing to be seen\nFrom x@example.org Fri Nov 20 12:00:00 2026\n"
    mbox = b"".join(b"From x@example.org Fri Nov 20 12:00:00 2026\n" + m.replace(b"\n>From", b"\n>>From")
                    .replace(b"\nFrom here", b"\n>From here") + b"\n" for m in (quoted, SPAM % (2, 2, 2)))
    assert learned(teach("learn", "spam", write(folder / "mbox", mbox))) == 2
    # The same messages outside of the mbox are the same: one '>' was its.
    assert learned(teach("learn", "spam", write(folder / "plain", quoted))) == 0
    assert learned(teach("learn", "spam", write(folder / "second", SPAM % (2, 2, 2)))) == 0
    maildir = folder / "Maildir"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
        write(maildir / name / f"1.{name}:2,S", HAM % (7, 7, 7) + name.encode())
    write(maildir / ".hidden", HAM % (8, 8, 8))
    assert learned(teach("learn", "ham", maildir)) == 2


def test_status_rebuild_and_undo(folder, teach):
    index = corpus(folder, 20)
    for i in range(20):
        teach("learn", "spam" if i % 2 else "ham", index.parent / f"{i} of them.eml")
    before = json.loads(teach("bayes", "status", "--json"))
    assert (before["spam"], before["ham"], before["logged"]) == (10, 10, 20)
    teach("bayes", "rebuild")
    assert json.loads(teach("bayes", "status", "--json")) == before
    # The other label takes the first one's place.
    assert learned(teach("learn", "spam", index.parent / "0 of them.eml")) == 1
    teach("bayes", "rebuild")
    after = json.loads(teach("bayes", "status", "--json"))
    assert (after["spam"], after["ham"], after["logged"]) == (11, 9, 20)
    assert "20 lessons taken back" in teach("bayes", "undo")
    empty = json.loads(teach("bayes", "status", "--json"))
    assert (empty["spam"], empty["ham"], empty["logged"]) == (0, 0, 0)


def test_rollback_and_review(folder, teach):
    index = corpus(folder, 130)
    many = folder / "many"
    many.mkdir()
    for i in range(120):
        (index.parent / f"{i} of them.eml").rename(many / f"{i}.eml")
    teach("learn", "spam", many)
    before = json.loads(teach("bayes", "status", "--json"))
    assert before["logged"] == 120
    for i in range(120, 130):
        teach("learn", "ham", index.parent / f"{i} of them.eml")
    assert "10 lessons taken back" in teach("bayes", "rollback")
    assert json.loads(teach("bayes", "status", "--json")) == before
    # A model that is gone comes back from the checkpoint.
    (folder / "state/bayes/model").unlink()
    teach("bayes", "rebuild")
    assert json.loads(teach("bayes", "status", "--json")) == before
    assert json.loads(teach("bayes", "review", "--json")) == {"refused": []}
    assert "0 lessons taken back" in teach("bayes", "rollback")


def test_a_damaged_model_is_made_again(folder, teach):
    index = corpus(folder, 10)
    teach("learn", "spam", index.parent / "1 of them.eml")
    before = json.loads(teach("bayes", "status", "--json"))
    model = folder / "state/bayes/model"
    model.chmod(0o666)
    with open(model, "r+b") as file:
        file.truncate(5000)
    teach("learn", "spam", index.parent / "1 of them.eml")
    assert json.loads(teach("bayes", "status", "--json")) == before


def test_status_says_when_it_will_count(folder, teach):
    assert "needs 50 more spam and 50 more ham" in teach("bayes", "status")
    index = corpus(folder, 20)
    for i in range(5):
        teach("learn", "ham", index.parent / f"{2 * i} of them.eml")
    assert "needs 50 more spam and 45 more ham" in teach("bayes", "status")
    status = json.loads(teach("bayes", "status", "--json"))
    assert (status["counts"], status["min_learned"]) == (False, 50)


def of_gateway(gateway, *arguments):
    done = gateway.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_running_gateway_takes_lessons_back(make_gateway, sink):
    gateway = make_gateway(backend=sink.url, extra='filter "bayes" { min_learned = 12 }')
    for i in range(10):
        gateway.api("/api/v1/learn?label=spam", SPAM % (i, i, i))
        gateway.api("/api/v1/learn?label=ham", HAM % (i, i, i))
    before = json.loads(of_gateway(gateway, "bayes", "status", "--json"))
    assert (before["spam"], before["ham"], before["logged"], before["counts"]) == (10, 10, 20, False)
    assert "needs 2 more spam and 2 more ham" in of_gateway(gateway, "bayes", "status")
    # The same to the bit, and nobody was turned away meanwhile.
    of_gateway(gateway, "bayes", "rebuild")
    assert json.loads(of_gateway(gateway, "bayes", "status", "--json")) == before
    assert "0 lessons taken back" in of_gateway(gateway, "bayes", "undo", "--who", "nobody & sons")
    assert "20 lessons taken back" in of_gateway(gateway, "bayes", "undo", "--who", "control", "--hours", "1")
    gateway.expect("lessons-undone")
    after = json.loads(of_gateway(gateway, "bayes", "status", "--json"))
    assert (after["spam"], after["ham"], after["logged"]) == (0, 0, 0)
    gateway.api("/api/v1/learn?label=spam", SPAM % (1, 1, 1))
    running = json.loads(of_gateway(gateway, "bayes", "status", "--json"))
    gateway.stop()
    assert json.loads(of_gateway(gateway, "bayes", "status", "--json")) == running


def test_a_rebuild_that_fails_is_told(make_gateway, sink, folder):
    gateway = make_gateway(backend=sink.url)
    for i in range(4):
        gateway.api("/api/v1/learn?label=spam", SPAM % (i, i, i))
    before = json.loads(of_gateway(gateway, "bayes", "status", "--json"))
    [path] = folder.rglob("log.db")
    with sqlite3.connect(path) as log:
        kept = log.execute("SELECT features FROM lesson WHERE id = 2").fetchone()
        log.execute("UPDATE lesson SET features = x'00' WHERE id = 2")
    done = gateway.run("bayes", "rebuild")
    gateway.expect("model-not-rebuilt")
    assert done.returncode == 1 and "lesson 2 is damaged" in done.stderr
    after = json.loads(of_gateway(gateway, "bayes", "status", "--json"))
    assert "damaged" in after.pop("trouble") and before.pop("trouble") == ""
    assert after == before  # what was there goes on,
    gateway.stop()
    gateway.start()  # also after a restart
    with sqlite3.connect(path) as log:
        log.execute("UPDATE lesson SET features = ? WHERE id = 2", kept)
    of_gateway(gateway, "bayes", "rebuild")
    assert json.loads(of_gateway(gateway, "bayes", "status", "--json"))["trouble"] == ""


def test_a_lesson_is_the_same_without_a_gateway(make_gateway, sink, folder):
    """What our header lines say was found is learned too."""
    ours = (b"Authentication-Results: mx.example.net; none\n"
            b"X-Spam-Status: Yes, score=3 required=5 tests=SPF_FAIL=3.0, BAYES_99=3.5, NO_SUCH_FINDING=1.0\n")
    gateway = make_gateway(backend=sink.url)
    gateway.api("/api/v1/learn?label=spam", (ours + SPAM % (1, 1, 1)).replace(b"\n", b"\r\n"))
    gateway.stop()
    of_gateway(gateway, "bayes", "undo", "--who", "control")
    of_gateway(gateway, "learn", "spam", write(folder / "one", ours + SPAM % (1, 1, 1)))
    [path] = folder.rglob("log.db")
    with sqlite3.connect(path) as log:
        [[running], [alone]] = log.execute("SELECT features FROM lesson ORDER BY id").fetchall()
    assert running == alone
    assert int.from_bytes(alone[:4], "little") >> 31 and alone[8:12] == (1).to_bytes(4, "little"), "with one finding"


def test_learn_tells_what_is_lost(make_gateway, sink, folder):
    """The base of a trimmed log is gone, and so is the model: `learn` is the first to notice."""
    gateway = make_gateway(backend=sink.url, extra="learn { kept_lessons = 10 }")
    gateway.stop()
    (folder / "many").mkdir()
    for i in range(250):
        write(folder / "many" / str(i), SPAM % (i, i, i))
    of_gateway(gateway, "learn", "spam", folder / "many")
    gone = [path for path in (gateway.state / "bayes").iterdir() if not path.name.startswith("log")]
    assert {path.name for path in gone} >= {"model", "base.0"}
    for path in gone:
        path.unlink()
    done = gateway.run("learn", "spam", write(folder / "one", SPAM % (999, 1, 1)))
    assert done.returncode == 0 and "older lessons are lost" in done.stderr, done


def test_the_training_log_is_trimmed(make_gateway, sink):
    """What old lessons taught stays, to the bit; taking them back says what it cannot do."""
    gateway = make_gateway(backend=sink.url, extra="learn { kept_lessons = 10 }")
    for i in range(20):
        gateway.api("/api/v1/learn?label=spam", SPAM % (i, i, i))
        gateway.api("/api/v1/learn?label=ham", HAM % (i, i, i))
    gateway.stop()
    before = json.loads(of_gateway(gateway, "bayes", "status", "--json"))
    assert (before["logged"], before["trimmed"]) == (40, 0), "it ended before it was time"
    gateway.start()
    for number, trimmed in ((20, 31), (22, 33)):  # two more than are kept are an eighth more
        for i in range(20, number + 1):
            gateway.api("/api/v1/learn?label=spam", SPAM % (i, i, i))
        status = {"trimmed": 0}
        end = time.monotonic() + TIMEOUT
        while status["trimmed"] < trimmed and time.monotonic() < end:
            status = json.loads(of_gateway(gateway, "bayes", "status", "--json"))
        learned = number + 1
        assert (status["trimmed"], status["spam"], status["ham"]) == (trimmed, learned, 20)
    assert len(list((gateway.state / "bayes").glob("base.*"))) == 1
    of_gateway(gateway, "bayes", "rebuild")
    assert json.loads(of_gateway(gateway, "bayes", "status", "--json")) == status
    told = of_gateway(gateway, "bayes", "undo", "--who", "control", "--hours", "1")
    gateway.expect("lessons-undone")
    assert "43 lessons taken back\n33 of them are older" in told, told
    after = json.loads(of_gateway(gateway, "bayes", "status", "--json"))
    assert (after["logged"], after["trimmed"], after["spam"] + after["ham"]) == (0, 0, 33)
