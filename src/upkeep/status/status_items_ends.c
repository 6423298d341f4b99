/* Items of a status: certificates and credentials that end by themselves. */
#include "status_items.h"

#include "walship/base/mem.h"

/* What is left of the time of an alarm when it becomes a failure: of 14 days the last two. */
#define LAST_PART 7

static int64_t
alarm_before_ms(const StatusLimits *limits, const StatusEnd *end)
{
	return end->kind == STATUS_END_SESSION ? limits->session_alarm_before_ms
	                                       : limits->certificate_alarm_before_ms;
}

static StatusState
state_of(const Decision *decision, const StatusEnd *end)
{
	int64_t before_ms = alarm_before_ms(decision->limits, end);

	if (end->time == TIME_NONE)
		return STATUS_UNKNOWN;

	int64_t left_ms = (end->time - decision->facts->now) / 1000;

	if (left_ms <= 0 || left_ms <= before_ms / LAST_PART)
		return STATUS_FAIL;
	return left_ms <= before_ms ? STATUS_WARN : STATUS_OK;
}

static const char *
remedy_of(const StatusEnd *end)
{
	switch (end->kind)
	{
		case STATUS_END_CERTIFICATE:
			return end->time == TIME_NONE
			           ? NULL
			           : "Renew it, and look why nothing has: without it walship is locked out.";
		case STATUS_END_SESSION:
			return end->time == TIME_NONE
			           ? "Have whoever makes them set AWS_CREDENTIAL_EXPIRATION, or \"expiration\" in the profile; "
			             "or use keys that do not end."
			           : "Look why nothing renews them; or use keys that do not end.";
		case STATUS_END_PASSWORD:
			return "ALTER ROLE ... VALID UNTIL, with a new password in ~/.pgpass.";
	}
	return NULL;
}

/* The worse state first, and then what ends first. */
static bool
is_worse(const Decision *decision, const StatusEnd *end, const StatusEnd *than)
{
	StatusState state = state_of(decision, end);
	StatusState other = state_of(decision, than);

	if (state != other)
		return status_worse(state, other) == state;
	return end->time < than->time;
}

static void
decide(Decision *decision, const char *name, bool certificates)
{
	const StatusFacts *facts = decision->facts;
	const StatusEnd *worst = NULL;
	char age[AGE_TEXT_SIZE];
	StatusItem *item;

	for (size_t i = 0; i < facts->n_ends; i++)
		if ((facts->ends[i].kind == STATUS_END_CERTIFICATE) == certificates &&
		    (worst == NULL || is_worse(decision, &facts->ends[i], worst)))
			worst = &facts->ends[i];
	if (worst == NULL)
		return;

	const char *verb = worst->time <= facts->now           ? "ended"
	                   : worst->kind == STATUS_END_SESSION ? "end"
	                                                       : "ends";
	StatusState state = state_of(decision, worst);

	item = status_add(decision, name,
	                  worst->time == TIME_NONE ? mem_strdup(worst->what)
	                                           : mem_printf("%s: %s %s", worst->what, verb,
	                                                        age_format(worst->time, facts->now, age)));
	status_threshold(item,
	                 worst->kind == STATUS_END_SESSION ? "session_alarm_before" : "certificate_alarm_before",
	                 alarm_before_ms(decision->limits, worst));
	if (state == STATUS_UNKNOWN)
		status_judge(item, state, remedy_of(worst), "when %s end%s is not known%s%s", worst->what,
		             worst->kind == STATUS_END_SESSION ? "" : "s", worst->error == NULL ? "" : ": ",
		             worst->error == NULL ? "" : worst->error);
	else if (state != STATUS_OK)
		status_judge(item, state, remedy_of(worst), "%s %s %s", worst->what, verb,
		             age_format(worst->time, facts->now, age));
}

void
status_decide_ends(Decision *decision)
{
	decide(decision, "certificates", true);
	decide(decision, "credentials", false);
}
