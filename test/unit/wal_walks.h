/* For tests of the record walker: walks over WAL made by hand, and what they tell. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "wal_builder.h"
#include "walship/wal/record.h"

#define EVENTS_MAX 8192
#define LAST_PAGE  (BUILDER_SEGMENT_SIZE - XLOG_BLCKSZ)

typedef struct Seen
{
	size_t n_events;
	WalEvent events[EVENTS_MAX];
	char name[1024]; /* the last one */
	WalWalkResult result;
} Seen;

static inline void
see(void *context, const WalEvent *event)
{
	Seen *seen = context;

	assert_true(seen->n_events < EVENTS_MAX);
	seen->events[seen->n_events] = *event;
	if (event->name != NULL)
		(void) snprintf(seen->name, sizeof seen->name, "%s", event->name);
	seen->events[seen->n_events++].name = NULL; /* it is gone when the callback returns */
}

/* Segment number "segment" of what was built, fed in pieces. */
static inline void
walk_pieces(const WalBuilder *builder, size_t segment, size_t piece, Seen *seen)
{
	const uint8_t *bytes = builder->bytes + segment * BUILDER_SEGMENT_SIZE;
	WalPageHeader header;

	memset(seen, 0, sizeof *seen);
	assert_null(wal_page_header_parse(bytes, BUILDER_SEGMENT_SIZE, &header));

	AUTO(WalWalker) walker = wal_walker_new(&header, see, seen);

	for (size_t at = 0; at < BUILDER_SEGMENT_SIZE; at += piece)
		wal_walker_feed(walker, bytes + at,
		                BUILDER_SEGMENT_SIZE - at < piece ? BUILDER_SEGMENT_SIZE - at : piece);
	wal_walker_finish(walker, &seen->result);
}

/* Once whole; in other pieces nothing may change. */
static inline Seen *
walk(const WalBuilder *builder, size_t segment)
{
	static const size_t pieces[] = {1, 5, 24, 4096, XLOG_BLCKSZ - 1, XLOG_BLCKSZ + 1};
	Seen *seen = NEW(Seen);
	AUTO_FREE Seen *again = NEW(Seen);

	walk_pieces(builder, segment, BUILDER_SEGMENT_SIZE, seen);
	for (size_t i = 0; i < lengthof(pieces); i++)
	{
		walk_pieces(builder, segment, pieces[i], again);
		assert_memory_equal(again, seen, sizeof *seen);
	}
	return seen;
}

static inline void
free_builder(WalBuilder *builder)
{
	free(builder->bytes);
}

#define AUTO_BUILDER __attribute__((cleanup(free_builder))) WalBuilder
#define AUTO_SEEN    AUTO_FREE Seen *

static inline void
fill_until(WalBuilder *builder, size_t offset)
{
	while (builder->at + 512 < offset)
		(void) builder_filler(builder, 100 + builder->at % 301);
}

/* The next record will start exactly here. */
static inline void
fill_to(WalBuilder *builder, size_t offset)
{
	fill_until(builder, offset);
	(void) builder_filler(builder, offset - builder->at);
	assert_int_equal(builder->at, offset);
}

static inline void
assert_whole(const Seen *seen)
{
	assert_int_equal(seen->result.damaged_at, InvalidXLogRecPtr);
	assert_int_equal(seen->result.records, seen->n_events);
	assert_int_equal(seen->result.wal_end % BUILDER_SEGMENT_SIZE, 0);
}

static inline void
assert_stops(const Seen *seen, XLogRecPtr wal_end)
{
	assert_int_equal(seen->result.damaged_at, InvalidXLogRecPtr);
	assert_int_equal(seen->result.wal_end, wal_end);
	assert_false(seen->result.continues);
	assert_false(seen->result.switched);
}

static inline const WalEvent *
only_event(Seen *seen)
{
	assert_int_equal(seen->n_events, 1);
	return &seen->events[0];
}
