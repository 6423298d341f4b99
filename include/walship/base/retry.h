/*
 * Back-off as a pure function: full jitter over an exponentially growing
 * ceiling, so that many clients do not come back in step.
 */
#pragma once

#include <stdint.h>

typedef struct RetryPolicy
{
	int64_t first_ms; /* ceiling of the first pause */
	int64_t most_ms;  /* ceiling of any pause */
} RetryPolicy;

/* attempt counts from 0; random is any number: the caller draws it. */
int64_t retry_delay_ms(const RetryPolicy *policy, int attempt, uint64_t random);
