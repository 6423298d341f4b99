/* Connection strings: one of the user's, looked at, and one for another program. */
#include <string.h>

#include "connection.h"
#include "walship/base/buf.h"
#include "walship/base/mem.h"

#define CONNINFO_MAX (1024 * 1024)

/* What this connection has for itself, or is said anew. */
static bool
is_our_own(const char *keyword)
{
	static const char *const own[] = {"dbname",           "host",
	                                  "hostaddr",         "port",
	                                  "application_name", "fallback_application_name",
	                                  "client_encoding",  "replication",
	                                  "scram_client_key", "scram_server_key"};

	for (size_t i = 0; i < lengthof(own); i++)
		if (strcmp(own[i], keyword) == 0)
			return true;
	return false;
}

/* libpq marks what is not to be shown with a '*'. */
static bool
is_secret(const PQconninfoOption *option)
{
	return option->dispchar != NULL && option->dispchar[0] == '*';
}

static void
add_word(Buf *into, const char *keyword, const char *value)
{
	buf_printf(into, "%s%s='", into->size > 0 ? " " : "", keyword);
	for (const char *at = value; *at != '\0'; at++)
	{
		if (*at == '\'' || *at == '\\')
			buf_putc(into, '\\');
		buf_putc(into, *at);
	}
	buf_putc(into, '\'');
}

char *
server_conninfo(const Server *server, const char *database)
{
	PQconninfoOption *options = PQconninfo(server->conn);
	AUTO_BUF(text, CONNINFO_MAX);
	bool by_address = false;

	for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
	{
		bool set = option->val != NULL && option->val[0] != '\0';

		by_address |= set && strcmp(option->keyword, "hostaddr") == 0;
		if (set && !is_our_own(option->keyword) && !is_secret(option) &&
		    !str_equal(option->val, option->compiled))
			add_word(&text, option->keyword, option->val);
	}
	PQconninfoFree(options);
	add_word(&text, "host", PQhost(server->conn));
	if (by_address)
		add_word(&text, "hostaddr", PQhostaddr(server->conn));
	add_word(&text, "port", PQport(server->conn));
	add_word(&text, "application_name", "walship");
	add_word(&text, "dbname", database);
	return buf_steal(&text);
}

Error *
conninfo_check(const char *conninfo, char **ret_database)
{
	PQconninfoOption *options;
	AUTO_PGMEM *reason = NULL;
	bool has_secret = false;

	*ret_database = NULL;
	TRY(pq_library_load());
	options = PQconninfoParse(conninfo, &reason);
	if (options == NULL)
		return error_new(ERR_USAGE, "this is no connection string: %.*s",
		                 (int) strcspn(reason != NULL ? reason : "out of memory", "\r\n"),
		                 reason != NULL ? reason : "out of memory");
	for (const PQconninfoOption *option = options; option->keyword != NULL; option++)
	{
		bool set = option->val != NULL && option->val[0] != '\0';

		has_secret |= set && is_secret(option);
		if (set && !has_secret && strcmp(option->keyword, "dbname") == 0)
			*ret_database = mem_strdup(option->val);
	}
	PQconninfoFree(options);
	if (!has_secret)
		return NULL;
	free(*ret_database);
	*ret_database = NULL;
	return error_hint(
		error_new(ERR_USAGE, "a connection string with a password does not belong on a command line"),
		"Everybody on the machine could read it there. Put it into ~/.pgpass, or into a file that passfile= names.");
}
