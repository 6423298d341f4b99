/* What every decoder says, in the same words. */
#include <inttypes.h>

#include "codec_stages.h"

Error *
codec_error_truncated(const char *what)
{
	return error_new(ERR_CORRUPT, "%s is cut off: the compressed stream does not come to its end", what);
}

Error *
codec_error_trailing(const char *what)
{
	return error_new(ERR_CORRUPT, "%s has bytes after the end of the compressed stream", what);
}

Error *
codec_error_chunk(const char *what)
{
	return error_new(ERR_CORRUPT, "a part of %s does not decompress to its length", what);
}

Error *
codec_error_too_long(const char *what, uint64_t most)
{
	return error_new(ERR_CORRUPT, "%s decompresses to more than %" PRIu64 " bytes", what, most);
}
