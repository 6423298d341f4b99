/* The order of an expire; see walship/upkeep/expire.h. */
#include "walship/upkeep/expire.h"

#include <string.h>

#include "expire_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/mem.h"

void
expire_release(Expire *expire)
{
	for (size_t i = 0; i < expire->n_stuck; i++)
	{
		free(expire->stuck[i].reason);
		free(expire->stuck[i].example);
	}
	free(expire->stuck);
	strlist_release(&expire->removed_uploads);
	retain_plan_free(expire->plan);
	retain_records_plan_free(expire->records);
	catalog_free(expire->catalog);
	pin_list_release(&expire->pins);
	lease_list_release(&expire->leases);
	free(expire->unfinished);
	free(expire->local_times);
	free(expire->policy_text);
	free((void *) expire->request.pins);
	free(expire->live);
	strlist_release(&expire->lease_texts);
	*expire = (Expire){0};
}

static Error *
measure_object(void *context, const StoreEntry *entry)
{
	RetainUnfinished *unfinished = context;

	unfinished->objects++;
	unfinished->stored_size += entry->size;
	if (entry->modified > unfinished->last_modified)
		unfinished->last_modified = entry->modified;
	return NULL;
}

static Error *
measure_unfinished(Expire *expire)
{
	const StrList *ids = &expire->catalog->unfinished;

	expire->unfinished = NEW_ARRAY(RetainUnfinished, ids->count);
	for (size_t i = 0; i < ids->count; i++)
	{
		AUTO_FREE char *prefix = layout_backup_prefix(expire->system_identifier, ids->items[i]);

		expire->unfinished[i].id = ids->items[i];
		TRY(store_list(expire->store, prefix, LIST_ALL, NULL, measure_object, &expire->unfinished[i]));
	}
	return NULL;
}

static Error *
read_local_times(Expire *expire)
{
	expire->local_times = NEW_ARRAY(int64_t, expire->catalog->n_backups);
	for (size_t i = 0; i < expire->catalog->n_backups; i++)
		TRY(time_local(expire->catalog->backups[i]->stop_time, expire->zone == NULL ? "UTC" : expire->zone,
		               &expire->local_times[i]));
	return NULL;
}

Error *
expire_read_pins(Expire *expire)
{
	pin_list_release(&expire->pins);
	free((void *) expire->request.pins);
	expire->request.pins = NULL;
	expire->request.n_pins = 0;
	TRY(pin_list_read(expire->store, expire->system_identifier, &expire->pins));

	RetainPin *pins = NEW_ARRAY(RetainPin, expire->pins.count);

	for (size_t i = 0; i < expire->pins.count; i++)
		pins[i] = (RetainPin){expire->pins.items[i].backup, expire->pins.items[i].until,
		                      expire->pins.items[i].note};
	expire->request.pins = pins;
	expire->request.n_pins = expire->pins.count;
	return NULL;
}

void
expire_list_leases(Expire *expire, const StrList *stuck_backups)
{
	size_t capacity = expire->leases.count + (stuck_backups == NULL ? 0 : stuck_backups->count);
	RetainRequest *request = &expire->request;

	free(expire->live);
	strlist_release(&expire->lease_texts);
	expire->live = NEW_ARRAY(RetainLease, capacity);
	request->leases = expire->live;
	request->n_leases = 0;
	for (size_t i = 0; i < expire->leases.count; i++)
	{
		const Lease *lease = &expire->leases.items[i];

		if (lease->until <= expire->now || !lease->readable)
			continue;

		AUTO_FREE char *text = mem_printf("%s (%s)", lease->kind, lease->holder);

		strlist_add(&expire->lease_texts, text);
		expire->live[request->n_leases++] =
			(RetainLease){.what = expire->lease_texts.items[expire->lease_texts.count - 1],
		                  .backup = lease->backup,
		                  .timeline = lease->timeline,
		                  .start_lsn = lease->start_lsn};
	}
	for (size_t i = 0; stuck_backups != NULL && i < stuck_backups->count; i++)
		expire->live[request->n_leases++] = (RetainLease){
			.what = "the store, which did not remove its record", .backup = stuck_backups->items[i]};
}

