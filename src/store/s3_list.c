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

/* 20 million objects: 320 TB of WAL.  A page may be empty, behind much that was removed, but not page after page. */
#define PAGES_MOST       20000
#define EMPTY_PAGES_MOST 1000

/*
 * Who can wait for long still does not wait for a store that answers each page, slowly,
 * with nearly nothing: 1,000 keys are a page, and take an honest one less than this.
 */
#define KEY_MOST_MS 5

/* 100,000 uploads that nobody finished: more are no leftovers of ours. */
#define UPLOAD_PAGES_MOST 100

typedef struct ListItem
{
	char *key; /* whole, with the store's prefix */
	char *upload_id;
	uint64_t size;
	TimeUs modified;
	bool is_prefix;
} ListItem;

/* An answer, and what must hold for it. */
typedef struct Page
{
	const char *root;   /* the document's name */
	const char *items;  /* the path of an item */
	const char *prefix; /* every key begins so, or the answer is to another question; NULL: some may not */
	ListItem *list;
	size_t count;
	size_t capacity;
	ListItem open; /* that is being read */
	bool truncated;
	char *next;        /* continuation token, or key marker */
	char *next_upload; /* the second half of the marker */
} Page;

/*
 * What has come of a listing so far.  The server says where it goes on, and a fool
 * or an enemy could send us in circles for ever: so the token must change, keys must
 * grow, and the number of pages has a bound.
 */
typedef struct Progress
{
	char *token;    /* of the last page, like what follows */
	char *last_key; /* the greatest of all */
	int pages;
	int empty; /* in a row */
	uint64_t items;
	int64_t began_at_ms;
} Progress;

static void
item_release(ListItem *item)
{
	free(item->key);
	free(item->upload_id);
	*item = (ListItem){.modified = TIME_NONE};
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
	*page =
		(Page){.root = page->root, .items = page->items, .prefix = page->prefix, .open.modified = TIME_NONE};
}

#define AUTO_PAGE __attribute__((cleanup(page_release))) Page

static void
progress_release(Progress *progress)
{
	free(progress->token);
	free(progress->last_key);
}

#define AUTO_PROGRESS __attribute__((cleanup(progress_release))) Progress

static void
replace_text(char **into, const char *text)
{
	free(*into);
	*into = mem_strdup(text);
}

static Error *
end_item(Page *page, bool is_prefix)
{
	ListItem *item = &page->open;

	if (item->key == NULL)
		return error_new(ERR_CORRUPT, "an entry of the listing has no key");
	if (page->prefix != NULL && !str_starts_with(item->key, page->prefix))
	{
		AUTO_FREE char *key = str_printable(item->key);

		return error_new(ERR_CORRUPT, "it names \"%.200s\", which is not below \"%s\"", key, page->prefix);
	}
	item->is_prefix = is_prefix;
	GROW(page->list, page->count, page->capacity);
	page->list[page->count++] = *item;
	*item = (ListItem){.modified = TIME_NONE};
	return NULL;
}

/* Of the item that is being read. */
static Error *
take_item_field(ListItem *item, const char *name, const char *text)
{
	if (strcmp(name, "Key") == 0)
		replace_text(&item->key, text);
	else if (strcmp(name, "UploadId") == 0)
		replace_text(&item->upload_id, text);
	else if (strcmp(name, "LastModified") == 0 || strcmp(name, "Initiated") == 0)
		return time_parse_iso(text, &item->modified)
		           ? NULL
		           : error_new(ERR_CORRUPT, "an entry of the listing has no time");
	else if (strcmp(name, "Size") == 0 && !str_to_uint64(text, &item->size))
		return error_new(ERR_CORRUPT, "an entry of the listing has no size");
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
	if (path[root] == '\0')
		return NULL;
	if (strcmp(name, page->items) == 0)
		return end_item(page, false);
	if (strcmp(name, "CommonPrefixes") == 0)
		return end_item(page, true);
	if (text != NULL && strncmp(name, page->items, item) == 0 && name[item] == '/')
		return take_item_field(&page->open, name + item + 1, text);
	if (text == NULL)
		return NULL;

	/* Of the page itself. */
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

/* A page that cannot be read whole must not look like a shorter or an empty one: it is asked for again. */
static Error *
check_page(void *context, const HttpResponse *response)
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
	return strcmp(((const ListItem *) a)->key, ((const ListItem *) b)->key);
}

