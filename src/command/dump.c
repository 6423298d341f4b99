/* walship dump: a logical dump into the store.  How: walship/backup/dump.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "context.h"
#include "expire_settings.h"
#include "keys.h"
#include "progress.h"
#include "table.h"
#include "walship/backup/dump.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/base/workers.h"

#define NOTE_MAX        4096
#define CPU_THREADS_MAX 16
#define NAMES_MOST      100 /* databases on the command line */

static const CommandOption options[] = {
	{"exclude", OPTION_MANY, "DATABASE", "leave this database out (may be repeated)"},
	{"note", OPTION_VALUE, "TEXT", "a note that is kept with the dump"},
	{"new-system", OPTION_FLAG, NULL, "the store may hold other database systems, and not this one"},
	{"table-size", OPTION_VALUE, "SIZE",
     "the rows of tables from this size on are objects of their own (default: 1GB; 0: none)"},
	{"lock-timeout", OPTION_VALUE, "TIME", "how long to wait for a table that is locked (default: 5min)"},
	{"no-verify-upload", OPTION_FLAG, NULL, "do not read what was stored again to compare it"},
	{"expire", OPTION_FLAG, NULL, "then remove dumps that no rule of the setting \"dump_retention\" keeps"},
	{"progress", OPTION_VALUE, "MODE", PROGRESS_OPTION_HELP},
	{"json", OPTION_FLAG, NULL, "print the dump's record instead of one line"},
};

static const OptionHeading headings[] = {
	{"exclude", "What"},
	{"table-size", "How"},
	{"expire", "Afterwards"},
	{"progress", "What is shown"},
};

static Error *
read_lock_timeout(const Invocation *invocation, int64_t *ret_ms)
{
	const char *text = invocation_value(invocation, "lock-timeout");

	*ret_ms = INT64_C(300000);
	if (text == NULL || (duration_parse(text, ret_ms) && *ret_ms > 0 && *ret_ms <= INT32_MAX))
		return NULL;
	return error_hint(error_new(ERR_USAGE, "--lock-timeout \"%s\" is no time", text),
	                  "Write a duration, for instance 30s or 10min.");
}

static Error *
read_table_size(const Invocation *invocation, uint64_t *ret_size)
{
	const char *text = invocation_value(invocation, "table-size");

	*ret_size = UINT64_C(1) << 30;
	if (text == NULL || size_parse(text, ret_size))
		return NULL;
	return error_hint(error_new(ERR_USAGE, "--table-size \"%s\" is no size", text),
	                  "Write a size, for instance 500MB.");
}

static Error *
read_options(const Invocation *invocation, DumpOptions *dump)
{
	const Settings *settings = invocation_settings(invocation);
	const char *system = settings_text(settings, SETTING_system);

	dump->walship_version = WALSHIP_VERSION;
	dump->conninfo = settings_text(settings, SETTING_conninfo);
	dump->programs = settings_text(settings, SETTING_pg_bindir);
	dump->new_system = invocation_flag(invocation, "new-system");
	dump->note = invocation_value(invocation, "note");
	dump->read_back = !invocation_flag(invocation, "no-verify-upload");
	if (dump->note != NULL && strlen(dump->note) > NOTE_MAX)
		return error_new(ERR_USAGE, "--note is longer than %d bytes", NOTE_MAX);
	for (int i = 0; invocation_argument(invocation, i) != NULL; i++)
		if (!strlist_contains(&dump->databases, invocation_argument(invocation, i)))
			strlist_add(&dump->databases, invocation_argument(invocation, i));
	for (size_t i = 0; i < invocation_count(invocation, "exclude"); i++)
		strlist_add(&dump->exclude, invocation_nth(invocation, "exclude", i));
	dump->jobs = (int) settings_integer(settings, SETTING_jobs);
	TRY(read_table_size(invocation, &dump->table_size));
	TRY(read_lock_timeout(invocation, &dump->lock_timeout_ms));
	TRY(context_compression(settings, COMPRESS_FILES, &dump->compression));
	if (!str_to_uint64(system, &dump->system_identifier) && settings_text(settings, SETTING_pgdata) != NULL)
		TRY(context_system(settings, settings_text(settings, SETTING_pgdata), &dump->system_identifier));
	return NULL;
}

