/* The door to cJSON. */
#include "walship/base/json.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

/* A Json is a cJSON node under another name: no wrapper, no second allocation. */
static cJSON *
node_of(const Json *json)
{
	return (cJSON *) (uintptr_t) json;
}

static Json *
json_of(cJSON *node)
{
	mem_must(node != NULL);
	return (Json *) node;
}

Json *
json_new_object(void)
{
	return json_of(cJSON_CreateObject());
}

Json *
json_new_array(void)
{
	return json_of(cJSON_CreateArray());
}

void
json_free(Json *root)
{
	cJSON_Delete(node_of(root));
}

/*
 * A node takes some 100 bytes of memory, but only two of a text such as "[1,1,1": 62
 * MiB of that took 2.5 GiB.  Nothing that is written for a reader is so dense; ours
 * has 20 bytes for a value, or more.
 */
#define VALUES_FREE     4096
#define BYTES_PER_VALUE 16

static bool
is_too_dense(const char *text, size_t size)
{
	size_t values = 0;
	bool quoted = false;

	for (size_t i = 0; i < size; i++)
	{
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == ',' || text[i] == '[' || text[i] == '{'))
			values++;
	}
	return values > VALUES_FREE + size / BYTES_PER_VALUE;
}

Error *
json_parse(const char *text, size_t size, const char *what, Json **ret_root)
{
	const char *end = NULL;

	if (is_too_dense(text, size))
		return error_new(ERR_CORRUPT, "%s holds more values than its size allows for", what);

	cJSON *root = cJSON_ParseWithLengthOpts(text, size, &end, false);

	if (root == NULL)
		return error_new(ERR_CORRUPT, "%s is not valid JSON", what);
	for (; end < text + size; end++)
	{
		if (strchr(" \t\r\n", *end) != NULL && *end != '\0')
			continue;
		cJSON_Delete(root);
		return error_new(ERR_CORRUPT, "%s has trailing bytes after its JSON", what);
	}
	*ret_root = json_of(root);
	return NULL;
}

/* cJSON escapes what JSON forbids; a terminal obeys more than that.  "\u009b" says the same, harmlessly. */
static void
escape_controls(const char *text, Buf *into)
{
	uint32_t code_point;

	for (const char *next = text; *next != '\0';)
	{
		bool is_layout = *next == '\n' || *next == '\t'; /* in strings they are escaped already */
		size_t length = is_layout ? 0 : str_control_length(next, &code_point);

		if (length > 0)
			buf_printf(into, "\\u%04" PRIx32, code_point);
		else
			buf_putc(into, *next);
		next += length > 0 ? length : 1;
	}
}

char *
json_text(const Json *root, bool compact)
{
	char *text = compact ? cJSON_PrintUnformatted(node_of(root)) : cJSON_Print(node_of(root));
	AUTO_BUF(escaped, SIZE_MAX);

	mem_must(text != NULL);
	if (strpbrk(text, "\x7f\xc2\xd8\xe2") == NULL)
		return text;
	escape_controls(text, &escaped);
	free(text);
	return buf_steal(&escaped);
}

void
json_print(const Json *root, bool compact, Buf *into)
{
	AUTO_FREE char *text = json_text(root, compact);

	buf_puts(into, text);
	buf_putc(into, '\n');
}

static void
add(Json *into, const char *name, cJSON *value)
{
	mem_must(value != NULL && (name == NULL ? cJSON_AddItemToArray(node_of(into), value)
	                                        : cJSON_AddItemToObject(node_of(into), name, value)));
}

/*
 * Names of files, notes and messages come in the encoding of whoever made them,
 * but a JSON text is UTF-8, and readers refuse a whole object for one byte that
 * is not.  cJSON copies what it is given, so this is the place.
 */
void
json_add_string(Json *into, const char *name, const char *value)
{
	AUTO_FREE char *clean = value == NULL || str_is_utf8(value) ? NULL : str_utf8(value);

	add(into, name, value == NULL ? cJSON_CreateNull() : cJSON_CreateString(clean != NULL ? clean : value));
}

