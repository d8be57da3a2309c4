/*
 * orders: what the admin API asks of the trainer beside lessons: how the model is doing, taking
 * lessons back, making the model again.
 *
 * The last is done in pieces between other requests, and answered when it has begun: whoever wants
 * to know when it is done asks for the status.
 */
#ifndef GATEWAY_TRAINER_ORDERS_H
#define GATEWAY_TRAINER_ORDERS_H

#include "bayes/teacher.h"
#include "gateway/role.h"

struct orders;

/* Both live in the role's arena, and as long as it does. */
struct orders *orders_new(struct role_self *self, struct teacher *teacher);
/* *result_r and `answer` are the reply to a TRAIN_ORDER. */
void orders_take(struct orders *orders, const struct ipc_packet *packet, enum keep_result *result_r,
	struct buf *answer);
/* Into the gateway's log, if it made a model again without what the base knew (teacher_lost). */
void orders_tell_lost(struct teacher *teacher);

#endif
