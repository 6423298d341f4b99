/* See walship/archive/remembered_indexes.h. */
#include "walship/archive/remembered_indexes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walship/base/crc32c.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

/* Another number when segment_index_fill() tells something else, or code_fact() writes it otherwise. */
#define FIRST_LINE "walship indexes 2\n"

#define FACTS_MAX     (32u * 1024 * 1024) /* bytes: some 800,000 segments */
#define FILE_HEAD_MAX 16384
#define FACT_MAX      1024 /* bytes of one, with the longest list of recipients */
#define NEW_MIN       64   /* so many are read side by side: a file for fewer would save one round trip */

typedef struct Known
{
	TimeLineID timeline;
	uint32_t size; /* bytes */
	XLogSegNo segno;
	const char *bytes; /* in the file's facts, or in one of the blocks */
} Known;

/* Facts that were read by now lie in blocks, so that pointers into them stay. */
typedef struct Block
{
	struct Block *next;
	size_t used;
	char bytes[64 * 1024];
} Block;

struct RememberedIndexes
{
	const Catalog *catalog;
	char *path;
	char *head;
	Buf text;   /* of the file, as it was */
	Known *old; /* ascending */
	size_t n_old;
	Known *new;
	size_t n_new;
	size_t new_capacity;
	Block *blocks;
};

/* ---- one fact as bytes ---- */

/* Goes over the members of a fact, to write them or to read them: both in one place, so that they agree. */
typedef struct Coder
{
	char *at;
	const char *end;
	bool writes;
	bool failed;
} Coder;

