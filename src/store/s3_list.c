/*
 * Listing objects, page by page, and the multipart uploads that nobody
 * finished.  "encoding-type" is not asked for: some providers get it wrong, and
 * our own keys need none.
 */
#include <stdlib.h>
#include <string.h>

#include "s3_private.h"
#include "s3_xml.h"
#include "walship/base/mem.h"

#define PAGES_MOST INT64_C(100000000)

typedef struct Item
{
	char *key; /* whole, with the store's prefix */
	char *upload_id;
	uint64_t size;
	TimeUs modified;
	bool is_prefix;
} Item;

typedef struct Page
{
	const char *root;  /* the document's name */
	const char *items; /* the path of an item */
	Item *list;
	size_t count;
	size_t capacity;
	Item open; /* that is being read */
	bool seen_root;
	bool truncated;
	char *next;        /* continuation token, or key marker */
	char *next_upload; /* the second half of the marker */
} Page;

static void
item_release(Item *item)
{
	free(item->key);
	free(item->upload_id);
	*item = (Item){.modified = TIME_NONE};
}

static void
page_release(Page *page)
{
	for (size_t i = 0; i < page->count; i++)
		item_release(&page->list[i]);
	free(page->list);
	item_release(&page->open);
	free(page->next);
	free(page->next_upload);
	*page = (Page){.root = page->root, .items = page->items, .open.modified = TIME_NONE};
}

#define AUTO_PAGE __attribute__((cleanup(page_release))) Page

static void
replace_text(char **into, const char *text)
{
	free(*into);
	*into = mem_strdup(text);
}

static Error *
take_item(Page *page, bool is_prefix)
{
	if (page->open.key == NULL)
		return error_new(ERR_CORRUPT, "an entry of the listing has no key");
	page->open.is_prefix = is_prefix;
	GROW(page->list, page->count, page->capacity);
	page->list[page->count++] = page->open;
	page->open = (Item){.modified = TIME_NONE};
	return NULL;
}

static Error *
take_leaf(Page *page, const char *name, const char *text)
{
	if (strcmp(name, "Key") == 0)
		replace_text(&page->open.key, text);
	else if (strcmp(name, "UploadId") == 0)
		replace_text(&page->open.upload_id, text);
	else if (strcmp(name, "LastModified") == 0 || strcmp(name, "Initiated") == 0)
		return time_parse_iso(text, &page->open.modified)
		           ? NULL
		           : error_new(ERR_CORRUPT, "an entry of the listing has an invalid time \"%s\"", text);
	else if (strcmp(name, "Size") == 0 && !str_to_uint64(text, &page->open.size))
		return error_new(ERR_CORRUPT, "an entry of the listing has no size");
	return NULL;
}

static Error *
take_page_field(Page *page, const char *name, const char *text)
{
	if (strcmp(name, "IsTruncated") == 0)
		page->truncated = strcmp(text, "true") == 0;
	else if (strcmp(name, "NextContinuationToken") == 0 || strcmp(name, "NextKeyMarker") == 0)
		replace_text(&page->next, text);
	else if (strcmp(name, "NextUploadIdMarker") == 0)
		replace_text(&page->next_upload, text);
	else if (strcmp(name, "CommonPrefixes/Prefix") == 0)
		replace_text(&page->open.key, text);
	return NULL;
}

static Error *
take_element(void *context, const char *path, const char *text)
{
	Page *page = context;
	size_t root = strlen(page->root);
	size_t item = strlen(page->items);
	const char *name = path + root + 1;

	if (strncmp(path, page->root, root) != 0 || (path[root] != '/' && path[root] != '\0'))
		return error_new(ERR_CORRUPT, "the answer is no %s", page->root);
	page->seen_root = true;
	if (path[root] == '\0')
		return NULL;
	if (strcmp(name, page->items) == 0)
		return take_item(page, false);
	if (strcmp(name, "CommonPrefixes") == 0)
		return take_item(page, true);
	if (text != NULL && strncmp(name, page->items, item) == 0 && name[item] == '/')
		return take_leaf(page, name + item + 1, text);
	return text != NULL ? take_page_field(page, name, text) : NULL;
}

/* A page that cannot be read whole must not look like a shorter or an empty one: it is asked for again. */
static Error *
judge_page(void *context, const HttpResponse *response)
{
	Page *page = context;
	AUTO(Error) error = NULL;

	page_release(page);
	error = s3_xml_parse(response->body.data, response->body.size, take_element, page);
	if (error != NULL)
		return error_new(ERR_TRANSIENT, "the listing cannot be read: %s", error_message(error));
	if (page->truncated && (page->next == NULL || page->next[0] == '\0'))
		return error_new(ERR_TRANSIENT, "the listing does not say where it goes on");
	return NULL;
}

static int
compare_items(const void *a, const void *b)
{
	return strcmp(((const Item *) a)->key, ((const Item *) b)->key);
}

typedef struct Listing
{
	S3Store *store;
	const char *start_after; /* "": none */
	StoreListCallback callback;
	void *context;
} Listing;

/* What other programs have put there under names of theirs is not ours to list. */
static bool
is_ours(const char *key, bool is_prefix)
{
	AUTO_FREE char *bare = is_prefix ? mem_strndup(key, strlen(key) - 1) : mem_strdup(key);
	AUTO(Error) error = store_check_key(bare);

	return error == NULL;
}

