#include "filters/clamav/zip.h"

enum {
	END_SIZE = 22, /* end of central directory record, without comment */
	END_REACH = END_SIZE + 65535,
	ENTRY_SIZE = 46,
	ZIP64_EXTRA = 1,
	RATIO_FROM = 1 << 20, /* small members may pack as well as they like */
};

static uint64_t little(struct str s, size_t at, unsigned octets)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < octets; i++)
		v |= (uint64_t)(unsigned char)s.p[at + i] << (8 * i);
	return v;
}

static bool has(struct str s, size_t at, const char *signature)
{
	return at + 4 <= s.n && memcmp(s.p + at, signature, 4) == 0;
}

/* The last record that says so; a comment may follow it. */
static bool find_end(struct str s, size_t *at_r)
{
	if (s.n < END_SIZE)
		return false;
	size_t lowest = s.n > END_REACH ? s.n - END_REACH : 0;
	for (size_t at = s.n - END_SIZE + 1; at-- > lowest;) {
		if (!has(s, at, "PK\5\6"))
			continue;
		*at_r = at;
		return true;
	}
	return false;
}

/* ZIP64 keeps sizes of 0xffffffff in an extra field: the unpacked one comes first. */
static uint64_t unpacked_size(struct str s, size_t entry, size_t name, size_t extra)
{
	uint64_t size = little(s, entry + 24, 4);
	size_t at = entry + ENTRY_SIZE + name, end = at + extra;
	if (size != UINT32_MAX)
		return size;
	while (at + 4 <= end && end <= s.n) {
		uint64_t id = little(s, at, 2), length = little(s, at + 2, 2);
		if (id == ZIP64_EXTRA && length >= 8 && at + 12 <= end)
			return little(s, at + 4, 8);
		at += 4 + length;
	}
	return size;
}

const char *zip_over_limit(struct str s, const struct zip_limits *limits)
{
	size_t end;
	if (!find_end(s, &end))
		return NULL;
	uint64_t total = 0, at = little(s, end + 16, 4), size = little(s, end + 12, 4);
	/* Something may stand in front of the archive: count back from the end then. */
	if (at + 4 > s.n || !has(s, at, "PK\1\2"))
		at = size <= end ? end - size : 0;
	for (uint64_t files = 0; has(s, at, "PK\1\2") && at + ENTRY_SIZE <= s.n;) {
		uint64_t packed = little(s, at + 20, 4), name = little(s, at + 28, 2);
		uint64_t extra = little(s, at + 30, 2), comment = little(s, at + 32, 2);
		uint64_t unpacked = unpacked_size(s, at, name, extra);
		if (++files > limits->files)
			return "an archive has more members than are scanned";
		if (unpacked > limits->file_size)
			return "an archive's member is larger than is scanned";
		if (unpacked > RATIO_FROM && unpacked / limits->ratio > packed)
			return "an archive's member is packed more densely than is believed";
		total += unpacked;
		if (total > limits->scan_size)
			return "an archive's members are larger in all than is scanned";
		at += ENTRY_SIZE + name + extra + comment;
	}
	return NULL;
}
