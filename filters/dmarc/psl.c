#include "filters/dmarc/psl.h"

#include <libpsl.h>

#include "core/limits.h"

static psl_ctx_t *loaded;	  /* owned */
static const psl_ctx_t *suffixes; /* loaded, or the library's own */

int dmarc_psl_start(const char *path, bool offline, struct err *err)
{
	psl_free(loaded);
	loaded = NULL;
	if (!offline && *path) {
		loaded = psl_load_file(path);
		if (!loaded)
			return err_set(err, "the public suffix list %s cannot be read", path);
	} else if (!offline && psl_dist_filename() && *psl_dist_filename()) {
		/* Not psl_latest(), which may fall back to nothing at all. */
		loaded = psl_load_file(psl_dist_filename());
	}
	suffixes = loaded ? loaded : psl_builtin();
	return suffixes ? 0 : err_set(err, "libpsl was built without a public suffix list");
}

struct str dmarc_psl_organizational(struct str domain)
{
	char name[LIMIT_DOMAIN + 1];

	if (domain.n > LIMIT_DOMAIN || memchr(domain.p, '\0', domain.n))
		return domain;
	memcpy(name, domain.p, domain.n);
	name[domain.n] = '\0';
	const char *registrable = psl_registrable_domain(suffixes, name);
	return registrable ? str_skip(domain, (size_t)(registrable - name)) : domain;
}
