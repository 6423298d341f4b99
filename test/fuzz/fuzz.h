/* What a fuzz target is: the same function for libFuzzer and for replay.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold whatever the input. */
static inline void
must(int holds)
{
	if (!holds)
		abort();
}
