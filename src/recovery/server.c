/* Starting and watching a server of ours; see walship/recovery/server.h. */
#include "walship/recovery/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server_files.h"
#include "walship/base/cancel.h"
#include "walship/base/child.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/pg/programs.h"
#include "walship/recovery/server_settings.h"
#include "walship/recovery/staged_wal.h"
#include "walship/wal/page.h"

#define SOCKET_PATH_MAX 107 /* sizeof(sockaddr_un.sun_path) - 1 */
#define SOCKET_NAME     "/.s.PGSQL.65535.lock"
#define NICENESS        10

char *
private_server_wal_directory(const char *pgdata)
{
	return server_file(pgdata, SERVER_WAL);
}

static Error *
write_config(const PrivateServer *server, const char *name, const char *text)
{
	AUTO_FREE char *path = server_file(server->pgdata, name);

	return file_replace(path, text, strlen(text), 0600);
}

/* A socket's path is short: where ours would be too long it goes to /tmp, in a directory of our own. */
static char *
name_sockets(const char *pgdata)
{
	AUTO_FREE char *beside = server_file(pgdata, "");
	unsigned char random[SOCKETS_RANDOM];
	char digits[2 * SOCKETS_RANDOM + 1];

	if (strlen(beside) + strlen(SOCKET_NAME) <= SOCKET_PATH_MAX && strchr(beside, ',') == NULL)
		return MOVE(beside);
	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), digits);
	return mem_printf("%s%s", SOCKETS_BEGIN, digits);
}

/*
 * The note names the directory before it is made: killed at any moment, whoever
 * clears up finds it.  mkdir() follows no link that somebody else put there.
 */
static Error *
make_sockets(PrivateServer *server)
{
	char **sockets = &server->note.sockets;

	if (*sockets == NULL || !file_exists(*sockets))
	{
		free(*sockets);
		*sockets = name_sockets(server->pgdata);
	}
	TRY(server_note_write(server->pgdata, &server->note));
	if (!file_exists(*sockets) && mkdir(*sockets, 0700) != 0)
		return error_errno("could not create directory \"%s\" for the server's socket", *sockets);
	return NULL;
}

/*
 * Who may enter its directory is the user who runs it, and is superuser there.  From
 * TCP everybody on this machine could come, so there the roles' own passwords count.
 */
Error *
private_server_prepare(PrivateServer *server)
{
	AUTO_FREE char *wal = private_server_wal_directory(server->pgdata);

	TRY(dir_make(wal, 0700));
	TRY(write_config(server, "postgresql.conf", "# everything is on the command line\n"));
	TRY(write_config(server, "pg_hba.conf",
	                 "local all all trust\nhost all all 127.0.0.1/32 md5\nhost all all ::1/128 md5\n"));
	TRY(write_config(server, "pg_ident.conf", ""));
	return make_sockets(server);
}

void
private_server_environment(const char *options, StrList *words)
{
	static const char *const kept[] = {"PATH", "LD_LIBRARY_PATH", "TMPDIR", "HOME"};

	for (size_t i = 0; i < lengthof(kept); i++)
	{
		const char *value = getenv(kept[i]);
		AUTO_FREE char *word = value == NULL ? NULL : mem_printf("%s=%s", kept[i], value);

		if (word != NULL)
			strlist_add(words, word);
	}
	strlist_add(words, "LC_ALL=C");
	if (options[0] != '\0')
	{
		AUTO_FREE char *word = mem_printf("PGOPTIONS=%s", options);

		strlist_add(words, word);
	}
	words->items = mem_realloc(words->items, (words->count + 1) * sizeof(*words->items));
	words->items[words->count] = NULL;
}

static Error *
decide_network(PrivateServer *server)
{
	server->note.no_network = false;
	if (server->fence == FENCE_OFF)
		return NULL;
	if (server->note.listens)
	{
		server->fence_reason = mem_strdup("it listens on a port of this machine");
		return server->fence == FENCE_AUTO
		           ? NULL
		           : error_new(ERR_USAGE, "a server without network cannot listen on a port");
	}

	Error *error = child_check_no_network();

	if (error == NULL)
		server->note.no_network = true;
	else if (server->fence == FENCE_REQUIRE && !error_is(error, ERR_CANCELLED))
		return error_hint(error,
		                  "The kernel does not let this user have a network namespace. Allow it, or say "
		                  "\"--network-fence auto\": the settings alone are then the fence.");
	else if (!error_is(error, ERR_CANCELLED))
		server->fence_reason = mem_strdup(error_message(error));
	else
		return error;
	error_free(error);
	return NULL;
}

