/*
 * SQL of the user's own: "NAME.sql", run in database "postgres" or in the one that
 * its first line names ("-- database: shop").  Beside it may lie "NAME.expected",
 * what it prints: a line for each row, values separated by '|'.  Without that every
 * statement that returns rows returns one row, true.
 */
#include <string.h>

#include "drill_steps.h"
#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define SQL_MAX      (1024 * 1024)
#define OUTPUT_MAX   (16 * 1024 * 1024)
#define DATABASE_IS  "-- database: "
#define SQL_SUFFIX   ".sql"
#define SHOWN_LENGTH 80

static char *
database_of(const char *sql)
{
	if (!str_starts_with(sql, DATABASE_IS))
		return mem_strdup("postgres");
	sql += strlen(DATABASE_IS);
	return mem_strndup(sql, strcspn(sql, "\r\n"));
}

static void
print_results(const ServerResults *results, Buf *into)
{
	buf_puts(into, "");
	for (size_t i = 0; i < results->count; i++)
	{
		const ServerRows *rows = &results->items[i];

		for (size_t j = 0; j < rows->count * rows->columns; j++)
			buf_printf(into, "%s%s", rows->values[j] != NULL ? rows->values[j] : "",
			           (j + 1) % rows->columns == 0 ? "\n" : "|");
	}
}

static void
compare(const char *name, const ServerResults *results, const Buf *expected, DrillReport *report)
{
	AUTO_BUF(output, OUTPUT_MAX);

	print_results(results, &output);
	if (output.overflowed)
		drill_finding(report, DRILL_SQL, "%s: its result is too long to be compared", name);
	else if (strcmp(output.data, expected->data == NULL ? "" : expected->data) != 0)
		drill_finding(
			report, DRILL_SQL, "%s: its result is not what its .expected says; it begins with \"%.*s\"", name,
			(int) (strcspn(output.data, "\n") < SHOWN_LENGTH ? strcspn(output.data, "\n") : SHOWN_LENGTH),
			output.data);
}

static void
check_true(const char *name, const ServerResults *results, DrillReport *report)
{
	for (size_t i = 0; i < results->count; i++)
	{
		const ServerRows *rows = &results->items[i];
		const char *value = rows->count == 1 && rows->columns == 1 ? rows->values[0] : NULL;

		if (rows->columns > 0 && !str_equal(value, "t"))
			drill_finding(report, DRILL_SQL, "%s: statement %zu did not return true but %s", name, i + 1,
			              rows->count != 1 || rows->columns != 1 ? "other than one value"
			              : value == NULL                        ? "NULL"
			              : strcmp(value, "f") == 0              ? "false"
			                                                     : value);
	}
}

static Error *
run_file(PrivateServer *server, const char *directory, const char *name, DrillReport *report)
{
	AUTO_FREE char *path = path_join(directory, name);
	AUTO_FREE char *expected_path =
		mem_printf("%.*s.expected", (int) (strlen(path) - strlen(SQL_SUFFIX)), path);
	AUTO_BUF(sql, SQL_MAX);
	AUTO_BUF(expected, OUTPUT_MAX);
	AUTO_RESULTS results = {0};
	AUTO(Server) connection = NULL;

	TRY(file_read_all(path, &sql));
	if (sql.size == 0)
		return NULL;

	AUTO_FREE char *database = database_of(sql.data);
	Error *error = private_server_connect(server, database, &connection);

	if (error == NULL)
		error = server_run(connection, sql.data, -1, &results);
	if (error_is(error, ERR_CANCELLED))
		return error;
	report->checks[DRILL_SQL].checked++;
	if (error != NULL)
	{
		drill_finding(report, DRILL_SQL, "%s: %s", name, error_message(error));
		error_free(error);
		return NULL;
	}
	if (!file_exists(expected_path))
	{
		check_true(name, &results, report);
		return NULL;
	}
	TRY(file_read_all(expected_path, &expected));
	compare(name, &results, &expected, report);
	return NULL;
}

Error *
drill_check_sql(PrivateServer *server, const char *directory, DrillReport *report)
{
	AUTO_STRLIST names = {0};

	if (directory == NULL)
	{
		drill_note(report, DRILL_SQL,
		           "setting \"drill_dir\" is not set: there are no statements of your own");
		return NULL;
	}

	/* A directory that is set and is not there is a mistake that must not look like success. */
	Error *error = dir_list(directory, &names);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return error_new(ERR_USAGE, "directory \"%s\" of setting \"drill_dir\" does not exist", directory);
	}
	TRY(error);
	for (size_t i = 0; i < names.count; i++)
		if (str_ends_with(names.items[i], SQL_SUFFIX))
			TRY(run_file(server, directory, names.items[i], report));
	return NULL;
}
