/*
 * A struct as a JSON object, by a table: a row for each member says what it is
 * called, of which kind it is and where it lies in the struct.  The order of the
 * rows is the order of the members.
 *
 *	static const JsonField space_fields[] = {
 *		{"path", &json_string, JSON_AT(DiskSpace, path)},
 *		{"needed", &json_uint, JSON_AT(DiskSpace, needed)},
 *	};
 *	static const JsonTable space_table = JSON_TABLE(DiskSpace, space_fields);
 *
 * One table prints and reads.  The reader is strict: a member that is missing, of
 * another kind or out of range, or that stands there twice, is ERR_CORRUPT and is
 * named.  Members without a row are ignored, so that newer writers can be read.
 * What several members say together is for the caller to check.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/error.h"
#include "walship/base/json.h"

typedef struct JsonField JsonField;
typedef struct JsonTable JsonTable;

/* How a value stands in JSON.  Each gets the whole struct: json_at() is where the value lies. */
typedef struct JsonKind
{
	const char *what;                                           /* in errors: "a time in UTC" */
	bool (*is_set)(const JsonField *field, const void *object); /* NULL: always */
	void (*put)(const JsonField *field, const void *object, Json *into);
	Error *(*get)(const JsonField *field, const Json *node, void *object); /* NULL: is only printed */
} JsonKind;

typedef enum JsonFlags
{
	JSON_OPTIONAL =
		1,          /* left out when it is not set; missing or null when read: the struct keeps what it has */
	JSON_MAYBE = 2, /* null when it is not set; read as an optional one */
	JSON_NOT_EMPTY = 4, /* when read: what is there says something, not null, "", 0 or [] */
	JSON_CUT = 8,       /* of an array: may have fewer items than "count" says */
} JsonFlags;

struct JsonField
{
	const char *name; /* NULL, as the only row: not a member, but the value itself; for lists of them */
	const JsonKind *kind;
	size_t offset;
	size_t size; /* of the value, of an array: of all of its items */
	unsigned flags;
	const char *with;         /* another row's member: this one belongs to it, and is there only when it is */
	const char *without;      /* ... only when it is not */
	const JsonTable *of;      /* of an object and of the items of a list */
	size_t count;             /* of a list: offset of the number of its items */
	const char *const *names; /* of an enum, by its values */
	size_t n_names;
	const char *text; /* of a constant: that; of an array: the member that tells its count, in a row above */
};

struct JsonTable
{
	const JsonField *fields;
	size_t n_fields;
	size_t size; /* of the struct */
};

#define JSON_AT(Type, member_) .offset = offsetof(Type, member_), .size = sizeof(((Type *) 0)->member_)
#define JSON_TABLE(Type, fields_)                                                \
	{                                                                            \
		.fields = (fields_), .n_fields = lengthof(fields_), .size = sizeof(Type) \
	}

/* Numbers are of any size: it is the range. */
extern const JsonKind json_uint;    /* unsigned; unset: 0 */
extern const JsonKind json_natural; /* signed, but never negative */
extern const JsonKind json_int;     /* signed */
extern const JsonKind
	json_decimal; /* uint64_t as a string, for it does not fit into every reader's numbers */
extern const JsonKind json_bool;
extern const JsonKind json_enum;  /* an enum, by "names" */
extern const JsonKind json_time;  /* TimeUs; unset: TIME_NONE, null */
extern const JsonKind json_hex;   /* bytes: a digest */
extern const JsonKind json_chars; /* char[]; unset: "" */
extern const JsonKind json_words; /* char[]: words of letters and digits, "a, b"; there an array of strings */
extern const JsonKind json_string; /* char *, allocated when read; unset: NULL, null */
extern const JsonKind
	json_path; /* the same, exactly: bytes that are not UTF-8 become {"hex": "2f737276..."} */
extern const JsonKind json_constant; /* nothing in the struct: "text", and no other when read */
extern const JsonKind json_struct;   /* a struct within, by "of" */
extern const JsonKind json_list;     /* T * and size_t at "count", allocated when read; by "of" */
extern const JsonKind json_array; /* T[] and uint64_t at "count", which may be more than there is room for */

/* Items of lists: char *, as json_string and json_path have them, and uint32_t. */
extern const JsonTable json_strings;
extern const JsonTable json_paths;
extern const JsonTable json_uints;

#define JSON_WORDS_SEPARATOR ", "

/* All members, or those that "names" lists, with a blank between two, in its order. */
void json_put(Json *into, const JsonTable *table, const void *object);
void json_put_some(Json *into, const JsonTable *table, const char *names, const void *object);
void json_put_list(Json *into, const char *name, const JsonTable *of, const void *items, size_t count);

/*
 * Into a struct that holds what optional members are when they are missing.  After
 * an error it may be filled in part: release what it owns.
 */
Error *json_take(const Json *object, const JsonTable *table, void *into) MUST_CHECK;

/* For kinds of one's own, and for checks. */
void *json_at(const JsonField *field, const void *object);
Error *json_wrong(const JsonField *field, const Json *node)
	MUST_CHECK; /* "member "x" is not a time in UTC: "..."" */

/* "member "x" has an invalid value: "..."", NULL: without it. */
Error *json_invalid(const char *name, const char *value) MUST_CHECK;
