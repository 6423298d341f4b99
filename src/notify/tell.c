/* Deciding, noting, sending; see walship/notify/tell.h. */
#include "walship/notify/tell.h"

#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"

#define ITEMS_AT_A_TIME 8
#define LOOK_EVERY_MS   1000

/* A copy for the note, which outlives the message. */
static NotifyMessage
message_copy(const NotifyMessage *message)
{
	NotifyMessage copy = *message;

	copy.item = mem_strdup(message->item);
	copy.key = mem_strdup(message->key);
	copy.host = mem_strdup(message->host);
	copy.cluster = mem_strdup(message->cluster);
	copy.store = mem_strdup(message->store);
	copy.reason = mem_strdup(message->reason);
	copy.hint = mem_strdup(message->hint);
	copy.help = mem_strdup(message->help);
	return copy;
}

static void
set_waiting(NotifyItem *item, const NotifyTargets *targets, const NotifyMessage *message)
{
	char id[NOTIFY_TARGET_ID_SIZE];

	strlist_release(&item->waiting);
	item->waiting = (StrList){0};
	for (size_t i = 0; i < targets->count; i++)
		strlist_add(&item->waiting, notify_target_id(&targets->items[i], id));
	item->tried_at = TIME_NONE;
	notify_message_release(&item->message);
	item->message = message_copy(message);
}

Error *
notify_decide(const NotifyNotes *notes, const NotifyPolicy *policy, const NotifyTargets *targets,
              NotifyMessage *message, bool *ret_told, bool *ret_due)
{
	AUTO_NOTIFY_ITEM noted = NOTIFY_ITEM_NEW;

	notify_item_read(notes, message->key, &noted);

	bool failed_before = noted.failing;
	bool is_new = noted.told_at == TIME_NONE && notify_item_is_idle(&noted, message->at);

	*ret_told = notify_item_decide(&noted, policy, message->exit_status, message->at, &message->event);
	message->since = message->event == NOTIFY_SUCCEEDED ? TIME_NONE : noted.since;
	message->failures = message->event == NOTIFY_SUCCEEDED ? 0 : noted.failures;
	if (*ret_told)
		set_waiting(&noted, targets, message);
	*ret_due = notify_item_is_due(&noted, message->at);
	if (*ret_due)
		noted.tried_at = message->at;

	/* As mostly, it works as it did before: then there is nothing to note, or what there is has had its time. */
	if (*ret_told || *ret_due || message->exit_status != 0 || failed_before ||
	    (!is_new && notify_item_is_idle(&noted, message->at)))
		return notify_item_write(notes, message->key, &noted);
	return NULL;
}

typedef struct Delivery
{
	const NotifyNotes *notes;
	const char *item;
	TimeUs message_at;
} Delivery;

static void
note_delivered(const void *context, const NotifyTarget *target)
{
	const Delivery *delivery = context;
	char id[NOTIFY_TARGET_ID_SIZE];

	notify_item_delivered(delivery->notes, delivery->item, delivery->message_at,
	                      notify_target_id(target, id));
}

void
notify_deliver(const NotifyNotes *notes, const NotifySender *sender, const NotifyTargets *targets,
               const NotifyMessage *message, NotifyAnswers *answers, size_t *ret_left)
{
	AUTO_NOTIFY_ITEM noted = NOTIFY_ITEM_NEW;
	Delivery delivery = {notes, message->key, message->at};

	/* Without a note nobody knows who has it, so all are asked. */
	notify_item_read(notes, message->key, &noted);
	notify_send_all(sender, targets, noted.waiting.count > 0 ? &noted.waiting : NULL, message, answers,
	                note_delivered, &delivery);
	*ret_left = 0;
	for (size_t i = 0; i < targets->count; i++)
		*ret_left += answers->errors[i] != NULL;
}

/* One that is not in the setting any more is nobody. */
static void
forget_strangers(const NotifyNotes *notes, const NotifyTargets *targets, const char *item,
                 const NotifyItem *noted)
{
	char id[NOTIFY_TARGET_ID_SIZE];

	for (size_t i = 0; i < noted->waiting.count; i++)
	{
		bool known = false;

		for (size_t k = 0; k < targets->count && !known; k++)
			known = str_equal(notify_target_id(&targets->items[k], id), noted->waiting.items[i]);
		if (!known)
			notify_item_delivered(notes, item, noted->message.at, noted->waiting.items[i]);
	}
}

typedef struct ItemJob
{
	const NotifyNotes *notes;
	const NotifySender *sender;
	const NotifyTargets *targets;
	const NotifyAnswers *troubles;
	char *item;
	NotifyItem noted;
} ItemJob;

static void
item_job_free(void *argument)
{
	ItemJob *job = argument;

	free(job->item);
	notify_item_release(&job->noted);
	free(job);
}

static Error *
deliver_item(void *argument)
{
	const ItemJob *job = argument;
	AUTO_NOTIFY_ANSWERS answers = {0};
	size_t left;

	for (size_t i = 0; i < job->targets->count; i++)
		if (job->troubles->errors[i] != NULL)
			answers.errors[i] = error_new(ERR_USAGE, "%s", error_message(job->troubles->errors[i]));
	forget_strangers(job->notes, job->targets, job->item, &job->noted);
	notify_deliver(job->notes, job->sender, job->targets, &job->noted.message, &answers, &left);
	return NULL;
}

/* Of what waits, that which was not tried yet.  "*newest" is the time of the newest message that one has. */
static void
submit_untried(const ItemJob *template, TimeUs *newest, Workers *workers, bool *ret_soon)
{
	AUTO_STRLIST items = {0};
	TimeUs tried = *newest;

	*ret_soon = false;
	notify_items_waiting(template->notes, &items);
	for (size_t i = 0; i < items.count; i++)
	{
		ItemJob *job = NEW(ItemJob);
		TimeUs age;

		*job = *template;
		job->item = mem_strdup(items.items[i]);
		notify_item_read(job->notes, job->item, &job->noted);
		age = clock_now() - job->noted.message.at;

		bool waits = job->noted.waiting.count > 0 && job->noted.message.at > tried;
		bool is_new = waits && age >= 0 && age < NOTIFY_FIRST_MS * 1000;

		*ret_soon |= is_new;
		if (!waits || is_new)
		{
			item_job_free(job);
			continue;
		}
		*newest = job->noted.message.at > *newest ? job->noted.message.at : *newest;
		workers_submit(workers, deliver_item, job, item_job_free);
	}
}

Error *
notify_send_waiting(const NotifyNotes *notes, const NotifySender *sender, const NotifyTargets *targets,
                    const NotifyAnswers *troubles, int64_t until_ms)
{
	AUTO(Workers) workers = workers_new(ITEMS_AT_A_TIME);
	const ItemJob template = {.notes = notes, .sender = sender, .targets = targets, .troubles = troubles};
	TimeUs newest = TIME_NONE;
	bool soon = true;

	for (;;)
	{
		TimeUs before = newest;

		submit_untried(&template, &newest, workers, &soon);
		TRY(workers_wait(workers));
		if ((newest == before && !soon) || clock_monotonic_ms() >= until_ms)
			return NULL;
		if (soon)
			TRY(cancel_sleep_ms(LOOK_EVERY_MS));
	}
}
