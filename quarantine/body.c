#include "quarantine/body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "core/limits.h"

enum { HEADER = 12, LEVEL = 1 };
static const char magic[3] = { 'G', 'P', 'Q' };

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int compress(struct str message, struct buf *out)
{
	buf_add(out, magic, sizeof(magic));
	buf_char(out, BODY_VERSION);
	for (int i = 0; i < 8; i++)
		buf_char(out, (char)((uint64_t)message.n >> (8 * i)));
	size_t bound = ZSTD_compressBound(message.n);
	char *room = buf_reserve(out, bound);
	size_t n = ZSTD_compress(room, bound, message.n ? message.p : "", message.n, LEVEL);
	/* There is room for the bound, but maybe no memory for its tables. */
	if (ZSTD_isError(n)) {
		errno = ENOMEM;
		return -1;
	}
	buf_commit(out, n);
	return 0;
}

int body_write(int folder, const char *name, struct str message, struct err *err)
{
	char temporary[256];
	struct buf file = BUF_INIT;
	snprintf(temporary, sizeof(temporary), ".%s.new", name);
	if (compress(message, &file) < 0) {
		err_sys(err, "quarantine: cannot compress %s", name);
		goto err0;
	}
	int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_sys(err, "quarantine: cannot create %s", name);
		goto err0;
	}
	if (write_all(fd, file.p, file.n) < 0 || fsync(fd) < 0) {
		err_sys(err, "quarantine: cannot write %s", name);
		goto err1;
	}
	if (renameat(folder, temporary, folder, name) < 0 || fsync(folder) < 0) {
		err_sys(err, "quarantine: cannot name %s", name);
		goto err1;
	}
	close(fd);
	buf_free(&file);
	return 0;
err1:;
	int saved = errno;
	close(fd);
	unlinkat(folder, temporary, 0);
	errno = saved;
err0:;
	int kept = errno;
	buf_free(&file);
	errno = kept;
	return -1;
}

static int load(int fd, struct buf *file)
{
	struct stat st;
	/* What cannot be compressed grows a little. */
	if (fstat(fd, &st) < 0 ||
		st.st_size > (off_t)(HEADER + ZSTD_COMPRESSBOUND((size_t)LIMIT_MESSAGE_BYTES)))
		return -1;
	size_t left = (size_t)st.st_size;
	char *p = buf_reserve(file, left + 1);
	while (left) {
		ssize_t n = read(fd, p + file->n, left);
		if (n <= 0)
			return -1;
		buf_commit(file, (size_t)n);
		p = file->p;
		left -= (size_t)n;
	}
	return 0;
}

int body_read(int folder, const char *name, struct buf *out, struct err *err)
{
	struct buf file = BUF_INIT;
	uint64_t size = 0;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(err, "quarantine: cannot open %s", name);
	int rc = load(fd, &file);
	close(fd);
	if (rc < 0) {
		err_set(err, "quarantine: cannot read %s", name);
		goto err0;
	}
	rc = -1;
	if (file.n < HEADER || memcmp(file.p, magic, sizeof(magic)) != 0 || file.p[3] != BODY_VERSION) {
		err_set(err, "quarantine: %s is damaged or of a newer version", name);
		goto err0;
	}
	for (int i = 0; i < 8; i++)
		size |= (uint64_t)(unsigned char)file.p[4 + i] << (8 * i);
	if (size > LIMIT_MESSAGE_BYTES) {
		err_set(err, "quarantine: %s claims %llu octets", name, (unsigned long long)size);
		goto err0;
	}
	size_t n = ZSTD_decompress(buf_reserve(out, size + 1), size, file.p + HEADER, file.n - HEADER);
	if (ZSTD_isError(n) || n != size) {
		err_set(err, "quarantine: %s is damaged", name);
		goto err0;
	}
	buf_commit(out, n);
	rc = 0;
err0:
	buf_free(&file);
	return rc;
}
