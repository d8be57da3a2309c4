#include "gateway/judge/judge.h"

int main(int argc, char **argv)
{
	static const struct command *const commands[] = {
		&check_command,
		&replay_command,
		&learn_command,
		&eval_command,
		&doctor_command,
		&bayes_status_command,
		&bayes_rebuild_command,
		&bayes_undo_command,
		&bayes_rollback_command,
		&bayes_review_command,
		&bayes_accept_command,
		&config_check_command,
		&config_dump_command,
		&config_sample_command,
		&config_man_command,
		NULL,
	};

	if (argc == 2 && strcmp(argv[1], "--list-filters") == 0)
		return judge_list_filters();
	return command_main("gatepost", "judges mail outside the running gateway", commands, argc,
		argv);
}
