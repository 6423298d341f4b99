/* See walship/backup/dump_globals.h. */
#include "walship/backup/dump_globals.h"

#include <stdlib.h>
#include <string.h>

#include "walship/base/attributes.h"
#include "walship/base/mem.h"

/* Bytes of the identifier at "text", with its quotes (PostgreSQL: quote_identifier()); 0: there is none. */
static size_t
identifier_length(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789_$";

	if (*text != '"')
		return strspn(text, plain);
	for (size_t i = 1; text[i] != '\0'; i++)
		if (text[i] == '"' && text[++i] != '"')
			return i;
	return 0;
}

static char *
unquote(const char *identifier, size_t length)
{
	char *name = mem_strndup(identifier, length);
	size_t n = 0;

	if (identifier[0] != '"')
		return name;
	for (size_t i = 1; i + 1 < length; i++)
	{
		name[n++] = identifier[i];
		i += identifier[i] == '"';
	}
	name[n] = '\0';
	return name;
}

/*
 * initdb's role has every attribute, and so may others; the one that is called
 * "postgres" it is nearly always.  0: this one cannot enter, or is no superuser.
 */
static int
likeness(const char *name, const char *attributes, size_t length)
{
	static const char all[] = " SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS";
	AUTO_FREE char *text = mem_strndup(attributes, length);

	if (strstr(text, " SUPERUSER ") == NULL || strstr(text, " LOGIN ") == NULL)
		return 0;
	return 1 + (strstr(text, all) != NULL) + (strcmp(name, "postgres") == 0 ? 2 : 0);
}

void
dump_globals_parse(const char *text, DumpGlobals *ret_globals)
{
	static const char role[] = "ALTER ROLE ";
	static const char tablespace[] = "CREATE TABLESPACE ";
	int best = 0;

	*ret_globals = (DumpGlobals){0};
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
	{
		bool is_role = str_starts_with(line, role);
		const char *at = line + (is_role ? strlen(role) : strlen(tablespace));

		if (!is_role && !str_starts_with(line, tablespace))
			continue;

		size_t length = identifier_length(at);

		if (length == 0)
			continue;

		AUTO_FREE char *identifier = mem_strndup(at, length);

		if (!is_role)
			strlist_add(&ret_globals->tablespaces, identifier);
		else if (str_starts_with(at + length, " WITH "))
		{
			AUTO_FREE char *name = unquote(at, length);
			int found = likeness(name, at + length, strcspn(at + length, "\n"));

			if (found <= best)
				continue;
			best = found;
			free(ret_globals->superuser);
			ret_globals->superuser = MOVE(name);
		}
	}
	if (ret_globals->superuser == NULL)
		ret_globals->superuser = mem_strdup("postgres");
}

void
dump_globals_release(DumpGlobals *globals)
{
	free(globals->superuser);
	strlist_release(&globals->tablespaces);
	*globals = (DumpGlobals){0};
}
