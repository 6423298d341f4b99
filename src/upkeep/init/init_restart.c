/* Who restarts a server here: systemd, Debian's pg_ctlcluster, or pg_ctl as it was started. */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/dir.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/upkeep/init.h"

#define SMALL_FILE_MAX (256 * 1024)
#define DEBIAN         "/etc/postgresql/"
#define PG_CTLCLUSTER  "/usr/bin/pg_ctlcluster"

static void
add_words(StrList *words, const char *const *list)
{
	for (; *list != NULL; list++)
		strlist_add(words, *list);
}

/* "0::/system.slice/system-postgresql.slice/postgresql@15-main.service"; a session of somebody is none. */
static char *
unit_of(pid_t pid)
{
	AUTO_FREE char *path = mem_printf("/proc/%d/cgroup", (int) pid);
	AUTO_BUF(text, SMALL_FILE_MAX);
	AUTO(Error) error = file_read_all(path, &text);
	char *line = error != NULL || text.size == 0 ? NULL : strstr(text.data, "/system.slice/");

	if (line == NULL)
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	return str_ends_with(line, ".service") ? mem_strdup(strrchr(line, '/') + 1) : NULL;
}

/* "/etc/postgresql/15/main/postgresql.conf" */
static bool
debian_cluster(const char *config_file, StrList *words)
{
	const char *major = config_file + strlen(DEBIAN);
	const char *slash = str_starts_with(config_file, DEBIAN) ? strchr(major, '/') : NULL;
	const char *end = slash == NULL ? NULL : strchr(slash + 1, '/');

	if (end == NULL || !file_exists(PG_CTLCLUSTER))
		return false;

	AUTO_FREE char *number = mem_strndup(major, (size_t) (slash - major));
	AUTO_FREE char *name = mem_strndup(slash + 1, (size_t) (end - slash - 1));
	const char *const list[] = {PG_CTLCLUSTER, number, name, "restart", NULL};

	add_words(words, list);
	return true;
}

/* The file into which the postmaster writes what it has to say; NULL: none, or it is not known. */
static char *
log_file_of(pid_t pid)
{
	AUTO_FREE char *link = mem_printf("/proc/%d/fd/2", (int) pid);
	char path[PATH_MAX];
	ssize_t size = readlink(link, path, sizeof(path) - 1);
	struct stat status;

	if (size <= 0)
		return NULL;
	path[size] = '\0';
	return stat(path, &status) == 0 && S_ISREG(status.st_mode) ? mem_strdup(path) : NULL;
}

/* Each word stands in double quotes: "-D" "data", or "-Ddata" (PostgreSQL: postmaster.c, CreateOptsFile). */
static char *
given_data_directory(const char *words)
{
	const char *option = strstr(words, " \"-D");
	const char *value;

	if (option == NULL)
		return NULL;
	value = option + strlen(" \"-D");
	if (str_starts_with(value, "\" \""))
		value += strlen("\" \"");
	return mem_strndup(value, strcspn(value, "\""));
}

bool
init_started_in(const char *words, const char *data_directory, char **ret_directory)
{
	AUTO_FREE char *given = given_data_directory(words);
	const char *relative = given;
	size_t whole = strlen(data_directory);
	size_t length;

	if (given == NULL || given[0] == '/')
	{
		*ret_directory = mem_strdup("/");
		return true;
	}
	while (str_starts_with(relative, "./"))
		relative += strlen("./");
	length = strlen(relative);
	while (length > 1 && relative[length - 1] == '/')
		length--;
	if (length == 0 || whole <= length + 1 || data_directory[whole - length - 1] != '/' ||
	    strncmp(data_directory + whole - length, relative, length) != 0)
		return false;
	*ret_directory = mem_strndup(data_directory, whole - length - 1);
	return true;
}

/* postmaster.opts: how the server was started, program first.  pg_ctl starts it again by the rest of that. */
static void
pg_ctl(const char *data_directory, pid_t pid, InitRestart *restart)
{
	AUTO_FREE char *path = path_join(data_directory, "postmaster.opts");
	AUTO_BUF(text, SMALL_FILE_MAX);
	AUTO(Error) error = file_read_all(path, &text);

	if (error != NULL || text.size == 0 || !init_started_in(text.data, data_directory, &restart->directory))
		return;
	text.data[strcspn(text.data, " \n")] = '\0';

	AUTO_FREE char *bindir = path_parent(text.data);
	AUTO_FREE char *program = path_join(bindir, "pg_ctl");
	AUTO_FREE char *log = log_file_of(pid);
	const char *const list[] = {program, "-D", data_directory, "-m", "fast", "-w", "-t", "120", NULL};

	if (!file_exists(program))
		return;
	restart->as_user = true;
	add_words(&restart->words, list);
	if (log != NULL)
	{
		strlist_add(&restart->words, "-l");
		strlist_add(&restart->words, log);
	}
	strlist_add(&restart->words, "restart");
}

void
init_find_restart(const ServerFacts *server, bool is_root, InitRestart *ret_restart)
{
	pid_t pid = 0;

	/* The first process of a container is nobody's to restart: with it the container ends. */
	if (!postmaster_of(server->data_directory, &pid) || pid == 1)
		return;

	AUTO_FREE char *unit = file_exists("/run/systemd/system") ? unit_of(pid) : NULL;
	const char *const by_systemd[] = {"/bin/systemctl", "restart", unit, NULL};

	if (unit != NULL && is_root)
		add_words(&ret_restart->words, by_systemd);
	else if (!debian_cluster(server->config_file, &ret_restart->words))
		pg_ctl(server->data_directory, pid, ret_restart);
}
