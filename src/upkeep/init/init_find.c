/* Servers of this machine, by what they leave beside their sockets. */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/upkeep/init.h"

#define SOCKET_PREFIX ".s.PGSQL."
#define LOCK_SUFFIX   ".lock"
#define LOCK_FILE_MAX 16384
#define LOCK_LINES    5

void
found_servers_release(FoundServers *servers)
{
	for (size_t i = 0; i < servers->count; i++)
	{
		free(servers->items[i].data_directory);
		free(servers->items[i].socket_directory);
	}
	free(servers->items);
	*servers = (FoundServers){0};
}

static bool
is_known(const FoundServers *servers, const char *data_directory)
{
	for (size_t i = 0; i < servers->count; i++)
		if (strcmp(servers->items[i].data_directory, data_directory) == 0)
			return true;
	return false;
}

/* Lines: pid, data directory, start time, port, socket directory (PostgreSQL: pidfile.h).  postmaster.pid has the same. */
static bool
read_lock_file(const char *path, FoundServers *servers)
{
	AUTO_BUF(text, LOCK_FILE_MAX);
	AUTO(Error) error = file_read_all(path, &text);
	char *lines[LOCK_LINES] = {NULL};
	char *rest = error != NULL || text.size == 0 ? NULL : text.data;
	struct stat status;
	uint64_t port;
	pid_t pid;

	for (size_t i = 0; i < LOCK_LINES && rest != NULL; i++)
	{
		lines[i] = rest;
		rest = strchr(rest, '\n');
		if (rest != NULL)
			*rest++ = '\0';
	}
	if (lines[4] == NULL || lines[4][0] == '\0' || !str_to_uint64(lines[3], &port) || port > UINT16_MAX ||
	    stat(lines[1], &status) != 0 || !postmaster_of(lines[1], &pid) || is_known(servers, lines[1]))
		return false;
	GROW(servers->items, servers->count, servers->capacity);
	servers->items[servers->count++] = (FoundServer){.data_directory = mem_strdup(lines[1]),
	                                                 .socket_directory = mem_strdup(lines[4]),
	                                                 .port = (int) port,
	                                                 .owner = status.st_uid};
	return true;
}

/* One whose socket lies elsewhere: the postmaster's working directory is its data directory, as far as that may be seen. */
static void
find_by_processes(FoundServers *servers)
{
	AUTO_STRLIST processes = {0};
	AUTO(Error) error = dir_list("/proc", &processes);

	for (size_t i = 0; error == NULL && i < processes.count; i++)
	{
		AUTO_FREE char *link = mem_printf("/proc/%s/cwd", processes.items[i]);
		char directory[PATH_MAX];
		ssize_t size = readlink(link, directory, sizeof(directory) - 1);
		uint64_t number;
		pid_t pid;

		if (size <= 0 || !str_to_uint64(processes.items[i], &number))
			continue;
		directory[size] = '\0';

		AUTO_FREE char *path = path_join(directory, "postmaster.pid");

		/* Only the postmaster itself: that of a container has another number here. */
		if (postmaster_of(directory, &pid) && (uint64_t) pid == number)
			(void) read_lock_file(path, servers);
	}
}

void
init_find_servers(const char *const *directories, FoundServers *ret_servers)
{
	static const char *const usual[] = {"/var/run/postgresql", "/tmp", NULL};
	bool anywhere = directories == NULL;

	for (const char *const *directory = directories != NULL ? directories : usual; *directory != NULL;
	     directory++)
	{
		AUTO_STRLIST names = {0};
		AUTO(Error) error = dir_list(*directory, &names);

		for (size_t i = 0; error == NULL && i < names.count; i++)
		{
			AUTO_FREE char *path = path_join(*directory, names.items[i]);

			if (str_starts_with(names.items[i], SOCKET_PREFIX) && str_ends_with(names.items[i], LOCK_SUFFIX))
				(void) read_lock_file(path, ret_servers);
		}
	}
	if (anywhere && ret_servers->count == 0)
		find_by_processes(ret_servers);
}

Error *
init_find_server_in(const char *data_directory, FoundServers *ret_servers)
{
	AUTO_FREE char *path = path_join(data_directory, "postmaster.pid");

	if (read_lock_file(path, ret_servers))
		return NULL;
	return error_hint(
		error_new(ERR_TRANSIENT, "no server runs in directory \"%s\"", data_directory),
		"Start it: what walship needs to know of it, only it tells. It must have a Unix socket.");
}

void
init_list_debian_clusters(const char *folder, StrList *ret_clusters)
{
	AUTO_STRLIST majors = {0};
	AUTO(Error) error = dir_list(folder, &majors);

	for (size_t i = 0; error == NULL && i < majors.count; i++)
	{
		AUTO_FREE char *major = path_join(folder, majors.items[i]);
		AUTO_STRLIST names = {0};
		AUTO(Error) none = dir_list(major, &names);

		for (size_t j = 0; none == NULL && j < names.count; j++)
		{
			AUTO_FREE char *cluster = path_join(majors.items[i], names.items[j]);

			strlist_add(ret_clusters, cluster);
		}
	}
}
