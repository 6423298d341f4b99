/*
 * Sparse files, format 1.0 of GNU tar: the contents begin with a map, decimal numbers
 * of a line each: how many extents, then offset and size of each; zeros fill it up to
 * whole blocks; then follows what the extents hold (GNU tar's manual, "Sparse Formats").
 */
#include <inttypes.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/pipe/tar.h"

void
tar_extents_add(TarExtents *extents, uint64_t offset, uint64_t size)
{
	GROW(extents->items, extents->count, extents->capacity);
	extents->items[extents->count++] = (TarExtent){offset, size};
}

void
tar_extents_release(TarExtents *extents)
{
	free(extents->items);
	*extents = (TarExtents){0};
}

void
tar_extents_print(const TarExtents *extents, uint64_t file_size, Buf *into)
{
	static const char zeros[TAR_BLOCK_SIZE];
	size_t begin = into->size;
	const TarExtent *last = extents->count == 0 ? NULL : &extents->items[extents->count - 1];

	/* An empty extent at the end of a file that ends in a hole, as GNU tar has it. */
	bool ends_in_hole = last == NULL || last->offset + last->size < file_size;

	buf_printf(into, "%zu\n", extents->count + ends_in_hole);
	for (size_t i = 0; i < extents->count; i++)
		buf_printf(into, "%" PRIu64 "\n%" PRIu64 "\n", extents->items[i].offset, extents->items[i].size);
	if (ends_in_hole)
		buf_printf(into, "%" PRIu64 "\n0\n", file_size);
	buf_append(into, zeros, tar_padding(into->size - begin));
}

void
tar_sparse_begin(TarSparseReader *reader, uint64_t file_size)
{
	*reader = (TarSparseReader){.file_size = file_size};
}

void
tar_sparse_release(TarSparseReader *reader)
{
	tar_extents_release(&reader->extents);
}

/* A number of the map: the count, an offset or a size. */
static Error *
take_number(TarSparseReader *reader, uint64_t number)
{
	TarExtents *extents = &reader->extents;
	uint64_t place = reader->numbers++;

	if (place == 0)
	{
		if (number > TAR_EXTENTS_MAX + 1)
			return error_new(ERR_CORRUPT, "a sparse file of %" PRIu64 " extents", number);
		reader->current = (size_t) number; /* how many there will be, until the map is read */
		return NULL;
	}
	if (place % 2 == 1)
	{
		const TarExtent *last = extents->count == 0 ? NULL : &extents->items[extents->count - 1];

		if (number > reader->file_size || (last != NULL && number < last->offset + last->size))
			return error_new(ERR_CORRUPT, "a sparse file whose map is out of order");
		tar_extents_add(extents, number, 0);
		return NULL;
	}

	TarExtent *extent = &extents->items[extents->count - 1];

	if (number > reader->file_size - extent->offset)
		return error_new(ERR_CORRUPT, "a sparse file whose map leads beyond its end");
	extent->size = number;
	return NULL;
}

static Error *
take_map(TarSparseReader *reader, const char *text, size_t size, size_t *ret_taken)
{
	size_t taken = 0;

	while (taken < size && !reader->has_map)
	{
		char c = text[taken++];
		bool read_all = reader->numbers > 0 && reader->numbers == 1 + 2 * (uint64_t) reader->current;

		reader->map_read++;
		if (read_all)
		{
			if (c != '\0')
				return error_new(ERR_CORRUPT, "a sparse file whose map is not filled up with zeros");
		}
		else if (c == '\n' && reader->digits > 0)
		{
			TRY(take_number(reader, reader->number));
			reader->number = 0;
			reader->digits = 0;
		}
		else if (c >= '0' && c <= '9' && ++reader->digits < 19)
			reader->number = reader->number * 10 + (uint64_t) (c - '0');
		else
			return error_new(ERR_CORRUPT, "a sparse file with a malformed map");
		read_all = reader->numbers > 0 && reader->numbers == 1 + 2 * (uint64_t) reader->current;
		reader->has_map = read_all && reader->map_read % TAR_BLOCK_SIZE == 0;
	}
	if (reader->has_map)
		reader->current = 0;
	*ret_taken = taken;
	return NULL;
}

Error *
tar_sparse_take(TarSparseReader *reader, const void *data, size_t size, TarSparseCallback callback,
                void *context)
{
	const char *bytes = data;
	size_t taken = 0;

	if (!reader->has_map)
		TRY(take_map(reader, bytes, size, &taken));
	while (taken < size)
	{
		const TarExtent *extent =
			reader->current < reader->extents.count ? &reader->extents.items[reader->current] : NULL;

		if (extent == NULL)
			return error_new(ERR_CORRUPT, "a sparse file with more contents than its map says");

		uint64_t left = extent->size - reader->current_done;
		size_t step = size - taken < left ? size - taken : (size_t) left;

		if (step > 0)
			TRY(callback(context, extent->offset + reader->current_done, bytes + taken, step));
		taken += step;
		reader->current_done += step;
		if (reader->current_done == extent->size)
		{
			reader->current++;
			reader->current_done = 0;
		}
	}
	return NULL;
}

Error *
tar_sparse_end(const TarSparseReader *reader)
{
	bool whole = reader->has_map;

	for (size_t i = reader->current; whole && i < reader->extents.count; i++)
		whole = reader->extents.items[i].size == 0;
	return whole ? NULL : error_new(ERR_CORRUPT, "a sparse file with fewer contents than its map says");
}
