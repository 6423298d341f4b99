/* The page of this cluster's recoveries, from facts: what it is, what must be kept elsewhere, then the chapters. */
#include "walship/upkeep/runbook.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "runbook_steps.h"
#include "walship/base/buf.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

#define LINE_MOST        (64 * 1024)
#define DEBIAN_SETTINGS  "/etc/postgresql/"
#define TIME_BLANK       "TIME"
#define TO_FILL_IN       "PLACE, DATE"
#define DEFAULT_SETTINGS "/etc/walship/walship.conf"

void
runbook_release(Runbook *runbook)
{
	for (size_t i = 0; i < runbook->count; i++)
		for (size_t j = 0; j < RUNBOOK_CELLS; j++)
			free(runbook->blocks[i].cells[j]);
	free(runbook->blocks);
	*runbook = (Runbook){0};
}

/* ---- blocks ---- */

/* What stands in a record of the store, or is a name of somebody's, must not draw lines of its own. */
static char *
shown(const char *text)
{
	return text == NULL ? NULL : str_printable(text);
}

static void
add_block(RunbookWriter *writer, RunbookBlockKind kind, const char *first, const char *second,
          const char *third)
{
	Runbook *runbook = writer->runbook;

	GROW(runbook->blocks, runbook->count, runbook->capacity);
	runbook->blocks[runbook->count++] =
		(RunbookBlock){.kind = kind, .cells = {shown(first), shown(second), shown(third)}};
}

static void add_formatted(RunbookWriter *writer, RunbookBlockKind kind, const char *begin, const char *end,
                          const char *format, va_list arguments) PRINTF_LIKE(5, 0);

static void
add_formatted(RunbookWriter *writer, RunbookBlockKind kind, const char *begin, const char *end,
              const char *format, va_list arguments)
{
	AUTO_BUF(text, LINE_MOST);

	buf_puts(&text, begin);
	buf_vprintf(&text, format, arguments);
	buf_puts(&text, end);
	add_block(writer, kind, text.overflowed ? "(longer than a line may be)" : text.data, NULL, NULL);
}

void
runbook_heading(RunbookWriter *writer, const char *text)
{
	add_block(writer, RUNBOOK_HEADING, text, NULL, NULL);
}

void
runbook_text(RunbookWriter *writer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_formatted(writer, RUNBOOK_TEXT, "", "", format, arguments);
	va_end(arguments);
}

void
runbook_row(RunbookWriter *writer, const char *what, char *value, char *more)
{
	add_block(writer, RUNBOOK_ROW, what, value, more);
	free(value);
	free(more);
}

void
runbook_step(RunbookWriter *writer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_formatted(writer, RUNBOOK_STEP, "", "", format, arguments);
	va_end(arguments);
}

void
runbook_line(RunbookWriter *writer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_formatted(writer, RUNBOOK_COMMAND, "", "", format, arguments);
	va_end(arguments);
}

/* Where it need not be quoted it is easier to read, and to type. */
static char *
quote(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-+:=,@%";

	return *text != '\0' && text[strspn(text, plain)] == '\0' ? mem_strdup(text) : str_shell_quote(text);
}

static char *
program(const RunbookWriter *writer)
{
	return writer->facts->program == NULL ? mem_strdup("walship ")
	                                      : mem_printf("%s ", writer->facts->program);
}

void
runbook_walship(RunbookWriter *writer, const char *format, ...)
{
	AUTO_FREE char *begin = program(writer);
	va_list arguments;

	va_start(arguments, format);
	add_formatted(writer, RUNBOOK_COMMAND, begin, writer->facts->flags == NULL ? "" : writer->facts->flags,
	              format, arguments);
	va_end(arguments);
}

void
runbook_walship_second(RunbookWriter *writer, const char *format, ...)
{
	const char *flags = writer->facts->flags_to_copy;
	AUTO_FREE char *begin = program(writer);
	AUTO_FREE char *end = mem_printf("%s --store=%s", flags == NULL ? "" : flags, writer->second);
	va_list arguments;

	va_start(arguments, format);
	add_formatted(writer, RUNBOOK_COMMAND, begin, end, format, arguments);
	va_end(arguments);
}