/* Where the listing goes on.  No attempt is worth repeating: what is wrong is the listing, not this answer to it. */
static Error *
check_marker(Progress *progress, const Page *page, int most, const char *url)
{
	AUTO_FREE char *token = mem_printf("%s\n%s", page->next == NULL ? "" : page->next,
	                                   page->next_upload == NULL ? "" : page->next_upload);

	progress->empty = page->count == 0 ? progress->empty + 1 : 0;
	progress->items += page->count;
	if (!page->truncated)
		return NULL;
	if (str_equal(token, progress->token))
		return error_new(ERR_CORRUPT, "could not list \"%s\": the listing goes in a circle", url);
	if (++progress->pages >= most || progress->empty >= EMPTY_PAGES_MOST)
		return error_new(ERR_CORRUPT, "could not list \"%s\": the listing does not end", url);
	free(progress->token);
	progress->token = MOVE(token);
	return NULL;
}

/* Does this item come after all before it?  A common prefix may be told by two pages: the second time it is passed over. */
static Error *
check_order(Progress *progress, const ListItem *item, const char *url, bool *ret_is_new)
{
	int order = progress->last_key == NULL ? 1 : strcmp(item->key, progress->last_key);

	if (order < 0 || (order == 0 && !item->is_prefix))
		return error_new(ERR_CORRUPT,
		                 "could not list \"%s\": the listing goes back, or tells an object twice", url);
	*ret_is_new = order > 0;
	if (order > 0)
		replace_text(&progress->last_key, item->key);
	return NULL;
}

/*
 * A listing may have many pages, and each is a request that succeeds: the moment when nothing new begins counts for them
 * together.  A time that each request has for itself they have together, too, and more of it for what they bring.
 */
static Error *
check_deadline(const S3Store *store, const Progress *progress, const char *url)
{
	const Patience *patience = &store->options.patience;
	int64_t now_ms = clock_monotonic_ms();
	bool late = patience->retry_until_ms != 0 && now_ms >= patience->retry_until_ms;
	bool slow = patience->retry_ms != 0 &&
	            now_ms - progress->began_at_ms > patience->retry_ms + (int64_t) progress->items * KEY_MOST_MS;

	if (!late && !slow)
		return NULL;
	return error_new(ERR_TRANSIENT, "could not list \"%s\": the listing did not end in time", url);
}

/* What other programs have put there under names of theirs is not ours to list. */
static bool
is_ours(const char *key, bool is_prefix)
{
	AUTO_FREE char *bare = mem_strndup(key, strlen(key) - (is_prefix && key[0] != '\0' ? 1 : 0));
	AUTO(Error) error = store_check_key(bare);

	return error == NULL;
}