static Error *
launch(PrivateServer *server, int lock, int log)
{
	AUTO_FREE char *directory = server_file(server->pgdata, "");
	AUTO_FREE char *wal = private_server_wal_directory(server->pgdata);
	AUTO_FREE char *restore_command = staged_wal_command(wal, !server->kept);
	AUTO_FREE char *program = program_in(server->note.programs, "postgres");
	PgControl control;
	ServerSettings settings = {.major = server->note.major,
	                           .directory = directory,
	                           .sockets = server->note.sockets,
	                           .restore_command = restore_command,
	                           .libraries = server->note.libraries != NULL ? server->note.libraries : "",
	                           .port = (int) server->note.port,
	                           .listens = server->note.listens,
	                           .kept = server->kept};
	AUTO_STRLIST words = {0};
	AUTO_STRLIST environment = {0};

	if (program == NULL)
		return error_new(ERR_SYSTEM, "there is no program \"postgres\" in \"%s\"", server->note.programs);
	TRY(pgdata_read_control(server->pgdata, &control));
	settings.segment_size = control.segment_size;
	settings.wal_max = server->window == NULL ? 0 : wal_window_bytes(server->window);
	strlist_add(&words, program);
	strlist_add(&words, "-D");
	strlist_add(&words, server->pgdata);
	server_settings_list(&settings, &words);
	words.items = mem_realloc(words.items, (words.count + 1) * sizeof(*words.items));
	words.items[words.count] = NULL;
	private_server_environment("", &environment);

	/*
	 * SIGQUIT is its immediate shutdown: it takes its processes and its shared
	 * memory along.
	 */
	return child_start(&(ChildOptions){.argv = (const char *const *) words.items,
	                                   .environment = (const char *const *) environment.items,
	                                   .directory = server->pgdata,
	                                   .output = log,
	                                   .kept = lock,
	                                   .detached = server->kept,
	                                   .death_signal = server->kept ? 0 : SIGQUIT,
	                                   .no_network = server->note.no_network,
	                                   .niceness = server->kept ? 0 : NICENESS},
	                   &server->pid);
}

Error *
private_server_start(PrivateServer *server)
{
	AUTO_FREE char *log_path = server_file(server->pgdata, SERVER_LOG);
	AUTO_CLOSE int log = -1;
	AUTO_CLOSE int lock = -1;

	TRY(server_lock(server->pgdata, &lock));
	TRY(decide_network(server));
	TRY(server_note_write(server->pgdata, &server->note));
	log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0)
		return error_errno("could not open file \"%s\"", log_path);
	return launch(server, lock, log);
}

/*
 * Nobody knows what the superuser of the backup is called: whom the environment
 * names, then the usual name, then that of this process's user, as initdb has it.
 */
