/*
 * The signature.  AWS: "Authenticating Requests: Using the Authorization Header
 * (AWS Signature Version 4)"; its examples are in the unit test.
 */
#include "s3_sign.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define SERVICE   "s3"

void
s3_pairs_add(S3Pairs *pairs, const char *name, const char *value)
{
	GROW(pairs->items, pairs->count, pairs->capacity);
	pairs->items[pairs->count++] = (S3Pair){mem_strdup(name), mem_strdup(value)};
}

void
s3_pairs_set(S3Pairs *pairs, const char *name, const char *value)
{
	for (size_t i = 0; i < pairs->count; i++)
	{
		if (strcmp(pairs->items[i].name, name) == 0)
		{
			free(pairs->items[i].value);
			pairs->items[i].value = mem_strdup(value);
			return;
		}
	}
	s3_pairs_add(pairs, name, value);
}

void
s3_pairs_release(S3Pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++)
	{
		free(pairs->items[i].name);
		free(pairs->items[i].value);
	}
	free(pairs->items);
	*pairs = (S3Pairs){0};
}

void
s3_encode(const char *text, bool path, Buf *into)
{
	for (const unsigned char *c = (const unsigned char *) text; *c != '\0'; c++)
	{
		bool unreserved = (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') ||
		                  *c == '-' || *c == '.' || *c == '_' || *c == '~';

		if (unreserved || (path && *c == '/'))
			buf_putc(into, (char) *c);
		else
			buf_printf(into, "%%%02X", *c);
	}
}

static int
compare_pairs(const void *a, const void *b)
{
	const S3Pair *left = a;
	const S3Pair *right = b;
	int by_name = strcmp(left->name, right->name);

	return by_name != 0 ? by_name : strcmp(left->value, right->value);
}

/* Encoding keeps no order: '~' and letters change places with what becomes %XX. */
static char *
encoded(const char *text)
{
	AUTO_BUF(buf, S3_SIGN_TEXT_MAX);

	s3_encode(text, false, &buf);
	return buf_steal(&buf);
}

void
s3_sign_query(const S3Pairs *query, Buf *into)
{
	AUTO_PAIRS sorted = {0};

	for (size_t i = 0; i < query->count; i++)
	{
		AUTO_FREE char *name = encoded(query->items[i].name);
		AUTO_FREE char *value = encoded(query->items[i].value);

		s3_pairs_add(&sorted, name, value);
	}
	if (sorted.count > 0)
		qsort(sorted.items, sorted.count, sizeof(S3Pair), compare_pairs);
	for (size_t i = 0; i < sorted.count; i++)
		buf_printf(into, "%s%s=%s", i == 0 ? "" : "&", sorted.items[i].name, sorted.items[i].value);
}

/* Without blanks at the ends, and one instead of several inside. */
static char *
trimmed(const char *value)
{
	char *text = mem_alloc(strlen(value) + 1);
	size_t size = 0;

	for (const char *c = value; *c != '\0'; c++)
	{
		bool blank = *c == ' ' || *c == '\t';

		if (blank && (size == 0 || text[size - 1] == ' '))
			continue;
		text[size++] = blank ? ' ' : *c;
	}
	while (size > 0 && text[size - 1] == ' ')
		size--;
	text[size] = '\0';
	return text;
}

/* By name only, and stable: values of one name stay in the order in which they are sent. */
static void
insert_by_name(S3Pairs *sorted, const char *name, const char *value)
{
	s3_pairs_add(sorted, name, value);
	for (size_t i = sorted->count - 1; i > 0; i--)
	{
		S3Pair last = sorted->items[i];

		if (strcmp(sorted->items[i - 1].name, last.name) <= 0)
			return;
		sorted->items[i] = sorted->items[i - 1];
		sorted->items[i - 1] = last;
	}
}

static void
canonical_headers(const S3Pairs *headers, Buf *into, Buf *names)
{
	AUTO_PAIRS sorted = {0};

	for (size_t i = 0; i < headers->count; i++)
	{
		AUTO_FREE char *name = mem_strdup(headers->items[i].name);
		AUTO_FREE char *value = trimmed(headers->items[i].value);

		for (char *c = name; *c != '\0'; c++)
			*c = (char) tolower((unsigned char) *c);
		insert_by_name(&sorted, name, value);
	}
	for (size_t i = 0; i < sorted.count; i++)
	{
		const S3Pair *header = &sorted.items[i];

		if (i > 0 && strcmp(sorted.items[i - 1].name, header->name) == 0)
		{
			buf_printf(into, ",%s", header->value);
			continue;
		}
		buf_printf(into, "%s%s:%s", i == 0 ? "" : "\n", header->name, header->value);
		buf_printf(names, "%s%s", i == 0 ? "" : ";", header->name);
	}
	buf_putc(into, '\n');
}

void
s3_sign_canonical(const S3SignRequest *request, Buf *into, Buf *names)
{
	buf_printf(into, "%s\n%s\n", request->method, request->path);
	s3_sign_query(request->query, into);
	buf_putc(into, '\n');
	canonical_headers(request->headers, into, names);
	buf_printf(into, "\n%s\n%s", names->data, request->payload);
}

void
s3_sign_date(TimeUs time_us, char date[S3_DATE_SIZE])
{
	char text[TIME_TEXT_SIZE];

	(void) snprintf(date, S3_DATE_SIZE, "%.16s", time_format_compact(time_us, text));
}

static void
chain(uint8_t key[SHA256_SIZE], const char *text)
{
	uint8_t next[SHA256_SIZE];

	hmac_sha256(key, SHA256_SIZE, text, strlen(text), next);
	memcpy(key, next, SHA256_SIZE);
}

void
s3_sign_key(const char *secret, const char *date, const char *region, S3SigningKey *ret_key)
{
	AUTO_FREE char *day = mem_strndup(date, 8);
	char *first = mem_printf("AWS4%s", secret);

	hmac_sha256(first, strlen(first), day, strlen(day), ret_key->key);
	secret_free(first);
	chain(ret_key->key, region);
	chain(ret_key->key, SERVICE);
	chain(ret_key->key, "aws4_request");
	memcpy(ret_key->day, day, sizeof(ret_key->day));
	memset(ret_key->region, 0, sizeof(ret_key->region));
	memcpy(ret_key->region, region, strnlen(region, sizeof(ret_key->region) - 1));
}

bool
s3_sign_key_fits(const S3SigningKey *key, const char *date, const char *region)
{
	return strncmp(key->day, date, 8) == 0 && strcmp(key->region, region) == 0;
}

void
s3_sign(const S3SignRequest *request, const char *access_key_id, const S3SigningKey *key, Buf *into)
{
	AUTO_BUF(canonical, S3_SIGN_TEXT_MAX);
	AUTO_BUF(names, S3_SIGN_TEXT_MAX);
	AUTO_FREE char *scope = mem_printf("%.8s/%s/" SERVICE "/aws4_request", request->date, request->region);
	AUTO_FREE char *to_sign = NULL;
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	s3_sign_canonical(request, &canonical, &names);
	sha256_of(canonical.data, canonical.size, digest);
	hex_encode(digest, sizeof(digest), hex);
	to_sign = mem_printf(ALGORITHM "\n%s\n%s\n%s", request->date, scope, hex);
	hmac_sha256(key->key, sizeof(key->key), to_sign, strlen(to_sign), digest);
	hex_encode(digest, sizeof(digest), hex);
	buf_printf(into, ALGORITHM " Credential=%s/%s,SignedHeaders=%s,Signature=%s", access_key_id, scope,
	           names.data, hex);
}
