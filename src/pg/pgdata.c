/* A data directory, and the server that runs in it; see walship/pg/pgdata.h. */
#include "walship/pg/pgdata.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/cancel.h"
#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/wal/page.h"

#define PID_FILE_MAX (64 * 1024)
#define STAT_MAX     4096

#define CONTROL_FILE "global/pg_control"

/* Postmaster, startup process, shell, perhaps a script around us: never more than a few. */
#define GENERATIONS_MOST 16

/* A torn pg_control is whole again within one write of 8 kB. */
#define CONTROL_ATTEMPTS 5
#define CONTROL_PAUSE_MS 20

static bool
holds(const char *directory, const char *name)
{
	AUTO_FREE char *path = path_join(directory, name);

	return file_exists(path);
}

char *
pgdata_of(const char *path)
{
	if (path != NULL)
	{
		AUTO_FREE char *absolute = path_absolute(path);
		AUTO_FREE char *wal_directory = path_parent(absolute);
		AUTO_FREE char *directory = path_parent(wal_directory);

		if (holds(directory, CONTROL_FILE))
			return MOVE(directory);
	}
	return holds(".", CONTROL_FILE) ? path_absolute(".") : NULL;
}

bool
pgdata_is_standby(const char *directory)
{
	return holds(directory, "standby.signal");
}

/* With both signal files the server is a standby (PostgreSQL: xlogrecovery.c, readRecoverySignalFile). */
bool
pgdata_in_archive_recovery(const char *directory)
{
	return holds(directory, "recovery.signal") && !pgdata_is_standby(directory);
}

Error *
pgdata_read_control(const char *directory, PgControl *ret_control)
{
	AUTO_FREE char *path = path_join(directory, CONTROL_FILE);

	for (int attempt = 1;; attempt++)
	{
		AUTO_BUF(bytes, 2 * PG_CONTROL_FILE_SIZE);
		Error *error = file_read_all(path, &bytes);

		if (error == NULL)
			error = error_context(pg_control_parse(bytes.data, bytes.size, ret_control), "file \"%s\"", path);
		if (!error_is(error, ERR_CORRUPT) || attempt == CONTROL_ATTEMPTS)
			return error;
		error_free(error);
		TRY(cancel_sleep_ms(CONTROL_PAUSE_MS));
	}
}

Error *
wal_file_segment_size(const char *path, uint32_t *ret_size)
{
	AUTO_CLOSE int fd = -1;
	uint8_t bytes[WAL_LONG_HEADER_SIZE];
	WalPageHeader header;
	size_t size;

	TRY(file_open_read(path, &fd, NULL));
	TRY(file_read_at(fd, path, 0, bytes, sizeof(bytes), &size));
	TRY(wal_page_header_parse(bytes, size, &header));
	*ret_size = header.segment_size;
	return NULL;
}

uint32_t
wal_directory_segment_size(const char *wal_directory, const StrList *names)
{
	for (size_t i = 0; i < names->count; i++)
	{
		AUTO_FREE char *path = path_join(wal_directory, names->items[i]);
		WalName name;
		uint32_t segment_size;
		AUTO(Error) error = wal_name_parse(names->items[i], &name);

		if (error != NULL || name.kind != WAL_SEGMENT)
			continue;
		error = wal_file_segment_size(path, &segment_size);
		if (error == NULL)
			return segment_size;
	}
	return 0;
}

bool
pgdata_has_segment(const char *directory, const WalName *name, uint64_t system_identifier,
                   uint32_t segment_size)
{
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *path = mem_printf("%s/pg_wal/%s", directory, wal_name_format(name, text));
	AUTO_CLOSE int fd = -1;
	AUTO(Error) error = NULL;
	uint8_t bytes[WAL_LONG_HEADER_SIZE];
	size_t size = 0;
	struct stat status;
	WalPageHeader header;

	error = file_open_read(path, &fd, &status);
	if (error == NULL)
		error = file_read_at(fd, path, 0, bytes, sizeof(bytes), &size);
	if (error == NULL)
		error = wal_page_header_parse(bytes, size, &header);
	if (error == NULL)
		error = wal_page_header_matches(&header, name);
	return error == NULL && (uint64_t) status.st_size == segment_size &&
	       header.segment_size == segment_size && header.system_identifier == system_identifier;
}

Error *
pgdata_segment_size(const char *directory, uint32_t *ret_size)
{
	AUTO_FREE char *wal_directory = path_join(directory, "pg_wal");
	AUTO_STRLIST names = {0};
	PgControl control;

	TRY(pgdata_read_control(directory, &control));
	*ret_size = control.segment_size;
	if (*ret_size != 0)
		return NULL;
	TRY(dir_list(wal_directory, &names));
	*ret_size = wal_directory_segment_size(wal_directory, &names);
	if (*ret_size != 0)
		return NULL;
	return error_hint(
		error_new(ERR_SYSTEM, "the size of WAL segments is not known: \"%s\" holds none", wal_directory),
		"pg_control has version %u, which this walship does not know. Use a newer one.",
		control.control_version);
}

