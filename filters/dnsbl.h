/*
 * dnsbl: which lists are asked, for who wants to test them (filters/dnsbl.c asks them about mail).
 *
 *	const void *conf = engine_conf(engine, "dnsbl");
 *	struct dnsbl_zone zone;
 *	for (size_t i = 0; dnsbl_zone(conf, i, &zone); i++) ...
 */
#ifndef FILTERS_DNSBL_H
#define FILTERS_DNSBL_H

#include <stdbool.h>
#include <stddef.h>

struct dnsbl_zone {
	const char *name;
	bool enabled;
	bool lists_clients; /* else domains */
};

/* The zone of this number, built-in and configured ones; false behind the last one. */
bool dnsbl_zone(const void *conf, size_t i, struct dnsbl_zone *zone_r);

#endif
