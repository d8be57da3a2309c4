#include "bayes/checkpoint.h"

#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

static void path_of(const char *folder, int64_t slot, char path_r[PATH_SIZE])
{
	snprintf(path_r, PATH_SIZE, "%s/checkpoint.%d", folder, (int)slot);
}

/* A slot that is not in use, or the oldest one's. */
static int choose_slot(struct journal *journal, int64_t *slot_r, struct err *err)
{
	bool used[JOURNAL_CHECKPOINTS] = {false};
	struct journal_checkpoint c;
	*slot_r = 0;
	for (int64_t n = 0; n < JOURNAL_CHECKPOINTS; n++) {
		int rc = journal_checkpoint(journal, n, &c, err);
		if (rc < 0)
			return -1;
		if (rc > 0) {
			used[c.slot] = true;
			*slot_r = c.slot;
		}
	}
	for (int64_t n = JOURNAL_CHECKPOINTS; n-- > 0;)
		if (!used[n])
			*slot_r = n;
	return 0;
}

int checkpoint_save(const char *folder, const struct model *model, struct journal *journal,
	int64_t time, struct err *err)
{
	char path[PATH_SIZE];
	struct journal_checkpoint c = {.position = model_position(model), .time = time};
	if (choose_slot(journal, &c.slot, err) < 0 ||
		journal_drop_checkpoint(journal, c.slot, err) < 0)
		return -1;
	path_of(folder, c.slot, path);
	model_digest(model, c.digest);
	if (model_save(model, path, err) < 0)
		return -1;
	return journal_add_checkpoint(journal, &c, err);
}

int checkpoint_load(
	const char *folder, struct model *model, struct journal *journal, struct err *err)
{
	struct journal_checkpoint c;
	char path[PATH_SIZE];
	int rc;
	for (int64_t n = 0; (rc = journal_checkpoint(journal, n, &c, err)) > 0; n++) {
		path_of(folder, c.slot, path);
		/* One that is gone or damaged is no loss: an older one, or the log, has it too. */
		if (model_load(model, path, c.digest) && model_position(model) == c.position)
			return 1;
	}
	return rc;
}
