/* Structs as JSON objects, by tables. */
#include "walship/base/json_fields.h"

#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define SHOWN_MAX 64 /* characters of a wrong value in an error */

void *
json_at(const JsonField *field, const void *object)
{
	return (char *) (uintptr_t) object + field->offset;
}

/* What stands in a document is not always fit to be shown. */
static char *
shown(const char *value)
{
	AUTO_FREE char *text = value == NULL ? mem_strdup("") : str_printable(value);

	return value == NULL ? MOVE(text) : mem_printf(": \"%.*s\"", SHOWN_MAX, text);
}

Error *
json_invalid(const char *name, const char *value)
{
	AUTO_FREE char *text = shown(value);

	return error_new(ERR_CORRUPT, "member \"%s\" has an invalid value%s", name, text);
}

Error *
json_wrong(const JsonField *field, const Json *node)
{
	AUTO_FREE char *text = shown(json_string_value(node));

	if (field->name == NULL)
		return error_new(ERR_CORRUPT, "it is not %s%s", field->kind->what, text);
	return error_new(ERR_CORRUPT, "member \"%s\" is not %s%s", field->name, field->kind->what, text);
}

static bool
is_set(const JsonField *field, const void *object)
{
	return field->kind->is_set == NULL || field->kind->is_set(field, object);
}

static const JsonField *
field_named(const JsonTable *table, const char *name, size_t length)
{
	for (size_t i = 0; i < table->n_fields; i++)
		if (strncmp(table->fields[i].name, name, length) == 0 && table->fields[i].name[length] == '\0')
			return &table->fields[i];
	return NULL;
}

static bool
other_is_set(const JsonTable *table, const char *name, const void *object)
{
	return is_set(field_named(table, name, strlen(name)), object);
}

static void
put_field(const JsonTable *table, const JsonField *field, const void *object, Json *into)
{
	if ((field->with != NULL && !other_is_set(table, field->with, object)) ||
	    (field->without != NULL && other_is_set(table, field->without, object)))
		return;
	if ((field->flags & (JSON_OPTIONAL | JSON_MAYBE)) == 0 || is_set(field, object))
		field->kind->put(field, object, into);
	else if (field->flags & JSON_MAYBE)
		json_add_string(into, field->name, NULL);
}

void
json_put(Json *into, const JsonTable *table, const void *object)
{
	for (size_t i = 0; i < table->n_fields; i++)
		put_field(table, &table->fields[i], object, into);
}

void
json_put_some(Json *into, const JsonTable *table, const char *names, const void *object)
{
	while (*names != '\0')
	{
		size_t length = strcspn(names, " ");

		put_field(table, field_named(table, names, length), object, into);
		names += length;
		names += strspn(names, " ");
	}
}

/* A table of one row without a name is that value. */
static void
put_item(const JsonTable *of, const void *item, Json *array)
{
	json_put(of->fields[0].name == NULL ? array : json_add_object(array, NULL), of, item);
}

void
json_put_list(Json *into, const char *name, const JsonTable *of, const void *items, size_t count)
{
	Json *array = json_add_array(into, name);

	for (size_t i = 0; i < count; i++)
		put_item(of, (const char *) items + i * of->size, array);
}

static Error *
take_field(const JsonField *field, const Json *object, void *into)
{
	const Json *node = json_get(object, field->name);

	if ((field->with != NULL && !json_has(object, field->with)) ||
	    (field->without != NULL && json_has(object, field->without)))
		return NULL;
	if ((field->flags & (JSON_OPTIONAL | JSON_MAYBE)) && (node == NULL || json_is_null(node)))
		return NULL;
	if (node == NULL)
		return error_new(ERR_CORRUPT, "member \"%s\" is missing", field->name);

	/* Readers of JSON differ in which of two they take. */
	for (const Json *other = json_next(node); other != NULL; other = json_next(other))
		if (strcmp(json_name(other), json_name(node)) == 0)
			return error_new(ERR_CORRUPT, "member \"%s\" is there twice", field->name);
	TRY(field->kind->get(field, node, into));
	return (field->flags & JSON_NOT_EMPTY) && !is_set(field, into) ? json_invalid(field->name, NULL) : NULL;
}

