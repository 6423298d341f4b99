/* Profile files of AWS: no bytes are read beyond, and what is taken is on one line. */
#include <string.h>

#include "../../src/store/s3_creds.c"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const profiles[] = {"default", "x"};

	for (size_t i = 0; i < lengthof(profiles); i++)
	{
		AUTO_FREE char *text = mem_strndup((const char *) data, size);
		S3Credentials found = {0};
		bool seen = false;

		read_profile(text, profiles[i], &found, &seen);
		must(seen || (found.access_key_id == NULL && found.region == NULL));
		must(found.secret_access_key == NULL || strchr(found.secret_access_key, '\n') == NULL);
		s3_creds_release(&found);
	}
	return 0;
}
