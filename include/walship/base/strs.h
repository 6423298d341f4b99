/* Lists of strings, and the few string functions that libc lacks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/attributes.h"

typedef struct StrList
{
	char **items; /* owned */
	size_t count;
	size_t capacity;
} StrList;

void strlist_add(StrList *list, const char *string); /* copies */
void strlist_sort(StrList *list);                    /* byte order */
bool strlist_contains(const StrList *list, const char *string);
void strlist_release(StrList *list);

#define AUTO_STRLIST __attribute__((cleanup(strlist_release))) StrList

bool str_starts_with(const char *string, const char *prefix);
bool str_ends_with(const char *string, const char *suffix);
bool str_equal(const char *a, const char *b); /* NULL equals only NULL */

/* Strict: the whole string must be decimal digits in range. */
bool str_to_uint64(const char *string, uint64_t *ret_value);

/* Exactly "digits" upper-case hexadecimal digits, as in PostgreSQL's file names. */
bool str_hex_field(const char *string, int digits, uint32_t *ret_value);

/* The candidate nearest to "word" by edit distance, or NULL when none is near. */
const char *str_nearest(const char *word, const char *const *candidates, size_t count);

/* Of a URL "https://user:password@host" what stands before the '@' is "***".  The caller frees. */
char *str_url_without_password(const char *url);

bool str_is_utf8(const char *string);

/* A '?' in place of every byte that is not UTF-8.  The caller frees. */
char *str_utf8(const char *string);

/*
 * What a terminal or a log viewer obeys instead of showing it: controls (ESC, line
 * feed, DEL, C1), separators of lines and paragraphs, marks that turn the direction of
 * writing.  Bytes of the one at "text", which is UTF-8; 0: it is to be shown.
 */
size_t str_control_length(const char *text, uint32_t *ret_code_point);

/*
 * As str_utf8(), and a '?' in place of every control.  What comes from a store, a server
 * or a file of others goes through this where it is shown: log_line(), print_line(),
 * table_cell().  The caller frees.
 */
char *str_printable(const char *string);

/* Quoted for a POSIX shell: 'it'\''s'.  The caller frees. */
char *str_shell_quote(const char *string);

void hex_encode(const void *bytes, size_t size, char *ret_text); /* 2 * size + 1 bytes, lower case */
bool hex_decode(const char *text, void *ret_bytes, size_t size); /* exactly 2 * size digits, either case */