static Error *
connect_as(PrivateServer *server, const char *user, const char *database, Server **ret_connection)
{
	AUTO_FREE char *data_directory = NULL;
	AUTO(Server) connection = NULL;
	ServerAddress address = {
		.directory = server->note.sockets,
		.port = (int) server->note.port,
		.user = user,
		.database = database,
		.options = PRIVATE_SERVER_OPTIONS,
	};

	TRY(server_connect_at(&address, &connection));

	/* The environment can lead libpq elsewhere (PGHOSTADDR, a service). */
	TRY(server_value(connection, "SHOW data_directory", &data_directory));

	struct stat ours;
	struct stat theirs;

	if (stat(server->pgdata, &ours) != 0 || stat(data_directory, &theirs) != 0 ||
	    ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
		return error_hint(
			error_new(ERR_USAGE, "libpq connects to another server, which runs in \"%s\"", data_directory),
			"Unset PGHOSTADDR and PGSERVICE.");
	*ret_connection = MOVE(connection);
	return NULL;
}

Error *
private_server_connect(PrivateServer *server, const char *database, Server **ret_connection)
{
	const char *const users[] = {server->user, getenv("PGUSER"), "postgres", getenv("LOGNAME"),
	                             getenv("USER")};
	Error *error = NULL;

	for (size_t i = 0; i < lengthof(users); i++)
	{
		if (users[i] == NULL)
			continue;
		error_free(error);
		error = connect_as(server, users[i], database, ret_connection);
		if (error == NULL && server->user == NULL)
			server->user = mem_strdup(users[i]);
		if (!error_is(error, ERR_DENIED))
			return error;
	}
	return error_hint(error, "The superuser of the backup has another name: set PGUSER to it.");
}

static Error *
ask_progress(Server *connection, ServerProgress *progress)
{
	AUTO_RESULTS results = {0};
	AUTO_FREE char *sql = mem_printf(
		"SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN %s END, pg_last_wal_replay_lsn(), "
		"(extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint",
		server_major(connection) < 14 ? "pg_is_wal_replay_paused()"
									  : "pg_get_wal_replay_pause_state() = 'paused'");

	TRY(server_run(connection, sql, 60000, &results));

	char **values = results.items[0].values;
	uint64_t time;

	progress->state = strcmp(values[0], "f") == 0                        ? SERVER_OPEN
	                  : values[1] != NULL && strcmp(values[1], "t") == 0 ? SERVER_PAUSED
	                                                                     : SERVER_REPLAYING;
	progress->replay_lsn = InvalidXLogRecPtr;
	if (values[2] != NULL)
		(void) lsn_parse(values[2], &progress->replay_lsn);
	progress->last_xact_time =
		values[3] != NULL && str_to_uint64(values[3], &time) ? (TimeUs) time : TIME_NONE;
	return NULL;
}

/* What it said when it gave up. */
static Error *
gave_up(const PrivateServer *server, int status)
{
	AUTO_FREE char *words = private_server_last_words(server->pgdata);
	AUTO_FREE char *log = server_file(server->pgdata, SERVER_LOG);

	Error *error = error_new(ERR_CORRUPT, "the server ended with status %d: %s", status,
	                         words != NULL ? words : "it said nothing");

	/* PostgreSQL: rmgr.c, RmgrNotFound: WAL of an extension that has its own kind of records. */
	if (words != NULL && strstr(words, "resource manager with ID") != NULL)
		return error_hint(error, "An extension wrote this WAL: install it here, and name its library by "
		                         "--preload-libraries.");
	return error_hint(error, "Its log is \"%s\".", log);
}

/* Not yet, or never: a database that no one can enter here, an environment (PGTZ) that no server takes. */
static bool
will_never_connect(const Error *error)
{
	return !error_is(error, ERR_TRANSIENT) ||
	       strstr(error_message(error), "incompatible with operating system") != NULL ||
	       strstr(error_message(error), "invalid value for parameter") != NULL;
}

static Error *
look(PrivateServer *server, ServerProgress *progress)
{
	static const char *const databases[] = {"postgres", "template1"};
	AUTO(Server) connection = NULL;
	Error *error = NULL;

	for (size_t i = 0; i < lengthof(databases); i++)
	{
		error_free(error);
		error = private_server_connect(server, databases[i], &connection);
		if (error == NULL)
			return ask_progress(connection, progress);
	}
	if (will_never_connect(error))
		return error;
	error_free(error);
	progress->state = SERVER_STARTING;
	return NULL;
}

/*
 * Since 14 a recovery also pauses, long before its target, when max_connections or
 * one of its neighbours is lower than the WAL demands (PostgreSQL: xlogrecovery.c,
 * RecoveryRequiresIntParameter).  That would be waited for in vain.
 */
static Error *
check_pause(const PrivateServer *server, const ServerProgress *progress)
{
	AUTO_FREE char *log = server_file(server->pgdata, SERVER_LOG);
	char at[LSN_TEXT_SIZE];
	char stop[LSN_TEXT_SIZE];

	/* Where it stops before a record, headers of pages may lie between. */
	if (progress->state != SERVER_PAUSED || progress->replay_lsn + XLOG_BLCKSZ >= server->note.stop_lsn)
		return NULL;
	return error_hint(
		error_new(ERR_CORRUPT, "the recovery pauses at %s, before its target at %s",
	              lsn_format(progress->replay_lsn, at), lsn_format(server->note.stop_lsn, stop)),
		"A setting such as max_connections is too low for this WAL; its log, \"%s\", says which.", log);
}

Error *
private_server_wait(PrivateServer *server, ServerProgress *progress)
{
	int64_t begin = clock_monotonic_ms();

	*progress = (ServerProgress){.state = SERVER_STARTING,
	                             .consistent_ms = -1,
	                             .reached_ms = -1,
	                             .replay_lsn = InvalidXLogRecPtr,
	                             .last_xact_time = TIME_NONE};
	for (;;)
	{
		int status;

		if (server->window != NULL)
			TRY(wal_window_advance(server->window));
		if (child_has_ended(server->pid, &status))
		{
			server->pid = 0;
			/* PostgreSQL: xlogrecovery.c, RECOVERY_TARGET_ACTION_SHUTDOWN: the startup process exits with 3. */
			if (status != 0)
				return gave_up(server, status);
			progress->state = SERVER_ENDED;
			break;
		}

		AUTO(Error) error = look(server, progress);

		/* It may have ended meanwhile: then that is the reason. */
		if (error != NULL && child_has_ended(server->pid, &status))
		{
			server->pid = 0;
			return gave_up(server, status);
		}
		if (error != NULL)
			return MOVE(error);
		if (progress->state != SERVER_STARTING && progress->consistent_ms < 0)
			progress->consistent_ms = clock_monotonic_ms() - begin;
		TRY(check_pause(server, progress));
		if (progress->state == SERVER_PAUSED || progress->state == SERVER_OPEN)
			break;
		TRY(cancel_sleep_ms(POLL_MS));
	}
	progress->reached_ms = clock_monotonic_ms() - begin;
	return NULL;
}
