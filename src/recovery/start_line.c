/* A line for the shell that starts a restored server. */
#include "walship/recovery/start_line.h"

#include <string.h>

#include "walship/base/buf.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/plan/recovery_conf.h"

#define PROGRAMS      "/usr/lib/postgresql"
#define SETTINGS      "/etc/postgresql"
#define SOCKETS       "/var/run/postgresql"
#define SETTINGS_FILE "postgresql.conf"
#define SETTINGS_MAX  (1024 * 1024)
#define LINE_MAX_SIZE (256 * 1024)
#define PORT_FIRST    5433
#define PORT_LAST     5499

void
start_line_release(StartLine *line)
{
	free(line->command);
}

/* Where it need not be quoted it is easier to read. */
static char *
quote(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-+:=,";

	return *text != '\0' && text[strspn(text, plain)] == '\0' ? mem_strdup(text) : str_shell_quote(text);
}

static char *
find_program(const char *programs, int major)
{
	AUTO_FREE char *debian = mem_printf("%s/%d/bin/pg_ctl", programs, major);
	AUTO_FREE char *fedora = mem_printf("/usr/pgsql-%d/bin/pg_ctl", major);

	if (file_exists(debian))
		return MOVE(debian);
	return file_exists(fedora) ? MOVE(fedora) : mem_strdup("pg_ctl");
}

/* By the last line that sets it; NULL: none does, or the file cannot be read. */
static char *
setting_in(const char *path, const char *name)
{
	AUTO_BUF(text, SETTINGS_MAX);
	AUTO(Error) error = file_read_all(path, &text);

	return error != NULL || text.size == 0 ? NULL : recovery_conf_find(text.data, text.size, name);
}

/* Debian's clusters: is one for this directory, and else, is there only one whose settings can be borrowed? */
static void
find_cluster(const char *settings, int major, const char *pgdata, char **ret_cluster, char **ret_borrowed)
{
	AUTO_FREE char *directory = mem_printf("%s/%d", settings, major);
	AUTO_STRLIST clusters = {0};
	AUTO(Error) error = dir_list(directory, &clusters);
	size_t count = 0;

	for (size_t i = 0; error == NULL && i < clusters.count; i++)
	{
		AUTO_FREE char *path = mem_printf("%s/%s/" SETTINGS_FILE, directory, clusters.items[i]);
		AUTO_FREE char *place = setting_in(path, "data_directory");

		if (str_equal(place, pgdata))
		{
			free(*ret_cluster);
			*ret_cluster = mem_strdup(clusters.items[i]);
		}
		if (file_exists(path) && count++ == 0)
			*ret_borrowed = MOVE(path);
	}
	if (count > 1)
		free(MOVE(*ret_borrowed));
}

/* NULL: wherever servers have them, by the defaults of Debian and of PostgreSQL itself. */
static int
free_port(const char *sockets)
{
	for (int port = PORT_FIRST; port <= PORT_LAST; port++)
	{
		AUTO_FREE char *path = mem_printf("%s/.s.PGSQL.%d", sockets != NULL ? sockets : SOCKETS, port);
		AUTO_FREE char *elsewhere = mem_printf("/tmp/.s.PGSQL.%d", port);

		if (!file_exists(path) && (sockets != NULL || !file_exists(elsewhere)))
			return port;
	}
	return PORT_FIRST;
}

static void
add_option(Buf *options, const char *name, const char *value)
{
	AUTO_FREE char *quoted = quote(value);

	buf_printf(options, " -c %s=%s", name, quoted);
}

/* Settings that were made for the server that is there, with what they say of it corrected. */
static void
borrow_settings(Buf *options, const char *settings, const char *pgdata)
{
	AUTO_FREE char *pid_file = path_join(pgdata, "external.pid");

	add_option(options, "config_file", settings);
	add_option(options, "data_directory", pgdata);
	add_option(options, "external_pid_file", pid_file);
}

void
start_line_make(const char *pgdata, int major, bool beside, const char *own_options,
                const StartPlaces *places, StartLine *ret_line)
{
	const char *programs = places == NULL || places->programs == NULL ? PROGRAMS : places->programs;
	const char *settings = places == NULL || places->settings == NULL ? SETTINGS : places->settings;
	const char *sockets = places == NULL ? NULL : places->sockets;
	AUTO_FREE char *pg_ctl = find_program(programs, major);
	AUTO_FREE char *own = path_join(pgdata, SETTINGS_FILE);
	AUTO_FREE char *log = mem_printf("%s.log", pgdata);
	AUTO_FREE char *quoted_pgdata = quote(pgdata);
	AUTO_FREE char *quoted_log = quote(log);
	AUTO_FREE char *cluster = NULL;
	AUTO_FREE char *borrowed = NULL;
	AUTO_BUF(options, LINE_MAX_SIZE);

	*ret_line = (StartLine){0};
	find_cluster(settings, major, pgdata, &cluster, &borrowed);
	if (cluster != NULL)
	{
		ret_line->command = mem_printf("pg_ctlcluster %d %s start", major, cluster);
		return;
	}
	if (beside)
	{
		ret_line->port = free_port(sockets);
		buf_printf(&options, " -p %d", ret_line->port);
	}
	if (file_exists(own))
		buf_printf(&options, "%s%s", own_options == NULL ? "" : " ", own_options == NULL ? "" : own_options);
	else if (borrowed != NULL)
		borrow_settings(&options, borrowed, pgdata);
	else
		ret_line->no_settings = true;

	AUTO_FREE char *quoted_options =
		options.size == 0 || options.overflowed ? NULL : str_shell_quote(options.data + 1);

	ret_line->command =
		mem_printf("%s -D %s -l %s%s%s start", pg_ctl, quoted_pgdata, quoted_log,
	               quoted_options == NULL ? "" : " -o ", quoted_options == NULL ? "" : quoted_options);
}
