/* Getting segments ahead of a recovery; see walship/ship/prefetcher.h. */
#include "walship/ship/prefetcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "detach.h"
#include "fetch_ahead.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/pg/pgdata.h"
#include "walship/ship/prefetch_plan.h"

#define IDLE_MOST_MS      10000
#define LOOK_EVERY_MS     500
#define PATH_VALID_MS     5000
#define RETRY_MOST_MS     3000
#define FAILURES_MOST     3
#define REQUESTS_TEXT_MAX 4096

/* The data directory as it was found: by another one in its place, or another server in it, nothing is wanted. */
typedef struct Server
{
	const char *data_directory;
	dev_t device;
	ino_t inode;
	pid_t postmaster;
} Server;

typedef struct Prefetcher
{
	Server server;
	char *wal_directory;
	PrefetchWindow *window;
	uint32_t segment_size;
	WalArchive archive;
	PrefetchPlan plan;
	Workers *workers;
	int results[2]; /* a pipe: workers write a Result each */
	int64_t heard_ms;
	int64_t path_ms; /* when the history files were read; 0: not yet */
} Prefetcher;

typedef struct Getting
{
	Prefetcher *prefetcher;
	WalName name;
} Getting;

typedef struct Result
{
	WalName name;
	PrefetchGot got;
} Result;

static Error *
find_server(const char *data_directory, Server *ret_server)
{
	struct stat status;

	if (stat(data_directory, &status) != 0)
		return error_errno("could not look at \"%s\"", data_directory);
	*ret_server = (Server){.data_directory = data_directory, .device = status.st_dev, .inode = status.st_ino};
	if (!postmaster_of(data_directory, &ret_server->postmaster))
		return error_new(ERR_USAGE, "no server runs in \"%s\"", data_directory);
	return NULL;
}

/* At the end of a recovery the server removes its signal file. */
static bool
server_recovers(const Server *server)
{
	struct stat status;
	pid_t postmaster;

	return stat(server->data_directory, &status) == 0 && status.st_dev == server->device &&
	       status.st_ino == server->inode && postmaster_of(server->data_directory, &postmaster) &&
	       postmaster == server->postmaster &&
	       (pgdata_is_standby(server->data_directory) || pgdata_in_archive_recovery(server->data_directory));
}

/* Writing it is atomic, and the pipe holds more of them than there are threads. */
static Error *
get_segment(void *argument)
{
	const Getting *getting = argument;
	const Prefetcher *prefetcher = getting->prefetcher;
	Result result;

	memset(&result, 0, sizeof(result));
	result.name = getting->name;
	result.got = prefetch_get(prefetcher->window, &prefetcher->archive, &getting->name);
	if (write(prefetcher->results[1], &result, sizeof(result)) != sizeof(result))
		return error_errno("could not write to a pipe");
	return NULL;
}

static void
start_getting(Prefetcher *prefetcher)
{
	WalName name;

	while (prefetch_plan_next(&prefetcher->plan, &name))
	{
		Getting *getting = NEW(Getting);

		*getting = (Getting){prefetcher, name};
		workers_submit(prefetcher->workers, get_segment, getting, free);
	}
}

/* What nobody will ask for gives its place on the disk back. */
static void
drop_unwanted(Prefetcher *prefetcher)
{
	WalName name;

	while (prefetch_plan_drop(&prefetcher->plan, &name))
		prefetch_drop(prefetcher->window, &name);
}

/* Anew when the server asked for something else than expected: there may be a new history file. */
static void
find_path(Prefetcher *prefetcher, const PrefetchMessage *message, int64_t now_ms)
{
	bool first = prefetcher->path_ms == 0;
	AUTO_STRLIST wanted = {0};

	if (!first && message->how != PREFETCH_MISSED && now_ms - prefetcher->path_ms < PATH_VALID_MS)
		return;
	prefetch_plan_set_path(&prefetcher->plan,
	                       prefetch_path(prefetcher->wal_directory, &message->got, prefetcher->segment_size));
	prefetcher->path_ms = now_ms;
	if (!first)
		return;
	prefetch_plan_list_wanted(&prefetcher->plan, &wanted);
	prefetch_sweep(prefetcher->window, &wanted);
}

static void
hear(Prefetcher *prefetcher, const char *line)
{
	PrefetchMessage message;
	int64_t now_ms = clock_monotonic_ms();

	if (!prefetch_message_parse(line, &message))
		return;
	prefetcher->heard_ms = now_ms;
	prefetch_plan_server_got(&prefetcher->plan, &message, now_ms);
	find_path(prefetcher, &message, now_ms);
}