/* ---- this cluster ---- */

static const char *
or_blank(const char *text, const char *blank)
{
	return text == NULL ? blank : text;
}

static char *
describe_store(const RunbookWriter *writer)
{
	const RunbookFacts *facts = writer->facts;

	if (facts->endpoint != NULL)
		return mem_printf("`%s` at %s (account, console: PROVIDER)", facts->store, facts->endpoint);
	return mem_printf("`%s` (provider, account, console: PROVIDER)", or_blank(facts->store, "STORE-URL"));
}

static char *
describe_second(const RunbookWriter *writer)
{
	if (writer->blank)
		return mem_strdup("`SECOND-STORE`, or none");
	return writer->second == NULL ? mem_strdup("none: whoever loses the store loses everything")
	                              : mem_printf("`%s`", writer->facts->second_store);
}

static char *
describe_backup(const RunbookFacts *facts)
{
	char time[TIME_TEXT_SIZE];
	char size[SIZE_TEXT_SIZE];

	if (facts->backup == NULL)
		return mem_strdup("BACKUP; on disk SIZE");
	return mem_printf("%s, of %s; on disk %s", facts->backup,
	                  time_format_postgres(facts->backup_time - facts->backup_time % 1000000, time),
	                  size_format(facts->backup_size, size));
}

static const char *
duration(int64_t ms, char text[SIZE_TEXT_SIZE])
{
	return ms > 0 ? duration_format(ms, text) : TIME_BLANK;
}

static char *
describe_drill(const RunbookWriter *writer)
{
	const RunbookFacts *facts = writer->facts;
	char time[TIME_TEXT_SIZE];
	char took[SIZE_TEXT_SIZE];
	char behind[SIZE_TEXT_SIZE];

	if (!facts->drilled && writer->blank)
		return mem_strdup("by the last drill, on DATE: the recovery took " TIME_BLANK
		                  ", and the newest transaction in it was " TIME_BLANK " old");
	if (!facts->drilled)
		return mem_strdup("**not known: there is no drill to be read.** Run: `walship drill`");

	AUTO_FREE char *lost = facts->drill_rpo_ms == 0
	                           ? mem_strdup("")
	                           : mem_printf(", and the newest transaction in it was %s old",
	                                        duration_format((int64_t) facts->drill_rpo_ms, behind));

	return mem_printf("by the last drill, on %s: the recovery took %s%s%s",
	                  time_format_postgres(facts->drill_time - facts->drill_time % 1000000, time),
	                  duration(facts->drill_ms, took), lost,
	                  facts->drill_passed ? "" : "; **it did not pass**");
}

static void
write_cluster(RunbookWriter *writer)
{
	const RunbookFacts *facts = writer->facts;
	char rpo[SIZE_TEXT_SIZE];
	char rto[SIZE_TEXT_SIZE];
	AUTO_FREE char *system = facts->system_identifier == 0 ? mem_strdup("SYSTEM")
	                                                       : mem_printf("%" PRIu64, facts->system_identifier);
	AUTO_FREE char *title = facts->cluster != NULL ? mem_printf("Runbook: %s", facts->cluster)
	                        : writer->blank
	                            ? mem_strdup("Runbook: CLUSTER")
	                            : mem_printf("Runbook: PostgreSQL %s, system %s", writer->major, system);

	add_block(writer, RUNBOOK_TITLE, title, NULL, NULL);
	if (!writer->blank)
	{
		char time[TIME_TEXT_SIZE];

		runbook_text(
			writer,
			"Made by walship %s on %s, %s. Make it anew, and print it, whenever the settings, the keys, the data "
			"directory or the major of PostgreSQL have changed.",
			or_blank(facts->version, "VERSION"), or_blank(facts->host, "HOST"),
			time_format_postgres(facts->now - facts->now % 1000000, time));
	}
	runbook_text(
		writer,
		"A page to print, and to keep where the database is not. Fill in what stands in CAPITALS. Follow it once from "
		"top to bottom on an empty machine: what was missing then belongs on it. It holds no secret.");
	if (!writer->blank && facts->pgdata == NULL)
		runbook_text(
			writer,
			"**Not known:** the data directory, which neither the setting `pgdata` nor the server tells; %s "
			"stands for it below.",
			writer->pgdata);
	for (size_t i = 0; i < facts->unknown.count; i++)
		runbook_text(writer, "**Not known:** %s", facts->unknown.items[i]);
	add_block(writer, RUNBOOK_TABLE, "this cluster", "", NULL);
	runbook_row(
		writer, "PostgreSQL",
		mem_printf("%s, data directory `%s`, database system %s", writer->major, writer->pgdata, system),
		NULL);
	for (size_t i = 0; i < facts->tablespaces.count; i++)
		runbook_row(writer, "tablespace", mem_printf("`%s`", facts->tablespaces.items[i]), NULL);
	runbook_row(writer, "store", describe_store(writer), NULL);
	runbook_row(writer, "second store", describe_second(writer), NULL);
	runbook_row(writer, "newest backup", describe_backup(facts), NULL);
	runbook_row(writer, "may lose, may take",
	            mem_printf("%s of changes (RPO); %s (RTO)", duration(facts->rpo_target_ms, rpo),
	                       duration(facts->rto_target_ms, rto)),
	            NULL);
	runbook_row(writer, "measured", describe_drill(writer), NULL);
	runbook_row(writer, "who decides, who helps", mem_strdup("NAME, PHONE; NAME, PHONE"), NULL);
	runbook_row(writer, "applications", mem_strdup("CONNECTION-STRING, DNS-NAME, WHO"), NULL);
}

