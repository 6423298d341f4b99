/*
 * JSON, the only file that knows cJSON.  Structs are printed and read by tables
 * of their members, walship/base/json_fields.h; this is what those stand on.
 *
 * Reading: a missing member or one of another type is ERR_CORRUPT and names the
 * member.  Members that nobody asks for are ignored, so that newer writers can be
 * read.  Writing: whatever bytes come in, what goes out is UTF-8.
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

/*
 * "what" names the document in errors.  Nothing but white space may follow it.  The
 * tree takes some ten times the memory of the text at most: what would take more is
 * ERR_CORRUPT, like all that is no JSON.
 */
Error *json_parse(const char *text, size_t size, const char *what, Json **ret_root) MUST_CHECK;

/* Compact (one line) or indented; json_print() adds a final newline.  The caller frees. */
char *json_text(const Json *root, bool compact);
void json_print(const Json *root, bool compact, Buf *into);

/* A member of an object; "name" is NULL for an item of an array. */
void json_add_string(Json *into, const char *name, const char *value); /* NULL adds null; '?' for no UTF-8 */
void json_add_int(Json *into, const char *name, int64_t value);        /* readers take less than 2^53 */
void json_add_bool(Json *into, const char *name, bool value);
void json_add_time(Json *into, const char *name, TimeUs value); /* RFC 3339 UTC; TIME_NONE adds null */
Json *json_add_object(Json *into, const char *name);            /* the new, empty member */
Json *json_add_array(Json *into, const char *name);

Error *json_get_string(const Json *object, const char *name, const char **ret_value) MUST_CHECK;
Error *json_get_int(const Json *object, const char *name, int64_t *ret_value) MUST_CHECK;
Error *json_get_uint(const Json *object, const char *name, uint64_t *ret_value) MUST_CHECK;

bool json_has(const Json *object, const char *name);        /* present and not null */
const Json *json_get(const Json *object, const char *name); /* NULL when missing */
bool json_is_object(const Json *node);
bool json_is_array(const Json *node);
bool json_is_null(const Json *node);
const char *json_string_value(const Json *node); /* NULL when it is no string */
bool json_int_value(const Json *node, int64_t *ret_value);
bool json_bool_value(const Json *node, bool *ret_value);

/* for (const Json *item = json_first(array); item != NULL; item = json_next(item)), or the members of an object */
const Json *json_first(const Json *array);
const Json *json_next(const Json *item);
const char *json_name(const Json *member);
