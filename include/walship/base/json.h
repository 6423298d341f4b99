/*
 * JSON, the only file that knows cJSON.  Reading: a missing member or one of
 * another type is ERR_CORRUPT and names the member; "optional" readers leave
 * the result untouched when it is missing.  Members that nobody asks for are
 * ignored, so that newer writers can be read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/error.h"

typedef struct Json Json; /* a node; the root owns the tree */

Json *json_new_object(void);
Json *json_new_array(void);
void json_free(Json *root);
AUTO_DEFINE(Json, json_free);

/* "what" names the document in errors.  Nothing but white space may follow it. */
Error *json_parse(const char *text, size_t size, const char *what, Json **ret_root) MUST_CHECK;

/* Appends the text; compact (one line) or indented.  A final newline is added. */
void json_print(const Json *root, bool compact, Buf *into);

void json_add_string(Json *object, const char *name, const char *value); /* NULL adds null */
void json_add_int(Json *object, const char *name, int64_t value);        /* readers take less than 2^53 */
void json_add_bool(Json *object, const char *name, bool value);
void json_add_time(Json *object, const char *name, TimeUs value); /* RFC 3339 UTC; TIME_NONE adds null */
Json *json_add_object(Json *object, const char *name);            /* the new, empty member */
Json *json_add_array(Json *object, const char *name);
Json *json_append_object(Json *array);
void json_append_string(Json *array, const char *value);
void json_append_int(Json *array, int64_t value);

/*
 * A list of words of letters and digits, which is one text here, "a, b", and an array of strings there.
 * No words: no member; a missing one is none.
 */
#define JSON_WORDS_SEPARATOR ", "

void json_add_words(Json *object, const char *name, const char *words);
Error *json_get_words(const Json *object, const char *name, char *ret_words, size_t size) MUST_CHECK;

Error *json_get_string(const Json *object, const char *name, const char **ret_value) MUST_CHECK;
Error *json_get_int(const Json *object, const char *name, int64_t *ret_value) MUST_CHECK;
Error *json_get_uint(const Json *object, const char *name, uint64_t *ret_value) MUST_CHECK;
Error *json_get_bool(const Json *object, const char *name, bool *ret_value) MUST_CHECK;
Error *json_get_time(const Json *object, const char *name, TimeUs *ret_value)
	MUST_CHECK; /* null: TIME_NONE */

bool json_has(const Json *object, const char *name);        /* present and not null */
const Json *json_get(const Json *object, const char *name); /* NULL when missing */
bool json_is_object(const Json *node);
bool json_is_array(const Json *node);
const char *json_string_value(const Json *node); /* NULL when it is no string */
bool json_int_value(const Json *node, int64_t *ret_value);

/* for (const Json *item = json_first(array); item != NULL; item = json_next(item)) */
const Json *json_first(const Json *array);
const Json *json_next(const Json *item);