/* ---- what must be kept elsewhere ---- */

static char *
describe_key(const RunbookWriter *writer)
{
	const RunbookFacts *facts = writer->facts;

	if (writer->blank)
		return mem_strdup(
			"the secret age key, or the passphrase, if anything is encrypted; `walship key show FILE` "
			"says FINGERPRINT");
	if (facts->recipients == NULL && facts->keys == NULL)
		return mem_strdup("none: nothing is encrypted");

	AUTO_FREE char *file =
		facts->passphrase_file != NULL ? mem_printf("the passphrase in `%s`", facts->passphrase_file)
		: facts->identity_file != NULL ? mem_printf("the secret key in `%s`", facts->identity_file)
									   : mem_strdup("the secret key, **which is not on this machine**");
	AUTO_FREE char *keys =
		facts->keys == NULL ? mem_strdup("") : mem_printf("; this machine has %s", facts->keys);

	return mem_printf("%s; encrypted for %s%s", file, or_blank(facts->recipients, "nobody any more"), keys);
}

static char *
describe_programs(const RunbookWriter *writer)
{
	const char *libraries = writer->facts->libraries;

	return mem_printf("how to get PostgreSQL %s, its extensions%s%s%s, and walship %s", writer->major,
	                  libraries == NULL ? "" : " (at the start it loads ", or_blank(libraries, ""),
	                  libraries == NULL ? "" : ")", or_blank(writer->facts->version, "VERSION"));
}

static void
write_config_row(RunbookWriter *writer)
{
	const RunbookFacts *facts = writer->facts;
	AUTO_FREE char *directory = facts->config_file == NULL ? mem_printf(DEBIAN_SETTINGS "%s", writer->major)
	                                                       : path_parent(facts->config_file);

	if (facts->pgdata != NULL && strcmp(directory, facts->pgdata) == 0)
		return;
	runbook_row(writer, "PostgreSQL's configuration", mem_printf("`%s`", directory),
	            mem_strdup(facts->backup_has_config
	                           ? "postgresql.conf, pg_hba.conf and what they include are in the "
	                             "newest backup, too; the rest is not; " TO_FILL_IN
	                           : TO_FILL_IN));
}

