/* walship init: everything beside a running server that archiving and backups need.  What is to be done: walship/upkeep/init.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "init_machine.h"
#include "table.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"

#define STATUS_NOT_FINISHED 8
#define REPORT_FORMAT       1

static const CommandOption options[] = {
	{"plan", OPTION_FLAG, NULL, "show what would be done, and do nothing; exits as the run would"},
	{"restart", OPTION_FLAG, NULL, "restart the server when archive_mode needs it"},
	{"encrypt", OPTION_FLAG, NULL, "make a key, and encrypt for it what is stored from now on"},
	{"replace-archive-command", OPTION_FLAG, NULL, "take the place of what archives until now"},
	{"new-system", OPTION_FLAG, NULL, "the store may hold other database systems, and not this one"},
	{"no-backup", OPTION_FLAG, NULL, "take no first backup"},
	{"no-timers", OPTION_FLAG, NULL, "enable no timers, and show no lines for cron"},
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
};

static const char *
word_of(InitStepId id, InitState state)
{
	static const char *const words[] = {
		[INIT_KEPT] = "kept",   [INIT_TO_DO] = "to do", [INIT_LEFT_OUT] = "left out",
		[INIT_YOURS] = "yours", [INIT_WAITS] = "waits", [INIT_REFUSED] = "refused",
	};

	return id == INIT_SERVER && state == INIT_KEPT ? "found" : words[state];
}

/* Several lines of a hint below each other. */
static void
print_step(InitStepId id, const char *word, const char *detail, const char *hint)
{
	print_line(stdout, "%-8s  %-15s  %s", word, init_step_name(id), detail == NULL ? "" : detail);
	while (hint != NULL && *hint != '\0')
	{
		size_t length = strcspn(hint, "\n");

		print_line(stdout, "%-8s  %-15s  %.*s", "", "", (int) length, hint);
		hint += length + (hint[length] == '\n');
	}
	(void) fflush(stdout);
}

/* What a run came to, for people and programs. */
typedef struct InitReport
{
	bool json;
	Json *root;
	Json *steps;
} InitReport;

static void
report_step(const InitReport *report, InitStepId id, const char *word, const char *detail, const char *hint)
{
	if (!report->json)
	{
		print_step(id, word, detail, hint);
		return;
	}

	Json *item = json_add_object(report->steps, NULL);

	json_add_string(item, "step", init_step_name(id));
	json_add_string(item, "state", word);
	json_add_string(item, "detail", detail);
	json_add_string(item, "hint", hint);
}

static void
report_verdict(const InitReport *report, const InitMachine *machine, bool finished, const char *verdict,
               const char *next)
{
	if (!report->json)
	{
		print_line(stdout, "%s", verdict);
		if (next != NULL)
			print_line(stdout, "Next: %s", next);
		return;
	}

	AUTO_FREE char *system = mem_printf("%" PRIu64, machine->server.system_identifier);

	json_add_bool(report->root, "finished", finished);
	json_add_string(report->root, "verdict", verdict);
	json_add_string(report->root, "next", next);
	json_add_string(report->root, "system", system);
	json_add_string(report->root, "pgdata", machine->server.data_directory);
	json_add_string(report->root, "config", machine->config);
	json_add_string(report->root, "store", machine->store);
	print_object(report->root, stdout);
}

/* The command's name, and how it finds its settings, for whoever is to type it. */
static char *
command_line(const InitMachine *machine, const char *command)
{
	bool usual = strcmp(machine->config, SETTINGS_DEFAULT_PATH) == 0;

	return mem_printf("%s%s%swalship %s%s%s%s%s", machine->is_root ? "runuser -u " : "",
	                  machine->is_root ? machine->user.name : "", machine->is_root ? " -- " : "", command,
	                  usual ? "" : " --config ", usual ? "" : machine->config,
	                  machine->cluster == NULL ? "" : " --cluster ",
	                  machine->cluster == NULL ? "" : machine->cluster);
}

/* One is the error; all of them have been shown. */
static Error *
refusal(const InitPlan *plan)
{
	const InitStep *step = &plan->steps[plan->refused_by];
	Error *error = plan->refused ? error_new(step->kind, "%s", step->detail) : NULL;

	return step->hint == NULL ? error : error_hint(error, "%s", step->hint);
}

static Error *
show_plan(Invocation *invocation, const InitReport *report, const InitMachine *machine, const InitPlan *plan)
{
	AUTO_FREE char *verdict =
		plan->refused ? mem_strdup("This would be refused, and nothing done.")
		: plan->waits ? mem_printf("%zu step%s would be done; the rest waits for a restart of the server.",
	                               plan->to_do, plan->to_do == 1 ? "" : "s")
					  : mem_printf("Nothing stands in the way: %zu step%s would be done.", plan->to_do,
	                               plan->to_do == 1 ? "" : "s");

	if (!report->json)
	{
		print_line(stdout, "%s", verdict);
		(void) fputs("\n", stdout);
	}
	for (int id = 0; id < INIT_STEPS; id++)
		report_step(report, (InitStepId) id, word_of((InitStepId) id, plan->steps[id].state),
		            plan->steps[id].detail, plan->steps[id].hint);
	if (report->json)
		report_verdict(report, machine, false, verdict, NULL);
	if (plan->waits && !plan->refused)
		invocation_set_status(invocation, STATUS_NOT_FINISHED);
	return refusal(plan);
}

