/* What was told of an item; see walship/notify/item.h. */
#include "walship/notify/item.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/crc32c.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/state_note.h"

#define KIND "notify-"
#define LOCK "lock"

static const JsonField item_fields[] = {
	{"failing", &json_bool, JSON_AT(NotifyItem, failing)},
	{"since", &json_time, JSON_AT(NotifyItem, since), .flags = JSON_MAYBE},
	{"failures", &json_uint, JSON_AT(NotifyItem, failures)},
	{"exit_status", &json_int, JSON_AT(NotifyItem, exit_status)},
	{"alarmed", &json_bool, JSON_AT(NotifyItem, alarmed)},
	{"told_at", &json_time, JSON_AT(NotifyItem, told_at), .flags = JSON_MAYBE},
	{"tried_at", &json_time, JSON_AT(NotifyItem, tried_at), .flags = JSON_MAYBE},
	{"waiting", &json_list, JSON_AT(NotifyItem, waiting.items), .flags = JSON_OPTIONAL, .of = &json_strings,
     .count = offsetof(NotifyItem, waiting.count)},
	{"message", &json_struct, JSON_AT(NotifyItem, message), .with = "waiting", .of = &notify_message_table},
};
static const JsonTable item_table = JSON_TABLE(NotifyItem, item_fields);

void
notify_item_release(NotifyItem *item)
{
	strlist_release(&item->waiting);
	notify_message_release(&item->message);
	*item = (NotifyItem) NOTIFY_ITEM_NEW;
}

/* A moment in the future is one of a clock that was wrong: as if it were long ago, for silence is the worse mistake. */
static bool
has_passed(TimeUs then, int64_t ms, TimeUs now)
{
	return then == TIME_NONE || then > now || now - then >= ms * 1000;
}

static bool
is_failure_due(const NotifyItem *item, const NotifyPolicy *policy, int64_t exit_status, TimeUs now)
{
	if (!has_passed(item->since, policy->alarm_after_ms, now) ||
	    !has_passed(item->told_at, NOTIFY_QUIET_MS, now))
		return false;
	return !item->alarmed || item->exit_status != exit_status ||
	       has_passed(item->told_at, policy->repeat_ms, now);
}

bool
notify_item_decide(NotifyItem *item, const NotifyPolicy *policy, int64_t exit_status, TimeUs now,
                   NotifyEvent *ret_event)
{
	bool told;

	if (exit_status != 0)
	{
		if (!item->failing)
		{
			item->since = now;
			item->failures = 0;
		}
		item->failing = true;
		item->failures++;
		told = is_failure_due(item, policy, exit_status, now);
		*ret_event = NOTIFY_FAILED;
		if (told)
			item->exit_status = exit_status;
		item->alarmed |= told;
	}
	else
	{
		*ret_event = item->alarmed ? NOTIFY_RECOVERED : NOTIFY_SUCCEEDED;
		told = item->alarmed || policy->successes;
		item->failing = false;
		item->alarmed = false;
	}
	if (told && *ret_event == NOTIFY_FAILED)
		item->told_at = now;
	return told;
}

bool
notify_item_is_idle(const NotifyItem *item, TimeUs now)
{
	return !item->failing && !item->alarmed && item->waiting.count == 0 &&
	       has_passed(item->told_at, NOTIFY_QUIET_MS, now);
}

bool
notify_item_is_due(const NotifyItem *item, TimeUs now)
{
	return item->waiting.count > 0 && has_passed(item->tried_at, NOTIFY_RETRY_MS, now);
}

/*
 * "notify-<8 hex of the scope>-<item>".  The sum keeps configurations apart and proves nothing: the binding does.  It
 * is no digest, for OpenSSL takes a push longer to get going than all the rest of this.
 */
static char *
note_prefix(const NotifyNotes *notes)
{
	return mem_printf(KIND "%08" PRIx32 "-", crc32c(0, notes->scope, strlen(notes->scope)));
}

