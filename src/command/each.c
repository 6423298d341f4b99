/* walship each: one command for every [cluster NAME] of the settings file, each in a process of its own. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "table.h"
#include "walship/base/buf.h"
#include "walship/base/child.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"

#define JOBS_MOST     64
#define STATUS_SYSTEM 7
#define SUMMARY_MAX   4096

static const CommandOption options[] = {
	{"jobs", OPTION_VALUE, "N", "so many clusters at the same time (default 1)"},
};

/* One cluster's run.  Lines of several come together, so each is written whole. */
typedef struct Run
{
	const char *cluster;
	StrList words; /* the command line */
	pthread_mutex_t *printing;
	int status;
} Run;

static void
print_prefixed(void *context, bool is_error, const char *line)
{
	const Run *run = context;

	(void) pthread_mutex_lock(run->printing);
	print_line(is_error ? stderr : stdout, "%s: %s", run->cluster, line);
	(void) fflush(is_error ? stderr : stdout);
	(void) pthread_mutex_unlock(run->printing);
}

/* What one of them cannot do is no reason not to run the others. */
static Error *
run_one(void *argument)
{
	Run *run = argument;
	AUTO_FREE const char **argv = NEW_ARRAY(const char *, run->words.count + 1);
	Error *error;

	for (size_t i = 0; i < run->words.count; i++)
		argv[i] = run->words.items[i];
	error = child_run_lines(&(ChildOptions){.argv = argv}, print_prefixed, run, &run->status);
	if (error == NULL || error_is(error, ERR_CANCELLED))
		return error;
	print_prefixed(run, true, error_message(error));
	error_free(error);
	run->status = STATUS_SYSTEM;
	return NULL;
}

static void
add_cluster_option(StrList *words, const char *cluster)
{
	AUTO_FREE char *option = mem_printf("--cluster=%s", cluster);

	strlist_add(words, option);
}

/* "walship backup --cluster=billing --config=... --expire" */
static void
list_words(const Invocation *invocation, const char *cluster, StrList *words)
{
	size_t count;
	char *const *rest = invocation_rest(invocation, &count);

	strlist_add(words, invocation_program(invocation));
	strlist_add(words, rest[0]);
	add_cluster_option(words, cluster);
	invocation_list_sources(invocation, words);
	for (size_t i = 1; i < count; i++)
		strlist_add(words, rest[i]);
}

static Error *
check_command(const Invocation *invocation)
{
	static const char *const never[] = {"push", "fetch", "each"};
	size_t count;
	char *const *rest = invocation_rest(invocation, &count);
	const Command *command = command_by_name(rest[0]);

	if (command == NULL || command->hidden)
		return error_hint(error_new(ERR_USAGE, "unknown command \"%s\"", rest[0]),
		                  "\"walship --help\" lists the commands.");
	for (size_t i = 0; i < lengthof(never); i++)
		if (strcmp(command->name, never[i]) == 0)
			return error_new(ERR_USAGE, "\"%s\" is not a command for every cluster", command->name);
	for (size_t i = 1; i < count; i++)
		if (strcmp(rest[i], "--cluster") == 0 || strncmp(rest[i], "--cluster=", strlen("--cluster=")) == 0)
			return error_new(ERR_USAGE, "\"each\" is for every cluster, and --cluster for one");
	return NULL;
}

static Error *
check_clusters(const Settings *settings)
{
	if (settings_cluster(settings) != NULL)
		return error_hint(error_new(ERR_USAGE, "\"each\" is for every cluster, and \"%s\" is chosen",
		                            settings_cluster(settings)),
		                  "Leave out --cluster, and unset WALSHIP_CLUSTER.");
	if (settings_clusters(settings)->count == 0)
		return error_hint(error_new(ERR_USAGE, "the settings have no clusters"),
		                  "Sections [cluster NAME] of the settings file make some.");
	return NULL;
}

static Error *
read_jobs(const Invocation *invocation, int *ret_jobs)
{
	const char *given = invocation_value(invocation, "jobs");
	uint64_t jobs = 1;

	if (given != NULL && (!str_to_uint64(given, &jobs) || jobs == 0 || jobs > JOBS_MOST))
		return error_new(ERR_USAGE, "invalid value for option --jobs: \"%s\": it is 1 to %d", given,
		                 JOBS_MOST);
	*ret_jobs = (int) jobs;
	return NULL;
}

/* The greatest of all; and who had another one than 0. */
static int
summarize(const Run *runs, size_t count)
{
	AUTO_BUF(names, SUMMARY_MAX);
	size_t failed = 0;
	int worst = 0;

	for (size_t i = 0; i < count; i++)
	{
		if (runs[i].status == 0)
			continue;
		buf_printf(&names, "%s%s (%d)", failed++ > 0 ? ", " : "", runs[i].cluster, runs[i].status);
		worst = runs[i].status > worst ? runs[i].status : worst;
	}
	if (failed > 0)
		log_line(LOG_WARNING, NULL, "of %zu clusters %zu ended with an exit code other than 0: %s", count,
		         failed, names.overflowed ? "..." : names.data);
	return worst;
}

static Error *
run(Invocation *invocation)
{
	const StrList *names = settings_clusters(invocation_settings(invocation));
	pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;
	AUTO(Workers) workers = NULL;
	AUTO_FREE Run *runs = NULL;
	Error *error;
	int jobs = 0;

	TRY(check_clusters(invocation_settings(invocation)));
	TRY(check_command(invocation));
	TRY(read_jobs(invocation, &jobs));
	workers = workers_new(jobs);
	runs = NEW_ARRAY(Run, names->count);
	for (size_t i = 0; i < names->count; i++)
	{
		runs[i] = (Run){.cluster = names->items[i], .printing = &printing};
		list_words(invocation, names->items[i], &runs[i].words);
		workers_submit(workers, run_one, &runs[i], NULL);
	}
	error = workers_wait(workers);
	if (error == NULL)
		invocation_set_status(invocation, summarize(runs, names->count));
	for (size_t i = 0; i < names->count; i++)
		strlist_release(&runs[i].words);
	return error;
}

const Command command_each = {
	.name = "each",
	.summary = "runs a command for every [cluster NAME] of the settings file",
	.arguments = "COMMAND [OPTION]... [ARGUMENT]...",
	.description =
		"Each in a process of its own, \"walship COMMAND --cluster=NAME ...\", one after the other in the order of the\n"
		"file, or so many at a time as --jobs says. Every line that they print is printed at once, behind the\n"
		"cluster's name, on the same of standard output and standard error. Options before COMMAND are for all of them,\n"
		"but --jobs. All clusters are run, whatever comes of one. The exit code is the greatest of theirs, where one\n"
		"that a signal ended counts as 128 and its number.",
	.examples = "  walship each --jobs 4 backup\n"
				"  walship each list\n",
	.statuses = "0 2 4 7 8",
	.n_arguments = 1,
	.takes_rest = true,
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
