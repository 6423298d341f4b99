/*
 * Equal schemas are to be seen as equal.  Since 2025 a dump as text is framed by
 * "\restrict KEY" and "\unrestrict KEY", and the key is another one each time.  It could
 * be given to pg_dump; but whoever knows it can name an object so that its dump leaves the
 * frame and has psql run a command (CVE-2025-8714), so it stays random, and out of here.
 */
#include <string.h>

#include "dump_run.h"
#include "walship/base/mem.h"

/* Also the versions of server and pg_dump. */
static const char *const left_out[] = {"\\restrict ", "\\unrestrict ", "-- Dumped "};

#define BEGIN_MAX 16 /* bytes of a line by which it is recognized */

struct SchemaDigest
{
	Sha256 *sha;
	char begin[BEGIN_MAX]; /* of the line, as long as it may be one to leave out */
	size_t n_begin;
	bool decided; /* about this line */
	bool skip;
};

SchemaDigest *
schema_digest_new(void)
{
	SchemaDigest *digest = NEW(SchemaDigest);

	digest->sha = sha256_new();
	return digest;
}

/* With what has come of the line: must it be left out, may it still be, or does it count? */
static void
decide(SchemaDigest *digest)
{
	bool possible = false;

	for (size_t i = 0; i < lengthof(left_out); i++)
	{
		size_t length = strlen(left_out[i]);
		size_t shorter = digest->n_begin < length ? digest->n_begin : length;

		if (memcmp(digest->begin, left_out[i], shorter) != 0)
			continue;
		possible = true;
		if (digest->n_begin >= length)
			digest->decided = digest->skip = true;
	}
	if (!possible)
	{
		digest->decided = true;
		sha256_update(digest->sha, digest->begin, digest->n_begin);
	}
}

static void
end_line(SchemaDigest *digest)
{
	if (!digest->decided)
		sha256_update(digest->sha, digest->begin, digest->n_begin);
	digest->decided = digest->skip = false;
	digest->n_begin = 0;
}

Error *
schema_digest_write(void *context, const void *data, size_t size)
{
	SchemaDigest *digest = context;
	const char *at = data;
	const char *end = at + size;

	while (at < end)
	{
		if (!digest->decided)
		{
			digest->begin[digest->n_begin++] = *at;
			if (*at++ == '\n')
				end_line(digest);
			else
				decide(digest);
			continue;
		}

		const char *feed = memchr(at, '\n', (size_t) (end - at));
		const char *stop = feed == NULL ? end : feed + 1;

		if (!digest->skip)
			sha256_update(digest->sha, at, (size_t) (stop - at));
		at = stop;
		if (feed != NULL)
			end_line(digest);
	}
	return NULL;
}

void
schema_digest_final(SchemaDigest *digest, uint8_t ret_sha256[SHA256_SIZE])
{
	end_line(digest);
	sha256_final(digest->sha, ret_sha256);
}

void
schema_digest_free(SchemaDigest *digest)
{
	if (digest == NULL)
		return;
	sha256_free(digest->sha);
	free(digest);
}