/*
 * As text: cJSON prints a number from 10^15 on with 15 digits and an exponent
 * when that is "nearly" the same (cJSON.c, compare_double), and it is not.
 */
void
json_add_int(Json *into, const char *name, int64_t value)
{
	char text[32];

	(void) snprintf(text, sizeof(text), "%" PRId64, value);
	add(into, name, cJSON_CreateRaw(text));
}

void
json_add_bool(Json *into, const char *name, bool value)
{
	add(into, name, cJSON_CreateBool(value));
}

void
json_add_time(Json *into, const char *name, TimeUs value)
{
	char text[TIME_TEXT_SIZE];

	json_add_string(into, name, value == TIME_NONE ? NULL : time_format_utc(value, text));
}

Json *
json_add_object(Json *into, const char *name)
{
	Json *member = json_new_object();

	add(into, name, node_of(member));
	return member;
}

Json *
json_add_array(Json *into, const char *name)
{
	Json *member = json_new_array();

	add(into, name, node_of(member));
	return member;
}

const Json *
json_get(const Json *object, const char *name)
{
	return (const Json *) cJSON_GetObjectItemCaseSensitive(node_of(object), name);
}

bool
json_has(const Json *object, const char *name)
{
	const Json *member = json_get(object, name);

	return member != NULL && !cJSON_IsNull(node_of(member));
}

bool
json_is_null(const Json *node)
{
	return cJSON_IsNull(node_of(node));
}

bool
json_is_object(const Json *node)
{
	return cJSON_IsObject(node_of(node));
}

bool
json_is_array(const Json *node)
{
	return cJSON_IsArray(node_of(node));
}

const char *
json_string_value(const Json *node)
{
	return cJSON_GetStringValue(node_of(node));
}

bool
json_int_value(const Json *node, int64_t *ret_value)
{
	const cJSON *number = node_of(node);
	const double limit = 9007199254740992.0; /* 2^53, which 2^53 + 1 is rounded to: no longer exact */

	/* One of whole_number()'s, in a tree that was not read but built. */
	if (cJSON_IsRaw(number))
	{
		*ret_value = strtoll(number->valuestring, NULL, 10);
		return true;
	}
	if (!cJSON_IsNumber(number) || !(number->valuedouble < limit && number->valuedouble > -limit))
		return false;

	int64_t value = (int64_t) number->valuedouble;

	if ((double) value != number->valuedouble)
		return false;
	*ret_value = value;
	return true;
}

bool
json_bool_value(const Json *node, bool *ret_value)
{
	if (!cJSON_IsBool(node_of(node)))
		return false;
	*ret_value = cJSON_IsTrue(node_of(node));
	return true;
}

static Error *
missing(const char *name, const char *type)
{
	return error_new(ERR_CORRUPT, "member \"%s\" is missing or is not %s", name, type);
}

Error *
json_get_string(const Json *object, const char *name, const char **ret_value)
{
	const char *value = json_string_value(json_get(object, name));

	if (value == NULL)
		return missing(name, "a string");
	*ret_value = value;
	return NULL;
}

Error *
json_get_int(const Json *object, const char *name, int64_t *ret_value)
{
	if (!json_int_value(json_get(object, name), ret_value))
		return missing(name, "a whole number");
	return NULL;
}

Error *
json_get_uint(const Json *object, const char *name, uint64_t *ret_value)
{
	int64_t value;

	if (!json_int_value(json_get(object, name), &value) || value < 0)
		return missing(name, "a whole number that is not negative");
	*ret_value = (uint64_t) value;
	return NULL;
}

const Json *
json_first(const Json *array)
{
	return array == NULL ? NULL : (const Json *) node_of(array)->child;
}

const Json *
json_next(const Json *item)
{
	return (const Json *) node_of(item)->next;
}

const char *
json_name(const Json *member)
{
	return node_of(member)->string;
}
