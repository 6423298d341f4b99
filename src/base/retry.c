/* Back-off with full jitter. */
#include "walship/base/retry.h"

int64_t
retry_delay_ms(const RetryPolicy *policy, int attempt, uint64_t random)
{
	int64_t ceiling = policy->first_ms;

	if (ceiling <= 0 || policy->most_ms <= 0)
		return 0;
	while (attempt-- > 0 && ceiling < policy->most_ms)
		ceiling = ceiling > policy->most_ms / 2 ? policy->most_ms : ceiling * 2;
	if (ceiling > policy->most_ms)
		ceiling = policy->most_ms;
	return (int64_t) (random % (uint64_t) ceiling) + 1;
}
