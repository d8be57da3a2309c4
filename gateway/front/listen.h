/*
 * listen: the front's listening sockets: their certificates, and who is taken in.
 */
#ifndef GATEWAY_FRONT_LISTEN_H
#define GATEWAY_FRONT_LISTEN_H

#include "gateway/front/front.h"

/* Before the sandbox: reads all certificates; one that cannot be used is an error that names
 * it. Listeners without one share a self-signed pair in state_dir, made if it is missing. */
int listen_load(struct front *front, struct err *err);
/* The socket of config->listeners[index]. Takes fd over. */
void listen_add(struct front *front, size_t index, int fd);
/* Begins to accept; stops, for good. */
void listen_start(struct front *front);
void listen_stop(struct front *front);

#endif
