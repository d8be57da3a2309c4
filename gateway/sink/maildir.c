#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "core/folder.h"
#include "gateway/sink/sink.h"

static int make_folder(const char *path, struct err *err)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_sys(err, "cannot make the folder %s", path);
	return 0;
}

int maildir_prepare(const char *path, struct err *err)
{
	static const char *const folders[] = {"tmp", "new", "cur"};
	char name[4096];

	if (make_folder(path, err))
		return -1;
	for (size_t i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, folders[i]);
		if (make_folder(name, err))
			return -1;
	}
	return 0;
}

static int write_all(int fd, struct str octets)
{
	while (octets.n) {
		ssize_t n = write(fd, octets.p, octets.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		octets = str_skip(octets, (size_t)n);
	}
	return 0;
}

static void write_head(struct buf *head, struct str sender, const struct str *recipients,
	size_t count, size_t octets)
{
	buf_printf(head, "Return-Path: <%.*s>\r\n", STR_ARG(sender));
	for (size_t i = 0; i < count; i++)
		buf_printf(head, "X-Original-To: %.*s\r\n", STR_ARG(recipients[i]));
	buf_printf(head, "X-Sink-Octets: %zu\r\n", octets);
}

static int sync_folder(const char *maildir)
{
	char name[4096];
	struct err err;

	snprintf(name, sizeof(name), "%s/new", maildir);
	return folder_sync(name, &err);
}

int maildir_store(struct sink *sink, struct str sender, const struct str *recipients, size_t count,
	struct str message, struct err *err)
{
	const struct sink_options *o = sink->options;
	char name[256], tmp[4096], final[4096];
	struct buf head = BUF_INIT;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, sizeof(name), "%lld.M%06ldP%ldQ%llu.sink", (long long)now.tv_sec,
		now.tv_nsec / 1000, (long)getpid(), (unsigned long long)++sink->file_number);
	snprintf(tmp, sizeof(tmp), "%s/tmp/%s", o->maildir, name);
	snprintf(final, sizeof(final), "%s/new/%s", o->maildir, name);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "cannot write %s", tmp);
	write_head(&head, sender, recipients, count, message.n);
	int bad =
		write_all(fd, buf_str(&head)) || write_all(fd, message) || (o->fsync && fsync(fd));
	buf_free(&head);
	bad |= close(fd) || rename(tmp, final) || (o->fsync && sync_folder(o->maildir));
	if (!bad)
		return 0;
	err_sys(err, "cannot store %s", final);
	unlink(tmp);
	return -1;
}
