"""Many parallel SMTP sessions, which remember what was answered for each message."""

import queue
import threading

from tests.fakes.smtp import Smtp, proxy_v1


def client_address(number):
    return f"198.51.{100 + number // 250 % 50}.{number % 250 + 1}"


class Work:
    """A queue that is filled by an iterator, after what was put back into it."""

    def __init__(self, mail, tries):
        self.mail, self.tries, self.lock, self.back = mail, tries, threading.Lock(), []

    def put(self, item):
        with self.lock:
            self.back.append(item)

    def get_nowait(self):
        with self.lock:
            return self.back.pop() if self.back else (*next(self.mail), self.tries)


class Sender:
    """send(port, [(local part, octets), …]) from `sessions` threads; answers[local part] is the last reply's
    code, or None where the connection ended before one came. A message without a final reply is tried again
    `tries` times, as a sender's queue would."""

    def __init__(self, sessions=20, proxy=True, tries=1, each_session=20):
        self.sessions, self.proxy, self.tries, self.each = sessions, proxy, tries, each_session
        self.answers, self.replies = {}, {}
        self.stop = threading.Event()
        self.changed = threading.Condition()

    def _open(self, port, number):
        smtp = Smtp(port, proxy=proxy_v1(client_address(number)) if self.proxy else None)
        smtp.ehlo()
        return smtp

    def _one(self, smtp, local, octets):
        reply = smtp.message(octets, sender=f"from-{local}@sender.example", recipients=[f"{local}@example.net"])
        with self.changed:
            self.answers[local] = reply.code
            self.replies[local] = reply.text
            self.changed.notify_all()
        if reply.code // 100 != 2:
            smtp.command("RSET")

    def _session(self, port, number, work):
        smtp, left = None, 0
        while not self.stop.is_set():
            try:
                local, octets, tries = work.get_nowait()
            except queue.Empty:
                break
            try:
                if not smtp or not left:
                    if smtp:
                        smtp.close()
                    smtp, left = self._open(port, number), self.each
                left -= 1
                self._one(smtp, local, octets)
            except (OSError, EOFError, AssertionError):
                if self.answers.setdefault(local, None) is None and tries > 1:
                    work.put((local, octets, tries - 1))
                smtp = None
            else:
                if self.answers[local] // 100 == 4 and tries > 1:
                    work.put((local, octets, tries - 1))
        if smtp:
            smtp.close()

    def start(self, port, mail):
        """mail: a list; or an iterator without end, which is drawn upon until stop is set."""
        work = Work(mail, self.tries) if hasattr(mail, "__next__") else queue.Queue()
        for local, octets in () if isinstance(work, Work) else mail:
            work.put((local, octets, self.tries))
        self.threads = [threading.Thread(target=self._session, args=(port, n, work), daemon=True)
                        for n in range(self.sessions)]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()

    def wait_answers(self, count, timeout=60):
        """Until there are as many answers."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.answers) >= count, timeout), \
                f"{len(self.answers)} answers instead of {count}"

    def taken(self):
        return sorted(local for local, code in self.answers.items() if code and code // 100 == 2)
