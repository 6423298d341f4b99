/* Objects checked as they pass; see walship/archive/object_check.h. */
#include "walship/archive/object_check.h"

#include <stdlib.h>

#include "wal_object_members.h"
#include "walship/archive/self_sha256.h"
#include "walship/base/buf.h"
#include "walship/base/mem.h"

Sink *
object_check_segment(uint64_t system_identifier, const char *key)
{
	return wal_object_members_new(system_identifier, key, NULL, NULL, NULL);
}

typedef struct SealedCheck
{
	Sink sink;
	Buf text;
} SealedCheck;

static Error *
sealed_write(Sink *sink, const void *data, size_t size)
{
	SealedCheck *check = (SealedCheck *) sink;

	buf_append(&check->text, data, size);
	if (check->text.overflowed)
		return error_new(ERR_CORRUPT, "object is longer than %zu bytes", check->text.cap);
	return sink_write(sink->next, data, size);
}

static Error *
sealed_finish(Sink *sink)
{
	SealedCheck *check = (SealedCheck *) sink;

	return self_sha256_check(check->text.data == NULL ? "" : check->text.data, check->text.size, "object");
}

static void
sealed_free(Sink *sink)
{
	SealedCheck *check = (SealedCheck *) sink;

	buf_release(&check->text);
	free(check);
}

Sink *
object_check_sealed(size_t most)
{
	static const SinkOps ops = {.write = sealed_write, .finish = sealed_finish, .free = sealed_free};
	SealedCheck *check = NEW(SealedCheck);

	check->sink.ops = &ops;
	buf_init(&check->text, most);
	return &check->sink;
}
