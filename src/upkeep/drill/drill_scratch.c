/* The directory in which a drill works, and what dead ones left there. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "drill_steps.h"
#include "walship/base/buf.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define PREFIX       "drill-"
#define LEASE_NOTE   "lease" /* in a drill's directory: the id of its lease */
#define LEASE_ID_MAX 64

/* False: somebody holds it. */
static bool
try_lock(const char *directory, int *ret_lock)
{
	int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
	{
		*ret_lock = lock;
		return true;
	}
	if (lock >= 0)
		(void) close(lock);
	return false;
}

Error *
drill_lease_take(const char *directory, Store *store, uint64_t system_identifier, LeaseOn on,
                 const Notices *notices, LeaseHold **ret_lease)
{
	AUTO_FREE char *note = path_join(directory, LEASE_NOTE);
	AUTO_FREE char *id = lease_new_id();

	TRY(file_replace(note, id, strlen(id), 0600));
	on.id = id;
	*ret_lease = lease_hold(store, system_identifier, &on, notices);
	return NULL;
}

/* One that cannot be found or removed, perhaps for want of the right to, ends by itself. */
static Error *
end_lease(const char *directory, Store *store, uint64_t system_identifier)
{
	AUTO_FREE char *note = path_join(directory, LEASE_NOTE);
	AUTO_BUF(id, LEASE_ID_MAX);
	AUTO_LEASES leases = {0};
	Error *error = file_read_all(note, &id);

	if (error == NULL && id.size > 0)
		error = lease_list_read(store, system_identifier, &leases);
	for (size_t i = 0; error == NULL && i < leases.count; i++)
		if (strcmp(leases.items[i].id, id.data) == 0)
			error = lease_remove(store, system_identifier, &leases.items[i]);
	if (error_is(error, ERR_CANCELLED))
		return error;
	error_free(error);
	return NULL;
}

static Error *
clear_dead(const char *directory, Store *store, uint64_t system_identifier)
{
	AUTO_FREE char *pgdata = path_join(directory, DRILL_PGDATA);
	AUTO_FREE char *kept = path_join(directory, DRILL_KEPT);
	AUTO_CLOSE int lock = -1;

	/* The server of a kept one may run, or not: it is for whoever asked for it to remove. */
	if (file_exists(kept) || !try_lock(directory, &lock))
		return NULL;
	TRY(end_lease(directory, store, system_identifier));
	if (file_exists(pgdata))
	{
		TRY(private_server_stop_in(pgdata));
		TRY(private_server_clear(pgdata));
	}
	return dir_remove_tree(directory, false);
}

Error *
drill_scratch_make(const char *scratch, Store *store, uint64_t system_identifier, char **ret_directory,
                   int *ret_lock)
{
	AUTO_CLOSE int all = -1;
	AUTO_STRLIST names = {0};
	char time[TIME_TEXT_SIZE];

	TRY(dir_make(scratch, 0700));
	all = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* While one makes its directory and another clears, a new one that is not locked yet would look dead. */
	if (all < 0 || flock(all, LOCK_EX) != 0)
		return error_errno("could not lock directory \"%s\"", scratch);
	TRY(dir_list(scratch, &names));
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO_FREE char *directory = path_join(scratch, names.items[i]);

		if (str_starts_with(names.items[i], PREFIX))
			TRY(clear_dead(directory, store, system_identifier));
	}

	AUTO_FREE char *directory =
		mem_printf("%s/" PREFIX "%s-%d", scratch, time_format_compact(clock_now(), time), (int) getpid());

	TRY(dir_make(directory, 0700));
	if (!try_lock(directory, ret_lock))
		return error_new(ERR_EXISTS, "another drill runs in directory \"%s\"", directory);
	*ret_directory = MOVE(directory);
	return NULL;
}

Error *
drill_scratch_remove(const char *directory)
{
	AUTO_FREE char *pgdata = path_join(directory, DRILL_PGDATA);

	if (file_exists(pgdata))
		TRY(private_server_clear(pgdata));
	return file_exists(directory) ? dir_remove_tree(directory, false) : NULL;
}