Error *
json_take(const Json *object, const JsonTable *table, void *into)
{
	if (table->fields[0].name == NULL)
		return table->fields[0].kind->get(&table->fields[0], object, into);
	if (!json_is_object(object))
		return error_new(ERR_CORRUPT, "it is not an object");
	for (size_t i = 0; i < table->n_fields; i++)
		TRY(take_field(&table->fields[i], object, into));
	return NULL;
}

static void
struct_put(const JsonField *field, const void *object, Json *into)
{
	json_put(json_add_object(into, field->name), field->of, json_at(field, object));
}

static Error *
struct_get(const JsonField *field, const Json *node, void *object)
{
	if (!json_is_object(node))
		return json_wrong(field, node);
	return error_context(json_take(node, field->of, json_at(field, object)), "\"%s\"", field->name);
}

const JsonKind json_struct = {"an object", NULL, struct_put, struct_get};

static size_t
length_of(const Json *array)
{
	size_t length = 0;

	for (const Json *item = json_first(array); item != NULL; item = json_next(item))
		length++;
	return length;
}

/* So many items, and "*count" of them are filled if one is wrong. */
static Error *
take_items(const JsonField *field, const Json *node, void *items, size_t *count)
{
	for (const Json *item = json_first(node); item != NULL; item = json_next(item))
	{
		void *into = (char *) items + (*count)++ * field->of->size;

		TRY(error_context(json_take(item, field->of, into), "\"%s\", item %zu", field->name, *count));
	}
	return NULL;
}

static size_t *
list_count(const JsonField *field, const void *object)
{
	return (size_t *) (void *) ((char *) (uintptr_t) object + field->count);
}

static bool
list_is_set(const JsonField *field, const void *object)
{
	return *list_count(field, object) > 0;
}

static void
list_put(const JsonField *field, const void *object, Json *into)
{
	json_put_list(into, field->name, field->of, *(void *const *) json_at(field, object),
	              *list_count(field, object));
}

static Error *
list_get(const JsonField *field, const Json *node, void *object)
{
	void **items = json_at(field, object);

	if (!json_is_array(node))
		return json_wrong(field, node);
	*items = mem_zalloc((length_of(node) + 1) * field->of->size);
	return take_items(field, node, *items, list_count(field, object));
}

const JsonKind json_list = {"a list", list_is_set, list_put, list_get};

/* As many items as the count says, or as there is room for. */
static uint64_t
array_length(const JsonField *field, const void *object)
{
	uint64_t count = *(const uint64_t *) (const void *) ((const char *) object + field->count);
	size_t most = field->size / field->of->size;

	return count < most ? count : most;
}

static bool
array_is_set(const JsonField *field, const void *object)
{
	return array_length(field, object) > 0;
}

static void
array_put(const JsonField *field, const void *object, Json *into)
{
	Json *array = json_add_array(into, field->name);
	uint64_t length = array_length(field, object);

	for (uint64_t i = 0; i < length; i++)
	{
		const void *item = (const char *) json_at(field, object) + i * field->of->size;

		if ((field->flags & JSON_CUT) && !is_set(&field->of->fields[0], item))
			break;
		put_item(field->of, item, array);
	}
}

/* Its count was read before: its row stands above this one. */
static Error *
array_get(const JsonField *field, const Json *node, void *object)
{
	uint64_t expected = array_length(field, object);
	size_t length = length_of(node);
	size_t count = 0;

	if (!json_is_array(node))
		return json_wrong(field, node);
	if (length > expected || (length < expected && !(field->flags & JSON_CUT)))
		return error_new(ERR_CORRUPT, "member \"%s\" has %zu items, \"%s\" says otherwise", field->name,
		                 length, field->text);
	return take_items(field, node, json_at(field, object), &count);
}

const JsonKind json_array = {"a list", array_is_set, array_put, array_get};
