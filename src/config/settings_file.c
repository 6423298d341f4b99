/* Lines for a settings file; its syntax: ini.c. */
#include "walship/config/settings_file.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "walship/base/mem.h"

/* Quotes are needed where a comment could begin, or where there are quotes already; there is no escaping. */
static Error *
append_line(const SettingLine *line, Buf *into)
{
	const char *value = line->value;
	size_t length = strlen(value);
	bool needs = length == 0 || strchr("'\"#;", value[0]) != NULL || isspace((unsigned char) value[0]) ||
	             isspace((unsigned char) value[length - 1]);

	for (const char *at = value; *at != '\0'; at++)
	{
		if (*at == '\n' || *at == '\r')
			return error_new(ERR_USAGE, "value of setting \"%s\" has more than one line", line->name);
		needs = needs || ((*at == '#' || *at == ';') && at > value && isspace((unsigned char) at[-1]));
	}
	if (!needs)
	{
		buf_printf(into, "%s = %s\n", line->name, value);
		return NULL;
	}
	if (strchr(value, '\'') != NULL && strchr(value, '"') != NULL)
		return error_new(ERR_USAGE,
		                 "value of setting \"%s\" has quotes of both kinds: a settings file cannot hold it",
		                 line->name);

	char quote = strchr(value, '\'') == NULL ? '\'' : '"';

	buf_printf(into, "%s = %c%s%c\n", line->name, quote, value, quote);
	return NULL;
}

/* Is this line "[cluster NAME]"? */
static bool
is_section(const char *line, size_t length, const char *cluster)
{
	static const char kind[] = "cluster";
	const char *end = memchr(line, ']', length);
	size_t name = strlen(cluster);

	if (end == NULL)
		return false;
	line++;
	while (line < end && isspace((unsigned char) *line))
		line++;
	if ((size_t) (end - line) < strlen(kind) || strncmp(line, kind, strlen(kind)) != 0)
		return false;
	line += strlen(kind);
	while (line < end && isspace((unsigned char) *line))
		line++;
	while (end > line && isspace((unsigned char) end[-1]))
		end--;
	return (size_t) (end - line) == name && strncmp(line, cluster, name) == 0;
}

/*
 * Behind the last line of the section that says something; SIZE_MAX when there is no such section.  Above all sections:
 * at the end of a text that has none, or at its beginning.
 */
static size_t
place_for(const char *text, size_t size, const char *cluster)
{
	bool inside = cluster == NULL;
	bool sections = false;
	size_t place = SIZE_MAX;

	for (size_t at = 0; at < size;)
	{
		const char *newline = memchr(text + at, '\n', size - at);
		size_t end = newline == NULL ? size : (size_t) (newline - text) + 1;
		size_t first = at;

		while (first < end && isspace((unsigned char) text[first]))
			first++;
		if (first < end && text[first] == '[')
		{
			sections = true;
			inside = cluster != NULL && is_section(text + first, end - first, cluster);
		}
		if (inside && first < end && text[first] != '#' && text[first] != ';')
			place = end;
		at = end;
	}
	if (place == SIZE_MAX && cluster == NULL)
		return sections ? 0 : size;
	return place;
}

Error *
settings_file_add(const char *text, size_t size, const char *cluster, const SettingLine *lines,
                  size_t n_lines, Buf *into)
{
	size_t place = place_for(text, size, cluster);
	bool is_new = place == SIZE_MAX;

	if (is_new)
		place = size;
	buf_append(into, text, place);
	if (place > 0 && text[place - 1] != '\n')
		buf_putc(into, '\n');
	if (is_new)
		buf_printf(into, "%s[cluster %s]\n", size > 0 ? "\n" : "", cluster);
	for (size_t i = 0; i < n_lines; i++)
		TRY(append_line(&lines[i], into));
	buf_append(into, text + place, size - place);
	return NULL;
}
