/* Finding PostgreSQL's programs; see walship/recovery/programs.h. */
#include "walship/recovery/programs.h"

#include <string.h>
#include <unistd.h>

#include "walship/base/child.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"

#define VERSION_MAX        256
#define VERSION_TIMEOUT_MS 10000

/* "%d" is the major. */
static const char *const places[] = {
	"/usr/lib/postgresql/%d/bin",   /* Debian, Ubuntu and their PGDG */
	"/usr/pgsql-%d/bin",            /* PGDG for Red Hat and SUSE */
	"/usr/lib/postgresql%d/bin",    /* SUSE */
	"/usr/libexec/postgresql%d",    /* Alpine */
	"/usr/lib/postgresql-%d/bin",   /* Gentoo's lib */
	"/usr/lib64/postgresql-%d/bin", /* Gentoo */
	"/opt/homebrew/opt/postgresql@%d/bin",
	"/usr/local/pgsql-%d/bin",
	"/usr/local/pgsql/bin", /* PostgreSQL's own default, and the one of its container images */
	"/usr/local/bin",
	"/usr/bin",
};

char *
program_in(const char *directory, const char *name)
{
	AUTO_FREE char *path = path_join(directory, name);

	return access(path, X_OK) == 0 ? MOVE(path) : NULL;
}

/* "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", "... 19beta4"; 0: there is no such program, or it says something else. */
static Error *
major_in(const char *directory, int *ret_major)
{
	AUTO_FREE char *program = program_in(directory, "postgres");
	AUTO_BUF(text, VERSION_MAX);
	const char *const argv[] = {program, "-V", NULL};
	const char *version;
	int status = 0;

	*ret_major = 0;
	if (program == NULL)
		return NULL;

	/* One that cannot be run, or hangs, is none; only we being told to end is no word about it. */
	Error *error = child_run(&(ChildOptions){.argv = argv}, VERSION_TIMEOUT_MS, &text, &status);

	if (error_is(error, ERR_CANCELLED))
		return error;
	error_free(error);
	version = text.data == NULL ? NULL : strstr(text.data, "(PostgreSQL) ");
	if (version == NULL || status != 0)
		return NULL;
	for (version += strlen("(PostgreSQL) "); *version >= '0' && *version <= '9'; version++)
		if (*ret_major < 1000)
			*ret_major = *ret_major * 10 + (*version - '0');
	return NULL;
}

/* The directory is taken if it has the programs of this major. */
static Error *
try_directory(const char *directory, int major, char **ret_directory)
{
	int found;

	TRY(major_in(directory, &found));
	if (found == major)
		*ret_directory = path_absolute(directory);
	return NULL;
}

static Error *
not_found(const char *given, int major)
{
	int other = 0;

	if (given != NULL)
		TRY(major_in(given, &other));
	if (other != 0)
		return error_hint(
			error_new(ERR_SYSTEM, "\"%s\" holds PostgreSQL %d, but %d is needed", given, other, major),
			"Set \"pg_bindir\" to the programs of PostgreSQL %d, or unset it.", major);

	Error *error =
		given != NULL
			? error_new(ERR_SYSTEM, "there is no server program of PostgreSQL %d in \"%s\"", major, given)
			: error_new(ERR_SYSTEM, "PostgreSQL %d is not installed on this machine", major);

	return error_hint(
		error,
		"Install the package postgresql-%d (Debian, Ubuntu) or postgresql%d-server (Red Hat, SUSE), "
		"or say with \"pg_bindir\" where its programs are.",
		major, major);
}

Error *
programs_find(const char *given, int major, char **ret_directory)
{
	AUTO_FREE char *found = NULL;
	const char *path = getenv("PATH");

	if (given != NULL)
		TRY(try_directory(given, major, &found));
	for (size_t i = 0; given == NULL && found == NULL && i < lengthof(places); i++)
	{
		const char *number = strstr(places[i], "%d");
		AUTO_FREE char *directory =
			number == NULL ? mem_strdup(places[i])
						   : mem_printf("%.*s%d%s", (int) (number - places[i]), places[i], major, number + 2);

		TRY(try_directory(directory, major, &found));
	}
	while (given == NULL && found == NULL && path != NULL && *path != '\0')
	{
		size_t length = strcspn(path, ":");
		AUTO_FREE char *directory = mem_strndup(path, length);

		if (directory[0] == '/')
			TRY(try_directory(directory, major, &found));
		path += length + (path[length] == ':');
	}
	if (found == NULL)
		return not_found(given, major);
	*ret_directory = MOVE(found);
	return NULL;
}
