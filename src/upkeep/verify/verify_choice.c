/* Which objects a deep verify reads: by their keys, so that every run and every host chooses the same ones. */
#include <inttypes.h>
#include <string.h>

#include "verify_steps.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"

#define MILLION     UINT64_C(1000000)
#define ROTATE_SEED 0 /* never another one: else what was read in this turn would not be known */

/* A number that says nothing but which key it is. */
static uint64_t
key_hash(const char *key, uint64_t seed)
{
	AUTO_FREE char *text = mem_printf("%" PRIu64 " %s", seed, key);
	uint8_t digest[SHA256_SIZE];
	uint64_t hash = 0;

	sha256_of(text, strlen(text), digest);
	for (int i = 0; i < 8; i++)
		hash = hash << 8 | digest[i];
	return hash;
}

bool
verify_chooses(const VerifyChoice *choice, const char *key, TimeUs modified)
{
	if (verify_was_read(choice, key, modified))
		return false;
	if (choice->newer_than != TIME_NONE && modified < choice->newer_than)
		return false;
	if (choice->rotate != 0 &&
	    key_hash(key, ROTATE_SEED) % (uint64_t) choice->rotate != (uint64_t) choice->slice)
		return false;
	return choice->sample_ppm == 0 || key_hash(key, choice->seed) % MILLION < choice->sample_ppm;
}
