#include "core/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/str.h"

int folder_sync(const char *folder, struct err *err)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? err_sys(err, "cannot sync %s", folder) : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

int folder_sync_of(const char *path, struct err *err)
{
	char folder[4096];
	size_t slash = str_rchr(str_c(path), '/');
	if (slash == strlen(path))
		return folder_sync(".", err);
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)slash : 1, path);
	return folder_sync(folder, err);
}
