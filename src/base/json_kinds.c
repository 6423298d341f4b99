/* Kinds of members: how numbers, times, bytes and texts stand in JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/base/json_fields.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

/* Whole numbers, by the size of the C type. */
static uint64_t
uint_at(const JsonField *field, const void *object)
{
	const void *value = json_at(field, object);

	return field->size == sizeof(uint64_t) ? *(const uint64_t *) value : *(const uint32_t *) value;
}

static bool
uint_is_set(const JsonField *field, const void *object)
{
	return uint_at(field, object) != 0;
}

static void
uint_put(const JsonField *field, const void *object, Json *into)
{
	json_add_int(into, field->name, (int64_t) uint_at(field, object));
}

static void
int_put(const JsonField *field, const void *object, Json *into)
{
	const void *value = json_at(field, object);

	json_add_int(into, field->name,
	             field->size == sizeof(int64_t) ? *(const int64_t *) value : *(const int32_t *) value);
}

/* Between "least" and "most", which fit into the C type. */
static Error *
number_get(const JsonField *field, const Json *node, int64_t least, int64_t most, void *object)
{
	void *value = json_at(field, object);
	int64_t number;

	if (!json_int_value(node, &number) || number < least)
		return json_wrong(field, node);
	if (number > most)
		return json_invalid(field->name == NULL ? "" : field->name, NULL);
	if (field->size == sizeof(int64_t))
		*(int64_t *) value = number;
	else
		*(uint32_t *) value = (uint32_t) number;
	return NULL;
}

static Error *
uint_get(const JsonField *field, const Json *node, void *object)
{
	return number_get(field, node, 0, field->size == sizeof(uint64_t) ? INT64_MAX : UINT32_MAX, object);
}

static Error *
natural_get(const JsonField *field, const Json *node, void *object)
{
	return number_get(field, node, 0, field->size == sizeof(int64_t) ? INT64_MAX : INT32_MAX, object);
}

static Error *
int_get(const JsonField *field, const Json *node, void *object)
{
	bool wide = field->size == sizeof(int64_t);

	return number_get(field, node, wide ? INT64_MIN : INT32_MIN, wide ? INT64_MAX : INT32_MAX, object);
}

const JsonKind json_uint = {"a whole number that is not negative", uint_is_set, uint_put, uint_get};
const JsonKind json_natural = {"a whole number that is not negative", NULL, int_put, natural_get};
const JsonKind json_int = {"a whole number", NULL, int_put, int_get};

static void
decimal_put(const JsonField *field, const void *object, Json *into)
{
	char text[32];

	(void) snprintf(text, sizeof(text), "%" PRIu64, *(const uint64_t *) json_at(field, object));
	json_add_string(into, field->name, text);
}

static Error *
decimal_get(const JsonField *field, const Json *node, void *object)
{
	const char *text = json_string_value(node);

	return text != NULL && str_to_uint64(text, json_at(field, object)) ? NULL : json_wrong(field, node);
}

const JsonKind json_decimal = {"a decimal number as a string", NULL, decimal_put, decimal_get};

static void
bool_put(const JsonField *field, const void *object, Json *into)
{
	json_add_bool(into, field->name, *(const bool *) json_at(field, object));
}

static Error *
bool_get(const JsonField *field, const Json *node, void *object)
{
	return json_bool_value(node, json_at(field, object)) ? NULL : json_wrong(field, node);
}

const JsonKind json_bool = {"true or false", NULL, bool_put, bool_get};

static void
enum_put(const JsonField *field, const void *object, Json *into)
{
	json_add_string(into, field->name, field->names[uint_at(field, object)]);
}

static Error *
enum_get(const JsonField *field, const Json *node, void *object)
{
	const char *text = json_string_value(node);

	for (uint32_t i = 0; text != NULL && i < field->n_names; i++)
		if (str_equal(field->names[i], text))
		{
			*(uint32_t *) json_at(field, object) = i;
			return NULL;
		}
	return json_wrong(field, node);
}

const JsonKind json_enum = {"one of the known words", NULL, enum_put, enum_get};

static bool
time_is_set(const JsonField *field, const void *object)
{
	return *(const TimeUs *) json_at(field, object) != TIME_NONE;
}

static void
time_put(const JsonField *field, const void *object, Json *into)
{
	json_add_time(into, field->name, *(const TimeUs *) json_at(field, object));
}

static Error *
time_get(const JsonField *field, const Json *node, void *object)
{
	const char *text = json_string_value(node);
	TimeUs *time = json_at(field, object);

	if (json_is_null(node))
	{
		*time = TIME_NONE;
		return NULL;
	}
	return text != NULL && time_parse_utc(text, time) ? NULL : json_wrong(field, node);
}

const JsonKind json_time = {"a time in UTC", time_is_set, time_put, time_get};

static void
hex_put(const JsonField *field, const void *object, Json *into)
{
	AUTO_FREE char *text = mem_alloc(2 * field->size + 1);

	hex_encode(json_at(field, object), field->size, text);
	json_add_string(into, field->name, text);
}