Error *
s3_list(Store *base, const char *prefix, ListDepth depth, const char *start_after, StoreListCallback callback,
        void *context)
{
	S3Store *store = (S3Store *) base;
	size_t own = strlen(store->address.prefix); /* every key of the answer is at least so long */
	AUTO_FREE char *whole = mem_printf("%s%s", store->address.prefix, prefix);
	AUTO_PAGE page = {.root = "ListBucketResult", .items = "Contents", .prefix = whole};
	AUTO_PROGRESS progress = {.began_at_ms = clock_monotonic_ms()};
	AUTO_CALL call = {.action = "list", .method = "GET", .check_answer = check_page, .context = &page};
	AUTO_ANSWER answer = {0};

	if (start_after == NULL)
		start_after = "";
	s3_pairs_set(&call.query, "list-type", "2");
	s3_pairs_set(&call.query, "max-keys", "1000");
	s3_pairs_set(&call.query, "prefix", whole);
	if (depth == LIST_LEVEL)
		s3_pairs_set(&call.query, "delimiter", "/");
	if (start_after[0] != '\0')
	{
		AUTO_FREE char *after = mem_printf("%s%s", store->address.prefix, start_after);

		s3_pairs_set(&call.query, "start-after", after);
	}
	for (;;)
	{
		TRY(s3_call(store, &call, &answer));

		/* Objects and common prefixes come in two lists, each in order. */
		if (page.count > 0)
			qsort(page.list, page.count, sizeof(ListItem), compare_items);
		TRY(check_marker(&progress, &page, PAGES_MOST, base->url));
		for (size_t j = 0; j < page.count; j++)
		{
			const ListItem *item = &page.list[j];
			bool is_new = false;

			StoreEntry entry = {.key = item->key + own,
			                    .size = item->size,
			                    .modified = item->modified,
			                    .is_prefix = item->is_prefix};

			TRY(check_order(&progress, item, base->url, &is_new));
			if (is_new && is_ours(entry.key, entry.is_prefix) && strcmp(entry.key, start_after) > 0)
				TRY(callback(context, &entry));
		}
		if (!page.truncated)
			return NULL;
		TRY(check_deadline(store, &progress, base->url));
		s3_pairs_set(&call.query, "continuation-token", page.next);
	}
}

static Error *
abort_upload(S3Store *store, const ListItem *upload)
{
	AUTO_ANSWER answer = {0};
	AUTO_CALL call = {.action = "abort the unfinished upload of",
	                  .method = "DELETE",
	                  .key = upload->key + strlen(store->address.prefix)};
	Error *error;

	s3_pairs_set(&call.query, "uploadId", upload->upload_id);
	error = s3_call(store, &call, &answer);
	if (error == NULL || (answer.class != S3_NO_UPLOAD && answer.class != S3_ABSENT))
		return error;
	error_free(error);
	return NULL;
}

/*
 * Of the unfinished uploads below the prefix: with a "keep_id" all others of this
 * very key, else those that began before.
 */
static Error *
abort_uploads(S3Store *store, const char *prefix, const char *keep_id, TimeUs before, StoreTidied callback,
              void *context)
{
	AUTO_FREE char *whole = mem_printf("%s%s", store->address.prefix, prefix);
	AUTO_PAGE page = {.root = "ListMultipartUploadsResult", .items = "Upload"};
	AUTO_PROGRESS progress = {.began_at_ms = clock_monotonic_ms()};
	AUTO_CALL call = {.action = "list the unfinished uploads of",
	                  .method = "GET",
	                  .check_answer = check_page,
	                  .context = &page};
	AUTO_ANSWER answer = {0};

	s3_pairs_set(&call.query, "uploads", "");
	s3_pairs_set(&call.query, "prefix", whole);
	for (;;)
	{
		TRY(s3_call(store, &call, &answer));
		TRY(check_marker(&progress, &page, UPLOAD_PAGES_MOST, store->store.url));
		for (size_t j = 0; j < page.count; j++)
		{
			const ListItem *upload = &page.list[j];
			bool stale = keep_id != NULL
			                 ? strcmp(upload->key, whole) == 0 && !str_equal(upload->upload_id, keep_id)
			                 : upload->modified != TIME_NONE && upload->modified < before;

			if (!stale || upload->upload_id == NULL || !str_starts_with(upload->key, store->address.prefix))
				continue;
			TRY(abort_upload(store, upload));
			if (callback != NULL)
				callback(context, upload->key + strlen(store->address.prefix), upload->modified);
		}
		if (!page.truncated)
			return NULL;
		TRY(check_deadline(store, &progress, store->store.url));
		s3_pairs_set(&call.query, "key-marker", page.next);
		if (page.next_upload != NULL)
			s3_pairs_set(&call.query, "upload-id-marker", page.next_upload);
	}
}

Error *
s3_tidy(Store *base, const char *prefix, TimeUs before, StoreTidied callback, void *context)
{
	return abort_uploads((S3Store *) base, prefix, NULL, before, callback, context);
}

Error *
s3_abort_other_uploads(S3Store *store, const char *key, const char *keep_id)
{
	return abort_uploads(store, key, keep_id, TIME_NONE, NULL, NULL);
}
