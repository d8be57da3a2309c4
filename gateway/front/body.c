#include "gateway/front/body.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "core/ipc.h"
#include "core/limits.h"
#include "gateway/fault.h"

/* What is reserved for a message of unknown size, and by how much more each time. */
enum { FIRST_GUESS = 64 << 10 };

int body_open(struct body *body, struct ledger *ledger, uint64_t declared)
{
	uint64_t wanted = declared > FIRST_GUESS ? declared : FIRST_GUESS;

	assert(body->fd < 0);
	*body = (struct body)BODY_INIT;
	if (!ledger_take_descriptors(ledger, 1))
		return -1;
	if (!ledger_take(ledger, wanted))
		goto err1;
	if (fault_point("front.body-open") != 0)
		goto err2;
	body->fd = memfd_open("message", NULL);
	if (body->fd < 0)
		goto err2;
	body->ledger = ledger;
	body->reserved = wanted;
	return 0;
err2:
	ledger_give(ledger, wanted);
err1:
	ledger_give_descriptors(ledger, 1);
	return -1;
}

/* Twice as much, so that a large message asks seldom. */
static void reserve(struct body *body)
{
	if (ledger_take(body->ledger, body->reserved))
		body->reserved *= 2;
	else
		body->failed = true;
}

void body_span(struct body *body, struct str span)
{
	if (body->failed)
		return;
	while (body->octets + span.n > body->reserved && !body->failed)
		reserve(body);
	if (body->failed)
		return;
	if (body->span_count == BODY_SPANS)
		body_flush(body);
	body->spans[body->span_count++] = (struct iovec){ (void *)span.p, span.n };
	body->octets += span.n;
}

void body_flush(struct body *body)
{
	struct iovec *at = body->spans;
	unsigned left = body->span_count;

	body->span_count = 0;
	while (left && !body->failed) {
		ssize_t n = fault_point("front.body-write") ? -1 : writev(body->fd, at, (int)left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			body->failed = true;
			return;
		}
		while (left && (size_t)n >= at->iov_len) {
			n -= (ssize_t)at->iov_len;
			at++;
			left--;
		}
		if (left) {
			at->iov_base = (char *)at->iov_base + n;
			at->iov_len -= (size_t)n;
		}
	}
}

int body_seal(struct body *body, struct err *err)
{
	body_flush(body);
	if (body->failed)
		return err_set(err, "no room for the message");
	if (memfd_seal(body->fd, err) != 0)
		return -1;
	return memfd_map(body->fd, LIMIT_MESSAGE_BYTES, &body->content, err);
}

void body_close(struct body *body)
{
	if (body->fd < 0)
		return;
	if (body->content.n)
		memfd_unmap(body->content);
	close(body->fd);
	ledger_give(body->ledger, body->reserved);
	ledger_give_descriptors(body->ledger, 1);
	*body = (struct body)BODY_INIT;
}
