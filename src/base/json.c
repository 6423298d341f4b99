/* The door to cJSON. */
#include "walship/base/json.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walship/base/mem.h"

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

Error *
json_parse(const char *text, size_t size, const char *what, Json **ret_root)
{
	const char *end = NULL;
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

void
json_print(const Json *root, bool compact, Buf *into)
{
	char *text = compact ? cJSON_PrintUnformatted(node_of(root)) : cJSON_Print(node_of(root));

	mem_must(text != NULL);
	buf_puts(into, text);
	buf_putc(into, '\n');
	cJSON_free(text);
}

static void
add(Json *object, const char *name, cJSON *value)
{
	mem_must(value != NULL && cJSON_AddItemToObject(node_of(object), name, value));
}

/*
 * As text: cJSON prints a number from 10^15 on with 15 digits and an exponent
 * when that is "nearly" the same (cJSON.c, compare_double), and it is not.
 */
static cJSON *
whole_number(int64_t value)
{
	char text[32];

	(void) snprintf(text, sizeof(text), "%" PRId64, value);
	return cJSON_CreateRaw(text);
}

void
json_add_string(Json *object, const char *name, const char *value)
{
	add(object, name, value == NULL ? cJSON_CreateNull() : cJSON_CreateString(value));
}

void
json_add_int(Json *object, const char *name, int64_t value)
{
	add(object, name, whole_number(value));
}

void
json_add_bool(Json *object, const char *name, bool value)
{
	add(object, name, cJSON_CreateBool(value));
}

void
json_add_time(Json *object, const char *name, TimeUs value)
{
	char text[TIME_TEXT_SIZE];

	json_add_string(object, name, value == TIME_NONE ? NULL : time_format_utc(value, text));
}

void
json_add_words(Json *object, const char *name, const char *words)
{
	Json *list;

	if (*words == '\0')
		return;
	list = json_add_array(object, name);
	while (*words != '\0')
	{
		size_t length = strcspn(words, JSON_WORDS_SEPARATOR);
		AUTO_FREE char *word = mem_strndup(words, length);

		json_append_string(list, word);
		words += length;
		words += strspn(words, JSON_WORDS_SEPARATOR);
	}
}

Json *
json_add_object(Json *object, const char *name)
{
	Json *member = json_new_object();

	add(object, name, node_of(member));
	return member;
}

Json *
json_add_array(Json *object, const char *name)
{
	Json *member = json_new_array();

	add(object, name, node_of(member));
	return member;
}

static void
append(Json *array, cJSON *value)
{
	mem_must(value != NULL && cJSON_AddItemToArray(node_of(array), value));
}

Json *
json_append_object(Json *array)
{
	Json *member = json_new_object();

	append(array, node_of(member));
	return member;
}

void
json_append_string(Json *array, const char *value)
{
	append(array, cJSON_CreateString(value));
}

void
json_append_int(Json *array, int64_t value)
{
	append(array, whole_number(value));
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

static bool
is_word(const char *text)
{
	return *text != '\0' &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")] == '\0';
}

Error *
json_get_words(const Json *object, const char *name, char *ret_words, size_t size)
{
	const Json *list = json_get(object, name);
	AUTO_BUF(words, size - 1);

	if (list != NULL && !json_is_array(list))
		return missing(name, "an array");
	for (const Json *item = json_first(list); item != NULL; item = json_next(item))
	{
		const char *word = json_string_value(item);

		if (word == NULL || !is_word(word))
			return missing(name, "an array of words");
		buf_printf(&words, "%s%s", words.size > 0 ? JSON_WORDS_SEPARATOR : "", word);
	}
	if (words.overflowed)
		return error_new(ERR_CORRUPT, "member \"%s\" is too long", name);
	(void) snprintf(ret_words, size, "%s", words.size > 0 ? words.data : "");
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

Error *
json_get_bool(const Json *object, const char *name, bool *ret_value)
{
	const cJSON *member = node_of(json_get(object, name));

	if (!cJSON_IsBool(member))
		return missing(name, "true or false");
	*ret_value = cJSON_IsTrue(member);
	return NULL;
}

Error *
json_get_time(const Json *object, const char *name, TimeUs *ret_value)
{
	const Json *member = json_get(object, name);
	const char *text = json_string_value(member);

	if (member != NULL && cJSON_IsNull(node_of(member)))
	{
		*ret_value = TIME_NONE;
		return NULL;
	}
	if (text == NULL || !time_parse_utc(text, ret_value))
		return missing(name, "a time in UTC");
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
