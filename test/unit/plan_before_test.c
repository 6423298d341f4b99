/* Recovery to just before a record, such as the commit of a DROP: what the server is told to do. */
#include "plan_world.h"

#define BEFORE_XID 799

typedef struct BeforeRow
{
	const char *name;
	const char *world;
	XLogRecPtr lsn;
	TimeLineID timeline;
	const char
		*expected; /* backup, what is written, the last transaction included; or a part of the message */
} BeforeRow;

/* The drop's record is at 8.2, as a commit of 799. */
#define PLAIN                    \
	"tli 1: 1-9\n"               \
	"backup A 1@2.1-2.6 20-26\n" \
	"backup B 1@5.1-5.6 50-56\n" \
	"commit 1@3.2 32 700\n"      \
	"commit 1@6.2 62 702\n"      \
	"commit 1@8.2 82 799\n"      \
	"commit 1@8.4 84 703\n"

static const BeforeRow rows[] = {
	{"the last commit before it, though far away", PLAIN, PLACE(8, 2), 1, "B: up to 6.2, last 702"},
	{"a commit just before it, in the same segment", PLAIN "commit 1@8.1 81 704\n", PLACE(8, 2), 1,
     "B: up to 8.1, last 704"},
	{"not one that comes after it, though its time is earlier", PLAIN "commit 1@8.3 10 705\n", PLACE(8, 2), 1,
     "B: up to 6.2, last 702"},
	{"a record between, such as that of a dropped database, is left out", PLAIN, PLACE(7, 0), 1,
     "B: up to 6.2, last 702"},
	{"a backup that ended after it does not serve", PLAIN, PLACE(5, 3), 1, "A: up to 3.2, last 700"},
	{"no commit since the backup: its end is the place",
     "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@4.2 42 799\n", PLACE(4, 2), 1, "A: immediate, last -"},
	{"no commit since a standby's backup: just before the backup's end",
     "tli 1: 1-9\nbackup A 1@2.1-2.6 20-26 standby\ncommit 1@4.2 42 799\n", PLACE(4, 2), 1,
     "A: before 2.6, last -"},
	{"a record over a segment's end that is no commit", PLAIN "continues 1@7\n", PLACE(8, 2), 1,
     "B: up to 6.2, last 702"},
	{"a commit that the index of its segment cannot tell", PLAIN "hidden 1@7.f 75 777 8.1\n", PLACE(8, 2), 1,
     "B: up to 7.f, last 777"},
	{"a commit over two segments' ends", PLAIN "commit 1@6.f 75 777 8.1\n", PLACE(8, 2), 1,
     "B: up to 6.f, last 777"},
	{"a drop whose own record goes over two segments' ends", PLAIN "commit 1@6.f 75 799 8.1\n", PLACE(6, 15),
     1, "B: up to 6.2, last 702"},
	{"a drop whose own record ends in WAL that is not in the store", PLAIN "commit 1@9.f 95 799 10.1\n",
     PLACE(9, 15), 1, "B: up to 8.4, last 703"},
	{"a record that was given up is no commit", PLAIN "givenup 1@7\n", PLACE(8, 2), 1,
     "B: up to 6.2, last 702"},
	{"before every backup it is refused", PLAIN, PLACE(2, 3), 1, "no backup can be used that ended before"},
	{"behind a hole it is refused", "tli 1: 1-5\ntli 1: 7-9\nbackup A 1@2.1-2.6 20-26\ncommit 1@8.2 82 799\n",
     PLACE(8, 2), 1, "cannot be reached"},
	{"on the timeline where it happened, though another one left it before",
     "tli 1: 1-9\nfork 2 1@7.5\ntli 2: 7-12\nbackup A 1@2.1-2.6 20-26\ncommit 1@7.2 72 701\ncommit 1@8.2 82 799\n"
     "commit 2@8.1 181 799\n",
     PLACE(8, 2), 1, "A: up to 7.2, last 701"},
};

static void
append_target(const RecoveryPlan *plan, Buf *into)
{
	const RecoveryTarget *target = &plan->target;

	if (target->kind == TARGET_IMMEDIATE)
		buf_puts(into, "immediate");
	else
		buf_printf(into, "%s %u.%x", target->inclusive ? "up to" : "before",
		           (unsigned) (target->lsn / WORLD_SEGMENT),
		           (unsigned) (target->lsn % WORLD_SEGMENT / WORLD_PART));
	assert_true(target->kind == TARGET_IMMEDIATE || target->kind == TARGET_LSN);
}

static void
check_row(void **state)
{
	const BeforeRow *row = *state;
	RecoveryRequest request = {.target = {.kind = TARGET_BEFORE, .lsn = row->lsn, .xid = BEFORE_XID},
	                           .timeline = row->timeline,
	                           .now = SECOND(9000)};
	AUTO(World) world = world_new(row->world);
	AUTO(RecoveryPlan) plan = NULL;
	AUTO(Error) error = world_plan(world, &request, &plan);
	AUTO_BUF(said, 4096);

	if (error != NULL)
	{
		assert_true(error_is(error, ERR_NOT_FOUND));
		if (strstr(error_message(error), row->expected) == NULL)
			fail_msg("%s", error_message(error));
		return;
	}
	buf_printf(&said, "%s: ", plan->backup->id);
	append_target(plan, &said);
	if (plan->last.lsn == InvalidXLogRecPtr)
		buf_puts(&said, ", last -");
	else
		buf_printf(&said, ", last %u", plan->last.xid);
	assert_string_equal(said.data, row->expected);
	assert_int_equal(plan->asked.kind, TARGET_BEFORE);
	assert_int_equal(plan->stop.xid, BEFORE_XID);
}

int
main(void)
{
	struct CMUnitTest tests[lengthof(rows)];

	for (size_t i = 0; i < lengthof(rows); i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = check_row, .initial_state = (void *) &rows[i]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