static void
write_kept_away(RunbookWriter *writer)
{
	const RunbookFacts *facts = writer->facts;

	runbook_heading(writer, "Kept away from this machine");
	runbook_text(
		writer,
		"**Without these nothing comes back.** Check them when people leave and when keys change; write down where they "
		"are, never the secret itself.");
	add_block(writer, RUNBOOK_TABLE, "what", "which one it is", "where it is kept, checked on");
	runbook_row(writer, "settings",
	            facts->settings_digest == NULL ? mem_printf("`%s`", writer->settings)
	                                           : mem_printf("`%s`, whose `sha256sum` begins with %s",
	                                                        writer->settings, facts->settings_digest),
	            mem_strdup(TO_FILL_IN));
	runbook_row(writer, "credentials of the store",
	            mem_printf("that can **read** it: key id %s", or_blank(facts->key_id, "KEY-ID")),
	            mem_strdup(TO_FILL_IN));
	if (writer->second != NULL)
		runbook_row(writer, "credentials of the second store",
		            mem_strdup("that can **read** it: key id KEY-ID"), mem_strdup(TO_FILL_IN));

	runbook_row(writer, "key", describe_key(writer), mem_strdup(TO_FILL_IN));
	runbook_row(writer, "programs", describe_programs(writer), mem_strdup(TO_FILL_IN));
	write_config_row(writer);
	runbook_row(writer, "this page", mem_strdup("on paper, and with whoever is called at night"),
	            mem_strdup(TO_FILL_IN));
}

/* ---- the whole ---- */

/* On Debian a cluster has a name: "/etc/postgresql/15/main/postgresql.conf". */
static char *
stop_line(const RunbookFacts *facts, const char *pgdata)
{
	const char *file = facts->config_file;

	if (file == NULL || !str_starts_with(file, DEBIAN_SETTINGS))
		return mem_printf("pg_ctl -D %s stop", pgdata);

	AUTO_FREE char *directory = path_parent(file);
	char *slash = strrchr(directory, '/');

	*slash = '\0';

	AUTO_FREE char *major = quote(strrchr(directory, '/') + 1);
	AUTO_FREE char *cluster = quote(slash + 1);

	return mem_printf("pg_ctlcluster %s %s stop", major, cluster);
}

static char *
tablespace_map(const RunbookFacts *facts, const char *copy)
{
	AUTO_BUF(map, LINE_MOST);

	for (size_t i = 0; i < facts->tablespaces.count; i++)
	{
		AUTO_FREE char *pair = mem_printf("%s=%s-tablespace-%zu", facts->tablespaces.items[i], copy, i + 1);
		AUTO_FREE char *quoted = quote(pair);

		buf_printf(&map, " --tablespace-map %s", quoted);
	}
	return buf_steal(&map);
}

static void
prepare(RunbookWriter *writer)
{
	const RunbookFacts *facts = writer->facts;
	AUTO_FREE char *pgdata = NULL;
	AUTO_FREE char *parent = NULL;
	AUTO_FREE char *copy = NULL;

	writer->blank = facts->now == 0;
	writer->major = facts->major == 0 ? mem_strdup("MAJOR") : mem_printf("%d", facts->major);
	pgdata = facts->pgdata == NULL ? mem_printf("/var/lib/postgresql/%s/main", writer->major)
	                               : mem_strdup(facts->pgdata);
	parent = path_parent(pgdata);
	copy = path_join(parent, "walship-copy");
	writer->pgdata = quote(pgdata);
	writer->copy = quote(copy);
	writer->map = tablespace_map(facts, copy);
	writer->stop = stop_line(facts, writer->pgdata);
	writer->settings = mem_strdup(or_blank(facts->settings_file, DEFAULT_SETTINGS));
	if (facts->second_store != NULL)
		writer->second = quote(facts->second_store);
	else if (writer->blank)
		writer->second = mem_strdup("SECOND-STORE");
}

void
runbook_write(const RunbookFacts *facts, Runbook *ret_runbook)
{
	RunbookWriter writer = {.facts = facts, .runbook = ret_runbook};

	*ret_runbook = (Runbook){0};
	prepare(&writer);
	write_cluster(&writer);
	write_kept_away(&writer);
	runbook_write_beginning(&writer);
	runbook_write_accidents(&writer);
	runbook_write_new_machine(&writer);
	runbook_write_failover(&writer);
	runbook_write_lost_store(&writer);
	runbook_write_lost_key(&writer);
	runbook_write_end(&writer);
	free(writer.major);
	free(writer.pgdata);
	free(writer.copy);
	free(writer.map);
	free(writer.stop);
	free(writer.settings);
	free(writer.second);
}
