/* Names and values. */
#include "s3_pairs.h"

#include <stdlib.h>
#include <string.h>

#include "walship/base/mem.h"

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
s3_pairs_add_all(S3Pairs *pairs, const S3Pairs *others)
{
	for (size_t i = 0; i < others->count; i++)
		s3_pairs_add(pairs, others->items[i].name, others->items[i].value);
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
