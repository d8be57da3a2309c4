#include "gateway/role.h"

#include <errno.h>
#include <unistd.h>

#include "core/limits.h"
#include "gateway/log.h"
#include "gateway/role_start.h"

static void end(struct role_self *self, int status)
{
	self->private->status = status;
	loop_stop(self->loop);
}

void role_exit(struct role_self *self)
{
	end(self, 0);
}

/* The supervisor is our own: what it sends and we cannot read is a bug, ours or of the build. */
static void confused(struct role_self *self, const struct ipc_packet *packet, const struct err *err)
{
	log_event(LOG_LEVEL_ERROR, "control-malformed", "packet of type %u: %s", packet->type,
		err->text);
	end(self, 1);
}

static int decode(const struct ipc_packet *packet, const struct record *record, unsigned fd_count,
	struct arena *arena, void *object_r, struct err *err)
{
	if (packet->fd_count != fd_count)
		return err_set(err, "it has %u descriptors, not %u", packet->fd_count, fd_count);
	return record_decode(record, packet->payload, arena, object_r, err);
}

static int take_wire(struct role_self *self, struct ipc_packet *packet, struct arena *arena,
	struct err *err)
{
	struct ctl_peer peer;

	if (decode(packet, &ctl_peer_record, 1, arena, &peer, err) != 0)
		return -1;
	packet->fd_count = 0;
	if (self->def->wire != NULL)
		self->def->wire(self, &peer, packet->fds[0]);
	else
		close(packet->fds[0]);
	return 0;
}

static int take_listen(struct role_self *self, struct ipc_packet *packet, struct arena *arena,
	struct err *err)
{
	struct ctl_listen listen;

	if (decode(packet, &ctl_listen_record, 1, arena, &listen, err) != 0)
		return -1;
	packet->fd_count = 0;
	if (self->def->listen != NULL)
		self->def->listen(self, &listen, packet->fds[0]);
	else
		close(packet->fds[0]);
	return 0;
}

static int take_start(struct role_self *self, struct ipc_packet *packet, struct arena *arena,
	struct err *err)
{
	struct ctl_ready ready;

	if (decode(packet, &ctl_ready_record, 0, arena, &ready, err) != 0)
		return -1;
	if (!str_eq(ready.versions, self->judge.versions))
		ready.versions = arena_dup(self->arena, ready.versions);
	else
		ready.versions = self->judge.versions;
	self->judge = ready;
	if (self->private->has_started)
		return 0;
	self->private->has_started = true;
	if (self->def->start != NULL)
		self->def->start(self);
	return 0;
}

static int take_died(struct role_self *self, struct ipc_packet *packet, struct arena *arena,
	struct err *err)
{
	struct ctl_died died;

	if (decode(packet, &ctl_died_record, 0, arena, &died, err) != 0)
		return -1;
	if (self->def->died != NULL)
		self->def->died(self, &died);
	return 0;
}

static void take_drain(struct role_self *self)
{
	if (self->is_draining)
		return;
	self->is_draining = true;
	if (self->def->drain != NULL)
		self->def->drain(self);
	else
		role_exit(self);
}

static void on_control(void *context, struct channel *channel, struct ipc_packet *packet)
{
	struct role_self *self = context;
	struct arena *arena = arena_new(LIMIT_IPC_INLINE);
	struct err err;
	int result = 0;

	(void)channel;
	switch (packet->type) {
	case CTL_WIRE:
		result = take_wire(self, packet, arena, &err);
		break;
	case CTL_LISTEN:
		result = take_listen(self, packet, arena, &err);
		break;
	case CTL_START:
		result = take_start(self, packet, arena, &err);
		break;
	case CTL_DIED:
		result = take_died(self, packet, arena, &err);
		break;
	case CTL_RETIRE:
		if (self->def->retire != NULL)
			self->def->retire(self);
		else
			take_drain(self);
		break;
	case CTL_DRAIN:
		take_drain(self);
		break;
	default:
		result = err_set(&err, "not for this role");
	}
	ipc_close_fds(packet);
	if (result != 0)
		confused(self, packet, &err);
	arena_free(&arena);
}

static void on_control_closed(void *context, struct channel *channel)
{
	struct role_self *self = context;

	(void)channel;
	self->private->control = NULL;
	end(self, 1);
}

static const struct channel_ops control_ops = { on_control, on_control_closed };

static void say(struct role_self *self, uint16_t type, const struct record *record,
	const void *object)
{
	struct buf buf = BUF_INIT;

	if (record != NULL)
		record_encode(record, object, &buf);
	struct ipc_packet packet = { .type = type, .payload = buf_str(&buf) };
	if (self->private->control != NULL)
		channel_send(self->private->control, &packet);
	buf_free(&buf);
}

void role_kill(struct role_self *self, enum role peer, int64_t index)
{
	struct ctl_peer who = { .role = (int)peer, .index = index, .generation = self->generation };
	say(self, CTL_KILL, &ctl_peer_record, &who);
}

static int start(struct role_self *self, struct err *err)
{
	if (self->def->load != NULL && self->def->load(self, err) != 0)
		return -1;
	return role_confine(self, self->def->allow | SANDBOX_LOOP, err);
}

int role_main(const struct role_def *def, int argc, char **argv)
{
	struct role_private private = { 0 };
	struct role_self self = { .def = def, .private = &private };
	struct ctl_ready ready = { 0 };
	struct err err;

	if (role_open(&self, def->role, false, argc, argv, &err) != 0)
		role_end(role_say_failed(&self, &err));
	self.loop = loop_new();
	if (start(&self, &err) != 0)
		role_end(role_say_failed(&self, &err));
	if (private.probe != NULL)
		role_end(role_probe(&self));
	if (role_say_ready(&self, &ready, &err) != 0)
		role_end(1);
	private.control = channel_new(self.loop, ROLE_FD_CONTROL, 0, &control_ops, &self);
	loop_run(self.loop);
	role_end(private.status);
}