/* In their order; the first that fails is the end.  Those that wait are passed over: what comes after them can do without. */
static Error *
do_steps(Invocation *invocation, const InitReport *report, InitMachine *machine, const InitPlan *plan)
{
	for (int id = 0; id < INIT_STEPS; id++)
	{
		const InitStep *step = &plan->steps[id];
		AUTO_FREE char *detail = NULL;
		int status = 0;
		Error *error;

		if (step->state != INIT_TO_DO)
		{
			report_step(report, (InitStepId) id, word_of((InitStepId) id, step->state), step->detail,
			            step->hint);
			continue;
		}
		error = init_do(machine, (InitStepId) id, &detail, &status);
		report_step(report, (InitStepId) id, error == NULL ? "done" : "failed",
		            detail == NULL ? step->detail : detail, step->hint);
		if (status != 0)
			invocation_set_status(invocation, status);
		if (error != NULL && report->json)
			report_verdict(report, machine, false, error_message(error), error_get_hint(error));
		TRY(error);
	}
	return NULL;
}

static Error *
finish(Invocation *invocation, const InitReport *report, const InitMachine *machine, const InitPlan *plan)
{
	AUTO_FREE char *runbook = command_line(machine, "runbook");
	AUTO_FREE char *verdict = NULL;

	if (plan->waits)
	{
		verdict = mem_strdup("Not finished: nothing is archived until the server is restarted.");
		report_verdict(report, machine, false, verdict, plan->steps[INIT_RESTART].hint);
		invocation_set_status(invocation, STATUS_NOT_FINISHED);
		return NULL;
	}
	verdict = mem_printf("Set up: the server archives to %s%s.", machine->store,
	                     plan->steps[INIT_BACKUP].state == INIT_LEFT_OUT ? "; there is no backup yet"
	                                                                     : ", and a backup is there");
	AUTO_FREE char *next =
		mem_printf("recover it once, into another directory, and print the page at 3 a.m.: %s", runbook);

	report_verdict(report, machine, true, verdict, next);
	return NULL;
}

static Error *
set_up(Invocation *invocation, const InitReport *report, InitMachine *machine)
{
	bool only_plan = invocation_flag(invocation, "plan");
	bool may_ask = !only_plan && !report->json && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	AUTO_INIT_PLAN plan = {0};

	TRY(init_look_for_server(invocation, machine));
	if (may_ask)
		TRY(init_ask(machine));
	TRY(init_check_answers(machine));
	TRY(init_look_at_machine(machine));
	init_plan(&machine->facts, &machine->options, &plan);
	if (may_ask && !plan.refused && plan.waits && machine->restart_command != NULL &&
	    init_ask_restart(machine->restart_command))
	{
		machine->options.restart = true;
		init_plan_release(&plan);
		init_plan(&machine->facts, &machine->options, &plan);
	}
	if (only_plan || plan.refused)
		return show_plan(invocation, report, machine, &plan);
	TRY(do_steps(invocation, report, machine, &plan));
	return finish(invocation, report, machine, &plan);
}

static Error *
run(Invocation *invocation)
{
	AUTO_INIT_MACHINE machine = {
		.options = {.replace_archive_command = invocation_flag(invocation, "replace-archive-command"),
	                .new_system = invocation_flag(invocation, "new-system"),
	                .restart = invocation_flag(invocation, "restart"),
	                .no_backup = invocation_flag(invocation, "no-backup"),
	                .no_timers = invocation_flag(invocation, "no-timers")}};
	AUTO(Json) root = json_new_object();
	InitReport report = {.json = invocation_flag(invocation, "json"), .root = root};

	json_add_int(root, "format", REPORT_FORMAT);
	report.steps = json_add_array(root, "steps");
	return set_up(invocation, &report, &machine);
}

const Command command_init = {
	.name = "init",
	.summary = "sets everything up beside a running server: settings, archiving, first backup, timers",
	.arguments = "",
	.description =
		"Finds the server that runs on this machine, asks at a terminal for the store and its credentials where they\n"
		"are not given, and then: makes state directory and store, writes the settings file, with every setting that is\n"
		"given as an option, tries the store, lets the server archive by ALTER SYSTEM, restarts it where that is needed\n"
		"and allowed, takes the first backup, checks, and enables timers. What exists is kept. It can be run again at\n"
		"any time, and goes on where it ended. Run it as root, or as the server's user, who then hears what only root\n"
		"can do. Of a store on S3 the secret comes from the environment (WALSHIP_S3_SECRET_ACCESS_KEY or that of AWS),\n"
		"and is written into a file of its own. Exit 8: not finished, for the server must be restarted, or a check\n"
		"failed. Exit 3: somebody else archives, or the settings say something else; nothing was done.",
	.examples = "  walship init --store s3://BUCKET/PREFIX --plan\n"
				"  walship init --store file:///srv/walship --restart\n",
	.statuses = "0 2 3 4 5 7 8",
	.without_settings = true,
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
