#include "gateway/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/hash.h"
#include "core/limits.h"
#include "core/mail/mail.h"
#include "core/smtp/command.h"

#define FILE_NAME  "accounts"
#define FILE_BYTES (64 << 20)
#define LINE_BYTES 600
#define HEAD	   "# Gatepost's accounts: address, made, salt, SHA-256 of salt and password\n"

enum { PASSWORD_GROUPS = 4, GROUP_LETTERS = 7 }; /* of five bits */
_Static_assert(PASSWORD_GROUPS * GROUP_LETTERS * 5 == ACCOUNTS_PASSWORD_BITS, "bits of chance");

/* ---- names and passwords ---- */

/* As it stands in the file; false for what is no address. */
static bool canonical(struct arena *arena, struct str name, struct str *address_r)
{
	struct command_path path;
	struct str domain;

	/* A quoted name would need care wherever it is shown. */
	if (command_mailbox(name, true, &path) != 0 || path.quoted ||
		mail_domain_canonical(arena, path.domain, &domain) != 0)
		return false;
	*address_r = arena_lower(arena, arena_printf(arena, "%.*s@%.*s", STR_ARG(path.local),
		STR_ARG(domain)));
	return true;
}

static void digest(const uint8_t salt[16], struct str password, uint8_t hash_r[32])
{
	struct buf b = BUF_INIT;

	buf_add(&b, salt, 16);
	buf_str_add(&b, password);
	hash_sha256(buf_str(&b), hash_r);
	explicit_bzero(b.p, b.n);
	buf_free(&b);
}

static struct str make_password(struct arena *arena)
{
	static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint8_t octets[PASSWORD_GROUPS * GROUP_LETTERS];
	struct buf b = BUF_INIT;

	hash_random(octets, sizeof(octets));
	for (size_t i = 0; i < sizeof(octets); i++) {
		if (i && i % GROUP_LETTERS == 0)
			buf_char(&b, '-');
		buf_char(&b, letters[octets[i] & 31]);
	}
	struct str password = arena_dup(arena, buf_str(&b));
	explicit_bzero(b.p, b.n);
	explicit_bzero(octets, sizeof(octets));
	buf_free(&b);
	return password;
}

static int by_address(const void *a, const void *b)
{
	const struct account *x = a, *y = b;

	return str_cmp(x->address, y->address);
}

static struct account *find(const struct accounts *accounts, struct str address)
{
	const struct account key = { .address = address };

	return accounts->list.n ? bsearch(&key, accounts->list.v, accounts->list.n, sizeof(key),
		by_address) : NULL;
}

const struct account *accounts_check(const struct accounts *accounts, struct str name,
	struct str password)
{
	static const struct account nobody;
	struct arena *arena = arena_new(LIMIT_CONNECTION_MEMORY);
	struct str address;
	const struct account *found = canonical(arena, name, &address) ? find(accounts, address) : NULL;
	uint8_t hash[32];

	digest(found ? found->salt : nobody.salt, password, hash);
	bool same = hash_equal(hash, found ? found->hash : nobody.hash, sizeof(hash));
	arena_free(&arena);
	return found && same ? found : NULL;
}

/* ---- reading ---- */