/* Messages are written whole, so what is read ends with one, unless a full buffer cuts it: then that one is lost. */
static void
hear_requests(Prefetcher *prefetcher)
{
	char text[REQUESTS_TEXT_MAX + 1];
	ssize_t got = read(DETACHED_FD_FIRST + 1, text, REQUESTS_TEXT_MAX);
	char *line = text;

	if (got <= 0)
		return;
	text[got] = '\0';
	for (char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n'))
	{
		*end = '\0';
		hear(prefetcher, line);
		line = end + 1;
	}
}

static void
take_results(Prefetcher *prefetcher)
{
	Result result;

	while (read(prefetcher->results[0], &result, sizeof(result)) == sizeof(result))
		prefetch_plan_came(&prefetcher->plan, &result.name, result.got);
}

static Error *
wait_for_news(Prefetcher *prefetcher)
{
	struct pollfd fds[] = {{.fd = DETACHED_FD_FIRST + 1, .events = POLLIN},
	                       {.fd = prefetcher->results[0], .events = POLLIN},
	                       {.fd = cancel_fd(), .events = POLLIN}};

	if (poll(fds, lengthof(fds), LOOK_EVERY_MS) < 0 && errno != EINTR)
		return error_errno("could not wait");
	return cancel_check();
}

static Error *
serve(Prefetcher *prefetcher)
{
	while (clock_monotonic_ms() - prefetcher->heard_ms < IDLE_MOST_MS &&
	       server_recovers(&prefetcher->server) && prefetcher->plan.failures < FAILURES_MOST)
	{
		drop_unwanted(prefetcher);
		start_getting(prefetcher);
		TRY(wait_for_news(prefetcher));
		hear_requests(prefetcher);
		take_results(prefetcher);
	}
	return NULL;
}

/* The lock tells that it was fetch, and that there is no other prefetcher of this window. */
static Error *
check_descriptors(void)
{
	struct stat status;

	for (int fd = DETACHED_FD_FIRST; fd < DETACHED_FD_FIRST + 2; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
			return error_new(ERR_USAGE, "\"walship prefetcher\" is started by \"walship fetch\" only");
	if (fstat(DETACHED_FD_FIRST + 1, &status) != 0 || !S_ISFIFO(status.st_mode))
		return error_new(ERR_USAGE, "\"walship prefetcher\" is started by \"walship fetch\" only");
	return NULL;
}

static Error *
prepare(const FetchSource *source, Prefetcher *prefetcher, Store **ret_store)
{
	Patience patience = {.retry_ms = RETRY_MOST_MS, .quiet = true};

	TRY(check_descriptors());

	/* It was started as /proc/self/exe: "ps" and "top" would call it "exe". */
	(void) prctl(PR_SET_NAME, "walship");

	/* Neither the data directory nor any mounted file system is kept busy by this process. */
	if (chdir("/") != 0)
		return error_errno("could not change the directory");
	TRY(fetch_ahead_window(source, &prefetcher->window, &prefetcher->segment_size));
	TRY(store_opener_open(&source->opener, &patience, ret_store));
	prefetcher->archive = (WalArchive){.store = *ret_store,
	                                   .system_identifier = source->system_identifier,
	                                   .identities = source->identities};
	prefetcher->wal_directory = path_join(source->data_directory, "pg_wal");
	if (pipe2(prefetcher->results, O_CLOEXEC | O_NONBLOCK) != 0)
		return error_errno("could not create a pipe");
	prefetch_plan_init(&prefetcher->plan, prefetcher->segment_size, source->ahead, source->jobs);
	prefetcher->workers = workers_new(source->jobs);
	prefetcher->heard_ms = clock_monotonic_ms();
	return NULL;
}

/* What is in flight is given up as at every signal: nobody will ask for it. */
static void
leave(Prefetcher *prefetcher)
{
	if (prefetcher->workers != NULL)
		cancel_request("the end of the recovery");
	workers_free(prefetcher->workers);
	prefetch_plan_release(&prefetcher->plan);
	if (prefetcher->window != NULL)
		prefetch_window_remove(prefetcher->window);
	prefetch_window_free(prefetcher->window);
	for (int i = 0; i < 2; i++)
		if (prefetcher->results[i] >= 0)
			(void) close(prefetcher->results[i]);
	free(prefetcher->wal_directory);
}

Error *
prefetcher_run(const FetchSource *source)
{
	AUTO(Store) store = NULL;
	Prefetcher prefetcher = {.results = {-1, -1}};

	TRY(find_server(source->data_directory, &prefetcher.server));

	Error *error = prepare(source, &prefetcher, &store);

	if (error == NULL)
		error = serve(&prefetcher);
	leave(&prefetcher);
	return error;
}
