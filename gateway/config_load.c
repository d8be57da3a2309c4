/* The configuration file, as text. */
#include "gateway/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limits.h"

int config_load_fd(int fd, struct arena *arena, struct str *text_r, struct err *err)
{
	struct stat st;
	size_t n = 0, want;
	char *p;
	if (fstat(fd, &st) != 0)
		return err_sys(err, "reading the configuration");
	/* one octet more than is allowed may come: the parser then says so, with the file's name */
	want = st.st_size > LIMIT_CONFIG_BYTES ? LIMIT_CONFIG_BYTES + 1 : (size_t)st.st_size;
	p = arena_alloc(arena, want + 1);
	while (n < want) {
		ssize_t got = pread(fd, p + n, want - n, (off_t)n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, "reading the configuration");
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*text_r = str_from(p, n);
	return 0;
}

int config_load(const char *file, struct arena *arena, struct str *text_r, struct err *err)
{
	struct stat st;
	int fd = open(file, O_RDONLY | O_CLOEXEC), result;
	if (fd < 0)
		return err_sys(err, "%s", file);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		result = err_set(err, "%s is no regular file", file);
	else
		result = config_load_fd(fd, arena, text_r, err);
	close(fd);
	return result;
}