static StateNote
note_of(const NotifyNotes *notes, const char *item)
{
	AUTO_FREE char *prefix = note_prefix(notes);

	return (StateNote){.directory = notes->state_dir,
	                   .name = mem_printf("%s%s", prefix, item),
	                   .binding = mem_printf("notify %s\n%s\n", item, notes->scope)};
}

static Error *
parse(const Buf *text, NotifyItem *ret_item)
{
	AUTO(Json) root = NULL;

	TRY(json_parse(text->data, text->size, "note", &root));
	return json_take(root, &item_table, ret_item);
}

void
notify_item_read(const NotifyNotes *notes, const char *item, NotifyItem *ret_item)
{
	AUTO_STATE_NOTE note = note_of(notes, item);
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);
	AUTO(Error) error = NULL;

	*ret_item = (NotifyItem) NOTIFY_ITEM_NEW;
	if (!state_note_read(&note, &text))
		return;
	error = parse(&text, ret_item);
	if (error != NULL)
		notify_item_release(ret_item);
}

Error *
notify_item_write(const NotifyNotes *notes, const char *item, const NotifyItem *noted)
{
	AUTO_STATE_NOTE note = note_of(notes, item);
	AUTO(Json) root = NULL;
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);

	if (notify_item_is_idle(noted, clock_now()))
		return state_note_remove(&note);
	root = json_new_object();
	json_put(root, &item_table, noted);
	json_print(root, true, &text);
	return state_note_write(&note, text.data);
}

void
notify_item_delivered(const NotifyNotes *notes, const char *item, TimeUs message_at, const char *target_id)
{
	AUTO_NOTIFY_ITEM noted = NOTIFY_ITEM_NEW;
	AUTO(Error) ignored = NULL;
	AUTO_STRLIST left = {0};

	notify_item_read(notes, item, &noted);
	if (noted.waiting.count == 0 || noted.message.at != message_at)
		return;
	for (size_t i = 0; i < noted.waiting.count; i++)
		if (!str_equal(noted.waiting.items[i], target_id))
			strlist_add(&left, noted.waiting.items[i]);
	strlist_release(&noted.waiting);
	noted.waiting = left;
	left = (StrList){0};
	ignored = notify_item_write(notes, item, &noted);
}

void
notify_items_waiting(const NotifyNotes *notes, StrList *ret_items)
{
	AUTO_FREE char *prefix = note_prefix(notes);
	AUTO_STRLIST names = {0};
	AUTO(Error) error = dir_list(notes->state_dir, &names);

	for (size_t i = 0; error == NULL && i < names.count; i++)
	{
		AUTO_NOTIFY_ITEM item = NOTIFY_ITEM_NEW;
		const char *word = names.items[i] + strlen(prefix);

		if (!str_starts_with(names.items[i], prefix))
			continue;
		notify_item_read(notes, word, &item);
		if (item.waiting.count > 0)
			strlist_add(ret_items, word);
	}
}

bool
notify_items_claim_due(const NotifyNotes *notes, TimeUs now)
{
	AUTO_STRLIST items = {0};
	bool claimed = false;

	notify_items_waiting(notes, &items);
	for (size_t i = 0; i < items.count; i++)
	{
		AUTO_NOTIFY_ITEM item = NOTIFY_ITEM_NEW;

		notify_item_read(notes, items.items[i], &item);
		if (!notify_item_is_due(&item, now))
			continue;
		item.tried_at = now;
		error_free(notify_item_write(notes, items.items[i], &item));
		claimed = true;
	}
	return claimed;
}

Error *
notify_lock(const NotifyNotes *notes, int *ret_fd)
{
	AUTO_FREE char *prefix = note_prefix(notes);
	AUTO_FREE char *path = mem_printf("%s/%s" LOCK, notes->state_dir, prefix);

	return file_open_temporary(path, 0600, ret_fd);
}
