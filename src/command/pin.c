/* walship pin, walship unpin: a backup that stays whatever the retention says. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "context.h"
#include "table.h"
#include "walship/archive/layout.h"
#include "walship/archive/pin.h"

static const CommandOption options[] = {
	{"until", OPTION_VALUE, "TIME", "so long; without it until it is unpinned"},
	{"note", OPTION_VALUE, "TEXT", "why: \"walship list\" and \"walship expire\" show it"},
};

static Error *
open_store(Invocation *invocation, Store **ret_store, uint64_t *ret_system)
{
	const char *id = invocation_argument(invocation, 0);

	if (!layout_is_backup_id(id))
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no id of a backup", id),
		                  "\"walship list\" shows them.");
	TRY(context_open_store(invocation_settings(invocation), ret_store));
	return context_system_in_store(invocation_settings(invocation), *ret_store, ret_system);
}

static Error *
run_pin(Invocation *invocation)
{
	const char *until = invocation_value(invocation, "until");
	Pin pin = {.backup = (char *) invocation_argument(invocation, 0),
	           .until = TIME_NONE,
	           .note = (char *) invocation_value(invocation, "note")};
	AUTO(Store) store = NULL;
	uint64_t system;

	if (until != NULL)
		TRY(time_parse(until, settings_text(invocation_settings(invocation), SETTING_timezone), &pin.until));
	if (until != NULL && pin.until <= clock_now())
		return error_new(ERR_USAGE, "--until \"%s\" has passed", until);
	if (pin.note != NULL && strlen(pin.note) > PIN_NOTE_MAX)
		return error_new(ERR_USAGE, "--note is longer than %d bytes", PIN_NOTE_MAX);
	TRY(open_store(invocation, &store, &system));
	TRY(pin_write(store, system, &pin));
	print_line(stdout, "%s stays%s%s, whatever the retention says", pin.backup,
	           until == NULL ? "" : " until ", until == NULL ? "" : until);
	return NULL;
}

static Error *
run_unpin(Invocation *invocation)
{
	AUTO(Store) store = NULL;
	uint64_t system;

	TRY(open_store(invocation, &store, &system));
	TRY(pin_remove(store, system, invocation_argument(invocation, 0)));
	print_line(stdout, "%s is not pinned any more", invocation_argument(invocation, 0));
	return NULL;
}

const Command command_pin = {
	.name = "pin",
	.summary = "keeps a backup or a dump, whatever the retention says",
	.arguments = "ID",
	.n_arguments = 1,
	.description =
		"The backup stays, and the WAL that it needs to be restored to its own end; a pin keeps no moments after it.\n"
		"A dump (walship list --dumps) stays likewise.\n"
		"Exit 1: there is no such backup. Exit 3: it is pinned already.",
	.examples = "  walship pin 20261120T023007Z-9f3c --note 'before the upgrade'\n"
				"  walship pin 20261120T023007Z-9f3c --until '2027-01-01 00:00+00'\n",
	.statuses = "0 1 2 3 4 5 6 7",
	.options = options,
	.n_options = lengthof(options),
	.run = run_pin,
};

const Command command_unpin = {
	.name = "unpin",
	.summary = "lets the retention decide about a backup again",
	.arguments = "ID",
	.n_arguments = 1,
	.description = "What only the pin kept goes with the next \"walship expire\". Exit 1: it is not pinned.",
	.examples = "  walship unpin 20261120T023007Z-9f3c\n"
				"  walship unpin 20261120T023007Z-9f3c --cluster billing\n",
	.statuses = "0 1 2 4 5 6 7",
	.run = run_unpin,
};
