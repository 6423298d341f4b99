/*
 * Listings of S3, page by page (0xFF is between two): what comes of them is in order, below the prefix, and ends.
 */
#include <string.h>

#include "../../src/store/s3_list.c"
#include "fuzz.h"

#define SEPARATOR 0xFF
#define PREFIX    "x/"

/* As s3_list() does with an answer; false: the listing is at its end. */
static bool
take_page(Page *page, Progress *progress, const uint8_t *data, size_t size)
{
	HttpResponse response = {.status = 200,
	                         .body = {.data = (char *) (uintptr_t) data, .size = size, .cap = size}};
	AUTO(Error) error = check_page(page, &response);

	must(error == NULL || error_is(error, ERR_TRANSIENT));
	if (error != NULL)
		return false;
	if (page->count > 0)
		qsort(page->list, page->count, sizeof(ListItem), compare_items);
	error = check_marker(progress, page, PAGES_MOST, "url");
	for (size_t i = 0; i < page->count && error == NULL; i++)
	{
		AUTO_FREE char *before = mem_strdup(progress->last_key);
		bool is_new = false;

		must(str_starts_with(page->list[i].key, PREFIX));
		error = check_order(progress, &page->list[i], "url", &is_new);
		must(!is_new || before == NULL || strcmp(before, page->list[i].key) < 0);
		(void) is_ours(page->list[i].key + strlen(PREFIX), page->list[i].is_prefix);
	}
	must(error == NULL || error_is(error, ERR_CORRUPT));
	return error == NULL && page->truncated;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_PAGE page = {.root = "ListBucketResult", .items = "Contents", .prefix = PREFIX};
	AUTO_PROGRESS progress = {0};
	bool goes_on = true;

	while (goes_on && size > 0)
	{
		const uint8_t *end = memchr(data, SEPARATOR, size);
		size_t length = end == NULL ? size : (size_t) (end - data);

		goes_on = take_page(&page, &progress, data, length);
		data += length + (end != NULL);
		size -= length + (end != NULL);
	}
	return 0;
}
