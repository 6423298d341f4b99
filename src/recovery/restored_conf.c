/*
 * The restored postgresql.conf may lead away from the directory that it was
 * restored into: a server started there would run in the old one, read the old
 * one's pg_hba.conf, or write over its pid file.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "steps.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/plan/recovery_conf.h"

#define CONF_MAX     (8 * 1024 * 1024)
#define INCLUDES_MAX 10 /* deep (PostgreSQL: conffiles.h, CONF_FILE_MAX_DEPTH) */
#define OPTIONS_MAX  (64 * 1024)

typedef struct RestoredConf
{
	const char *pgdata;
	const char *directory; /* of the file that is being read: relative names begin there */
	StrList *warnings;
	char *data_directory; /* what the last line says; owned; NULL: none does */
	char *hba_file;
	char *ident_file;
	char *pid_file;
	StrList include; /* files that it names, not read yet */
} RestoredConf;

static bool
is_inside(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 && (path[length] == '\0' || path[length] == '/') &&
	       strstr(path, "/../") == NULL;
}

static char *
from_directory(const char *directory, const char *value)
{
	return value[0] == '/' ? mem_strdup(value) : path_join(directory, value);
}

static void
replace(char **value, const char *by)
{
	free(*value);
	*value = mem_strdup(by);
}

static void
warn(RestoredConf *conf, const char *why, const char *name, const char *value)
{
	AUTO_BUF(text, 2 * PATH_MAX);

	buf_printf(&text, "The restored settings have %s = '%s': %s", name, value, why);
	if (!strlist_contains(conf->warnings, text.data))
		strlist_add(conf->warnings, text.data);
}

static void
take_include(RestoredConf *conf, const char *name, const char *value)
{
	AUTO_FREE char *path = from_directory(conf->directory, value);

	if (!is_inside(path, conf->pgdata))
	{
		warn(conf, "that lies outside the restored directory, and may be another server's, or missing.", name,
		     value);
		return;
	}
	if (strcasecmp(name, "include_dir") != 0)
	{
		strlist_add(&conf->include, path);
		return;
	}

	AUTO_STRLIST names = {0};

	/* A missing one the server will complain of. */
	error_free(dir_list_ending(path, ".conf", &names));
	strlist_sort(&names);
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO_FREE char *file = path_join(path, names.items[i]);

		strlist_add(&conf->include, file);
	}
}

static void
take_setting(void *context, const char *name, const char *value)
{
	RestoredConf *conf = context;

	if (strcasecmp(name, "data_directory") == 0)
		replace(&conf->data_directory, value);
	else if (strcasecmp(name, "hba_file") == 0)
		replace(&conf->hba_file, value);
	else if (strcasecmp(name, "ident_file") == 0)
		replace(&conf->ident_file, value);
	else if (strcasecmp(name, "external_pid_file") == 0)
		replace(&conf->pid_file, value);
	else if (strcasecmp(name, "include") == 0 || strcasecmp(name, "include_if_exists") == 0 ||
	         strcasecmp(name, "include_dir") == 0)
		take_include(conf, name, value);
}

static Error *
read_file(RestoredConf *conf, const char *path, int depth)
{
	AUTO_FREE char *directory = path_parent(path);
	AUTO_BUF(text, CONF_MAX);
	AUTO_STRLIST include = {0};
	Error *error = file_read_all(path, &text);

	/* On Debian there is none. */
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	conf->directory = directory;
	if (text.size > 0)
		recovery_conf_each(text.data, text.size, take_setting, conf);
	include = conf->include;
	conf->include = (StrList){0};
	for (size_t i = 0; i < include.count && depth < INCLUDES_MAX; i++)
		TRY(read_file(conf, include.items[i], depth + 1));
	return NULL;
}

static void
add_option(Buf *options, const char *name, const char *value)
{
	AUTO_FREE char *setting = mem_printf("%s=%s", name, value);
	AUTO_FREE char *quoted = str_shell_quote(setting);

	buf_printf(options, "%s-c %s", options->size == 0 ? "" : " ", quoted);
}

/* The same file in the restored directory takes its place, where there is one. */
static void
judge_file(RestoredConf *conf, const char *name, const char *value, const char *own_name, Buf *options)
{
	AUTO_FREE char *own = path_join(conf->pgdata, own_name);
	AUTO_FREE char *path = value == NULL ? NULL : from_directory(conf->pgdata, value);

	if (path == NULL || value[0] == '\0' || is_inside(path, conf->pgdata))
		return;
	warn(conf, "that file is not of the backup, and may be another server's, or missing.", name, value);
	if (file_exists(own))
		add_option(options, name, own);
}

Error *
restored_conf_look(Recovery *recovery)
{
	RestoredConf conf = {.pgdata = recovery->pgdata, .warnings = &recovery->start_warnings};
	AUTO_FREE char *path = path_join(recovery->pgdata, "postgresql.conf");
	AUTO_BUF(options, OPTIONS_MAX);
	Error *error = read_file(&conf, path, 0);

	if (error == NULL && conf.data_directory != NULL && conf.data_directory[0] != '\0' &&
	    strcmp(conf.data_directory, conf.pgdata) != 0)
	{
		warn(&conf,
		     "a server that is started without the options below runs in that directory, not in the restored "
		     "one.",
		     "data_directory", conf.data_directory);
		add_option(&options, "data_directory", conf.pgdata);
	}
	if (error == NULL)
	{
		judge_file(&conf, "hba_file", conf.hba_file, "pg_hba.conf", &options);
		judge_file(&conf, "ident_file", conf.ident_file, "pg_ident.conf", &options);
	}
	if (error == NULL && conf.pid_file != NULL && conf.pid_file[0] != '\0')
	{
		warn(&conf, "another server's may be there, and would be written over.", "external_pid_file",
		     conf.pid_file);
		add_option(&options, "external_pid_file", "");
	}
	if (options.size > 0)
		recovery->start_options = buf_steal(&options);
	free(conf.data_directory);
	free(conf.hba_file);
	free(conf.ident_file);
	free(conf.pid_file);
	strlist_release(&conf.include);
	return error;
}
