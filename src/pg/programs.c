/* Finding PostgreSQL's programs; see walship/pg/programs.h. */
#include "walship/pg/programs.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "walship/base/child.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"

#define VERSION_MAX        256
#define VERSION_TIMEOUT_MS 10000
#define NEWER_MOST         6 /* majors beyond the one that is asked for */

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
major_in(const char *directory, const char *name, int *ret_major)
{
	AUTO_FREE char *program = program_in(directory, name);
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

/* Called for each directory in which programs may lie; not for the same reason twice.  *ret_done ends the search. */
typedef Error *(*ProgramsVisit)(void *context, const char *directory, bool *ret_done);

/* The usual places of this major, then PATH; or "given" alone. */
static Error *
visit_places(const char *given, int major, ProgramsVisit visit, void *context, bool *done)
{
	const char *path = getenv("PATH");

	if (given != NULL)
		return visit(context, given, done);
	for (size_t i = 0; !*done && i < lengthof(places); i++)
	{
		const char *number = strstr(places[i], "%d");
		AUTO_FREE char *directory =
			number == NULL ? mem_strdup(places[i])
						   : mem_printf("%.*s%d%s", (int) (number - places[i]), places[i], major, number + 2);

		TRY(visit(context, directory, done));
	}
	while (!*done && path != NULL && *path != '\0')
	{
		size_t length = strcspn(path, ":");
		AUTO_FREE char *directory = mem_strndup(path, length);

		if (directory[0] == '/')
			TRY(visit(context, directory, done));
		path += length + (path[length] == ':');
	}
	return NULL;
}

typedef struct ServerSearch
{
	int major;
	char *found;
} ServerSearch;

/* A ProgramsVisit: the directory is taken if it has the server of this major. */
static Error *
try_server(void *context, const char *directory, bool *ret_done)
{
	ServerSearch *search = context;
	int found;

	TRY(major_in(directory, "postgres", &found));
	*ret_done = found == search->major;
	if (*ret_done)
		search->found = path_absolute(directory);
	return NULL;
}

static Error *
not_found(const char *given, int major)
{
	int other = 0;

	if (given != NULL)
		TRY(major_in(given, "postgres", &other));
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
	ServerSearch search = {.major = major};
	bool done = false;

	TRY(visit_places(given, major, try_server, &search, &done));
	if (!done)
		return not_found(given, major);
	*ret_directory = search.found;
	return NULL;
}

typedef struct ClientSearch
{
	const char *name;
	int least;
	int older; /* the newest that is too old; 0: none */
	int major; /* the nearest that is not; 0: none */
	char *found;
} ClientSearch;

/* A ProgramsVisit: the nearest to the server's major that is not older. */
static Error *
try_client(void *context, const char *directory, bool *ret_done)
{
	ClientSearch *search = context;
	int found;

	TRY(major_in(directory, search->name, &found));
	if (found < search->least)
		search->older = found > search->older ? found : search->older;
	else if (search->major == 0 || found < search->major)
	{
		free(search->found);
		search->found = path_absolute(directory);
		search->major = found;
	}
	*ret_done = search->major == search->least;
	return NULL;
}

static Error *
no_client(const char *given, const char *name, int least, int older)
{
	Error *error =
		older > 0
			? error_new(ERR_SYSTEM,
	                    "the newest %s %s%s%s is of PostgreSQL %d, which cannot work for the server's %d",
	                    name, given != NULL ? "in \"" : "on this machine", given != NULL ? given : "",
	                    given != NULL ? "\"" : "", older, least)
			: error_new(ERR_SYSTEM, "there is no %s of PostgreSQL %d or newer %s%s%s", name, least,
	                    given != NULL ? "in \"" : "on this machine", given != NULL ? given : "",
	                    given != NULL ? "\"" : "");

	return error_hint(
		error,
		"Install the package postgresql-client-%d (Debian, Ubuntu) or postgresql%d (Red Hat, SUSE), "
		"or say with \"pg_bindir\" where its programs are.",
		least, least);
}

Error *
programs_find_client(const char *given, const char *name, int least, char **ret_directory, int *ret_major)
{
	ClientSearch search = {.name = name, .least = least};
	Error *error = NULL;
	bool done = false;

	for (int major = least; error == NULL && !done && major <= least + NEWER_MOST; major++)
	{
		error = visit_places(given, major, try_client, &search, &done);
		done |= given != NULL || search.major == major;
	}
	if (error == NULL && search.found == NULL)
		error = no_client(given, name, least, search.older);
	if (error != NULL)
	{
		free(search.found);
		return error;
	}
	*ret_directory = search.found;
	*ret_major = search.major;
	return NULL;
}