/* Seven bits in each byte, the lowest first; the eighth says that there is more. */
static void
code_number(Coder *coder, uint64_t *value)
{
	uint64_t left = *value;
	uint64_t read = 0;

	for (unsigned shift = 0;; shift += 7)
	{
		if (coder->at == coder->end || shift > 63)
		{
			coder->failed = true;
			return;
		}
		if (coder->writes)
			*coder->at = (char) ((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
		read |= ((uint64_t) (unsigned char) *coder->at & 0x7F) << shift;
		left >>= 7;
		if (((unsigned char) *coder->at++ & 0x80) == 0)
			break;
	}
	*value = read;
}

/* Small when it is near "base", be it above or below. */
static void
code_near(Coder *coder, uint64_t *value, uint64_t base)
{
	uint64_t distance = *value - base;
	uint64_t folded = distance << 1 ^ (distance >> 63 != 0 ? UINT64_MAX : 0);

	code_number(coder, &folded);
	*value = base + (folded >> 1 ^ ((folded & 1) != 0 ? UINT64_MAX : 0));
}

/* Likewise, but one value, which means "none", is a byte. */
static void
code_unless(Coder *coder, uint64_t *value, uint64_t none, uint64_t base)
{
	uint64_t is_there = *value != none;

	code_number(coder, &is_there);
	if (is_there != 0)
		code_near(coder, value, base);
	else
		*value = none;
}

static void
code_time(Coder *coder, TimeUs *time, TimeUs base)
{
	uint64_t value = (uint64_t) *time;

	code_unless(coder, &value, (uint64_t) TIME_NONE, (uint64_t) base);
	*time = (TimeUs) value;
}

static void
code_xid(Coder *coder, TransactionId *xid, TransactionId base)
{
	uint64_t value = *xid;

	code_unless(coder, &value, 0, base);
	*xid = (TransactionId) value;
}

static void
code_flags(Coder *coder, SegmentIndex *item)
{
	bool *const flags[] = {&item->damaged,
	                       &item->continues,
	                       &item->crosses,
	                       &item->parameter_change,
	                       &item->may_create_tablespace,
	                       &item->chain_tells_tablespaces};
	uint64_t value = 0;

	for (size_t i = 0; i < lengthof(flags); i++)
		value |= (uint64_t) *flags[i] << i;
	code_number(coder, &value);
	for (size_t i = 0; i < lengthof(flags); i++)
		*flags[i] = (value >> i & 1) != 0;
}

static void
code_recipients(Coder *coder, char recipients[WAL_INDEX_RECIPIENTS_SIZE])
{
	uint64_t length = strlen(recipients);

	code_number(coder, &length);
	if (coder->failed || length >= WAL_INDEX_RECIPIENTS_SIZE || length > (uint64_t) (coder->end - coder->at))
	{
		coder->failed = true;
		return;
	}
	if (coder->writes)
		memcpy(coder->at, recipients, length);
	memcpy(recipients, coder->at, length);
	recipients[length] = '\0';
	coder->at += length;
}

/* How the listing shows the object, then every member of SegmentIndex but restore points, which are never kept. */
static void
code_fact(Coder *coder, SegmentIndex *item, ListedSegment *listed, uint32_t segment_size,
          char recipients[WAL_INDEX_RECIPIENTS_SIZE])
{
	uint64_t start = segment_start(item->segno, segment_size);
	uint64_t stored_size = listed->stored_size;
	uint64_t major = (uint64_t) item->major;
	uint64_t head_length = item->head_length;

	code_number(coder, &stored_size);
	code_time(coder, &listed->modified, 0);
	code_flags(coder, item);
	code_number(coder, &major);
	code_number(coder, &head_length);
	code_number(coder, &item->transactions);
	code_near(coder, &item->commits, item->transactions);
	code_number(coder, &item->drops);
	code_number(coder, &item->files_created);
	code_time(coder, &item->time_high, listed->modified);
	code_time(coder, &item->first_time, listed->modified);
	code_time(coder, &item->last_time, item->first_time);
	code_time(coder, &item->min_time, item->first_time);
	code_time(coder, &item->max_time, item->last_time);
	code_xid(coder, &item->min_xid, 0);
	code_xid(coder, &item->max_xid, item->min_xid);
	code_unless(coder, &item->known_full_xid, 0, item->max_xid);
	code_near(coder, &item->chain_first, item->segno);
	code_near(coder, &item->quiet_first, item->segno);
	code_unless(coder, &item->last_record, InvalidXLogRecPtr, start);
	code_unless(coder, &item->valid_end, InvalidXLogRecPtr, start + segment_size);
	code_unless(coder, &item->minimal_at, InvalidXLogRecPtr, start);
	code_unless(coder, &item->full_page_writes_off_at, InvalidXLogRecPtr, start);
	code_recipients(coder, recipients);
	listed->stored_size = (uint32_t) stored_size;
	item->major = (int) major;
	item->head_length = (uint32_t) head_length;
}

/* ---- the file ---- */

/* Of each fact: timeline, number, its bytes, and these.  False: it is not what was written. */
static bool
find_facts(RememberedIndexes *self, char *facts, size_t size, uint64_t count)
{
	Coder coder = {.at = facts, .end = facts + size};

	self->old = NEW_ARRAY(Known, count);
	for (uint64_t i = 0; i < count; i++)
	{
		uint64_t timeline = 0;
		uint64_t segno = 0;
		uint64_t bytes = 0;

		code_number(&coder, &timeline);
		code_number(&coder, &segno);
		code_number(&coder, &bytes);
		if (coder.failed || bytes > FACT_MAX || bytes > (uint64_t) (coder.end - coder.at))
			return false;
		self->old[self->n_old++] = (Known){
			.timeline = (TimeLineID) timeline, .size = (uint32_t) bytes, .segno = segno, .bytes = coder.at};
		coder.at += bytes;
	}
	return coder.at == coder.end;
}

static void
read_file(RememberedIndexes *self)
{
	AUTO(Error) error = file_read_trusted(self->path, &self->text);
	size_t head_size = strlen(self->head);
	uint64_t count;
	size_t size;
	uint32_t crc;
	int line = 0;

	if (error != NULL || self->text.size < head_size || memcmp(self->text.data, self->head, head_size) != 0 ||
	    sscanf(self->text.data + head_size, "%10" SCNu64 " %10zu %8" SCNx32 "%n", &count, &size, &crc,
	           &line) != 3)
		return;

	char *facts = self->text.data + head_size + line + 1;

	/* A fact has more than three bytes. */
	if (facts[-1] != '\n' || self->text.size != head_size + (size_t) line + 1 + size || count > size / 3 ||
	    crc32c(0, facts, size) != crc)
		return;
	if (!find_facts(self, facts, size, count))
		self->n_old = 0;
}

static int
by_place(const void *left, const void *right)
{
	const Known *a = left;
	const Known *b = right;

	if (a->timeline != b->timeline)
		return a->timeline < b->timeline ? -1 : 1;
	return a->segno == b->segno ? 0 : a->segno < b->segno ? -1 : 1;
}

static void
put_fact(const Known *known, Buf *into)
{
	char place[32];
	Coder coder = {.at = place, .end = place + sizeof(place), .writes = true};
	uint64_t timeline = known->timeline;
	uint64_t segno = known->segno;
	uint64_t bytes = known->size;

	code_number(&coder, &timeline);
	code_number(&coder, &segno);
	code_number(&coder, &bytes);
	buf_append(into, place, (size_t) (coder.at - place));
	buf_append(into, known->bytes, known->size);
}

/* Those of both, in order; what was read anew counts, and what the store no longer has goes. */
static uint64_t
put_all(RememberedIndexes *self, Buf *into)
{
	ListedSegment listed;
	uint64_t count = 0;
	size_t i = 0;
	size_t j = 0;

	qsort(self->new, self->n_new, sizeof(*self->new), by_place);
	while (i < self->n_old || j < self->n_new)
	{
		int order = i == self->n_old ? 1 : j == self->n_new ? -1 : by_place(&self->old[i], &self->new[j]);
		const Known *known = order < 0 ? &self->old[i] : &self->new[j];

		i += order <= 0;
		j += order >= 0;
		if (into->size + FACT_MAX > FACTS_MAX ||
		    !catalog_listed_segment(self->catalog, known->timeline, known->segno, &listed))
			continue;
		put_fact(known, into);
		count++;
	}
	return count;
}

void
remembered_indexes_keep(RememberedIndexes *self)
{
	AUTO_BUF(facts, FACTS_MAX);
	AUTO_BUF(text, FILE_HEAD_MAX + FACTS_MAX);
	uint64_t count;

	if (self->n_new < NEW_MIN)
		return;
	count = put_all(self, &facts);
	buf_printf(&text, "%s%" PRIu64 " %zu %08" PRIx32 "\n", self->head, count, facts.size,
	           crc32c(0, facts.data, facts.size));
	buf_append(&text, facts.data, facts.size);
	if (!text.overflowed)
		error_free(file_replace_unsynced(self->path, text.data, text.size, 0600));
}

/* ---- facts ---- */

bool
remembered_indexes_find(RememberedIndexes *self, SegmentIndex *item,
                        char ret_recipients[WAL_INDEX_RECIPIENTS_SIZE])
{
	const Known wanted = {.timeline = item->timeline, .segno = item->segno};
	const Known *known =
		self->n_old == 0 ? NULL : bsearch(&wanted, self->old, self->n_old, sizeof(wanted), by_place);
	SegmentIndex fact = *item;
	ListedSegment now;
	ListedSegment then = {0};

	if (known == NULL || !catalog_listed_segment(self->catalog, item->timeline, item->segno, &now))
		return false;

	/* A coder that reads changes nothing of this. */
	Coder coder = {.at = (char *) (uintptr_t) known->bytes, .end = known->bytes + known->size};

	ret_recipients[0] = '\0';
	code_fact(&coder, &fact, &then, self->catalog->segment_size, ret_recipients);
	if (coder.failed || coder.at != coder.end || then.stored_size != now.stored_size ||
	    then.modified != now.modified)
		return false;
	fact.readable = true;
	*item = fact;
	return true;
}

/* The caller's until the next one; then it is kept. */
static char *
room(RememberedIndexes *self)
{
	if (self->blocks == NULL || self->blocks->used + FACT_MAX > sizeof(self->blocks->bytes))
	{
		Block *block = mem_alloc(sizeof(Block));

		block->next = self->blocks;
		block->used = 0;
		self->blocks = block;
	}
	return self->blocks->bytes + self->blocks->used;
}

void
remembered_indexes_add(RememberedIndexes *self, const SegmentIndex *item)
{
	SegmentIndex fact = *item;
	char recipients[WAL_INDEX_RECIPIENTS_SIZE];
	char *bytes = room(self);
	Coder coder = {.at = bytes, .end = bytes + FACT_MAX, .writes = true};
	ListedSegment listed;

	/* Restore points have names, and are few. */
	if (!item->readable || item->foreign || item->n_restore_points > 0 ||
	    !catalog_listed_segment(self->catalog, item->timeline, item->segno, &listed) ||
	    listed.modified == TIME_NONE)
		return;
	(void) snprintf(recipients, sizeof(recipients), "%s", item->recipients);
	code_fact(&coder, &fact, &listed, self->catalog->segment_size, recipients);
	if (coder.failed)
		return;

	uint32_t size = (uint32_t) (coder.at - bytes);

	self->blocks->used += size;
	GROW(self->new, self->n_new, self->new_capacity);
	self->new[self->n_new++] =
		(Known){.timeline = item->timeline, .size = size, .segno = item->segno, .bytes = bytes};
}

/* ---- as a whole ---- */

RememberedIndexes *
remembered_indexes_new(const char *directory, const Store *store, const Catalog *catalog)
{
	RememberedIndexes *self = NEW(RememberedIndexes);

	self->catalog = catalog;
	self->head = mem_printf(FIRST_LINE "%s %" PRIu64 " %" PRIu32 "\n", store_identity(store),
	                        catalog->system_identifier, catalog->segment_size);
	self->path = mem_printf("%s/indexes-%08" PRIx32, directory, crc32c(0, self->head, strlen(self->head)));
	self->text.cap = FILE_HEAD_MAX + FACTS_MAX;
	read_file(self);
	return self;
}

void
remembered_indexes_free(RememberedIndexes *self)
{
	if (self == NULL)
		return;
	while (self->blocks != NULL)
	{
		Block *block = self->blocks;

		self->blocks = block->next;
		free(block);
	}
	buf_release(&self->text);
	free(self->old);
	free(self->new);
	free(self->path);
	free(self->head);
	free(self);
}
