/* S3's answers: whatever a server sends is one whole document or an error, and its leaves are what was said. */
#include <string.h>

#include "../../src/store/s3_xml.h"
#include "fuzz.h"
#include "walship/base/attributes.h"

static Error *
look(void *context, const char *path, const char *text)
{
	int *n_elements = context;

	must(path[0] != '\0' && path[strlen(path) - 1] != '/');
	must(text == NULL || strlen(text) < S3_XML_TEXT_MAX);
	(*n_elements)++;
	return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int n_elements = 0;
	AUTO(Error) error = s3_xml_parse((const char *) data, size, look, &n_elements);
	AUTO_FREE char *code = s3_xml_find((const char *) data, size, "Error/Code");

	must(error != NULL || n_elements > 0);
	must(error == NULL || code == NULL);
	return 0;
}