/* The first line is its process id (PostgreSQL: pidfile.h); that of a standalone backend is negative: 0 here. */
static Error *
read_pid_file(const char *data_directory, pid_t *ret_pid)
{
	AUTO_FREE char *path = path_join(data_directory, "postmaster.pid");
	AUTO_BUF(text, PID_FILE_MAX);
	uint64_t pid;

	TRY(file_read_all(path, &text));
	buf_puts(&text, "");
	text.data[strcspn(text.data, "\r\n")] = '\0';
	*ret_pid = str_to_uint64(text.data, &pid) && pid <= INT32_MAX ? (pid_t) pid : 0;
	return NULL;
}

static bool
process_exists(pid_t pid)
{
	return kill(pid, 0) == 0 || errno != ESRCH;
}

bool
postmaster_of(const char *data_directory, pid_t *ret_pid)
{
	AUTO(Error) error = read_pid_file(data_directory, ret_pid);

	return error == NULL && *ret_pid > 0 && process_exists(*ret_pid);
}

/* The status stands in line 8 (PostgreSQL: miscadmin.h, LOCK_FILE_LINE_PM_STATUS; pidfile.h, PM_STATUS_STOPPING). */
bool
postmaster_is_stopping(const char *data_directory)
{
	AUTO_FREE char *path = path_join(data_directory, "postmaster.pid");
	AUTO_BUF(text, PID_FILE_MAX);
	AUTO(Error) error = file_read_all(path, &text);
	const char *line = error != NULL || text.size == 0 ? NULL : text.data;

	for (int i = 1; i < 8 && line != NULL; i++)
	{
		line = strchr(line, '\n');
		line = line == NULL ? NULL : line + 1;
	}
	return line != NULL && strncmp(line, "stopping", 8) == 0;
}

Error *
postmaster_look(const char *data_directory, PostmasterState *ret_state)
{
	pid_t pid;
	Error *error = read_pid_file(data_directory, &pid);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		*ret_state = POSTMASTER_NONE;
		return NULL;
	}
	TRY(error);
	*ret_state = pid == 0 || process_exists(pid) ? POSTMASTER_RUNNING : POSTMASTER_DEAD;
	return NULL;
}

/* By what the link says, or by where it leads: on the way there may be other links. */
static bool
is_same_directory(const char *link, const char *path)
{
	char target[PATH_MAX];
	ssize_t size = readlink(link, target, sizeof(target) - 1);
	struct stat linked;
	struct stat named;

	if (size < 0)
		return false;
	target[size] = '\0';
	return strcmp(target, path) == 0 || (stat(link, &linked) == 0 && stat(path, &named) == 0 &&
	                                     linked.st_dev == named.st_dev && linked.st_ino == named.st_ino);
}

Error *
pgdata_has_tablespace(const char *data_directory, const char *path, bool *ret_has)
{
	AUTO_FREE char *links = path_join(data_directory, "pg_tblspc");
	AUTO_STRLIST names = {0};
	Error *error = dir_list(links, &names);

	*ret_has = false;
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	for (size_t i = 0; i < names.count && !*ret_has; i++)
	{
		AUTO_FREE char *link = path_join(links, names.items[i]);

		*ret_has = is_same_directory(link, path);
	}
	return NULL;
}

/* Every process of a server works in its data directory.  Those of other users cannot be looked at. */
Error *
postmaster_find_by_tablespace(const char *path, char **ret_data_directory)
{
	AUTO_STRLIST processes = {0};
	AUTO_STRLIST seen = {0};

	*ret_data_directory = NULL;
	TRY(dir_list("/proc", &processes));
	for (size_t i = 0; i < processes.count; i++)
	{
		AUTO_FREE char *link = mem_printf("/proc/%s/cwd", processes.items[i]);
		char directory[PATH_MAX];
		ssize_t size = readlink(link, directory, sizeof(directory) - 1);
		bool has = false;
		pid_t pid;

		if (size < 0)
			continue;
		directory[size] = '\0';
		if (strlist_contains(&seen, directory) || !postmaster_of(directory, &pid))
			continue;
		strlist_add(&seen, directory);

		/* One that ends meanwhile, or that may not be looked into, is none. */
		AUTO(Error) gone = pgdata_has_tablespace(directory, path, &has);

		if (gone == NULL && has)
		{
			*ret_data_directory = mem_strdup(directory);
			return NULL;
		}
	}
	return NULL;
}

/* "PID (NAME) STATE PARENT ...", where NAME may hold anything: proc(5). */
pid_t
process_parent(pid_t pid)
{
	AUTO_FREE char *path = mem_printf("/proc/%d/stat", (int) pid);
	AUTO_BUF(text, STAT_MAX);
	AUTO(Error) error = file_read_all(path, &text);
	char *after_name = error != NULL || text.size == 0 ? NULL : strrchr(text.data, ')');
	uint64_t parent;

	if (after_name == NULL || strlen(after_name) < 5)
		return 0;
	after_name[4 + strcspn(after_name + 4, " ")] = '\0';
	return str_to_uint64(after_name + 4, &parent) && parent <= INT32_MAX ? (pid_t) parent : 0;
}

bool
postmaster_called_us(pid_t postmaster)
{
	pid_t pid = getppid();

	for (int i = 0; i < GENERATIONS_MOST && pid > 0; i++)
	{
		if (pid == postmaster)
			return true;
		pid = process_parent(pid);
	}
	return false;
}
