#include "filters/clamav/conf.h"

#define AT(member) offsetof(struct clamav_conf, member)

const struct option clamav_options[] = {
	{ "database", OPTION_LIST, AT(database), "{ \"/var/lib/clamav\" }", .help =
		"Signature folders or files; freshclam keeps the default one. Missing ones are left out." },
	{ "built_in", OPTION_BOOL, AT(built_in), "true", .help =
		"Also know the EICAR test file, so that scanning can be tried without a database." },
	{ "scan_size", OPTION_SIZE, AT(scan_size), "100MB", 1 << 20, 4e9, .help =
		"Most octets that are scanned of what comes out of one message; more is unscannable." },
	{ "file_size", OPTION_SIZE, AT(file_size), "50MB", 1 << 20, 2e9, .help =
		"Largest object that is scanned; a larger one makes the message unscannable." },
	{ "depth", OPTION_INT, AT(depth), "12", 1, 50, .help =
		"How deep objects may lie in one another; deeper is unscannable." },
	{ "files", OPTION_INT, AT(files), "1000", 1, 100000, .help =
		"Most objects of one message; more is unscannable." },
	{ "scan_time", OPTION_TIME, AT(scan_time), "10s", 100, 600000, .help =
		"Longest time for one message; past it the message is unscannable." },
	{ "ratio", OPTION_INT, AT(ratio), "250", 10, 100000, .help =
		"An archive member that claims to be this many times its packed size, and over 1 MB, is unscannable." },
	{ "macros", OPTION_BOOL, AT(macros), "true", .help = "Report office documents with macros." },
	{ "encrypted", OPTION_BOOL, AT(encrypted), "true", .help =
		"Report archives and documents that are encrypted, which no scanner can look into." },
	OPTION_ROWS_END,
};
