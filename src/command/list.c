/* walship list: backups, timelines, gaps, and what can be recovered. */
#include <stdio.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "print_dumps.h"
#include "print_files.h"
#include "print_list.h"
#include "walship/archive/dump_record.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_reader.h"
#include "walship/backup/restore.h"
#include "walship/base/clock.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/plan/clocks.h"

static const CommandOption options[] = {
	{"dumps", OPTION_FLAG, NULL, "show the dumps instead"},
	{"verbose", OPTION_FLAG, NULL, "show all backups, not only the ten newest"},
	{"files", OPTION_FLAG, NULL, "show trees of files instead, as walship files --list"},
	{WITHOUT_SECOND_STORE, OPTION_FLAG, NULL, WITHOUT_SECOND_STORE_HELP},
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
};

static void
listing_release(Listing *listing)
{
	window_list_release(&listing->windows);
	strlist_release(&listing->warnings);
	pin_list_release(&listing->pins);
	age_identities_free(listing->identities);
	free(listing->refused);
	free(listing->leftovers);
	catalog_free(listing->catalog);
}

static Error *
add_leftover_object(void *context, const StoreEntry *entry)
{
	Leftover *leftover = context;

	leftover->size += entry->size;
	leftover->objects++;
	return NULL;
}

static Error *
measure_leftovers(Store *store, Listing *listing)
{
	const StrList *ids = &listing->catalog->unfinished;

	listing->leftovers = NEW_ARRAY(Leftover, ids->count);
	for (size_t i = 0; i < ids->count; i++)
	{
		AUTO_FREE char *prefix = layout_backup_prefix(listing->catalog->system_identifier, ids->items[i]);
		Leftover *leftover = &listing->leftovers[listing->n_leftovers++];

		leftover->id = ids->items[i];
		TRY(store_list(store, prefix, LIST_ALL, NULL, add_leftover_object, leftover));
	}
	return NULL;
}

/* What "recover" would refuse must not look as if it could be recovered. */
static Error *
look_for_refused(Store *store, Listing *listing)
{
	const Catalog *catalog = listing->catalog;

	listing->refused = NEW_ARRAY(bool, catalog->n_backups);
	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		AUTO(Error) error = restore_check_keys(store, catalog->backups[i], listing->identities);

		listing->refused[i] = error_is(error, ERR_UNTRUSTED);
		if (error != NULL && !error_is(error, ERR_UNTRUSTED) && !error_is(error, ERR_DENIED))
			return MOVE(error);
	}
	return NULL;
}

/* What is there can be listed without a key. */
static void
read_keys(const Settings *settings, Listing *listing)
{
	AUTO(Error) error = keys_identities(settings, &listing->identities);

	if (error != NULL)
		log_of_error(LOG_WARNING, error);
}

static Error *
read_listing(const Settings *settings, Listing *listing)
{
	AUTO(Store) store = NULL;
	uint64_t system;

	read_keys(settings, listing);
	TRY(context_open_stores(settings, &store));
	TRY(context_system_in_store(settings, store, &system));

	int jobs = (int) settings_integer(settings, SETTING_jobs);

	TRY(catalog_read(store, system, jobs, &listing->catalog));

	TRY(catalog_look_at_parts(store, system, listing->catalog->backups, listing->catalog->n_backups));

	AUTO(WalFacts) facts = wal_reader_facts(store, listing->catalog, NULL, jobs);

	TRY(plan_windows(listing->catalog, facts, &listing->windows));
	clocks_warn(listing->catalog, clock_now(), &listing->warnings);
	TRY(look_for_refused(store, listing));
	TRY(pin_list_read(store, system, &listing->pins));
	return measure_leftovers(store, listing);
}

static Error *
list_files(const Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO(Store) store = NULL;
	uint64_t system;

	TRY(context_open_stores(settings, &store));
	TRY(context_system_in_store(settings, store, &system));
	return print_files_sets(store, system, NULL, (int) settings_integer(settings, SETTING_jobs),
	                        invocation_flag(invocation, "json"), stdout);
}

static Error *
list_dumps(const Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO(AgeIdentities) identities = NULL;
	AUTO(Error) no_keys = keys_identities(settings, &identities);
	AUTO(Store) store = NULL;
	AUTO_DUMPS dumps = {0};
	AUTO_PINS pins = {0};
	uint64_t system;

	if (no_keys != NULL)
		log_of_error(LOG_WARNING, no_keys);
	TRY(context_open_stores(settings, &store));
	TRY(context_system_in_store(settings, store, &system));
	TRY(dump_list_read(store, system, (int) settings_integer(settings, SETTING_jobs), &dumps));
	TRY(pin_list_read(store, system, &pins));
	if (invocation_flag(invocation, "json"))
		print_dumps_json(&dumps, &pins, identities, stdout);
	else
		print_dumps_text(&dumps, &pins, identities, clock_now(), invocation_flag(invocation, "verbose"),
		                 stdout);
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	if (invocation_flag(invocation, "files"))
		return list_files(invocation);
	if (invocation_flag(invocation, "dumps"))
		return list_dumps(invocation);

	Listing listing = {.now = clock_now(), .verbose = invocation_flag(invocation, "verbose")};
	Error *error = read_listing(invocation_settings(invocation), &listing);

	if (error == NULL && invocation_flag(invocation, "json"))
		print_list_json(&listing, stdout);
	else if (error == NULL)
		print_list_text(&listing, stdout);
	listing_release(&listing);
	return error;
}

const Command command_list = {
	.name = "list",
	.summary = "shows backups, timelines, gaps and what can be recovered",
	.arguments = "",
	.description =
		"Says first from when to when any moment can be recovered, how old the newest backup is, and whether there\n"
		"are gaps. Then backups, timelines with their WAL, and windows within which any time can be recovered. A\n"
		"window ends at the end of the WAL; the latest commit in it is the latest time worth naming. Times are UTC.\n"
		"Leftovers of unfinished backups and damaged records are listed at the end. --dumps shows what walship dump has\n"
		"stored.",
	.examples = "  walship list\n"
				"  walship list --json --cluster billing\n",
	.statuses = "0 1 2 4 5 6 7",
	.options = options,
	.n_options = lengthof(options),
	.run = run,
};
