/* Who was initdb's superuser, and which tablespaces there were. */
#include "walship/backup/dump_globals.h"

#include "scratch.h"
#include "walship/base/buf.h"

#define ALL " WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS"

static void
superuser_and_tablespaces_are_found(void **state)
{
	static const struct
	{
		const char *text;
		const char *superuser;
		const char *tablespaces; /* each with a line end */
	} rows[] = {
		{"", "postgres", ""},
		{"CREATE ROLE admin;\nALTER ROLE admin" ALL " PASSWORD 'x';\n", "admin", ""},
		{"ALTER ROLE \"The \"\"boss\"\"\"" ALL ";", "The \"boss\"", ""},
		{"ALTER ROLE a WITH NOSUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS;\n",
	     "postgres", ""},
		{"ALTER ROLE a WITH SUPERUSER INHERIT CREATEROLE CREATEDB NOLOGIN REPLICATION BYPASSRLS;\n",
	     "postgres", ""},
		{"ALTER ROLE a WITH SUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS;\n"
	     "ALTER ROLE b" ALL ";\nALTER ROLE c" ALL ";\n",
	     "b", ""},
		{"ALTER ROLE admin" ALL ";\nALTER ROLE postgres" ALL
	     ";\nALTER ROLE postgres SET work_mem TO '1MB';\n",
	     "postgres", ""},
		{"ALTER ROLE admin" ALL ";\nALTER ROLE postgres WITH NOSUPERUSER INHERIT LOGIN ;\n", "admin", ""},
		{"CREATE TABLESPACE fast OWNER postgres LOCATION '/fast';\n"
	     "CREATE TABLESPACE \"Two \"\"w\" OWNER a LOCATION '/x';\nCREATE TABLESPACE \"open",
	     "postgres", "fast\n\"Two \"\"w\"\n"},
		{"x CREATE TABLESPACE a OWNER b;\nCREATE TABLESPACE ;\n", "postgres", ""},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_DUMP_GLOBALS globals = {0};
		AUTO_BUF(tablespaces, 1000);

		dump_globals_parse(rows[i].text, &globals);
		buf_puts(&tablespaces, "");
		for (size_t j = 0; j < globals.tablespaces.count; j++)
			buf_printf(&tablespaces, "%s\n", globals.tablespaces.items[j]);
		assert_string_equal(globals.superuser, rows[i].superuser);
		assert_string_equal(tablespaces.data, rows[i].tablespaces);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(superuser_and_tablespaces_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
