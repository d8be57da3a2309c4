/* What lies on this host: state folder, virus signatures, clock. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "filters/clamav/conf.h"
#include "gateway/judge/doctor.h"

#define DAY		86400
#define SIGNATURE_DAYS	3
#define FREE_BYTES	(1ull << 30)
#define FREE_PERCENT	5
#define FUTURE_SECONDS	300
#define FILES_MAX	1000 /* of one folder that are looked at */

void doctor_host_addresses(struct doctor *d)
{
	struct ifaddrs *list = NULL;
	uint16_t port;
	struct ip ip;

	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *a = list; a; a = a->ifa_next) {
		struct sockaddr_storage address = { 0 };
		int family = a->ifa_addr ? a->ifa_addr->sa_family : AF_UNSPEC;

		if (family != AF_INET && family != AF_INET6)
			continue;
		memcpy(&address, a->ifa_addr, family == AF_INET ? sizeof(struct sockaddr_in) :
			sizeof(struct sockaddr_in6));
		ip_from_sockaddr(&address, &ip, &port);
		/* What every host has says nothing. */
		if (ip.family != IP_NONE && !(ip.family == IP_V4 && ip.octets[0] == 127) &&
			!(ip.family == IP_V6 && (ip.octets[0] == 0 || ip.octets[0] == 0xfe)))
			doctor_add_address(d, &ip);
	}
	freeifaddrs(list);
}

/* ---- the state folder ---- */

static void check_state(struct doctor *d)
{
	const char *folder = d->config->state_dir;
	char *path = arena_cstr(d->arena, arena_printf(d->arena, "%s/.doctor-XXXXXX", folder));
	struct statvfs fs;
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd < 0) {
		doctor_say(d, DOCTOR_WRONG, "state", "The state folder %s cannot be written%s: %s.",
			folder, geteuid() == 0 ? "" : " (ask as root, or as the gateway's user)",
			strerror(errno));
		if (errno == ENOENT)
			doctor_record(d, "gatepost setup");
	} else {
		close(fd);
		unlink(path);
		doctor_say(d, DOCTOR_RIGHT, "state", "The state folder %s can be written.", folder);
	}
	if (statvfs(folder, &fs) < 0)
		return;
	unsigned long long left = (unsigned long long)fs.f_bavail * fs.f_frsize;
	unsigned long long all = (unsigned long long)fs.f_blocks * fs.f_frsize;
	bool scarce = left < FREE_BYTES || left / FREE_PERCENT < all / 100;
	doctor_say(d, scarce ? DOCTOR_WRONG : DOCTOR_RIGHT, "disk", scarce ?
		"Only %llu MB are free below %s: mail would be turned away soon." :
		"%llu MB are free below %s.", left >> 20, folder);
}

/* ---- what files tell about time ---- */

/* The newest file of a folder, or of the file itself; 0 if there is none. */
static time_t newest(const char *path, bool (*counts)(const char *name))
{
	DIR *dir = opendir(path);
	struct stat st;
	time_t last = 0;
	int left = FILES_MAX;

	if (!dir)
		return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_mtime : 0;
	for (const struct dirent *e; left-- && (e = readdir(dir));)
		if ((!counts || counts(e->d_name)) && fstatat(dirfd(dir), e->d_name, &st, 0) == 0 &&
			S_ISREG(st.st_mode) && st.st_mtime > last)
			last = st.st_mtime;
	closedir(dir);
	return last;
}

static bool is_signatures(const char *name)
{
	static const char *const ends[] = {
		".cvd", ".cld", ".cud", ".ndb", ".hdb", ".hsb", ".ldb",
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (str_ends(str_c(name), ends[i]))
			return true;
	return false;
}

/* The time of the newest virus signatures. */
static time_t check_signatures(struct doctor *d)
{
	const struct clamav_conf *conf = engine_conf(d->setup->engine, "clamav");
	time_t last = 0, now = time(NULL);

	if (!conf) {
		doctor_say(d, DOCTOR_ADVICE, "antivirus", "The filter clamav is off: nothing is "
			"scanned.");
		return 0;
	}
	for (size_t i = 0; i < conf->database.n; i++) {
		time_t t = newest(conf->database.v[i], is_signatures);

		last = t > last ? t : last;
	}
	if (!last) {
		doctor_say(d, DOCTOR_WRONG, "antivirus", "There are no virus signatures in %s: "
			"install and start freshclam.", conf->database.n ? conf->database.v[0] :
			"any folder");
		doctor_record(d, "apt-get install clamav-freshclam");
	} else if (last < now - SIGNATURE_DAYS * DAY) {
		doctor_say(d, DOCTOR_WRONG, "antivirus", "The newest virus signatures are %lld "
			"days old: does freshclam run?", (long long)(now - last) / DAY);
		doctor_record(d, "systemctl status clamav-freshclam");
	} else {
		doctor_say(d, DOCTOR_RIGHT, "antivirus", "The newest virus signatures are %lld "
			"hours old.", (long long)(now - last) / 3600);
	}
	return last;
}

/*
 * A clock cannot be judged from within. But it is wrong if it stands before what was written
 * already: this program, the signatures, our own files. The kernel knows whether anybody sets it;
 * and that DNSSEC works (see there) says that it is right within hours.
 */
static void check_clock(struct doctor *d, time_t signatures)
{
	time_t now = time(NULL), last = 0;
	time_t state = newest(d->config->state_dir, NULL);
	struct timex kernel = { .modes = 0 };
	struct stat st;

	if (stat("/proc/self/exe", &st) == 0)
		last = st.st_mtime;
	last = signatures > last ? signatures : last;
	last = state > last ? state : last;
	if (last > now + FUTURE_SECONDS)
		doctor_say(d, DOCTOR_WRONG, "clock", "The clock is at least %lld minutes slow: "
			"files of the gateway are newer than that.", (long long)(last - now) / 60);
	else if (adjtimex(&kernel) == TIME_ERROR)
		doctor_say(d, DOCTOR_ADVICE, "clock", "No file is from the future, but nothing "
			"keeps the clock right: run chrony or systemd-timesyncd.");
	else
		doctor_say(d, DOCTOR_RIGHT, "clock", "No file is from the future, and the clock is "
			"kept right by a time server.");
}

void doctor_host_check(struct doctor *d)
{
	doctor_certificates_check(d);
	check_state(d);
	check_clock(d, check_signatures(d));
}
