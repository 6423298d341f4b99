/* What can be recovered, as "walship list" shows it. */
#include "plan_world.h"

typedef struct WindowRow
{
	const char *name;
	const char *world;
	const char *expected; /* per timeline: "1: A 2.6-10.0 @26-82; gap 1:4-5" and so on */
} WindowRow;

static const WindowRow rows[] = {
	{"one window from the oldest backup to the end",
     "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26\nbackup B 1@5.1-5.6 50-56\ncommit 1@3.2 32 1\ncommit 1@8.2 82 2\n",
     "1: own 1.0-10.0 @32-82, A 2.6-10.0 @26-82\n"},
	{"a gap makes two windows",
     "tli 1: 1-3\ntli 1: 5-9\nbackup A 1@2.1-2.6 20-26\nbackup B 1@5.1-5.6 50-56\ncommit 1@3.2 32 1\ncommit 1@8.2 82 2\n",
     "1: own 1.0-10.0 @32-82, A 2.6-4.0 @26-32, B 5.6-10.0 @56-82, gap 1:4-4\n"},
	{"no backup, no window", "tli 1: 1-3\n", "1: own 1.0-4.0 @?-?\n"},
	{"no commit after the backup", "tli 1: 1-3\nbackup A 1@2.1-2.6 20-26\ncommit 1@1.2 12 1\n",
     "1: own 1.0-4.0 @12-12, A 2.6-4.0 @26-26\n"},
	{"a backup alone recovers to its end", "backup A 1@2.1-2.6 20-26 inside\n", "1: A 2.6-2.6 @26-?\n"},
	{"a backup without its WAL recovers nothing", "backup A 1@2.1-2.6 20-26\n", "1:\n"},
	{"a failover goes on in the new timeline",
     "tli 1: 1-6\nfork 2 1@7.5\ntli 2: 7-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 1\ncommit 2@8.2 82 2\n",
     "1: own 1.0-7.0 @32-32, A 2.6-7.0 @26-32\n2: own 7.0-10.0 @82-82, A 2.6-10.0 @26-82\n"},
	{"a tail that was never archived is a gap",
     "tli 1: 1-4\nfork 2 1@7.5\ntli 2: 7-9\nbackup A 1@2.1-2.6 20-26\n",
     "1: own 1.0-5.0 @?-?, A 2.6-5.0 @26-?, gap 1:5-6\n2: own 7.0-10.0 @?-?, A 2.6-5.0 @26-?, gap 1:5-6\n"},
	{"a gap that only a partial proves", "tli 1: 1-4\npartial 1@7\nbackup A 1@2.1-2.6 20-26\n",
     "1: own 1.0-5.0 @?-?, A 2.6-5.0 @26-?, gap 1:5-6\n"},
	{"a gap that only a backup file proves", "tli 1: 1-4\nlabel 1@6\nbackup A 1@2.1-2.6 20-26\n",
     "1: own 1.0-5.0 @?-?, A 2.6-5.0 @26-?, gap 1:5-5\n"},
	{"a partial of the next segment is the end", "tli 1: 1-4\npartial 1@5\nbackup A 1@2.1-2.6 20-26\n",
     "1: own 1.0-5.0 @?-?, A 2.6-5.0 @26-?\n"},
	{"damaged WAL in the middle bounds the window",
     "runs\ntli 1: 1-9\nbackup A 1@2.1-2.6 20-26\nbackup B 1@7.1-7.6 70-76\ncommit 1@3.2 32 1\ncommit 1@8.2 82 2\n"
     "damaged 1@5.8\n",
     "1: own 1.0-10.0 @32-82, A 2.6-5.8 @26-32, B 7.6-10.0 @76-82\n"},
	{"the latest commit need not be the last one",
     "runs\ntli 1: 1-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 92 1\ncommit 1@8.2 82 2\n",
     "1: own 1.0-10.0 @92-82, A 2.6-10.0 @26-92\n"},
	{"a late commit before the backup is not the window's",
     "runs\ntli 1: 1-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@1.2 92 1\ncommit 1@8.2 82 2\n",
     "1: own 1.0-10.0 @92-82, A 2.6-10.0 @26-82\n"},
	{"what happened in WAL of an unknown PostgreSQL is not known",
     "runs\ntli 1: 1-9\nbackup A 1@2.1-2.6 20-26\nbackup B 1@7.1-7.6 70-76\ncommit 1@3.2 32 1\ncommit 1@8.2 82 2\n"
     "foreign 1@5\nforeign 1@6\n",
     "1: own 1.0-10.0 @32-82, unread 2 5-6, A 2.6-10.0 @26-?\n"},
	{"nor when it is the last", "tli 1: 1-4\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 1\nforeign 1@4\n",
     "1: own 1.0-5.0 @32-?, unread 1 4-4, A 2.6-5.0 @26-?\n"},
	{"a backup of which objects are missing opens no window",
     "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26 gone\nbackup B 1@5.1-5.6 50-56\ncommit 1@3.2 32 1\ncommit 1@8.2 82 2\n",
     "1: own 1.0-10.0 @32-82, B 5.6-10.0 @56-82\n"},
	{"wal_level = minimal ends the window before it, and its commits are not promised",
     "runs\ntli 1: 1-9\nbackup A 1@2.1-2.6 20-26\nbackup B 1@7.1-7.6 70-76\ncommit 1@3.2 32 1\ncommit 1@5.9 59 2\n"
     "minimal 1@5.8\ncommit 1@8.2 82 3\n",
     "1: own 1.0-10.0 @32-82, A 2.6-5.8 @26-32, B 7.6-10.0 @76-82\n"},
	{"damaged WAL at the end bounds the window",
     "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@3.2 32 1\ndamaged 1@9.8\n",
     "1: own 1.0-10.0 @32-32, A 2.6-9.8 @26-32\n"},
};

