/* Leases; see walship/archive/lease.h. */
#include "walship/archive/lease.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "walship/archive/layout.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/base/workers.h"
#include "walship/wal/json.h"

#define SUFFIX          ".json"
#define UNREADABLE_US   (INT64_C(86400) * 1000000)
#define NUMBER_MAX      1000000
#define VALID_MOST_S    (INT64_C(86400) * 3660) /* whoever can write to the store may have written any number */
#define RENEWALS_WITHIN 3

static const JsonField lease_fields[] = {
	{"id", &json_string, JSON_AT(Lease, id)},
	{"kind", &json_string, JSON_AT(Lease, kind)},
	{"holder", &json_string, JSON_AT(Lease, holder)},
	{"backup", &json_string, JSON_AT(Lease, backup), .flags = JSON_MAYBE},
	{"timeline", &json_uint, JSON_AT(Lease, timeline), .flags = JSON_MAYBE},
	{"start_lsn", &json_lsn, JSON_AT(Lease, start_lsn), .flags = JSON_MAYBE},
	{"valid_seconds", &json_natural, JSON_AT(Lease, valid_s)},
};
static const JsonTable lease_table = JSON_TABLE(Lease, lease_fields);

struct LeaseHold
{
	Store *store;
	uint64_t system_identifier;
	Lease lease;
	const Notices *notices;
	bool written;
	TimeUs came;
	bool linger;
	LeaseHold *
		second; /* in the store's second one, where an expire has a retention of its own; NULL: it has none */

	pthread_t thread;
	bool has_thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool ended;
};

static void
lease_release(Lease *lease)
{
	free(lease->id);
	free(lease->kind);
	free(lease->holder);
	free(lease->backup);
	*lease = (Lease){0};
}

void
lease_list_release(LeaseList *leases)
{
	for (size_t i = 0; i < leases->count; i++)
		lease_release(&leases->items[i]);
	free(leases->items);
	*leases = (LeaseList){0};
}

/* "20261129T011500Z-9f3c-2.json": the id before the last '-', the number behind it. */
static bool
parse_name(const char *name, char **ret_id, int *ret_number)
{
	const char *dash = strrchr(name, '-');
	uint64_t number;

	if (!str_ends_with(name, SUFFIX) || dash == NULL || dash == name)
		return false;

	AUTO_FREE char *digits = mem_strndup(dash + 1, strlen(dash + 1) - strlen(SUFFIX));

	if (!str_to_uint64(digits, &number) || number == 0 || number > NUMBER_MAX)
		return false;
	*ret_id = mem_strndup(name, (size_t) (dash - name));
	*ret_number = (int) number;
	return true;
}

/* The last object of each id counts. */
static Error *
add_object(void *context, const StoreEntry *entry)
{
	LeaseList *leases = context;
	const char *slash = strrchr(entry->key, '/');
	AUTO_FREE char *id = NULL;
	int number;

	if (entry->is_prefix || !parse_name(slash == NULL ? entry->key : slash + 1, &id, &number))
		return NULL;
	for (size_t i = 0; i < leases->count; i++)
	{
		Lease *lease = &leases->items[i];

		if (strcmp(lease->id, id) != 0)
			continue;
		if (number > lease->number)
		{
			lease->number = number;
			lease->came = entry->modified;
		}
		return NULL;
	}
	GROW(leases->items, leases->count, leases->capacity);
	leases->items[leases->count++] = (Lease){.id = MOVE(id), .number = number, .came = entry->modified};
	return NULL;
}

static Error *
read_lease(Store *store, uint64_t system_identifier, Lease *lease)
{
	AUTO_FREE char *key = layout_lease_key(system_identifier, lease->id, lease->number);
	Lease read = {.number = lease->number, .came = lease->came, .readable = true};
	Error *error = sealed_json_get(store, key, &lease_table, &read);

	if (error_is(error, ERR_CORRUPT))
	{
		error_free(error);
		lease_release(&read);
		lease->until = lease->came + UNREADABLE_US;
		return NULL;
	}

	/* Given up meanwhile: it has ended. */
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		lease->readable = true;
		lease->until = lease->came;
		return NULL;
	}
	TRY(error);
	lease_release(lease);
	*lease = read;
	lease->until = lease->came + (lease->valid_s < VALID_MOST_S ? lease->valid_s : VALID_MOST_S) * 1000000;
	return NULL;
}

Error *
lease_list_read(Store *store, uint64_t system_identifier, LeaseList *ret_leases)
{
	AUTO_FREE char *prefix = layout_lease_prefix(system_identifier);

	TRY(store_list(store, prefix, LIST_LEVEL, NULL, add_object, ret_leases));
	for (size_t i = 0; i < ret_leases->count; i++)
		TRY(read_lease(store, system_identifier, &ret_leases->items[i]));
	return NULL;
}

/* The last one last: as long as it is there, the lease holds. */
static Error *
remove_here(Store *store, uint64_t system_identifier, const Lease *lease)
{
	for (int number = 1; number <= lease->number; number++)
	{
		AUTO_FREE char *key = layout_lease_key(system_identifier, lease->id, number);

		TRY(store_remove(store, key));
	}
	return NULL;
}

Error *
lease_remove(Store *store, uint64_t system_identifier, const Lease *lease)
{
	Store *second;

	TRY(remove_here(store, system_identifier, lease));
	TRY(store_second(store, &second));
	return second == NULL ? NULL : remove_here(second, system_identifier, lease);
}