static Error *
hex_get(const JsonField *field, const Json *node, void *object)
{
	const char *text = json_string_value(node);

	return text != NULL && hex_decode(text, json_at(field, object), field->size) ? NULL
	                                                                             : json_wrong(field, node);
}

const JsonKind json_hex = {"a string of hexadecimal digits of the right length", NULL, hex_put, hex_get};

static bool
text_is_set(const JsonField *field, const void *object)
{
	return *(const char *) json_at(field, object) != '\0';
}

static void
text_put(const JsonField *field, const void *object, Json *into)
{
	json_add_string(into, field->name, json_at(field, object));
}

static Error *
text_get(const JsonField *field, const Json *node, void *object)
{
	const char *text = json_string_value(node);

	if (text == NULL || strlen(text) >= field->size)
		return json_wrong(field, node);
	memcpy(json_at(field, object), text, strlen(text) + 1);
	return NULL;
}

const JsonKind json_chars = {"a string that is short enough", text_is_set, text_put, text_get};

static void
words_put(const JsonField *field, const void *object, Json *into)
{
	const char *words = json_at(field, object);
	Json *list = json_add_array(into, field->name);

	while (*words != '\0')
	{
		size_t length = strcspn(words, JSON_WORDS_SEPARATOR);
		AUTO_FREE char *word = mem_strndup(words, length);

		json_add_string(list, NULL, word);
		words += length;
		words += strspn(words, JSON_WORDS_SEPARATOR);
	}
}

static Error *
words_get(const JsonField *field, const Json *node, void *object)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	AUTO_BUF(words, field->size - 1);

	if (!json_is_array(node))
		return json_wrong(field, node);
	buf_puts(&words, "");
	for (const Json *item = json_first(node); item != NULL; item = json_next(item))
	{
		const char *word = json_string_value(item);

		if (word == NULL || *word == '\0' || word[strspn(word, allowed)] != '\0')
			return json_wrong(field, node);
		buf_printf(&words, "%s%s", words.size > 0 ? JSON_WORDS_SEPARATOR : "", word);
	}
	if (words.overflowed)
		return error_new(ERR_CORRUPT, "member \"%s\" is too long", field->name);
	memcpy(json_at(field, object), words.data, words.size + 1);
	return NULL;
}

const JsonKind json_words = {"an array of words", text_is_set, words_put, words_get};

static bool
string_is_set(const JsonField *field, const void *object)
{
	return *(char *const *) json_at(field, object) != NULL;
}

static void
string_put(const JsonField *field, const void *object, Json *into)
{
	json_add_string(into, field->name, *(char *const *) json_at(field, object));
}

static Error *
string_get(const JsonField *field, const Json *node, void *object)
{
	const char *text = json_string_value(node);

	if (text == NULL)
		return json_wrong(field, node);
	*(char **) json_at(field, object) = mem_strdup(text);
	return NULL;
}

const JsonKind json_string = {"a string", string_is_set, string_put, string_get};

/* By other bytes it would be another file. */
static void
path_put(const JsonField *field, const void *object, Json *into)
{
	const char *path = *(char *const *) json_at(field, object);

	if (path == NULL || str_is_utf8(path))
	{
		json_add_string(into, field->name, path);
		return;
	}

	AUTO_FREE char *hex = mem_alloc(2 * strlen(path) + 1);

	hex_encode(path, strlen(path), hex);
	json_add_string(json_add_object(into, field->name), "hex", hex);
}

static Error *
path_get(const JsonField *field, const Json *node, void *object)
{
	const char *hex = json_is_object(node) ? json_string_value(json_get(node, "hex")) : NULL;

	if (hex == NULL)
		return string_get(field, node, object);

	size_t size = strlen(hex) / 2;
	AUTO_FREE char *path = mem_zalloc(size + 1);

	if (!hex_decode(hex, path, size) || strlen(path) != size)
		return json_wrong(field, node);
	*(char **) json_at(field, object) = MOVE(path);
	return NULL;
}

const JsonKind json_path = {"a path", string_is_set, path_put, path_get};

static void
constant_put(const JsonField *field, const void *object, Json *into)
{
	(void) object;
	json_add_string(into, field->name, field->text);
}

static Error *
constant_get(const JsonField *field, const Json *node, void *object)
{
	(void) object;
	return str_equal(json_string_value(node), field->text) ? NULL : json_wrong(field, node);
}

const JsonKind json_constant = {"one that this version knows", NULL, constant_put, constant_get};

static const JsonField string_item[] = {{NULL, &json_string, .size = sizeof(char *)}};
static const JsonField path_item[] = {{NULL, &json_path, .size = sizeof(char *)}};
static const JsonField uint_item[] = {{NULL, &json_uint, .size = sizeof(uint32_t)}};
const JsonTable json_strings = JSON_TABLE(char *, string_item);
const JsonTable json_paths = JSON_TABLE(char *, path_item);
const JsonTable json_uints = JSON_TABLE(uint32_t, uint_item);
