#include "bayes/checkpoint.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

static void path_of(const char *folder, int64_t slot, char path_r[PATH_SIZE])
{
	bool is_base = slot >= JOURNAL_CHECKPOINTS;
	snprintf(path_r, PATH_SIZE, "%s/%s.%d", folder, is_base ? "base" : "checkpoint",
		(int)(is_base ? slot - JOURNAL_CHECKPOINTS : slot));
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
		/* One that is gone, damaged or unreadable is no loss: an older one, or the log, has it too. */
		if (model_load(model, path, c.digest, err) > 0 && model_position(model) == c.position)
			return 1;
	}
	return rc;
}

int checkpoint_load_base(const char *folder, struct model *model, struct journal *journal,
	enum checkpoint_base *base_r, struct err *err)
{
	struct journal_checkpoint c;
	char path[PATH_SIZE];
	int rc = journal_base(journal, &c, err);
	*base_r = CHECKPOINT_NO_BASE;
	if (rc <= 0)
		return rc;
	path_of(folder, c.slot, path);
	rc = model_load(model, path, c.digest, err);
	*base_r = rc > 0 ? CHECKPOINT_BASE : CHECKPOINT_BASE_LOST;
	return rc < 0 ? -1 : 0;
}

int checkpoint_save_base(const char *folder, const struct model *model, struct journal *journal,
	int64_t position, struct err *err)
{
	struct journal_checkpoint old, c = {.slot = JOURNAL_CHECKPOINTS, .position = position};
	char path[PATH_SIZE];
	int rc = journal_base(journal, &old, err);
	if (rc < 0)
		return -1;
	/* Beside the one that is in use, until the log says otherwise. */
	if (rc > 0 && old.slot == c.slot)
		c.slot++;
	path_of(folder, c.slot, path);
	model_digest(model, c.digest);
	if (model_save(model, path, err) < 0 || journal_trim(journal, &c, err) < 0)
		return -1;
	if (rc > 0) {
		path_of(folder, old.slot, path);
		unlink(path); /* of no use any more, and otherwise no harm */
	}
	return 0;
}
