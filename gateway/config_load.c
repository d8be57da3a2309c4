/* What is read from files: the configuration's text, and secrets beside it. */
#include "gateway/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limits.h"

#define TOKEN_MIN  16
#define SECRET_MAX 256

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

/* what: "admin: token_file", for errors. */
static int read_secret(const char *path, const char *what, size_t min, struct arena *arena,
	const char **secret_r, struct err *err)
{
	char line[SECRET_MAX + 2] = "";
	FILE *f = fopen(path, "re");
	if (!f)
		return err_sys(err, "%s %s cannot be read", what, path);
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	struct str secret = str_trim_crlf(str_c(line));
	if (secret.n < min || secret.n > SECRET_MAX)
		return err_set(err, "%s: what stands in %s must have %zu to %d characters", what, path, min,
			SECRET_MAX);
	*secret_r = arena_cstr(arena, secret);
	return 0;
}

int config_token(const struct config *config, struct arena *arena, const char **token_r,
	struct err *err)
{
	*token_r = NULL;
	if (!config->admin.enabled || !config->admin.token_file[0])
		return 0;
	return read_secret(config->admin.token_file, "admin: token_file", TOKEN_MIN, arena, token_r, err);
}

int config_relay_password(const struct config *config, struct arena *arena, const char **password_r,
	struct err *err)
{
	*password_r = NULL;
	if (!config->outbound.enabled || !config->outbound.relay_login[0])
		return 0;
	return read_secret(config->outbound.relay_password_file, "outbound: relay_password_file", 1, arena,
		password_r, err);
}
