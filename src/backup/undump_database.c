/*
 * The database itself: made as it was on the dumped server, in the words that the
 * target's major knows, and dropped where its restore fails.
 *
 * CREATE DATABASE is our own: that of the archive is of pg_dump's major (one of 15 or newer writes
 * LOCALE_PROVIDER, which 13 and 14 do not know), and pg_restore cannot be told to leave it out.  What else the
 * archive says of the database (privileges, comment, settings, limits) is the text that pg_restore prints, without
 * that one statement; it has the database's own name in it, so it serves for no other one.
 */
#include <inttypes.h>
#include <string.h>

#include "undump_run.h"
#include "walship/base/mem.h"
#include "walship/pg/programs.h"

#define ENTRIES_TEXT_MAX (64u * 1024 * 1024)
#define DROP_MS          60000

static char *
quote_literal(const char *text)
{
	AUTO_BUF(quoted, SIZE_MAX);

	buf_puts(&quoted, " E'");
	for (; *text != '\0'; text++)
	{
		if (*text == '\'' || *text == '\\')
			buf_putc(&quoted, *text);
		buf_putc(&quoted, *text);
	}
	buf_putc(&quoted, '\'');
	return buf_steal(&quoted);
}

static char *
quote_identifier(const char *text)
{
	AUTO_BUF(quoted, SIZE_MAX);

	buf_putc(&quoted, '"');
	for (; *text != '\0'; text++)
	{
		if (*text == '"')
			buf_putc(&quoted, *text);
		buf_putc(&quoted, *text);
	}
	buf_putc(&quoted, '"');
	return buf_steal(&quoted);
}

static void
add_literal(Buf *sql, const char *word, const char *value)
{
	AUTO_FREE char *quoted = value == NULL ? NULL : quote_literal(value);

	if (quoted != NULL)
		buf_printf(sql, " %s%s", word, quoted);
}

static void
add_identifier(Buf *sql, const char *word, const char *value)
{
	AUTO_FREE char *quoted = value == NULL ? NULL : quote_identifier(value);

	if (quoted != NULL)
		buf_printf(sql, " %s %s", word, quoted);
}

static Error *
names_a_tablespace(const UndumpRun *run, const char *name, bool *ret_there)
{
	AUTO_RESULTS results = {0};

	*ret_there = false;
	TRY(server_run(run->server, "SELECT spcname FROM pg_catalog.pg_tablespace", -1, &results));
	for (size_t i = 0; i < results.items[0].count; i++)
		*ret_there |= str_equal(results.items[0].values[i], name);
	return NULL;
}

/* Where the globals came along, their tablespaces may have failed: the directory is not there. */
Error *
undump_look_for_tablespaces(const UndumpRun *run, UndumpChoice *choice)
{
	const DumpDatabaseFacts *facts = choice->facts;

	choice->no_tablespaces = false;
	for (size_t i = 0; i < facts->n_tablespaces; i++)
	{
		bool there;

		TRY(names_a_tablespace(run, facts->tablespaces[i], &there));
		if (there)
			continue;
		notice(&run->options->notices, LOG_WARNING, NULL,
		       "there is no tablespace \"%s\" on the server: everything of database \"%s\" goes into the "
		       "usual one",
		       facts->tablespaces[i], facts->name);
		choice->no_tablespaces = true;
	}
	return NULL;
}

static void
create_statement(const UndumpRun *run, const UndumpChoice *choice, Buf *sql)
{
	const DumpDatabaseFacts *facts = choice->facts;
	int major = server_major(run->server);
	bool icu = str_equal(facts->provider, "i");

	add_identifier(sql, "CREATE DATABASE", choice->target);
	buf_puts(sql, " TEMPLATE template0");
	if (run->tables.n_tables == 0 && !run->options->no_owner)
		add_identifier(sql, "OWNER", facts->owner);
	if (run->tables.n_tables == 0 && !choice->no_tablespaces)
		add_identifier(sql, "TABLESPACE", facts->tablespace);
	add_literal(sql, "ENCODING", facts->encoding);
	add_literal(sql, "LC_COLLATE", facts->collate);
	add_literal(sql, "LC_CTYPE", facts->ctype);

	/* libc is what an older server has, and what a newer one may not be set to by its template. */
	if (major >= 15 && facts->provider != NULL)
		buf_printf(sql, " LOCALE_PROVIDER %s",
		           icu                               ? "icu"
		           : str_equal(facts->provider, "b") ? "builtin"
		                                             : "libc");
	if (major >= 15)
		add_literal(sql, icu ? "ICU_LOCALE" : "BUILTIN_LOCALE", facts->locale);
	if (major >= 16)
		add_literal(sql, "ICU_RULES", facts->icu_rules);
}

static Error *
create_database(const UndumpRun *run, const UndumpChoice *choice)
{
	AUTO_BUF(sql, SIZE_MAX);
	AUTO_RESULTS done = {0};
	Error *error;

	create_statement(run, choice, &sql);
	error = server_run(run->server, sql.data, -1, &done);
	if (error != NULL && run->options->new_server && !error_is(error, ERR_CANCELLED))
	{
		Error *refused = error_new(ERR_CORRUPT, "%s", error_message(error));

		error_free(error);
		error = refused;
	}
	return error_context(error, "could not create database \"%s\"", choice->target);
}

/* The archive's own text knows its name only, and psql takes none with a line end. */
static bool
has_properties(const UndumpRun *run, const UndumpChoice *choice)
{
	return run->tables.n_tables == 0 && strcmp(choice->target, choice->facts->name) == 0 &&
	       strpbrk(choice->target, "\r\n") == NULL;
}

