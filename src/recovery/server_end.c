/* How a server that we started ends, and what is left of one; see walship/recovery/server.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server_files.h"
#include "walship/base/buf.h"
#include "walship/base/child.h"
#include "walship/base/clock.h"
#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/pg/pgdata.h"

#define FAST_STOP_MS      60000
#define IMMEDIATE_STOP_MS 15000
#define PID_FILE_MAX      8192

Error *
server_lock(const char *pgdata, int *ret_lock)
{
	int lock = open(pgdata, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (lock < 0)
		return error_errno("could not open directory \"%s\"", pgdata);
	if (flock(lock, LOCK_EX | LOCK_NB) == 0)
	{
		*ret_lock = lock;
		return NULL;
	}

	Error *error =
		errno == EWOULDBLOCK
			? error_new(ERR_EXISTS, "a server or a recovery is running in directory \"%s\"", pgdata)
			: error_errno("could not lock directory \"%s\"", pgdata);

	(void) close(lock);
	return error;
}

/* Waits for the lock, which its last process gives up; also after a cancellation. */
static bool
has_ended_within(const char *pgdata, pid_t child, int64_t timeout_ms)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;

	for (;;)
	{
		int lock = -1;
		int status;
		AUTO(Error) held = NULL;

		if (child > 0)
			(void) child_has_ended(child, &status);
		held = server_lock(pgdata, &lock);
		if (held == NULL)
			(void) close(lock);
		if (!error_is(held, ERR_EXISTS))
			return true;
		if (clock_monotonic_ms() >= deadline)
			return false;
		(void) usleep(POLL_MS * 1000);
	}
}

static Error *
end_process(const char *pgdata, pid_t pid, pid_t child, int first_signal)
{
	(void) kill(pid, first_signal);
	if (has_ended_within(pgdata, child, first_signal == SIGINT ? FAST_STOP_MS : IMMEDIATE_STOP_MS))
		return NULL;
	(void) kill(pid, SIGQUIT);
	if (has_ended_within(pgdata, child, IMMEDIATE_STOP_MS))
		return NULL;
	(void) kill(pid, SIGKILL);
	if (has_ended_within(pgdata, child, IMMEDIATE_STOP_MS))
		return NULL;
	return error_new(ERR_TRANSIENT, "the server in directory \"%s\" does not end", pgdata);
}

Error *
private_server_stop(PrivateServer *server)
{
	pid_t pid = server->pid;

	server->pid = 0;
	return pid > 0 ? end_process(server->pgdata, pid, pid, SIGINT) : NULL;
}

Error *
private_server_stop_in(const char *pgdata)
{
	pid_t pid;

	/* Nobody holds the lock: then the process id in its postmaster.pid is some other process's by now. */
	if (has_ended_within(pgdata, 0, 0))
		return NULL;
	if (postmaster_of(pgdata, &pid))
		return end_process(pgdata, pid, 0, SIGINT);

	/* Whoever started a server was killed: the server's processes, or one that was to become it, end a moment later. */
	return has_ended_within(pgdata, 0, IMMEDIATE_STOP_MS)
	           ? NULL
	           : error_new(ERR_EXISTS, "something runs in directory \"%s\", and it is no server", pgdata);
}

/* The rest of the last line of its log that has one of these. */
char *
private_server_last_words(const char *pgdata)
{
	static const char *const levels[] = {"PANIC:  ", "FATAL:  "};
	AUTO_FREE char *path = server_file(pgdata, SERVER_LOG);
	AUTO_CLOSE int fd = -1;
	AUTO(Error) error = NULL;
	struct stat status;
	char text[16384];
	size_t size = 0;
	char *found = NULL;

	error = file_open_read(path, &fd, &status);
	if (error == NULL)
	{
		uint64_t from =
			(uint64_t) status.st_size >= sizeof(text) ? (uint64_t) status.st_size - sizeof(text) + 1 : 0;

		error = file_read_at(fd, path, from, text, sizeof(text) - 1, &size);
	}
	text[size] = '\0';
	for (char *line = text; error == NULL && line != NULL && *line != '\0';)
	{
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end = '\0';
		for (size_t i = 0; i < lengthof(levels); i++)
		{
			const char *at = strstr(line, levels[i]);

			if (at == NULL || strstr(at, "the database system is") != NULL)
				continue;
			free(found);
			found = mem_strdup(at + strlen(levels[i]));
		}
		line = end == NULL ? NULL : end + 1;
	}
	return found;
}

/* A postmaster that was killed could not remove it (PostgreSQL: pidfile.h, line 7: key and id). */
static void
remove_shared_memory(const char *pgdata)
{
	AUTO_FREE char *path = path_join(pgdata, "postmaster.pid");
	AUTO_BUF(text, PID_FILE_MAX);
	AUTO(Error) error = file_read_all(path, &text);
	const char *line = error == NULL ? text.data : NULL;
	unsigned long key;
	unsigned long id;

	for (int i = 1; i < 7 && line != NULL; i++)
	{
		line = strchr(line, '\n');
		line = line == NULL ? NULL : line + 1;
	}
	if (line != NULL && sscanf(line, "%lu %lu", &key, &id) == 2)
	{
		struct shmid_ds status;

		if (shmctl((int) id, IPC_STAT, &status) == 0 && status.shm_nattch == 0 &&
		    (unsigned long) status.shm_perm.__key == key)
			(void) shmctl((int) id, IPC_RMID, NULL);
	}
}

Error *
private_server_clear(const char *pgdata)
{
	AUTO_FREE char *directory = server_file(pgdata, "");
	AUTO_NOTE note = {0};
	AUTO(Error) unread = server_note_read(pgdata, &note);

	remove_shared_memory(pgdata);
	if (unread == NULL && str_starts_with(note.sockets, SOCKETS_BEGIN) && file_exists(note.sockets))
		TRY(dir_remove_tree(note.sockets, false));
	return file_exists(directory) ? dir_remove_tree(directory, false) : NULL;
}

void
private_server_release(PrivateServer *server)
{
	if (server->pid > 0 && !server->kept)
		error_free(end_process(server->pgdata, server->pid, server->pid, SIGQUIT));
	wal_window_free(server->window);
	free(server->fence_reason);
	free(server->user);
	server_note_release(&server->note);
	*server = (PrivateServer){0};
}
