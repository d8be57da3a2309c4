/* folder: a file's name outlives a crash only when its folder is on the disk too. */
#ifndef CORE_FOLDER_H
#define CORE_FOLDER_H

#include "core/err.h"

int folder_sync(const char *folder, struct err *err);
/* The one that this file is in. */
int folder_sync_of(const char *path, struct err *err);

#endif
