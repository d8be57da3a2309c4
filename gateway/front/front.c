#include "gateway/front/front.h"

#include <time.h>

#include "gateway/front/release.h"

int64_t front_time(const struct front *front)
{
	(void)front;
	return (int64_t)time(NULL);
}

int64_t front_counter(struct front *front, struct str key, int64_t n, int64_t window_s)
{
	return shared_rate(front->shared, shared_key(front->shared, "filter", key), n,
		window_s > 0 ? window_s : 1, front_time(front));
}

bool front_tell_keeper(struct front *front, uint16_t type, const struct record *record,
	const void *object)
{
	struct buf payload = BUF_INIT;
	bool sent = false;

	if (front->keeper) {
		record_encode(record, object, &payload);
		sent = channel_send(front->keeper, &(struct ipc_packet){ .type = type,
					   .payload = buf_str(&payload) }) == 0;
		buf_free(&payload);
	}
	return sent;
}

void front_check_drained(struct front *front)
{
	if (front->retiring && !front->session_count && releases_are_idle(front->releases))
		role_exit(front->self);
}
