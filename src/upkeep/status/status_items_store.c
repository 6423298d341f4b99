/* Items of a status: the store, the server, and who is at work. */
#include "status_items.h"

#include <inttypes.h>

#include "walship/base/mem.h"
#include "walship/base/size.h"

#define ROOM_MIN_PERCENT 10
#define TEXT_MAX         4096
#define GB               1e9 /* as providers of storage count */
#define DAYS_OF_A_MONTH  30

void
status_decide_store(Decision *decision)
{
	const StatusFacts *facts = decision->facts;
	StatusItem *item =
		status_add(decision, "store", mem_strdup(facts->store == NULL ? "none is set" : facts->store));

	if (facts->store_error != NULL)
		status_judge(item, STATUS_FAIL, facts->store_hint, "%s", facts->store_error);
}

void
status_decide_server(Decision *decision)
{
	const StatusServer *server = &decision->facts->server;
	char lsn[LSN_TEXT_SIZE];
	StatusItem *item;

	if (!server->asked)
		return;
	if (server->error != NULL)
	{
		item = status_add(decision, "server", mem_strdup("not asked for what only it knows"));
		status_judge(item, STATUS_UNKNOWN,
		             server->hint != NULL ? server->hint
		                                  : "Where none can be asked, --store-only looks at the rest.",
		             "%s", server->error);
		return;
	}
	item = status_add(decision, "server",
	                  mem_printf("answers; a %s at %s", server->archiving.in_recovery ? "standby" : "primary",
	                             lsn_format(server->archiving.position, lsn)));
}

double
status_price(const StatusFacts *facts, const StatusLimits *limits)
{
	const StatusStorage *storage = &facts->storage;
	double price = 0;

	if (limits->price_per_gb < 0 && limits->price_per_1000_puts < 0)
		return -1;
	if (limits->price_per_gb >= 0)
		price += (double) storage->size / GB * limits->price_per_gb;
	if (limits->price_per_1000_puts >= 0 && storage->puts_per_day >= 0)
		price += (double) storage->puts_per_day * DAYS_OF_A_MONTH / 1000 * limits->price_per_1000_puts;
	return price;
}

void
status_decide_storage(Decision *decision)
{
	const StatusStorage *storage = &decision->facts->storage;
	double price = status_price(decision->facts, decision->limits);
	AUTO_BUF(text, TEXT_MAX);
	char size[SIZE_TEXT_SIZE];

	buf_printf(&text, "%s in %" PRIu64 " object%s", size_format(storage->size, size), storage->objects,
	           storage->objects == 1 ? "" : "s");
	if (storage->size_per_day >= 0)
	{
		buf_printf(&text, "; %s a day come, in about %" PRId64 " requests",
		           size_format((uint64_t) storage->size_per_day, size), storage->puts_per_day);
		buf_printf(&text, ": a month %s, %" PRId64 " requests",
		           size_format((uint64_t) storage->size_per_day * DAYS_OF_A_MONTH, size),
		           storage->puts_per_day * DAYS_OF_A_MONTH);
	}
	if (price >= 0)
		buf_printf(&text, "; about %.2f a month", price);
	(void) status_add(decision, "storage", buf_steal(&text));
}

void
status_decide_second(Decision *decision)
{
	const StatusFacts *facts = decision->facts;
	const StatusSecond *second = &facts->second;
	char age[AGE_TEXT_SIZE];
	char size[SIZE_TEXT_SIZE];
	StatusItem *item;

	if (second->url == NULL)
		return;
	if (second->error != NULL)
		item = status_add(decision, "second store", mem_strdup(second->url));
	else if (second->behind_since == TIME_NONE)
		item = status_add(decision, "second store",
		                  mem_printf("%s has the newest WAL and backup; %s in %" PRIu64 " objects",
		                             second->url, size_format(second->size, size), second->objects));
	else
		item = status_add(decision, "second store",
		                  mem_printf("%s lacks what came %s; %s in %" PRIu64 " objects", second->url,
		                             age_format(second->behind_since, facts->now, age),
		                             size_format(second->size, size), second->objects));
	status_threshold(item, "copy_max_age", decision->limits->copy_max_age_ms);
	if (second->error != NULL)
		status_judge(item, STATUS_WARN, second->hint, "%s", second->error);
	else if (second->behind_since != TIME_NONE &&
	         status_is_older(decision, second->behind_since, decision->limits->copy_max_age_ms))
		status_judge(item, STATUS_FAIL, "Run: walship copy; and look why its timer did not.",
		             "it is behind for longer than copy_max_age");
}

void
status_decide_room(Decision *decision)
{
	const StatusStorage *storage = &decision->facts->storage;
	char size[SIZE_TEXT_SIZE];
	uint64_t percent;
	StatusItem *item;

	if (storage->disk_size == 0)
		return;
	percent = (uint64_t) ((double) storage->disk_free / (double) storage->disk_size * 100);
	item = status_add(decision, "room",
	                  mem_printf("%s free on the store's file system (%" PRIu64 " %%)",
	                             size_format(storage->disk_free, size), percent));
	item->threshold = mem_printf("%d %%", ROOM_MIN_PERCENT);
	if (percent < ROOM_MIN_PERCENT)
		status_judge(item, STATUS_WARN,
		             "Make room, or shorten the retention: when it is full, WAL stays on the server.",
		             "less than %d %% are free", ROOM_MIN_PERCENT);
}

void
status_decide_jobs(Decision *decision)
{
	const StatusFacts *facts = decision->facts;
	AUTO_BUF(text, TEXT_MAX);
	char age[AGE_TEXT_SIZE];

	for (size_t i = 0; i < facts->n_jobs; i++)
	{
		const StatusJob *job = &facts->jobs[i];

		buf_printf(&text, "%s%s on %s, ", i > 0 ? "; " : "", job->kind, job->holder);
		if (job->progress.operation != NULL)
			job_progress_text(&job->progress, &text);
		else
			buf_printf(&text, "seen %s", age_format(job->since, facts->now, age));
	}
	if (facts->n_jobs > 0)
		(void) status_add(decision, "jobs",
		                  text.overflowed ? mem_printf("%zu at work", facts->n_jobs) : buf_steal(&text));
}

void
status_decide_clocks(Decision *decision)
{
	const StrList *clocks = &decision->facts->clocks;

	if (clocks->count > 0)
		status_judge(status_add(decision, "clocks", mem_strdup("wrong")), STATUS_WARN,
		             "Is time synchronized on both machines?", "%s", clocks->items[0]);
}
