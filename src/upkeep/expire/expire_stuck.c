/* What the store did not remove, by reason: of a thousand locked objects the answers differ in little. */
#include <string.h>

#include "expire_steps.h"
#include "walship/base/mem.h"

#define MOMENT      "0123456789-:.+TZ"
#define DIGITS_MOST 6 /* microseconds */

/* What S3's error adds to find the request again; it is another one for each. */
#define REQUEST_ID ", request id "

static void
cut(char *from, size_t length)
{
	memmove(from, from + length, strlen(from + length) + 1);
}

/*
 * "... is subject to bucket's retention policy and cannot be deleted, overwritten or
 * archived until 2019-11-07T23:15:42.507463461-08:00", as Google Cloud Storage has it; of
 * others the answer tells at the most that there is a lock, and a request for each object
 * would have to find out.
 */
static void
take_moment(char *reason, TimeUs *ret_until)
{
	static const char before[] = " until ";

	*ret_until = TIME_NONE;
	for (char *at = reason; (at = strstr(at, before)) != NULL; at++)
	{
		const char *from = at + strlen(before);
		size_t length = strspn(from, MOMENT);
		AUTO_FREE char *text = mem_strndup(from, length);

		char *fraction = strchr(text, '.');
		size_t digits = fraction == NULL ? 0 : strspn(fraction + 1, "0123456789");

		while (length > 0 && strchr(".:-+", text[length - 1]) != NULL)
			text[--length] = '\0';
		if (digits > DIGITS_MOST)
			cut(fraction + 1 + DIGITS_MOST, digits - DIGITS_MOST);
		if (!time_parse_iso(text, ret_until))
			continue;
		cut(at, strlen(before) + length);
		return;
	}
}

/* The reason without what differs from object to object. */
static char *
common_reason(const Error *error, const char *key, TimeUs *ret_until)
{
	char *reason = mem_strdup(error_message(error));

	for (char *at = reason; (at = strstr(at, key)) != NULL;)
		cut(at, strlen(key));

	char *id = strstr(reason, REQUEST_ID);

	if (id != NULL)
		cut(id, strcspn(id, ")"));
	take_moment(reason, ret_until);
	return reason;
}

static ExpireStuck *
find_stuck(Expire *expire, const char *reason)
{
	for (size_t i = 0; i < expire->n_stuck; i++)
		if (strcmp(expire->stuck[i].reason, reason) == 0)
			return &expire->stuck[i];
	return NULL;
}

void
expire_add_stuck(Expire *expire, const char *key, const Error *error)
{
	TimeUs until;
	AUTO_FREE char *reason = common_reason(error, key, &until);
	ExpireStuck *stuck = find_stuck(expire, reason);

	if (stuck == NULL)
	{
		GROW(expire->stuck, expire->n_stuck, expire->stuck_capacity);
		stuck = &expire->stuck[expire->n_stuck++];
		*stuck = (ExpireStuck){.reason = MOVE(reason),
		                       .example = mem_strdup(key),
		                       .locked_until = TIME_NONE,
		                       .locked_longest = TIME_NONE};
	}
	stuck->objects++;
	if (until == TIME_NONE)
		return;
	if (stuck->locked_until == TIME_NONE || until < stuck->locked_until)
		stuck->locked_until = until;
	if (until > stuck->locked_longest)
		stuck->locked_longest = until;
}
