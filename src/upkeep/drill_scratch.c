/* The directory in which a drill works, and what dead ones left there. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/upkeep/drill.h"

#define PREFIX "drill-"

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

static Error *
clear_dead(const char *directory)
{
	AUTO_FREE char *pgdata = path_join(directory, DRILL_PGDATA);
	AUTO_FREE char *kept = path_join(directory, DRILL_KEPT);
	AUTO_CLOSE int lock = -1;

	/* The server of a kept one may run, or not: it is for whoever asked for it to remove. */
	if (file_exists(kept) || !try_lock(directory, &lock))
		return NULL;
	if (file_exists(pgdata))
	{
		TRY(private_server_stop_in(pgdata));
		TRY(private_server_clear(pgdata));
	}
	return dir_remove_tree(directory, false);
}

Error *
drill_scratch_make(const char *scratch, char **ret_directory, int *ret_lock)
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
			TRY(clear_dead(directory));
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
