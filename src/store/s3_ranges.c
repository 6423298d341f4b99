/* Ranges of an object, read side by side; see s3_ranges.h. */
#include "s3_ranges.h"

#include <stdlib.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/ordered.h"

#define CONNECTIONS_MOST 8 /* S3_RANGE_SIZE each, of all readers together; each writes one more */
#define PIECE_SIZE       (256u * 1024)

#define RATE_LEAST    (1024 * 1024) /* bytes/s */
#define RATE_MOST     (100u * 1000 * 1000)
#define LEFT_LEAST_MS 500
#define RANGES_LEAST  3

struct S3Ranges
{
	S3Store *store;
	const char *key;
	char *etag;
	uint64_t next; /* nobody reads it yet */
	uint64_t end;
	Workers *workers;
	Ordered *ring;
	uint8_t *spare; /* memory for a range, touched already */
};

/* Has a connection, until it is freed. */
typedef struct Range
{
	Sink sink; /* fills "bytes" */
	S3Ranges *ranges;
	uint64_t offset;
	size_t size;
	uint8_t *bytes;
	size_t filled;
} Range;

bool
s3_ranges_pay(const S3Pace *pace, uint64_t left)
{
	uint64_t rate = pace->elapsed_ms <= 0 ? 0 : pace->bytes * 1000 / (uint64_t) pace->elapsed_ms;

	return pace->elapsed_ms >= S3_PACE_MS && 2 * pace->busy_ms < pace->elapsed_ms && rate >= RATE_LEAST &&
	       rate <= RATE_MOST && left >= (uint64_t) RANGES_LEAST * S3_RANGE_SIZE &&
	       left >= rate * LEFT_LEAST_MS / 1000;
}

static int
connections_most(const S3Store *store)
{
	return store->options.jobs < CONNECTIONS_MOST ? store->options.jobs : CONNECTIONS_MOST;
}

bool
s3_connection_is_free(S3Store *store)
{
	return atomic_load(&store->reading) < connections_most(store);
}

static bool
take_connection(S3Store *store)
{
	int reading = atomic_load(&store->reading);

	while (reading < connections_most(store))
		if (atomic_compare_exchange_weak(&store->reading, &reading, reading + 1))
			return true;
	return false;
}

static void
range_free(void *argument)
{
	Range *range = argument;

	atomic_fetch_sub(&range->ranges->store->reading, 1);
	free(range->bytes);
	free(range);
}

static Error *
range_write(Sink *sink, const void *data, size_t size)
{
	Range *range = (Range *) sink;

	if (size > range->size - range->filled)
		return error_new(ERR_CORRUPT, "more bytes than were asked for");
	memcpy(range->bytes + range->filled, data, size);
	range->filled += size;
	return NULL;
}

/* An OrderedRun. */
static Error *
read_range(void *argument, const atomic_bool *stop)
{
	Range *range = argument;
	const S3Ranges *ranges = range->ranges;

	return s3_get_range(ranges->store, ranges->key, ranges->etag, range->offset, range->size, stop,
	                    &range->sink);
}

/* The next range, by a connection that was taken for it. */
static void
submit_range(S3Ranges *ranges)
{
	static const SinkOps ops = {.write = range_write};
	uint64_t left = ranges->end - ranges->next;
	Range *range = NEW(Range);

	*range = (Range){.sink.ops = &ops,
	                 .ranges = ranges,
	                 .offset = ranges->next,
	                 .size = left < S3_RANGE_SIZE ? (size_t) left : S3_RANGE_SIZE,
	                 .bytes = ranges->spare != NULL ? MOVE(ranges->spare) : mem_alloc(S3_RANGE_SIZE)};
	ranges->next += range->size;
	ordered_submit(ranges->ring, range);
}

static void
submit_ranges(S3Ranges *ranges)
{
	while (ranges->next < ranges->end && !ordered_is_full(ranges->ring) && take_connection(ranges->store))
		submit_range(ranges);
}

S3Ranges *
s3_ranges_begin(S3Store *store, const char *key, const char *etag, uint64_t begin, uint64_t end)
{
	static const OrderedOps ops = {.run = read_range, .free = range_free};
	S3Ranges *ranges;

	/* A weak one matches nothing (RFC 9110, 8.8.3.2). */
	if (etag[0] == 'W' || !take_connection(store))
		return NULL;
	ranges = NEW(S3Ranges);
	*ranges = (S3Ranges){.store = store, .key = key, .etag = mem_strdup(etag), .next = begin, .end = end};
	ranges->workers = workers_new(connections_most(store));
	ranges->ring = ordered_new(ranges->workers, connections_most(store), &ops);
	submit_range(ranges);
	submit_ranges(ranges);
	return ranges;
}

Error *
s3_ranges_read(S3Ranges *ranges, Sink *into)
{
	for (;;)
	{
		void *taken = NULL;

		submit_ranges(ranges);
		if (ordered_is_empty(ranges->ring))
		{
			/* Others have taken all connections meanwhile: it is still one of the readers. */
			if (ranges->next == ranges->end)
				return NULL;
			atomic_fetch_add(&ranges->store->reading, 1);
			submit_range(ranges);
		}
		TRY(ordered_take(ranges->ring, &taken));

		/* While it is written its connection reads the next one. */
		Range *range = taken;
		size_t size = range->size;
		uint8_t *bytes = MOVE(range->bytes);
		Error *error = NULL;

		range_free(range);
		submit_ranges(ranges);
		for (size_t at = 0; at < size && error == NULL; at += PIECE_SIZE)
			error = sink_write(into, bytes + at, size - at < PIECE_SIZE ? size - at : PIECE_SIZE);
		free(ranges->spare);
		ranges->spare = bytes;
		TRY(error);
	}
}

void
s3_ranges_free(S3Ranges *ranges)
{
	if (ranges == NULL)
		return;
	ordered_free(ranges->ring);
	workers_free(ranges->workers);
	free(ranges->spare);
	free(ranges->etag);
	free(ranges);
}
