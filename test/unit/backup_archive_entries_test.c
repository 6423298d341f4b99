/* Which lines of "pg_restore --list" belong to a table. */
#include "archive_entries.h"

#include "scratch.h"

/* As pg_restore 15 printed them. */
static const char list[] = ";\n"
						   "; Archive created at 2026-11-29 09:00:00 UTC\n"
						   ";     Dumped from database version: 15.18\n"
						   ";\n"
						   "6; 2615 16385 SCHEMA - ur s shop\n"
						   "215; 1259 16386 TABLE public orders shop\n"
						   "3400; 0 0 COMMENT public TABLE orders shop\n"
						   "3401; 0 0 COMMENT public COLUMN orders.id shop\n"
						   "3402; 0 0 ACL public TABLE orders shop\n"
						   "3403; 0 0 ACL public TABLE orders_old shop\n"
						   "216; 1259 16390 SEQUENCE public orders_id_seq shop\n"
						   "3404; 0 0 SEQUENCE OWNED BY public orders_id_seq shop\n"
						   "217; 1259 16391 TABLE public parted shop\n"
						   "218; 1259 16392 TABLE public parted 1 shop\n"
						   "3300; 0 0 TABLE ATTACH public parted 1 shop\n"
						   "3200; 2604 16393 DEFAULT public orders id shop\n"
						   "3350; 0 16386 TABLE DATA public orders shop\n"
						   "3351; 0 16392 TABLE DATA public parted 1 shop\n"
						   "3352; 0 0 SEQUENCE SET public orders_id_seq shop\n"
						   "3353; 2606 16394 CONSTRAINT public orders orders_pkey shop\n"
						   "3354; 1259 16395 INDEX public orders_i shop\n"
						   "3355; 2606 16396 FK CONSTRAINT public orders orders_fk shop\n"
						   "3356; 2620 16397 TRIGGER public orders t shop\n"
						   "3357; 1255 16394 FUNCTION public f() shop\n"
						   "3359; 0 0 STATISTICS DATA public orders shop\n"
						   "3360; 0 0 STATISTICS DATA public orders_i shop\n"
						   "3361; 0 0 STATISTICS DATA public orders_old shop\n"
						   "3358; 0 0 INDEX ATTACH public parted 1_n shop\n";

static DumpPart orders_parts[] = {{16390, (char *) "orders_id_seq"},
                                  {16393, NULL},
                                  {16394, (char *) "orders_pkey"},
                                  {16395, (char *) "orders_i"}};
static DumpPart parted_parts[] = {{16398, (char *) "parted\n1_n"}};

static DumpTableFacts tables[] = {
	{.oid = 16386,
     .schema = (char *) "public",
     .name = (char *) "orders",
     .parts = orders_parts,
     .n_parts = 4},
	{.oid = 16391, .schema = (char *) "public", .name = (char *) "parted"},
	{.oid = 16392,
     .schema = (char *) "public",
     .name = (char *) "parted\n1",
     .parent = 16391,
     .parts = parted_parts,
     .n_parts = 1},
	{.oid = 16400, .schema = (char *) "ur\ns", .name = (char *) "twice"},
	{.oid = 16401, .schema = (char *) "b", .name = (char *) "twice"},
};
static const DumpDatabaseFacts database = {.name = (char *) "shop", .tables = tables, .n_tables = 5};

/* The numbers of the selected lines. */
static void
assert_selected(const char *name, bool with_schema, const char *expected)
{
	AUTO_TABLES choice = {0};
	AUTO_BUF(lines, 65536);
	AUTO_BUF(numbers, 65536);
	size_t count;

	assert_ok(table_choice_make(&database, name, &choice));
	archive_entries_select(list, &choice, with_schema, &lines, &count);
	buf_puts(&numbers, "");
	for (const char *line = lines.data; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1)
		buf_printf(&numbers, "%.*s ", (int) strcspn(line, ";"), line);
	assert_string_equal(numbers.data, expected);
}

static void
a_table_has_its_own_entries(void **state)
{
	(void) state;
	assert_selected("orders", false, "215 3400 3401 3402 216 3404 3200 3350 3352 3353 3354 3359 3360 ");
	assert_selected("public.orders", true, "215 3400 3401 3402 216 3404 3200 3350 3352 3353 3354 3359 3360 ");
	assert_selected("ur\ns.twice", true, "6 ");
}

static void
a_partitioned_table_has_its_partitions(void **state)
{
	(void) state;
	assert_selected("parted", false, "217 218 3300 3351 3358 ");
	assert_selected("parted\n1", false, "218 3300 3351 3358 ");
}

static void
a_name_must_be_one_tables(void **state)
{
	AUTO_TABLES choice = {0};

	(void) state;
	assert_error(table_choice_make(&database, "nothing", &choice), ERR_NOT_FOUND, "no table \"nothing\"");
	assert_error(table_choice_make(&database, "twice", &choice), ERR_USAGE, "2 tables \"twice\"");
	assert_error(table_choice_make(&database, "public.twice", &choice), ERR_NOT_FOUND, "no table");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_has_its_own_entries),
		cmocka_unit_test(a_partitioned_table_has_its_partitions),
		cmocka_unit_test(a_name_must_be_one_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