static Error *
write_next(LeaseHold *hold)
{
	AUTO_FREE char *key = layout_lease_key(hold->system_identifier, hold->lease.id, hold->lease.number + 1);

	TRY(sealed_json_put(hold->store, key, &lease_table, &hold->lease));
	hold->lease.number++;
	return NULL;
}

static void *
renew(void *argument)
{
	LeaseHold *hold = argument;
	struct timespec next;

	(void) pthread_mutex_lock(&hold->mutex);
	while (!hold->ended)
	{
		(void) clock_gettime(CLOCK_MONOTONIC, &next);
		next.tv_sec += LEASE_VALID_S / RENEWALS_WITHIN;
		while (!hold->ended && pthread_cond_timedwait(&hold->wake, &hold->mutex, &next) == 0)
			;
		if (hold->ended)
			break;

		AUTO(Error) error = write_next(hold);

		notice_of_error(hold->notices, LOG_WARNING, error);
	}
	(void) pthread_mutex_unlock(&hold->mutex);
	return NULL;
}

static char *
describe_holder(void)
{
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) != 0)
		(void) snprintf(host, sizeof(host), "unknown");
	return mem_printf("host %s, process %ld", host, (long) getpid());
}

/* The store's time of an object that has just been written is the store's now. */
static Error *
begin(LeaseHold *hold)
{
	AUTO_FREE char *key = layout_lease_key(hold->system_identifier, hold->lease.id, 1);
	StoreEntry entry;

	TRY(write_next(hold));
	hold->written = true;
	TRY(store_stat(hold->store, key, &entry));
	hold->came = entry.modified;

	/* Where no thread can be made it is not renewed, and holds for the first hour. */
	AUTO(Error) no_thread = thread_start(renew, hold, &hold->thread);

	hold->has_thread = no_thread == NULL;
	return NULL;
}

char *
lease_new_id(void)
{
	uint16_t random;

	random_bytes(&random, sizeof(random));
	return layout_backup_id(clock_now(), random);
}

static void
warn_of_none(const Notices *notices, Error *error)
{
	if (error != NULL)
		notice(
			notices, LOG_WARNING,
			"An expire that runs at the same time may remove what is being used. Let the credentials write "
			"below <system>/lease/, or let no expire run meanwhile.",
			"could not write a lease: %s", error_message(error));
	error_free(error);
}

LeaseHold *
lease_hold(Store *store, uint64_t system_identifier, const LeaseOn *on, const Notices *notices)
{
	LeaseHold *hold = NEW(LeaseHold);
	pthread_condattr_t attributes;

	*hold = (LeaseHold){
		.store = store, .system_identifier = system_identifier, .notices = notices, .came = TIME_NONE};
	hold->lease = (Lease){.id = on->id != NULL ? mem_strdup(on->id) : lease_new_id(),
	                      .kind = mem_strdup(on->kind),
	                      .holder = describe_holder(),
	                      .backup = mem_strdup(on->backup),
	                      .timeline = on->timeline,
	                      .start_lsn = on->start_lsn,
	                      .valid_s = LEASE_VALID_S};
	mem_must(pthread_mutex_init(&hold->mutex, NULL) == 0 && pthread_condattr_init(&attributes) == 0 &&
	         pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
	         pthread_cond_init(&hold->wake, &attributes) == 0);
	(void) pthread_condattr_destroy(&attributes);

	warn_of_none(notices, begin(hold));

	/* What is missing or damaged in the first is read from there. */
	LeaseOn same = *on;
	Store *second;

	same.id = hold->lease.id;
	warn_of_none(notices, store_second(store, &second));
	if (second != NULL)
		hold->second = lease_hold(second, system_identifier, &same, notices);
	return hold;
}

TimeUs
lease_hold_came(const LeaseHold *hold)
{
	return hold->came;
}

const char *
lease_hold_id(const LeaseHold *hold)
{
	return hold->lease.id;
}

static void
stop_renewing(LeaseHold *hold)
{
	if (!hold->has_thread)
		return;
	(void) pthread_mutex_lock(&hold->mutex);
	hold->ended = true;
	(void) pthread_cond_signal(&hold->wake);
	(void) pthread_mutex_unlock(&hold->mutex);
	(void) pthread_join(hold->thread, NULL);
	hold->has_thread = false;
}

void
lease_hold_linger(LeaseHold *hold, int64_t valid_s)
{
	stop_renewing(hold);
	if (hold->second != NULL)
		lease_hold_linger(hold->second, valid_s);
	if (!hold->written)
		return;
	hold->linger = true;
	hold->lease.valid_s = valid_s;

	AUTO(Error) error = write_next(hold);

	notice_of_error(hold->notices, LOG_WARNING, error);
}

void
lease_hold_free(LeaseHold *hold)
{
	if (hold == NULL)
		return;
	stop_renewing(hold);
	lease_hold_free(hold->second);
	if (hold->written && !hold->linger)
	{
		/* Credentials may not be allowed to remove: then it ends by itself. */
		AUTO(Error) error = remove_here(hold->store, hold->system_identifier, &hold->lease);

		if (error != NULL)
			notice(hold->notices, LOG_DEBUG, NULL, "the lease ends by itself: %s", error_message(error));
	}
	(void) pthread_cond_destroy(&hold->wake);
	(void) pthread_mutex_destroy(&hold->mutex);
	lease_release(&hold->lease);
	free(hold);
}