static void
append_place(XLogRecPtr lsn, Buf *into)
{
	buf_printf(into, "%u.%x", (unsigned) (lsn / WORLD_SEGMENT),
	           (unsigned) (lsn % WORLD_SEGMENT / WORLD_PART));
}

static void
append_second(TimeUs time, Buf *into)
{
	if (time == TIME_NONE)
		buf_putc(into, '?');
	else
		buf_printf(into, "%d", (int) ((time - WORLD_EPOCH) / 1000000));
}

static void
append_range(const char *what, XLogRecPtr from, XLogRecPtr to, TimeUs from_time, TimeUs to_time, Buf *into)
{
	buf_printf(into, "%s %s ", into->data[into->size - 1] == ':' ? "" : ",", what);
	append_place(from, into);
	buf_putc(into, '-');
	append_place(to, into);
	buf_puts(into, " @");
	append_second(from_time, into);
	buf_putc(into, '-');
	append_second(to_time, into);
}

static void
summarize(const WindowList *list, Buf *into)
{
	for (size_t i = 0; i < list->n_timelines; i++)
	{
		const TimelineWindows *timeline = &list->timelines[i];

		buf_printf(into, "%u:", timeline->timeline);
		if (timeline->last_lsn != 0)
			append_range("own", timeline->first_lsn, timeline->last_lsn, timeline->first_commit,
			             timeline->last_commit, into);
		if (timeline->n_foreign > 0)
			buf_printf(into, ", unread %u %u-%u", (unsigned) timeline->n_foreign,
			           (unsigned) timeline->first_foreign, (unsigned) timeline->last_foreign);
		for (size_t j = 0; j < timeline->n_windows; j++)
			append_range(timeline->windows[j].backup->id, timeline->windows[j].from_lsn,
			             timeline->windows[j].to_lsn, timeline->windows[j].from_time,
			             timeline->windows[j].to_time, into);
		for (size_t j = 0; j < timeline->n_gaps; j++)
			buf_printf(into, ", gap %u:%u-%u", timeline->gaps[j].timeline, (unsigned) timeline->gaps[j].first,
			           (unsigned) timeline->gaps[j].last);
		buf_putc(into, '\n');
	}
}

static void
squeeze(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; from++)
		if (!(from[0] == ' ' && from[1] == ' '))
			*to++ = *from;
	*to = '\0';
}

static void
check_row(void **state)
{
	const WindowRow *row = *state;
	AUTO(World) world = world_new(row->world);
	AUTO(WalFacts) facts = world_facts(world);
	WindowList list;
	AUTO_BUF(text, 4096);

	assert_ok(plan_windows(&world->catalog, facts, &list));
	assert_int_equal(world->records, 0);
	summarize(&list, &text);
	squeeze(text.data);
	window_list_release(&list);
	assert_string_equal(text.data, row->expected);
}

int
main(void)
{
	struct CMUnitTest tests[lengthof(rows)];

	/* cmocka keeps the state as a plain pointer; nobody writes through it. */
	for (size_t i = 0; i < lengthof(rows); i++)
		tests[i] = (struct CMUnitTest){rows[i].name, check_row, NULL, NULL, (void *) (uintptr_t) &rows[i]};
	return _cmocka_run_group_tests("plan_windows", tests, lengthof(rows), NULL, NULL);
}
