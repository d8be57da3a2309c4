#include "gateway/fault.h"

#ifdef GATEPOST_FAULTS

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "core/str.h"

#define FAULTS_MAX 16

enum deed { DEED_KILL, DEED_ENOSPC, DEED_EIO };

struct fault {
	struct str name;
	enum deed deed;
	uint64_t nth; /* 0: every time */
	uint64_t passes;
};
static struct fault faults[FAULTS_MAX];
static int fault_count = -1; /* not read yet */

static int read_fault(struct str text, struct fault *fault_r)
{
	struct str name, deed, nth;

	str_cut(&text, '=', &name);
	str_cut(&text, ':', &deed);
	nth = text;
	*fault_r = (struct fault){ .name = name };
	if (str_eq_c(deed, "kill"))
		fault_r->deed = DEED_KILL;
	else if (str_eq_c(deed, "enospc"))
		fault_r->deed = DEED_ENOSPC;
	else if (str_eq_c(deed, "eio"))
		fault_r->deed = DEED_EIO;
	else
		return -1;
	if (nth.p != NULL)
		return str_to_u64(nth, 1, 1000000, &fault_r->nth);
	return 0;
}

static void read_faults(void)
{
	struct str rest = str_c(getenv("GATEPOST_FAULT")), item;

	fault_count = 0;
	while (rest.n > 0 && str_cut(&rest, ',', &item))
		if (fault_count < FAULTS_MAX && read_fault(item, &faults[fault_count]) == 0)
			fault_count++;
}

int fault_point(const char *name)
{
	if (fault_count < 0)
		read_faults();
	for (int i = 0; i < fault_count; i++) {
		struct fault *fault = &faults[i];
		if (!str_eq_c(fault->name, name))
			continue;
		fault->passes++;
		if (fault->nth != 0 && fault->nth != fault->passes)
			continue;
		if (fault->deed == DEED_KILL)
			kill(getpid(), SIGKILL);
		return fault->deed == DEED_ENOSPC ? ENOSPC : EIO;
	}
	return 0;
}

#else
/* A translation unit must not be empty. */
extern int fault_unused;
#endif
