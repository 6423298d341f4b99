/* Pins; see walship/archive/pin.h. */
#include "walship/archive/pin.h"

#include <string.h>

#include "walship/archive/catalog.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define SUFFIX        ".json"
#define EXPIRE_WAIT_S 30

static const JsonField pin_fields[] = {
	{"backup", &json_string, JSON_AT(Pin, backup)},
	{"until", &json_time, JSON_AT(Pin, until), .flags = JSON_MAYBE},
	{"note", &json_string, JSON_AT(Pin, note), .flags = JSON_MAYBE},
};
static const JsonTable pin_table = JSON_TABLE(Pin, pin_fields);

static void
pin_release(Pin *pin)
{
	free(pin->backup);
	free(pin->note);
	*pin = (Pin){0};
}

void
pin_list_release(PinList *pins)
{
	for (size_t i = 0; i < pins->count; i++)
		pin_release(&pins->items[i]);
	free(pins->items);
	*pins = (PinList){0};
}

/*
 * An expire reads the pins after it has written its lease.  One whose lease was
 * there before this pin may have read them before, too: only when it has ended is
 * it certain whether the pin came in time.
 */
static Error *
wait_for_expire(Store *store, uint64_t system_identifier, const char *backup, TimeUs pinned)
{
	for (int waited = 0;; waited++)
	{
		AUTO_LEASES leases = {0};
		const Lease *running = NULL;

		TRY(lease_list_read(store, system_identifier, &leases));
		for (size_t i = 0; i < leases.count && running == NULL; i++)
			if (leases.items[i].readable && leases.items[i].until > pinned &&
			    str_equal(leases.items[i].kind, "expire"))
				running = &leases.items[i];
		if (running == NULL)
			return NULL;
		if (waited == EXPIRE_WAIT_S)
			return error_hint(
				error_new(
					ERR_TRANSIENT,
					"backup \"%s\" is pinned, but an expire (%s) is running, which may have begun before",
					backup, running->holder),
				"When it has ended: if \"walship list\" still shows the backup, it stays.");
		TRY(cancel_sleep_ms(1000));
	}
}

/* A backup, or a dump: their ids are formed alike. */
static Error *
check_record(Store *store, uint64_t system_identifier, const char *id, const char *when)
{
	AUTO_FREE char *backup = layout_backup_record_key(system_identifier, id);
	AUTO_FREE char *dump = layout_dump_record_key(system_identifier, id);
	StoreEntry entry;
	Error *error = store_stat(store, backup, &entry);

	if (error_is(error, ERR_NOT_FOUND))
	{
		Error *of_dump = store_stat(store, dump, &entry);

		if (error_is(of_dump, ERR_NOT_FOUND))
			error_free(of_dump);
		else
		{
			error_free(error);
			error = of_dump;
		}
	}
	return error_context(error, "backup \"%s\"%s", id, when);
}

Error *
pin_write(Store *store, uint64_t system_identifier, const Pin *pin)
{
	AUTO_FREE char *key = layout_pin_key(system_identifier, pin->backup);
	StoreEntry entry;
	Error *error;

	TRY(check_record(store, system_identifier, pin->backup, ""));
	error = sealed_json_put(store, key, &pin_table, pin);
	if (error_is(error, ERR_EXISTS))
	{
		error_free(error);
		return error_hint(error_new(ERR_EXISTS, "backup \"%s\" is pinned already", pin->backup),
		                  "walship list shows until when. To pin it anew: walship unpin %s, then pin.",
		                  pin->backup);
	}
	TRY(error);
	TRY(store_stat(store, key, &entry));
	TRY(wait_for_expire(store, system_identifier, pin->backup, entry.modified));
	error = check_record(store, system_identifier, pin->backup, " was removed while it was pinned");
	if (error_is(error, ERR_NOT_FOUND))
		error_free(store_remove(store, key));
	return error;
}

Error *
pin_remove(Store *store, uint64_t system_identifier, const char *backup)
{
	AUTO_FREE char *key = layout_pin_key(system_identifier, backup);
	StoreEntry entry;

	TRY(error_context(store_stat(store, key, &entry), "backup \"%s\" is not pinned", backup));
	return store_remove(store, key);
}

Error *
pin_list_read(Store *store, uint64_t system_identifier, PinList *ret_pins)
{
	AUTO_FREE char *prefix = layout_pin_prefix(system_identifier);
	AUTO_STRLIST keys = {0};

	TRY(store_list_keys(store, prefix, SUFFIX, &keys));
	for (size_t i = 0; i < keys.count; i++)
	{
		const char *name = keys.items[i] + strlen(prefix);
		AUTO_FREE char *id = mem_strndup(name, strlen(name) - strlen(SUFFIX));
		Pin pin = {.until = TIME_NONE};
		Error *error = sealed_json_get(store, keys.items[i], &pin_table, &pin);

		/* Unpinned meanwhile. */
		if (error_is(error, ERR_NOT_FOUND))
		{
			error_free(error);
			continue;
		}
		if (error == NULL && strcmp(pin.backup, id) != 0)
			error = error_new(ERR_CORRUPT, "it is the pin of backup \"%s\"", pin.backup);

		/* What cannot be read pins what its name says, without an end. */
		if (error_is(error, ERR_CORRUPT))
		{
			pin_release(&pin);
			pin = (Pin){MOVE(id), TIME_NONE, mem_printf("the pin cannot be read: %s", error_message(error)),
			            .damaged = true};
			error_free(error);
			error = NULL;
		}
		TRY(error);
		GROW(ret_pins->items, ret_pins->count, ret_pins->capacity);
		ret_pins->items[ret_pins->count++] = pin;
	}
	return NULL;
}
