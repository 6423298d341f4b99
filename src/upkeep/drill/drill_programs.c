/* What PostgreSQL's own programs say of a recovered copy: pg_dumpall while it runs, pg_checksums once it has ended. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "drill_steps.h"
#include "walship/base/buf.h"
#include "walship/base/child.h"
#include "walship/base/mem.h"
#include "walship/pg/programs.h"

#define OUTPUT_MAX   (1024 * 1024)
#define FINDINGS_MAX 20
#define ENDED_MS     (-1) /* no limit: it reads all there is */
#define WORDS_MAX    16

/* With what it said on both streams; false, with a note: it is not here. */
static Error *
run_program(const PrivateServer *server, DrillLevel level, const char *const *words, const char *pg_options,
            DrillReport *report, Buf *output, int *ret_status)
{
	AUTO_FREE char *path = program_in(server->note.programs, words[0]);
	AUTO_STRLIST environment = {0};
	const char *argv[WORDS_MAX] = {path};

	*ret_status = 0;
	if (path == NULL)
	{
		drill_note(report, level, "there is no program \"%s\" in \"%s\"", words[0], server->note.programs);
		return NULL;
	}
	for (size_t i = 1; words[i] != NULL && i + 1 < WORDS_MAX; i++)
		argv[i] = words[i];
	private_server_environment(pg_options, &environment);
	TRY(child_run(&(ChildOptions){.argv = argv,
	                              .environment = (const char *const *) environment.items,
	                              .death_signal = SIGKILL},
	              ENDED_MS, output, ret_status));
	report->checks[level].checked = 1;
	return NULL;
}

/* Its errors, line by line, without its name; all of the last line when there are none. */
static void
add_errors(DrillReport *report, DrillLevel level, const Buf *output, const char *program)
{
	static const char *const marks[] = {": error: ", ": detail: Error message from server: "};
	AUTO_FREE char *text = mem_strdup(output->data == NULL ? "" : output->data);
	char *rest = NULL;
	const char *last = "it said nothing";

	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
	{
		last = line;
		for (size_t i = 0; i < lengthof(marks); i++)
		{
			const char *at = strstr(line, marks[i]);

			if (at != NULL && report->checks[level].findings.count < FINDINGS_MAX)
				drill_finding(report, level, "%s: %s", program, at + strlen(marks[i]));
		}
	}
	if (report->checks[level].findings.count == 0)
		drill_finding(report, level, "%s failed: %s", program, last);
}

/* An unlogged table has no contents before the recovery has ended. */
Error *
drill_check_dump(const PrivateServer *server, DrillReport *report)
{
	AUTO_FREE char *port = mem_printf("%" PRIu64, server->note.port);
	const char *const words[] = {"pg_dumpall", "--host",     server->note.sockets, "--port",
	                             port,         "--username", server->user,         "--no-password",
	                             "--file",     "/dev/null",  "--no-sync",          "--no-unlogged-table-data",
	                             NULL};
	AUTO_BUF(output, OUTPUT_MAX);
	int status;

	TRY(run_program(server, DRILL_DUMP, words, PRIVATE_SERVER_OPTIONS, report, &output, &status));
	if (status != 0)
		add_errors(report, DRILL_DUMP, &output, words[0]);
	return NULL;
}

/* Of indexes, too, which reading the tables does not touch.  It reads what a server has left in order only. */
Error *
drill_check_pages(const PrivateServer *server, DrillReport *report)
{
	static const char *const nothing_to_check[] = {"checksums are not enabled", "must be shut down"};
	const char *const words[] = {"pg_checksums", "--check", "--pgdata", server->pgdata, NULL};
	AUTO_BUF(output, OUTPUT_MAX);
	int status;

	TRY(run_program(server, DRILL_PAGES, words, "", report, &output, &status));
	if (status == 0)
		return NULL;
	for (size_t i = 0; output.data != NULL && i < lengthof(nothing_to_check); i++)
		if (strstr(output.data, nothing_to_check[i]) != NULL)
		{
			report->checks[DRILL_PAGES].checked = 0;
			drill_note(report, DRILL_PAGES, "%.*s", (int) strcspn(output.data, "\n"), output.data);
			return NULL;
		}
	add_errors(report, DRILL_PAGES, &output, words[0]);
	return NULL;
}