Error *
expire_decide(Expire *expire)
{
	AUTO(WalFacts) facts = wal_reader_facts(expire->store, expire->catalog, NULL, expire->jobs);
	RetainPlan *plan;

	TRY(plan_retain(expire->catalog, &expire->request, facts, &plan));
	retain_plan_free(expire->plan);
	expire->plan = plan;
	return NULL;
}

Error *
expire_plan(Expire *expire)
{
	expire->now = clock_now();
	expire->policy_text = retention_text(&expire->policy);
	TRY(lease_list_read(expire->store, expire->system_identifier, &expire->leases));
	TRY(catalog_read(expire->store, expire->system_identifier, expire->jobs, &expire->catalog));
	TRY(catalog_look_at_parts(expire->store, expire->system_identifier, expire->catalog->backups,
	                          expire->catalog->n_backups));
	TRY(measure_unfinished(expire));
	TRY(read_local_times(expire));
	expire->request = (RetainRequest){.policy = expire->policy,
	                                  .now = expire->now,
	                                  .local_times = expire->local_times,
	                                  .unfinished = expire->unfinished,
	                                  .n_unfinished = expire->catalog->unfinished.count};
	TRY(expire_read_pins(expire));
	expire_list_leases(expire, NULL);
	expire->guard = (RetainGuard){
		.store_now = TIME_NONE, .backup_max_age_ms = expire->backup_max_age_ms, .force = expire->force};
	TRY(expire_runs_read_last(expire));
	return expire_decide(expire);
}

Error *
expire_refuse_unreadable(const Expire *expire)
{
	for (size_t i = 0; i < expire->leases.count; i++)
	{
		const Lease *lease = &expire->leases.items[i];

		if (!lease->readable && lease->until > expire->now)
			return error_hint(
				error_new(ERR_EXISTS, "lease \"%s\" cannot be read, so what it protects is not known",
			              lease->id),
				"It ends a day after it was written. Whoever knows that nothing uses the store may "
				"remove it, below <system>/lease/.");
	}
	return NULL;
}

Error *
expire_refusal(Expire *expire)
{
	Error *error = expire_refuse_unreadable(expire);

	if (error == NULL)
		error = retain_refusal(expire->catalog, &expire->request, expire->plan, &expire->guard);
	expire->refused = error != NULL;
	return error;
}

Error *
expire_remove_ended_leases(const Expire *expire)
{
	for (size_t i = 0; i < expire->leases.count; i++)
		if (expire->leases.items[i].until <= expire->now)
			TRY(lease_remove(expire->store, expire->system_identifier, &expire->leases.items[i]));
	return NULL;
}

static Error *
carry_out(Expire *expire)
{
	AUTO_STRLIST stuck_backups = {0};

	TRY(expire_runs_begin(expire));
	TRY(expire_remove_records(expire, &stuck_backups));

	/* Who wrote a lease before it read a record that was there until now, goes on reading. */
	lease_list_release(&expire->leases);
	TRY(lease_list_read(expire->store, expire->system_identifier, &expire->leases));
	TRY(expire_refuse_unreadable(expire));
	expire_list_leases(expire, &stuck_backups);
	TRY(expire_decide(expire));
	TRY(expire_remove_parts(expire));
	TRY(expire_remove_wal(expire));
	TRY(expire_remove_ended_leases(expire));
	return expire_runs_end(expire);
}

Error *
expire_run(Expire *expire)
{
	AUTO(LeaseHold) hold =
		lease_hold(expire->store, expire->system_identifier, &(LeaseOn){.kind = "expire"}, &expire->notices);

	/* The store's clock decides about leases and unfinished backups, ours about backups: they must agree. */
	expire->guard.store_now = lease_hold_came(hold);

	/* A pin that came before the lease is seen now; one that comes later sees the lease, and waits. */
	TRY(expire_read_pins(expire));
	TRY(expire_decide(expire));
	TRY(expire_refusal(expire));
	return carry_out(expire);
}
