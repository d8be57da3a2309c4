/* HTML to text and links, and all that reads them: URLs of both kinds, styles, entities, the charset. */
#include <assert.h>

#include "core/limits.h"
#include "core/mail/html.h"
#include "core/mail/url.h"
#include "tests/fuzz/fuzz.h"

static bool lies_in(struct str part, struct str whole)
{
	return !part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct str in = arena_dup(a, str_from((const char *)data, size));
	struct html_doc doc;
	struct mail_url url;
	struct str found;
	size_t at = 0;

	html_scan(a, in, &doc);
	assert(doc.text.n <= LIMIT_TEXT_BYTES);
	assert(doc.links.n <= LIMIT_URLS);
	assert(!str_is_utf8(in) || str_is_utf8(doc.text));
	for (size_t i = 0; i < doc.links.n; i++) {
		assert(doc.links.v[i].url.n);
		assert(lies_in(doc.links.v[i].text, doc.text));
		url_parse(a, doc.links.v[i].url, &url);
		assert(url.url.n <= LIMIT_URL_BYTES);
	}
	while (url_find(in, &at, &found)) {
		assert(found.n && lies_in(found, in));
		url_parse(a, found, &url);
	}
	html_meta_charset(in);
	arena_free(&a);
	return 0;
}
