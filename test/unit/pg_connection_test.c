/* What a server's refusals mean to walship. */
#include "connection.h"

#include "scratch.h"

static void
an_sqlstate_decides_the_kind_of_error(void **state)
{
	static const struct
	{
		const char *name;
		const char *sqlstate;
		ErrorKind expected;
	} cases[] = {
		{"connection lost", NULL, ERR_TRANSIENT},
		{"no pg_hba.conf entry", "28000", ERR_DENIED},
		{"wrong password", "28P01", ERR_DENIED},
		{"no privilege", "42501", ERR_DENIED},
		{"syntax error", "42601", ERR_USAGE},
		{"not supported", "0A000", ERR_USAGE},
		{"invalid value", "22023", ERR_USAGE},
		{"too many connections", "53300", ERR_TRANSIENT},
		{"starting up", "57P03", ERR_TRANSIENT},
		{"WAL segment removed", "58P01", ERR_TRANSIENT},
		{"standby was promoted", "55000", ERR_TRANSIENT},
		{"page checksums", "XX001", ERR_CORRUPT},
		{"internal error", "XX000", ERR_TRANSIENT},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		if (server_error_kind(cases[i].sqlstate) != cases[i].expected)
			fail_msg("%s", cases[i].name);
	}
}

static void
the_sqlstate_is_found_in_verbose_text_of_any_language(void **state)
{
	static const struct
	{
		const char *name;
		const char *text;
		const char *expected; /* NULL: none */
	} cases[] = {
		{"English",
	     "connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: FATAL:  28000: no pg_hba.conf entry\n"
	     "LOCATION:  ClientAuthentication, auth.c:543\n",
	     "28000"},
		{"French",
	     "la connexion au serveur a échoué : FATAL:  28P01: authentification par mot de passe échouée\n",
	     "28P01"},
		{"several hosts, the last one refuses",
	     "connection to server at \"a\", port 5432 failed: Connection refused\n"
	     "connection to server at \"b\", port 5432 failed: FATAL:  53300: sorry, too many clients already\n",
	     "53300"},
		{"refused by the system",
	     "connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n", NULL},
		{"no code, but blanks", "FATAL:  the database system is starting up\n", NULL},
		{"code cut off", "FATAL:  2800", NULL},
		{"nothing", "", NULL},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		char found[6] = "";
		bool any = server_find_sqlstate(cases[i].text, found);

		if (any != (cases[i].expected != NULL) || (any && strcmp(found, cases[i].expected) != 0))
			fail_msg("%s: \"%s\"", cases[i].name, found);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_sqlstate_decides_the_kind_of_error),
		cmocka_unit_test(the_sqlstate_is_found_in_verbose_text_of_any_language),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
