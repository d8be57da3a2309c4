/*
 * body: one held message as a file.
 *
 *	"GPQ" version(1 octet) size(8 octets, little-endian) zstd frame
 *
 * The version comes first so that the encrypted form can follow beside this one.
 * body_write() is durable when it returns: the file's data is fsynced before its
 * name exists, and the name is fsynced with its folder.
 */
#ifndef QUARANTINE_BODY_H
#define QUARANTINE_BODY_H

#include "core/buf.h"
#include "core/err.h"

enum { BODY_VERSION = 1 };

/* `folder` is an open directory; `name` a plain file name. -1 with errno kept (ENOSPC matters). */
int body_write(int folder, const char *name, struct str message, struct err *err);
/* Appends the message. Damaged, truncated or oversized files are errors. */
int body_read(int folder, const char *name, struct buf *out, struct err *err);

#endif
