/* setup: what a package's install script does: users, groups, folders, a first configuration. */
#include "gateway/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/limits.h"
#include "gateway/role.h"

struct setup_values {
	const char *config;
	bool dry_run;
};
static const struct command_option setup_options[] = {
	COMMAND_OPTION('c', "config", "FILE", OPTION_STRING, struct setup_values, config,
		CONFIG_DEFAULT_FILE, "The configuration file; its state_dir is made."),
	COMMAND_FLAG('n', "dry-run", struct setup_values, dry_run,
		"Only say what would be done."),
	COMMAND_OPTIONS_END,
};

static int run_program(const char *const *argv)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return cli_fail("%s failed", argv[0]);
	return COMMAND_OK;
}

static int make_group(const char *group, bool dry_run)
{
	const char *const argv[] = { "groupadd", "--system", group, NULL };
	if (getgrnam(group))
		return COMMAND_OK;
	printf("group %s\n", group);
	return dry_run ? COMMAND_OK : run_program(argv);
}

static int make_user(const char *user, const char *group, bool dry_run)
{
	const char *const argv[] = { "useradd", "--system", "--gid", group, "--no-create-home",
		"--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", user, NULL };
	if (getpwnam(user))
		return COMMAND_OK;
	printf("user %s\n", user);
	return dry_run ? COMMAND_OK : run_program(argv);
}

static int make_folder(const char *path, const char *user, mode_t mode, bool dry_run)
{
	struct stat st;
	const struct passwd *pw = getpwnam(user);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && pw && st.st_uid == pw->pw_uid)
		return COMMAND_OK;
	printf("folder %s\n", path);
	if (dry_run)
		return COMMAND_OK;
	if (mkdir(path, mode) != 0 && errno != EEXIST)
		return cli_fail("%s: %s", path, strerror(errno));
	if (pw && chown(path, pw->pw_uid, pw->pw_gid) != 0)
		return cli_fail("%s: %s", path, strerror(errno));
	return COMMAND_OK;
}

static const char first_config[] =
	"# Gatepost. `gatepost config sample` prints every option, `gatepost config check` tries this.\n"
	"#hostname = \"mx.example.net\"\n"
	"#domain \"example.net\" { backend = \"smtp://10.0.0.5:25\" }\n";

static int make_config(const char *path, bool dry_run)
{
	char folder[4096];
	int fd;
	if (access(path, F_OK) == 0)
		return COMMAND_OK;
	printf("file %s\n", path);
	if (dry_run)
		return COMMAND_OK;
	snprintf(folder, sizeof(folder), "%.*s", (int)str_rchr(str_c(path), '/'), path);
	if (*folder && mkdir(folder, 0755) != 0 && errno != EEXIST)
		return cli_fail("%s: %s", folder, strerror(errno));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		return cli_fail("%s: %s", path, strerror(errno));
	bool is_written = write(fd, first_config, sizeof(first_config) - 1) ==
		(ssize_t)sizeof(first_config) - 1;
	close(fd);
	return is_written ? COMMAND_OK : cli_fail("%s: %s", path, strerror(errno));
}

/* A configuration that is not complete yet still has a state_dir. */
static const char *state_dir_of(const char *file, struct arena *arena)
{
	struct str text;
	struct conf *conf;
	if (config_load(file, arena, &text, NULL) != 0)
		text = STR("");
	return config_read(text, file, arena, &conf)->state_dir;
}

static int setup(const struct command *command, const void *values, int argc, char **argv)
{
	const struct setup_values *v = values;
	struct arena *arena = arena_new(LIMIT_CONNECTION_MEMORY);
	int code = COMMAND_OK;
	if (geteuid() != 0 && !v->dry_run) {
		arena_free(&arena);
		return cli_fail("users are made by root: sudo gatepost setup");
	}
	for (size_t i = 0; i < role_user_count && code == COMMAND_OK; i++) {
		code = make_group(role_users[i].group, v->dry_run);
		if (code == COMMAND_OK)
			code = make_user(role_users[i].user, role_users[i].group, v->dry_run);
	}
	if (code == COMMAND_OK)
		code = make_config(v->config, v->dry_run);
	if (code == COMMAND_OK)
		code = make_folder(state_dir_of(v->config, arena), "_gatepost", 0750, v->dry_run);
	if (code == COMMAND_OK && !v->dry_run)
		puts("Ready: mend the configuration, then gatepost config check, gatepost run.");
	arena_free(&arena);
	return code;
}

const struct command cli_setup = {
	"setup", "Makes the users and folders of the gateway; needs root.", .options = setup_options,
	.size = sizeof(struct setup_values), .run = setup,
};
