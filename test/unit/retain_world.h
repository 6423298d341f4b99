/*
 * Archives for the tests of retention: plan_world.h, with days and hours in place of
 * seconds ("3d2h" is 26 + 48 hours after 2026-11-20 00:00 UTC, a Friday), and more lines:
 *
 *	modified 1 9d20h	when the last WAL of timeline 1 came into the store
 *	pin A 30d|- note	pinned until then, or for ever
 *	lease A 1@3.0		a recovery reads backup A and the WAL of timeline 1 from there on; "-": no backup
 *	unfinished X 9d		an unfinished backup whose last object came then
 */
#pragma once

#include <ctype.h>

#include "plan_world.h"
#include "walship/plan/retain.h"

#define DAY(n) SECOND(INT64_C(86400) * (n))

typedef struct RetainWorld
{
	World *world;
	RetainPin pins[8];
	RetainLease leases[8];
	RetainUnfinished unfinished[8];
	char texts[32][32];
	size_t n_texts;
	RetainRequest request;
} RetainWorld;

/* Every "3d" and "3d2h" that begins a word or follows a '-' becomes seconds; the caller frees. */
static inline char *
retain_seconds(const char *text)
{
	Buf out;

	buf_init(&out, 1 << 20);
	for (const char *c = text; *c != '\0';)
	{
		char *end;
		bool begins = c > text && (c[-1] == ' ' || c[-1] == '-');
		unsigned long days = begins && isdigit((unsigned char) *c) ? strtoul(c, &end, 10) : 0;
		unsigned long hours = 0;

		if (!begins || !isdigit((unsigned char) *c) || *end != 'd')
		{
			buf_putc(&out, *c++);
			continue;
		}
		c = end + 1;
		if (isdigit((unsigned char) *c))
		{
			hours = strtoul(c, &end, 10);
			c = end + (*end == 'h');
		}
		buf_printf(&out, "%lu", days * 86400 + hours * 3600);
	}
	return buf_steal(&out);
}

static inline const char *
retain_keep_text(RetainWorld *world, const char *text)
{
	assert_true(world->n_texts < lengthof(world->texts));
	(void) snprintf(world->texts[world->n_texts], sizeof(world->texts[0]), "%s", text);
	return world->texts[world->n_texts++];
}

static inline bool
retain_world_line(RetainWorld *world, const char *line)
{
	char id[32];
	char until[32];
	char note[32] = "";
	unsigned timeline;
	unsigned segno;
	unsigned part;
	unsigned second;
	RetainRequest *request = &world->request;

	if (sscanf(line, "modified %u %u", &timeline, &second) == 2)
		world_timeline(world->world, timeline)->last_modified = SECOND(second);
	else if (sscanf(line, "pin %31s %31s %31s", id, until, note) >= 2)
		world->pins[request->n_pins++] = (RetainPin){
			retain_keep_text(world, id), until[0] == '-' ? TIME_NONE : SECOND(strtol(until, NULL, 10)),
			note[0] == '\0' ? NULL : retain_keep_text(world, note)};
	else if (sscanf(line, "lease %31s %u@%u.%x", id, &timeline, &segno, &part) == 4)
		world->leases[request->n_leases++] = (RetainLease){
			"a recovery", id[0] == '-' ? NULL : retain_keep_text(world, id), timeline, PLACE(segno, part)};
	else if (sscanf(line, "unfinished %31s %u", id, &second) == 2)
		world->unfinished[request->n_unfinished++] =
			(RetainUnfinished){retain_keep_text(world, id), SECOND(second), 1, 500};
	else
		return false;
	return true;
}

static inline RetainWorld *
retain_world_new(const char *text)
{
	RetainWorld *world = NEW(RetainWorld);
	AUTO_FREE char *seconds = retain_seconds(text);
	char *rest = NULL;

	world->world = world_new("");
	for (char *line = strtok_r(seconds, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		if (!retain_world_line(world, line))
			world_add_line(world->world, line);
	world->request.pins = world->pins;
	world->request.leases = world->leases;
	world->request.unfinished = world->unfinished;
	return world;
}

static inline void
retain_world_free(RetainWorld *world)
{
	world_free(world->world);
	free(world);
}
AUTO_DEFINE(RetainWorld, retain_world_free);

static inline RetainPlan *
retain_world_plan(RetainWorld *world)
{
	AUTO(WalFacts) facts = world_facts(world->world);
	RetainPlan *plan;

	assert_ok(plan_retain(&world->world->catalog, &world->request, facts, &plan));
	return plan;
}