static void
show_progress(void *context, uint64_t done, uint64_t total)
{
	progress_set(context, "dumping", done, total);
}

/* "20261120T023007Z-9f3c: 3 databases, 1.2 GiB in 34.5 s, stored 310.0 MiB" */
static void
report(Invocation *invocation, const DumpRecord *record)
{
	char size[SIZE_TEXT_SIZE];
	char stored_size[SIZE_TEXT_SIZE];
	char duration[SIZE_TEXT_SIZE];
	AUTO_BUF(json, BACKUP_RECORD_MAX);

	invocation_set_summary(invocation, "dump \"%s\": %zu database%s in %s", record->id, record->n_databases,
	                       record->n_databases == 1 ? "" : "s",
	                       duration_format(record->duration_ms, duration));
	if (invocation_flag(invocation, "json"))
	{
		dump_record_print(record, &json);
		(void) fputs(json.data, stdout);
		return;
	}
	print_line(stdout, "%s: %zu database%s, %s in %s, stored %s", record->id, record->n_databases,
	           record->n_databases == 1 ? "" : "s", size_format(dump_record_raw_size(record), size),
	           duration_format(record->duration_ms, duration),
	           size_format(dump_record_stored_size(record), stored_size));
}

static Error *
take(Invocation *invocation, DumpOptions *dump)
{
	AUTO(AgeRecipients) recipients = NULL;
	AUTO(Workers) cpu = workers_new(workers_cpu_count(CPU_THREADS_MAX));
	AUTO(Store) store = NULL;
	AUTO(Progress) progress = NULL;
	AUTO(DumpRecord) record = NULL;

	TRY(read_options(invocation, dump));
	if (invocation_flag(invocation, "expire"))
		TRY(expire_check_dump_settings(invocation_settings(invocation)));
	TRY(keys_recipients(invocation_settings(invocation), &recipients));
	TRY(progress_new(invocation, "dump", &progress));
	TRY(context_open_store(invocation_settings(invocation), &store));
	dump->store = store;
	dump->recipients = recipients;
	dump->compression.cpu = cpu;
	dump->progress = show_progress;
	dump->context = progress;
	dump->notices = progress_notices(progress);

	Error *error = dump_take(dump, &record);

	progress_end(progress);
	TRY(error);
	report(invocation, record);
	if (!invocation_flag(invocation, "expire"))
		return NULL;
	return expire_by_settings(invocation, store, record->system_identifier, EXPIRE_DUMPS,
	                          invocation_flag(invocation, "json") ? EXPIRE_SAYS_NOTHING : EXPIRE_SAYS_SUMMARY,
	                          NULL);
}

static Error *
run(Invocation *invocation)
{
	DumpOptions dump = {0};
	Error *error = take(invocation, &dump);

	strlist_release(&dump.databases);
	strlist_release(&dump.exclude);
	return error;
}

const Command command_dump = {
	.name = "dump",
	.summary = "dumps databases with pg_dump into the store",
	.arguments = "[DATABASE...]",
	.n_optional = NAMES_MOST,
	.description =
		"Each database (all that can be connected to, unless some are named) as pg_dump's custom format and its schema as\n"
		"text, and what all databases share as pg_dumpall prints it: compressed, encrypted where \"recipients\" is set, and\n"
		"read again from the store once it is there. Connects by \"conninfo\" and libpq's own means (PGHOST, PGPORT,\n"
		"PGUSER, ~/.pgpass), to a primary or a standby. The programs must be of the server's major or newer\n"
		"(\"pg_bindir\"). Nothing is left in the store of a dump that fails. walship undump brings it back.",
	.examples = "  runuser -u postgres -- walship dump\n"
				"  walship dump shop crm --note \"before the upgrade\"\n",
	.statuses = "0 2 3 4 5 6 7 8",
	.options = options,
	.n_options = lengthof(options),
	.headings = headings,
	.n_headings = lengthof(headings),
	.tells = TELLS_OUTCOME,
	.tells_more = "list --dumps",
	.run = run,
};
