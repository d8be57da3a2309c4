/* gatepost: the one command that people see. */
#include "gateway/cli/cli.h"

/* These parse their own command lines: only they know their options. */
static const struct command exec_run = { "run", "Runs the gateway in the foreground.",
	.program = "supervisor" };
#define JUDGE .program = "judge", .is_one_of_several = true
static const struct command exec_check = { "check", "Judges one message, or an envelope alone.",
	JUDGE };
static const struct command exec_learn = { "learn", "Teaches the classifier: spam or ham.", JUDGE };
static const struct command exec_eval = { "eval", "Measures the classifier over a corpus.", JUDGE };
static const struct command exec_bayes_status = { "bayes status",
	"Tells how the classifier is doing.", JUDGE };
static const struct command exec_bayes_rebuild = { "bayes rebuild",
	"Makes the model again from the training log.", JUDGE };
static const struct command exec_bayes_undo = { "bayes undo",
	"Takes the lessons of the last hours back.", JUDGE };
static const struct command exec_bayes_rollback = { "bayes rollback",
	"Takes all lessons back that came after a checkpoint.", JUDGE };
static const struct command exec_bayes_review = { "bayes review",
	"Lists lessons that were refused as harmful.", JUDGE };
static const struct command exec_bayes_accept = { "bayes accept",
	"Lets a refused lesson hold after all.", JUDGE };
static const struct command exec_replay = { "replay", "Judges recorded facts anew; shows what changes.",
	JUDGE };
static const struct command exec_doctor = { "doctor", "Says what to change: here, or in a domain's DNS.",
	JUDGE };
static const struct command exec_config_check = { "config check", "Checks the configuration.", JUDGE };
static const struct command exec_config_dump = { "config dump", "Prints every value and its origin.",
	JUDGE };
static const struct command exec_config_sample = { "config sample", "Prints a file with all options.",
	JUDGE };
static const struct command exec_config_man = { "config man", "Prints gatepost.conf(5).", JUDGE,
	.hidden = true };
static const struct command exec_sink = { "sink", "A mailbox server for tests: SMTP and LMTP to Maildir.",
	.program = "sink" };

static const struct command *const commands[] = {
	&exec_run, &exec_check, &exec_learn, &exec_eval, &exec_bayes_status, &exec_bayes_rebuild,
	&exec_bayes_undo, &exec_bayes_rollback, &exec_bayes_review, &exec_bayes_accept, &exec_replay, &exec_doctor, &exec_config_check,
	&exec_config_dump, &exec_config_sample, &exec_config_man,
	&cli_quarantine_list, &cli_quarantine_show, &cli_quarantine_release, &cli_quarantine_delete,
	&cli_quarantine_learn, &cli_report_list, &cli_dkim_keygen, &cli_dkim_list,
	&cli_account_add, &cli_account_list, &cli_account_remove,
	&cli_status, &cli_setup, &exec_sink, &cli_demo, &cli_demo_dns, NULL,
};

int main(int argc, char **argv)
{
	return command_main("gatepost", "judges mail before it is taken", commands, argc, argv);
}
