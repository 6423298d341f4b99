/*
 * A whole segment object.  First byte even: as it comes.  Odd: made of an index (up to
 * the first NUL) and the bytes of the member, as a forger would: with its size, its
 * digest and the seal set right.  What is handed on is never more than a segment, and a
 * success is a whole one.
 */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "walship/archive/self_sha256.h"
#include "walship/archive/wal_object.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/pipe/tar.h"

#define NAME       "000000010000000000000005"
#define SYSTEM     UINT64_C(7300000000000000001)
#define STEP       1000
#define OBJECT_MAX (4u * 1024 * 1024)

typedef struct MemoryStore
{
	Store store;
	const Buf *object;
} MemoryStore;

static Error *
memory_get(Store *store, const char *key, uint64_t offset, uint64_t size, Sink *into)
{
	const Buf *object = ((MemoryStore *) store)->object;

	(void) key;
	(void) size;
	for (size_t at = offset; at < object->size; at += STEP)
		TRY(sink_write(into, object->data + at, object->size - at < STEP ? object->size - at : STEP));
	return NULL;
}

static Error *
count_bytes(void *context, const void *data, size_t size)
{
	(void) data;
	*(uint64_t *) context += size;
	return NULL;
}

static void
read_object(const Buf *object)
{
	static const StoreOps ops = {.get = memory_get};
	char url[] = "memory";
	MemoryStore store = {.store = {.ops = &ops, .url = url}, .object = object};
	WalArchive archive = {.store = &store.store, .system_identifier = SYSTEM};
	uint64_t size = 0;
	CallbackSink sink = callback_sink(count_bytes, &size);
	AUTO_FREE WalIndex *index = NEW(WalIndex);
	WalName name;

	must(wal_name_parse(NAME, &name) == NULL);

	AUTO(Error) error = wal_object_get_key(&archive, "key", &name, &sink.sink, index);

	must(error == NULL || error_is(error, ERR_CORRUPT) || error_is(error, ERR_DENIED));
	must(size <= UINT64_C(1) << 30);
	must(error != NULL || size == index->segment_size);
}

static void
append_header(Buf *object, const char *name, uint64_t size)
{
	TarEntry entry = {.type = TAR_FILE, .size = size, .mode = 0600};
	uint8_t header[TAR_BLOCK_SIZE];

	(void) snprintf(entry.name, sizeof(entry.name), "%s", name);
	must(tar_header_format(&entry, header) == NULL);
	buf_append(object, header, sizeof(header));
}

static void
forge(const uint8_t *data, size_t size, Buf *object)
{
	static const char zeros[TAR_BLOCK_SIZE + TAR_END_SIZE];
	const uint8_t *end = memchr(data, '\0', size);
	size_t index_size = end == NULL ? size : (size_t) (end - data);
	const uint8_t *payload = end == NULL ? data + size : end + 1;
	size_t payload_size = size - (size_t) (payload - data);
	AUTO_FREE WalIndex *index = NEW(WalIndex);
	AUTO_BUF(text, WAL_OBJECT_INDEX_MAX);
	AUTO(Error) error = wal_index_parse((const char *) data, index_size, "index", index);

	if (error != NULL || index->member[0] == '\0')
		return;
	index->stored_size = payload_size;
	sha256_of(payload, payload_size, index->stored_sha256);
	wal_index_print(index, &text);
	self_sha256_append(&text);
	append_header(object, "index.json", text.size);
	buf_append(object, text.data, text.size);
	buf_append(object, zeros, tar_padding(text.size));
	append_header(object, index->member, payload_size);
	buf_append(object, payload, payload_size);
	buf_append(object, zeros, tar_padding(payload_size) + TAR_END_SIZE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF(object, OBJECT_MAX);

	if (size == 0)
		return 0;
	if (data[0] % 2 == 0)
		buf_append(&object, data + 1, size - 1);
	else
		forge(data + 1, size - 1, &object);
	read_object(&object);
	return 0;
}