/* "3341; 0 0 ACL - DATABASE shop owner"; the settings need no line. */
static void
select_properties(const char *list, Buf *into)
{
	static const char *const kinds[] = {" ACL - DATABASE ", " COMMENT - DATABASE ",
	                                    " SECURITY LABEL - DATABASE "};

	buf_puts(into, "");
	for (; *list != '\0'; list += strcspn(list, "\n"), list += *list == '\n')
		for (size_t i = 0; i < lengthof(kinds) && *list != ';'; i++)
		{
			const char *found = strstr(list, kinds[i]);

			if (found != NULL && found < list + strcspn(list, "\n"))
				buf_printf(into, "%.*s\n", (int) strcspn(list, "\n"), list);
		}
}

/* Of "text" without its CREATE DATABASE, which ends at the first semicolon outside of quotes. */
static void
leave_out_create(const char *text, Buf *into)
{
	static const char word[] = "\nCREATE DATABASE ";
	const char *at = strstr(text, word);
	const char *end = at;

	for (char quote = '\0'; end != NULL && *end != '\0' && (quote != '\0' || *end != ';'); end++)
		if (quote == '\0' ? *end == '\'' || *end == '"' : *end == quote)
			quote = quote == '\0' ? *end : '\0';
	buf_printf(into, "%.*s", at == NULL ? (int) strlen(text) : (int) (at - text), text);
	if (end != NULL)
		buf_puts(into, *end == ';' ? end + 1 : end);
}

static Error *
print_properties(UndumpRun *run, const UndumpChoice *choice, Buf *ret_text)
{
	AUTO_FREE char *program = program_in(run->programs, "pg_restore");
	const char *const list_argv[] = {program, "--list", "--create", NULL};
	AUTO_BUF(list, ENTRIES_TEXT_MAX);
	AUTO_BUF(selected, ENTRIES_TEXT_MAX);
	AUTO_BUF(text, ENTRIES_TEXT_MAX);
	AUTO_CLOSE int entries = -1;

	buf_puts(&list, "");
	TRY(undump_print(run, choice, list_argv, 0, &list));
	select_properties(list.data, &selected);
	TRY(undump_list_file(&selected, &entries));

	AUTO_FREE char *use_list = mem_printf("--use-list=/proc/self/fd/%d", entries);
	const char *argv[] = {program, "--create", "--file=-", use_list, NULL, NULL, NULL};

	if (run->options->no_owner)
	{
		argv[4] = "--no-owner";
		argv[5] = "--no-privileges";
	}
	buf_puts(&text, "");
	TRY(undump_print(run, choice, argv, entries, &text));
	leave_out_create(text.data, ret_text);
	return NULL;
}

static Error *
restore_properties(UndumpRun *run, const UndumpChoice *choice)
{
	AUTO(UndumpScript) script = NULL;
	AUTO_BUF(text, ENTRIES_TEXT_MAX);
	AUTO_STRLIST lines = {0};
	int status = 0;

	buf_puts(&text, "");
	TRY(print_properties(run, choice, &text));
	TRY(undump_script_start(run, choice, false, &script));
	TRY(undump_script_write(script, text.data, text.size));
	TRY(undump_script_end(script, &lines, &status));
	return status == 0 ? NULL : undump_failed(run, choice, &lines, status);
}

/* As a database that was frozen is: its rows come back all the same. */
static Error *
look_whether_read_only(const UndumpRun *run, UndumpChoice *choice)
{
	AUTO(Server) inside = NULL;
	AUTO_FREE char *value = NULL;

	TRY(server_connect_to(run->options->conninfo, choice->target, &inside));
	TRY(server_value(inside, "SHOW default_transaction_read_only", &value));
	choice->read_only = strcmp(value, "on") == 0;
	return NULL;
}

char *
undump_dbname_option(const UndumpRun *run, const UndumpChoice *choice)
{
	AUTO_FREE char *conninfo = server_conninfo(run->server, choice->target);

	return mem_printf("--dbname=%s%s", conninfo,
	                  choice->read_only ? " options='-c default_transaction_read_only=off'" : "");
}

Error *
undump_make_database(UndumpRun *run, UndumpChoice *choice)
{
	Error *error;

	TRY(create_database(run, choice));
	if (!has_properties(run, choice))
	{
		notice(
			&run->options->notices, LOG_INFO, NULL,
			"database \"%s\" has the data of \"%s\", but not its own privileges, comment and settings (ALTER "
			"DATABASE); schema-%" PRIu32 ".sql of the dump has them",
			choice->target, choice->facts->name, choice->facts->oid);
		return NULL;
	}
	error = restore_properties(run, choice);
	if (error == NULL)
		error = look_whether_read_only(run, choice);
	if (error != NULL)
		undump_drop_database(run, choice);
	return error;
}

/* Also of a restore that was told to end; nobody but that restore, of which a session may still be there, uses it. */
void
undump_drop_database(const UndumpRun *run, const UndumpChoice *choice)
{
	AUTO_FREE char *name = quote_identifier(choice->target);
	AUTO_FREE char *no_template = mem_printf("ALTER DATABASE %s IS_TEMPLATE false", name);
	AUTO_FREE char *drop = mem_printf("DROP DATABASE %s WITH (FORCE)", name);

	error_free(server_run_cleanup(run->server, no_template, DROP_MS));

	AUTO(Error) error = server_run_cleanup(run->server, drop, DROP_MS);

	if (error != NULL)
		notice(&run->options->notices, LOG_WARNING, NULL,
		       "database \"%s\", which was made for this restore, could not be dropped: %s", choice->target,
		       error_message(error));
}
