/* The door to inotify; see walship/base/dir_watch.h. */
#include "walship/base/dir_watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "walship/base/cancel.h"

/* Room for many events at once, for which nobody cares one by one. */
#define EVENTS_SIZE 4096

int
dir_watch_open(const char *directory, DirChange change)
{
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	uint32_t mask = change == DIR_NAMES ? IN_MOVED_TO | IN_DELETE : IN_CLOSE_WRITE;

	if (watch >= 0 && inotify_add_watch(watch, directory, mask | IN_ONLYDIR) < 0)
	{
		(void) close(watch);
		watch = -1;
	}
	return watch;
}

Error *
dir_watch_wait(int watch, int64_t most_ms, int64_t blind_ms)
{
	char events[EVENTS_SIZE];
	Error *error;

	if (watch < 0)
		return cancel_sleep_ms(blind_ms);
	error = cancel_poll(watch, POLLIN, most_ms);
	if (error_is(error, ERR_TRANSIENT))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	while (read(watch, events, sizeof(events)) > 0)
		continue;
	return NULL;
}
