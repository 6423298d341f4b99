/* The settings file's syntax. */
#include <ctype.h>
#include <string.h>

#include "private.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

/* One line while it is parsed: [begin, end) shrinks from both sides. */
typedef struct Line
{
	const char *path;
	int number;
	const char *begin;
	const char *end;
} Line;

void
ini_free(Ini *ini)
{
	if (ini == NULL)
		return;
	for (size_t i = 0; i < ini->n_entries; i++)
	{
		free(ini->entries[i].key);
		free(ini->entries[i].value);
	}
	for (size_t i = 0; i < ini->n_sections; i++)
	{
		free(ini->sections[i].kind);
		free(ini->sections[i].name);
	}
	free(ini->entries);
	free(ini->sections);
	free(ini);
}

static Error *
syntax_error(const Line *line, const char *what, const char *remedy)
{
	return error_hint(error_new(ERR_USAGE, "%s:%d: %s", line->path, line->number, what), "%s", remedy);
}

static void
trim(const char **begin, const char **end)
{
	while (*begin < *end && isspace((unsigned char) **begin))
		(*begin)++;
	while (*begin < *end && isspace((unsigned char) (*end)[-1]))
		(*end)--;
}

/* A word of letters, digits and the others named. */
static bool
is_word(const char *begin, const char *end, const char *others)
{
	if (begin == end)
		return false;
	for (; begin < end; begin++)
	{
		if (!isalnum((unsigned char) *begin) && strchr(others, *begin) == NULL)
			return false;
	}
	return true;
}

static Error *
parse_section(Ini *ini, const Line *line)
{
	static const char *const remedy =
		"Write [cluster NAME], where NAME has letters, digits, '_', '-' and '.' only.";
	const char *begin = line->begin + 1;
	const char *end = line->end;
	const char *kind_end;
	IniSection section;

	if (end[-1] != ']')
		return syntax_error(line, "section without \"]\" at the end of the line", remedy);
	end--;
	trim(&begin, &end);
	for (kind_end = begin; kind_end < end && !isspace((unsigned char) *kind_end);)
		kind_end++;

	const char *name = kind_end;

	trim(&name, &end);
	if (!is_word(begin, kind_end, "_-") || !is_word(name, end, "_-."))
		return syntax_error(line, "malformed section", remedy);

	section = (IniSection){.line = line->number,
	                       .kind = mem_strndup(begin, (size_t) (kind_end - begin)),
	                       .name = mem_strndup(name, (size_t) (end - name))};
	for (size_t i = 0; i < ini->n_sections; i++)
	{
		const IniSection *other = &ini->sections[i];

		if (strcmp(other->kind, section.kind) == 0 && strcmp(other->name, section.name) == 0)
		{
			Error *error = error_new(ERR_USAGE, "%s:%d: section [%s %s] occurs twice, first in line %d",
			                         line->path, line->number, section.kind, section.name, other->line);

			free(section.kind);
			free(section.name);
			return error;
		}
	}
	GROW(ini->sections, ini->n_sections, ini->sections_capacity);
	ini->sections[ini->n_sections++] = section;
	return NULL;
}

static bool
is_comment(char c)
{
	return c == '#' || c == ';';
}

/*
 * Narrows the value to what stands before a comment, or between quotes.  There
 * is no escaping: a value with one kind of quote is put into the other kind.
 */
static Error *
delimit_value(const Line *line, const char **begin, const char **end)
{
	const char *closing;
	const char *rest;

	if (*begin == *end || (**begin != '\'' && **begin != '"'))
	{
		for (const char *c = *begin; c < *end; c++)
		{
			if (is_comment(*c) && isspace((unsigned char) c[-1]))
				*end = c;
		}
		trim(begin, end);
		return NULL;
	}

	closing = memchr(*begin + 1, **begin, (size_t) (*end - *begin - 1));
	rest = closing != NULL ? closing + 1 : NULL;
	if (rest != NULL)
		trim(&rest, end);
	if (rest == NULL || (rest < *end && !is_comment(*rest)))
		return syntax_error(
			line, "malformed quotes",
			"A value that begins with a quote ends with the next quote of that kind, and only a "
			"comment may follow.");
	(*begin)++;
	*end = closing;
	return NULL;
}

static Error *
parse_entry(Ini *ini, const Line *line)
{
	const char *equals = memchr(line->begin, '=', (size_t) (line->end - line->begin));
	const char *key_begin = line->begin;
	const char *key_end = equals;
	const char *value_begin;
	const char *value_end = line->end;

	if (equals == NULL)
		return syntax_error(line, "neither a setting nor a section nor a comment",
		                    "Write \"name = value\"; comments begin with '#'.");
	trim(&key_begin, &key_end);
	if (!is_word(key_begin, key_end, "_-"))
		return syntax_error(line, "malformed name of a setting", "Write \"name = value\".");
	value_begin = equals + 1;
	trim(&value_begin, &value_end);
	TRY(delimit_value(line, &value_begin, &value_end));

	AUTO_FREE char *key = mem_strndup(key_begin, (size_t) (key_end - key_begin));

	for (size_t i = 0; i < ini->n_entries; i++)
	{
		const IniEntry *other = &ini->entries[i];

		if (other->section == (int) ini->n_sections - 1 && strcmp(other->key, key) == 0)
			return error_hint(error_new(ERR_USAGE, "%s:%d: setting \"%s\" occurs twice, first in line %d",
			                            line->path, line->number, key, other->line),
			                  "Remove one of the two lines.");
	}
	GROW(ini->entries, ini->n_entries, ini->entries_capacity);
	ini->entries[ini->n_entries++] = (IniEntry){
		.section = (int) ini->n_sections - 1,
		.line = line->number,
		.key = MOVE(key),
		.value = mem_strndup(value_begin, (size_t) (value_end - value_begin)),
	};
	return NULL;
}

Error *
ini_parse(const char *path, const char *text, size_t size, Ini **ret_ini)
{
	AUTO(Ini) ini = NEW(Ini);
	const char *end = text + size;
	Line line = {.path = path};

	if (memchr(text, '\0', size) != NULL)
		return error_new(ERR_USAGE, "file \"%s\" is not a text file", path);

	/* Editors of other systems write a mark of the encoding before the first line. */
	if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		text += 3;
	for (const char *next = text; next < end;)
	{
		const char *newline = memchr(next, '\n', (size_t) (end - next));

		line.number++;
		line.begin = next;
		line.end = newline != NULL ? newline : end;
		next = newline != NULL ? newline + 1 : end;
		trim(&line.begin, &line.end);
		if (line.begin == line.end || is_comment(*line.begin))
			continue;
		TRY(*line.begin == '[' ? parse_section(ini, &line) : parse_entry(ini, &line));
	}
	*ret_ini = MOVE(ini);
	return NULL;
}
