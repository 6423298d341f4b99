/*
 * psql as the way into a server: for text that pg_restore prints.
 *
 * Since 17 pg_restore begins by setting transaction_timeout, which older servers do not know, and ends there when
 * it is connected itself.  An archive of a newer pg_dump needs a newer pg_restore; so into an older server its text
 * goes without that line.
 */
#include <string.h>

#include "undump_run.h"
#include "walship/base/mem.h"
#include "walship/pg/programs.h"

#define HEAD_MAX 16384 /* bytes; of a text that changes no database the line stands in the first 1,000 */

static const char too_new[] = "SET transaction_timeout = 0;\n";
static const char before_it[] = "SET idle_in_transaction_session_timeout = 0;\n";

struct UndumpScript
{
	ChildStream *psql;
	bool older; /* the server does not know "too_new" */
	bool long_text;
	bool wants;
	Buf head;
};

bool
undump_needs_script(const UndumpRun *run)
{
	return run->client_major >= 17 && server_major(run->server) < 17;
}

/* Each time where it follows its neighbour. */
static void
leave_out(Buf *text)
{
	AUTO_FREE char *both = mem_printf("%s%s", before_it, too_new);
	char *at = text->data;

	while (at != NULL && (at = strstr(at, both)) != NULL)
	{
		at += strlen(before_it);
		memmove(at, at + strlen(too_new), strlen(at + strlen(too_new)) + 1);
		text->size -= strlen(too_new);
	}
}

Error *
undump_script_start(const UndumpRun *run, const UndumpChoice *choice, bool long_text,
                    UndumpScript **ret_script)
{
	AUTO(UndumpScript) script = NEW(UndumpScript);
	AUTO_FREE char *program = program_in(run->programs, "psql");
	AUTO_FREE char *dbname = undump_dbname_option(run, choice);
	const char *const argv[] = {program, "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1",
	                            dbname,  NULL};

	if (program == NULL)
		return error_new(ERR_SYSTEM, "beside pg_restore in \"%s\" there is no psql", run->programs);
	script->older = server_major(run->server) < 17;
	script->long_text = long_text;
	script->wants = true;
	buf_init(&script->head, SIZE_MAX);
	TRY(child_stream_start(&(ChildOptions){.argv = argv, .environment = run->options->environment}, true,
	                       &script->psql));
	*ret_script = MOVE(script);
	return NULL;
}

static Error *
end_head(UndumpScript *script)
{
	if (script->older)
		leave_out(&script->head);
	script->older = false;
	TRY(child_stream_write(script->psql, script->head.data, script->head.size, NULL, &script->wants));
	buf_clear(&script->head);
	return NULL;
}

Error *
undump_script_write(UndumpScript *script, const void *text, size_t size)
{
	if (!script->older)
		return child_stream_write(script->psql, text, size, NULL, &script->wants);
	buf_append(&script->head, text, size);
	if (script->long_text && script->head.size > HEAD_MAX)
		TRY(end_head(script));
	return NULL;
}

bool
undump_script_wants(const UndumpScript *script)
{
	return script->wants;
}

Error *
undump_script_end(UndumpScript *script, StrList *ret_lines, int *ret_status)
{
	if (script->older)
		TRY(end_head(script));
	TRY(child_stream_end(script->psql, NULL, ret_status));
	child_stream_errors(script->psql, ret_lines);
	return NULL;
}

void
undump_script_free(UndumpScript *script)
{
	if (script == NULL)
		return;
	child_stream_free(script->psql);
	buf_release(&script->head);
	free(script);
}