static Error *
give_item(const Listing *listing, const Item *item)
{
	const char *prefix = listing->store->place.prefix;
	const char *key = item->key + strlen(prefix);
	StoreEntry entry = {
		.key = key, .size = item->size, .modified = item->modified, .is_prefix = item->is_prefix};

	if (!str_starts_with(item->key, prefix) || key[0] == '\0' || !is_ours(key, item->is_prefix) ||
	    strcmp(key, listing->start_after) <= 0)
		return NULL;
	return listing->callback(listing->context, &entry);
}

/* Objects and common prefixes come in two lists, each in order. */
static Error *
give_page(const Listing *listing, Page *page)
{
	if (page->count > 0)
		qsort(page->list, page->count, sizeof(Item), compare_items);
	for (size_t i = 0; i < page->count; i++)
		TRY(give_item(listing, &page->list[i]));
	return NULL;
}

static void
set_list_query(S3Call *call, const S3Store *store, const char *prefix, ListDepth depth,
               const char *start_after)
{
	AUTO_FREE char *whole = mem_printf("%s%s", store->place.prefix, prefix);

	s3_call_query(call, "list-type", "2");
	s3_call_query(call, "max-keys", "1000");
	s3_call_query(call, "prefix", whole);
	if (depth == LIST_LEVEL)
		s3_call_query(call, "delimiter", "/");
	if (start_after[0] != '\0')
	{
		AUTO_FREE char *after = mem_printf("%s%s", store->place.prefix, start_after);

		s3_call_query(call, "start-after", after);
	}
}

Error *
s3_list(Store *base, const char *prefix, ListDepth depth, const char *start_after, StoreListCallback callback,
        void *context)
{
	S3Store *store = (S3Store *) base;
	Listing listing = {.store = store,
	                   .start_after = start_after == NULL ? "" : start_after,
	                   .callback = callback,
	                   .context = context};
	AUTO_PAGE page = {.root = "ListBucketResult", .items = "Contents"};
	AUTO_CALL call = {.action = "list", .method = "GET", .judge = judge_page, .context = &page};
	AUTO_ANSWER answer = {0};

	set_list_query(&call, store, prefix, depth, listing.start_after);
	for (int64_t i = 0; i < PAGES_MOST; i++)
	{
		TRY(s3_call(store, &call, &answer));
		TRY(give_page(&listing, &page));
		if (!page.truncated)
			return NULL;
		s3_call_query(&call, "continuation-token", page.next);
	}
	return error_new(ERR_TRANSIENT, "could not list \"%s\": the listing does not end", base->url);
}

static Error *
abort_upload(S3Store *store, const Item *upload)
{
	AUTO_ANSWER answer = {0};
	AUTO_CALL call = {.action = "abort the unfinished upload of",
	                  .method = "DELETE",
	                  .key = upload->key + strlen(store->place.prefix)};
	Error *error;

	s3_call_query(&call, "uploadId", upload->upload_id);
	error = s3_call(store, &call, &answer);
	if (error == NULL || (answer.class != S3_NO_UPLOAD && answer.class != S3_ABSENT))
		return error;
	error_free(error);
	return NULL;
}

/* Which of the unfinished uploads are to go. */
typedef struct Stale
{
	const char *prefix;  /* below the store's */
	const char *keep_id; /* all others of this very key; NULL: all that began before */
	TimeUs before;
} Stale;

static bool
is_stale(const S3Store *store, const Item *upload, const Stale *stale)
{
	if (upload->upload_id == NULL || !str_starts_with(upload->key, store->place.prefix))
		return false;
	if (stale->keep_id == NULL)
		return upload->modified != TIME_NONE && upload->modified < stale->before;
	return strcmp(upload->key + strlen(store->place.prefix), stale->prefix) == 0 &&
	       strcmp(upload->upload_id, stale->keep_id) != 0;
}

static Error *
abort_page(S3Store *store, const Page *page, const Stale *stale)
{
	for (size_t i = 0; i < page->count; i++)
	{
		if (is_stale(store, &page->list[i], stale))
			TRY(abort_upload(store, &page->list[i]));
	}
	return NULL;
}

static Error *
abort_stale(S3Store *store, const Stale *stale)
{
	AUTO_FREE char *whole = mem_printf("%s%s", store->place.prefix, stale->prefix);
	AUTO_PAGE page = {.root = "ListMultipartUploadsResult", .items = "Upload"};
	AUTO_CALL call = {
		.action = "list the unfinished uploads of", .method = "GET", .judge = judge_page, .context = &page};
	AUTO_ANSWER answer = {0};

	s3_call_query(&call, "uploads", "");
	s3_call_query(&call, "prefix", whole);
	for (int64_t i = 0; i < PAGES_MOST; i++)
	{
		TRY(s3_call(store, &call, &answer));
		TRY(abort_page(store, &page, stale));
		if (!page.truncated)
			return NULL;
		s3_call_query(&call, "key-marker", page.next);
		if (page.next_upload != NULL)
			s3_call_query(&call, "upload-id-marker", page.next_upload);
	}
	return NULL;
}

Error *
s3_tidy(Store *base, const char *prefix, TimeUs before)
{
	return abort_stale((S3Store *) base, &(Stale){.prefix = prefix, .before = before});
}

Error *
s3_abort_other_uploads(S3Store *store, const char *key, const char *keep_id)
{
	return abort_stale(store, &(Stale){.prefix = key, .keep_id = keep_id});
}
