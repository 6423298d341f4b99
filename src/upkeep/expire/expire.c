/* The order of an expire; see walship/upkeep/expire.h. */
#include "walship/upkeep/expire.h"

#include <string.h>

#include "expire_steps.h"
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
	pin_list_release(&expire->pins);
	lease_list_release(&expire->leases);
	free(expire->policy_text);
	free(expire->retain_pins);
	free(expire->live);
	strlist_release(&expire->lease_texts);
	*expire = (Expire){0};
}

const char *
expire_zone(const Expire *expire)
{
	return expire->zone == NULL ? "UTC" : expire->zone;
}

static Error *
read_pins(Expire *expire)
{
	pin_list_release(&expire->pins);
	free(expire->retain_pins);
	expire->retain_pins = NULL;
	TRY(pin_list_read(expire->store, expire->system_identifier, &expire->pins));
	expire->retain_pins = NEW_ARRAY(RetainPin, expire->pins.count);
	for (size_t i = 0; i < expire->pins.count; i++)
		expire->retain_pins[i] = (RetainPin){expire->pins.items[i].backup, expire->pins.items[i].until,
		                                     expire->pins.items[i].note};
	return NULL;
}

/* Those in force; and what the store would not remove, for its record is still there (NULL: nothing). */
static Error *
read_leases(Expire *expire, const StrList *stuck_ids)
{
	size_t n_stuck = stuck_ids == NULL ? 0 : stuck_ids->count;

	lease_list_release(&expire->leases);
	TRY(lease_list_read(expire->store, expire->system_identifier, &expire->leases));
	free(expire->live);
	strlist_release(&expire->lease_texts);
	expire->live = NEW_ARRAY(RetainLease, expire->leases.count + n_stuck);
	expire->n_live = 0;
	for (size_t i = 0; i < expire->leases.count; i++)
	{
		const Lease *lease = &expire->leases.items[i];

		if (lease->until <= expire->now || !lease->readable)
			continue;

		AUTO_FREE char *text = mem_printf("%s (%s)", lease->kind, lease->holder);

		strlist_add(&expire->lease_texts, text);
		expire->live[expire->n_live++] =
			(RetainLease){.what = expire->lease_texts.items[expire->lease_texts.count - 1],
		                  .backup = lease->backup,
		                  .timeline = lease->timeline,
		                  .start_lsn = lease->start_lsn};
	}
	for (size_t i = 0; i < n_stuck; i++)
		expire->live[expire->n_live++] = (RetainLease){.what = "the store, which did not remove its record",
		                                               .backup = stuck_ids->items[i]};
	return NULL;
}

Error *
expire_plan(Expire *expire)
{
	expire->now = clock_now();
	expire->policy_text = retention_text(&expire->policy);
	TRY(read_leases(expire, NULL));
	TRY(expire->kind->read(expire));
	TRY(read_pins(expire));
	expire->guard = (RetainGuard){
		.store_now = TIME_NONE, .backup_max_age_ms = expire->backup_max_age_ms, .force = expire->force};
	TRY(expire_runs_read_last(expire));
	return expire->kind->decide(expire);
}

static Error *
refuse_unreadable(const Expire *expire)
{
	for (size_t i = 0; i < expire->leases.count && !expire->kind->unreadable_lease_keeps; i++)
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
	Error *error = refuse_unreadable(expire);

	if (error == NULL)
		error = expire->kind->refusal(expire);
	expire->refused = error != NULL;
	return error;
}

static Error *
remove_records(Expire *expire, StrList *ret_stuck_ids)
{
	AUTO_STRLIST ids = {0};
	AUTO_STRLIST keys = {0};
	AUTO_STRLIST stuck_keys = {0};

	expire->kind->removals(expire, &ids, &keys);
	TRY(expire_remove_keys(expire, &keys, &stuck_keys));
	for (size_t i = 0; i < keys.count; i++)
		if (strlist_contains(&stuck_keys, keys.items[i]))
			strlist_add(ret_stuck_ids, ids.items[i]);
	return NULL;
}

static Error *
remove_ended_leases(const Expire *expire)
{
	for (size_t i = 0; i < expire->leases.count; i++)
		if (expire->leases.items[i].until <= expire->now)
			TRY(lease_remove(expire->store, expire->system_identifier, &expire->leases.items[i]));
	return NULL;
}

Error *
expire_run(Expire *expire)
{
	AUTO_STRLIST stuck_ids = {0};
	AUTO(LeaseHold) hold =
		lease_hold(expire->store, expire->system_identifier, &(LeaseOn){.kind = "expire"}, &expire->notices);

	/* The store's clock decides about leases and what is unfinished, ours about records: they must agree. */
	expire->guard.store_now = lease_hold_came(hold);

	/* A pin that came before the lease is seen now; one that comes later sees the lease, and waits. */
	TRY(read_pins(expire));
	TRY(expire->kind->decide(expire));
	TRY(expire_refusal(expire));
	TRY(expire_runs_begin(expire));
	TRY(remove_records(expire, &stuck_ids));

	/* Who wrote a lease before it read a record that was there until now, goes on reading. */
	TRY(read_leases(expire, &stuck_ids));
	TRY(refuse_unreadable(expire));
	TRY(expire->kind->decide(expire));
	TRY(expire->kind->remove_objects(expire));
	TRY(remove_ended_leases(expire));
	return expire_runs_end(expire);
}
