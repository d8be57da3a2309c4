/*
 * fault: named places where a test makes this process die or fail.
 *
 *	int error = fault_point("keeper.fsync");
 *	if (error != 0) { errno = error; goto failed; }
 *
 * Armed by the environment: GATEPOST_FAULT="NAME=kill|enospc|eio[:N][,…]". With
 * N only the Nth pass is hit, without it every one. The supervisor hands it to
 * the first process of each role only, so that what takes its place works, unless
 * GATEPOST_FAULT_AGAIN is set. Without GATEPOST_FAULTS (release) nothing is left.
 */
#ifndef GATEWAY_FAULT_H
#define GATEWAY_FAULT_H

#ifdef GATEPOST_FAULTS
/* 0, or the errno to fail with. Does not return if the place is armed with kill. */
int fault_point(const char *name);
#else
static inline int fault_point(const char *name)
{
	(void)name;
	return 0;
}
#endif

#endif
