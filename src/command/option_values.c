/* Values of options that several commands have. */
#include "option_values.h"

#include <string.h>

#include "walship/archive/catalog.h"
#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define FIRST_NORMAL_XID 3 /* PostgreSQL: access/transam.h */

Error *
option_time(const Invocation *invocation, const char *option, TimeUs *ret_time)
{
	const char *text = invocation_value(invocation, option);
	const char *zone = settings_text(invocation_settings(invocation), SETTING_timezone);

	*ret_time = TIME_NONE;
	if (text == NULL)
		return NULL;
	return error_context(time_parse(text, zone, ret_time), "option \"--%s\"", option);
}

Error *
option_timeline(const Invocation *invocation, TimeLineID *ret_timeline)
{
	const char *text = invocation_value(invocation, "timeline");
	uint64_t number = 0;

	if (text != NULL && strcmp(text, "latest") == 0)
		number = TIMELINE_LATEST;
	else if (text != NULL && (!str_to_uint64(text, &number) || number == 0 || number >= TIMELINE_LATEST))
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no timeline", text),
		                  "It is a number that \"walship list\" shows, or latest.");
	*ret_timeline = (TimeLineID) number;
	return NULL;
}

bool
option_xid(const char *text, TransactionId *ret_xid, uint64_t *ret_full)
{
	uint64_t number;

	if (!str_to_uint64(text, &number) || (TransactionId) number < FIRST_NORMAL_XID)
		return false;
	*ret_xid = (TransactionId) number;
	*ret_full = number > UINT32_MAX ? number : 0;
	return true;
}

void
option_trim_slashes(char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		path[--length] = '\0';
}

/* Up to the first '=' without a backslash before it, as in pg_basebackup's option of the same purpose. */
static char *
take_path(const char **text)
{
	const char *next = *text;
	AUTO_BUF(path, strlen(next) + 1);

	for (; *next != '\0' && *next != '='; next++)
	{
		if (next[0] == '\\' && next[1] == '=')
			next++;
		buf_putc(&path, *next);
	}
	*text = next;

	char *taken = buf_steal(&path);

	option_trim_slashes(taken);
	return taken;
}

static Error *
parse_mapping(const char *text, TablespaceMappings *mappings)
{
	const char *next = text;
	AUTO_FREE char *from = take_path(&next);
	AUTO_FREE char *to = NULL;

	if (*next == '=')
	{
		next++;
		to = take_path(&next);
	}
	if (*next != '\0' || from[0] != '/' || to == NULL || to[0] != '/')
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no tablespace mapping", text),
		                  "It is OLD=NEW with two absolute paths; a '=' in a path is written \"\\=\".");
	if (tablespace_mappings_find(mappings, from) != NULL)
		return error_new(ERR_USAGE, "tablespace \"%s\" is mapped twice", from);
	tablespace_mappings_add(mappings, from, to);
	return NULL;
}

Error *
option_mappings(const Invocation *invocation, TablespaceMappings *mappings)
{
	for (size_t i = 0; i < invocation_count(invocation, "tablespace-map"); i++)
		TRY(parse_mapping(invocation_nth(invocation, "tablespace-map", i), mappings));
	return NULL;
}
