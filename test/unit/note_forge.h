/* A note of the state directory as if it had been written at another time (walship/base/state_note.h). */
#pragma once

#include <inttypes.h>

#include "scratch.h"
#include "walship/base/clock.h"
#include "walship/base/crc32c.h"

static inline void
note_forge(const char *path, int64_t realtime_ms, int64_t monotonic_ms)
{
	AUTO_BUF(text, 64 * 1024);
	AUTO_BUF(forged, 64 * 1024);
	const char *written;
	const char *checksum;

	assert_ok(file_read_all(path, &text));
	written = strstr(text.data, "written ");
	checksum = text.data + text.size - strlen("crc32c 01234567\n");
	assert_true(written != NULL && checksum > written && str_starts_with(checksum, "crc32c "));
	buf_append(&forged, text.data, (size_t) (written - text.data));
	buf_printf(&forged, "written %" PRId64 " %" PRId64 "\n", clock_now() / 1000 + realtime_ms,
	           clock_monotonic_ms() + monotonic_ms);
	written = strchr(written, '\n') + 1;
	buf_append(&forged, written, (size_t) (checksum - written));
	buf_printf(&forged, "crc32c %08" PRIx32 "\n", crc32c(0, forged.data, forged.size));

	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(forged.data, 1, forged.size, file), forged.size);
	assert_int_equal(fclose(file), 0);
}