static int read_hex(struct str text, uint8_t *octets, size_t n)
{
	if (text.n != 2 * n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int high = char_hex(text.p[2 * i]), low = char_hex(text.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return -1;
		octets[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static int read_line(struct arena *arena, struct str line, struct account *account)
{
	struct str address, made, salt;
	uint64_t seconds;

	if (line.n > LINE_BYTES || !str_word(&line, &address) || !str_word(&line, &made) ||
		!str_word(&line, &salt) || str_to_u64(made, 0, INT64_MAX, &seconds) != 0 ||
		read_hex(salt, account->salt, sizeof(account->salt)) != 0 ||
		read_hex(str_trim(line), account->hash, sizeof(account->hash)) != 0)
		return -1;
	account->address = arena_dup(arena, address);
	account->made = (int64_t)seconds;
	return 0;
}

static int parse(struct str text, const char *path, struct arena *arena, struct accounts *accounts,
	struct err *err)
{
	struct str line;
	size_t room = 0;

	for (int number = 1; str_cut(&text, '\n', &line); number++) {
		if (!line.n || line.p[0] == '#')
			continue;
		if (accounts->list.n == room) {
			room = room ? 2 * room : 16;
			accounts->list.v = arena_grow(arena, accounts->list.v, accounts->list.n, room,
				sizeof(accounts->list.v[0]));
		}
		if (accounts->list.n == ACCOUNTS_MAX)
			return err_set(err, "%s: there are more than %d accounts", path, ACCOUNTS_MAX);
		if (read_line(arena, line, &accounts->list.v[accounts->list.n++]) != 0)
			return err_set(err, "%s:%d: this is no account: remove the line, and make the "
				"account anew by gatepost account add", path, number);
	}
	if (accounts->list.n)
		qsort(accounts->list.v, accounts->list.n, sizeof(accounts->list.v[0]), by_address);
	return 0;
}

static int read_file(int fd, const char *path, struct arena *arena, struct str *text_r,
	struct err *err)
{
	struct stat st;
	size_t n = 0;

	if (fstat(fd, &st) != 0)
		return err_sys(err, "cannot read %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES)
		return err_set(err, "%s is no file of accounts", path);
	if (st.st_mode & 077)
		return err_set(err, "%s can be read by others: chmod 600 it", path);
	char *p = arena_alloc(arena, (size_t)st.st_size + 1);
	for (ssize_t got = 1; got > 0 && n < (size_t)st.st_size; n += (size_t)got) {
		got = read(fd, p + n, (size_t)st.st_size - n);
		if (got < 0)
			return err_sys(err, "cannot read %s", path);
	}
	*text_r = str_from(p, n);
	return 0;
}

int accounts_load(const char *state_dir, struct arena *arena, struct accounts *accounts_r,
	struct err *err)
{
	const char *path = arena_printf(arena, "%s/" FILE_NAME, state_dir).p;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct str text;

	*accounts_r = (struct accounts){ .list = { NULL, 0 } };
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "cannot open %s", path);
	int result = read_file(fd, path, arena, &text, err);
	close(fd);
	return result != 0 ? -1 : parse(text, path, arena, accounts_r, err);
}

/* ---- writing ---- */

static void print_hex(struct buf *out, const uint8_t *octets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%02x", octets[i]);
}

static int write_file(int fd, const struct accounts *accounts)
{
	struct buf out = BUF_INIT;

	buf_c(&out, HEAD);
	for (size_t i = 0; i < accounts->list.n; i++) {
		const struct account *a = &accounts->list.v[i];
		buf_printf(&out, "%.*s %" PRId64 " ", STR_ARG(a->address), a->made);
		print_hex(&out, a->salt, sizeof(a->salt));
		buf_char(&out, ' ');
		print_hex(&out, a->hash, sizeof(a->hash));
		buf_char(&out, '\n');
	}
	size_t done = 0;
	for (ssize_t n = 1; done < out.n && n > 0; done += n > 0 ? (size_t)n : 0)
		n = write(fd, out.p + done, out.n - done);
	int result = done == out.n && fsync(fd) == 0 ? 0 : -1;
	buf_free(&out);
	return result;
}

/* Beside the old one, then in its place: a front that starts meanwhile reads one or the other. */
static int store(int folder, const char *state_dir, const struct accounts *accounts, struct err *err)
{
	static const char fresh[] = FILE_NAME ".new";
	int fd = openat(folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sys(err, "cannot make %s/%s", state_dir, fresh);
	int result = write_file(fd, accounts);
	close(fd);
	if (result != 0 || renameat(folder, fresh, folder, FILE_NAME) != 0 || fsync(folder) != 0)
		return err_sys(err, "cannot write %s/" FILE_NAME, state_dir);
	return 0;
}

/* The folder, locked against another writer until it is closed. */
static int open_folder(const char *state_dir, struct err *err)
{
	/* Made by root it would be nobody's who runs: that is setup's business. */
	if (geteuid() != 0 && mkdir(state_dir, 0750) < 0 && errno != EEXIST)
		return err_sys(err, "cannot make the state folder %s", state_dir);
	int folder = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return err_sys(err, "cannot open %s (`gatepost setup` makes the state folder)", state_dir);
	if (flock(folder, LOCK_EX) == 0)
		return folder;
	err_sys(err, "cannot lock %s", state_dir);
	close(folder);
	return -1;
}

static int insert(int folder, const char *state_dir, struct accounts *accounts, struct str address,
	int64_t now, struct arena *arena, struct str *password_r, struct err *err)
{
	size_t n = accounts->list.n;
	struct account made = { .address = address, .made = now };

	if (n >= ACCOUNTS_MAX)
		return err_set(err, "there are %d accounts already", ACCOUNTS_MAX);
	*password_r = make_password(arena);
	hash_random(made.salt, sizeof(made.salt));
	digest(made.salt, *password_r, made.hash);
	accounts->list.v = arena_grow(arena, accounts->list.v, n, n + 1, sizeof(made));
	accounts->list.v[accounts->list.n++] = made;
	qsort(accounts->list.v, accounts->list.n, sizeof(made), by_address);
	return store(folder, state_dir, accounts, err) == 0 ? 1 : -1;
}

int accounts_add(const char *state_dir, struct str name, int64_t now, struct arena *arena,
	struct str *password_r, struct err *err)
{
	struct accounts accounts;
	struct str address;

	if (!canonical(arena, name, &address))
		return err_set(err, "%.*s is no address", STR_ARG(name));
	int folder = open_folder(state_dir, err), result = -1;
	if (folder < 0)
		return -1;
	if (accounts_load(state_dir, arena, &accounts, err) == 0)
		result = find(&accounts, address) ? 0 : insert(folder, state_dir, &accounts, address,
			now, arena, password_r, err);
	close(folder);
	return result;
}

int accounts_remove(const char *state_dir, struct str name, struct arena *arena, struct err *err)
{
	struct accounts accounts;
	struct str address;
	struct account *gone;

	if (!canonical(arena, name, &address))
		return 0;
	int folder = open_folder(state_dir, err), result = -1;
	if (folder < 0)
		return -1;
	if (accounts_load(state_dir, arena, &accounts, err) == 0) {
		gone = find(&accounts, address);
		result = gone ? 1 : 0;
	}
	if (result == 1) {
		accounts.list.n--;
		memmove(gone, gone + 1, (size_t)(accounts.list.v + accounts.list.n - gone) *
			sizeof(*gone));
		result = store(folder, state_dir, &accounts, err) == 0 ? 1 : -1;
	}
	close(folder);
	return result;
}
