/* Results for people and for programs. */
#include "check_report.h"

#include <stdio.h>

#include "table.h"
#include "walship/base/mem.h"

#define REPORT_FORMAT 1
#define VERDICT_MAX   4096

static const char *const results[] = {[CHECK_OK] = "OK", [CHECK_WARN] = "WARN", [CHECK_FAIL] = "FAIL"};

void
check_report_add(CheckReport *report, const char *name, CheckResult result, char *detail, char *hint)
{
	GROW(report->checks, report->count, report->capacity);
	report->checks[report->count++] = (Check){.name = name, .result = result, .detail = detail, .hint = hint};
}

void
check_report_error(CheckReport *report, const char *name, Error *error, const char *detail)
{
	if (error == NULL)
		check_report_add(report, name, CHECK_OK, mem_strdup(detail), NULL);
	else
		check_report_add(report, name, CHECK_FAIL, mem_strdup(error_message(error)),
		                 mem_strdup(error_get_hint(error)));
	error_free(error);
}

void
check_report_unknown(CheckReport *report, const char *name, Error *error, const char *hint)
{
	check_report_add(report, name, CHECK_WARN, mem_printf("not looked at: %s", error_message(error)),
	                 mem_strdup(hint != NULL ? hint : error_get_hint(error)));
	error_free(error);
}

static size_t
count_results(const CheckReport *report, CheckResult result)
{
	size_t count = 0;

	for (size_t i = 0; i < report->count; i++)
		count += report->checks[i].result == result;
	return count;
}

bool
check_report_failed(const CheckReport *report)
{
	return count_results(report, CHECK_FAIL) > 0;
}

static void
put_verdict(const CheckReport *report, Buf *into)
{
	size_t failed = count_results(report, CHECK_FAIL);
	size_t warned = count_results(report, CHECK_WARN);

	if (failed > 0)
		buf_printf(into, "%zu of %zu checks failed", failed, report->count);
	else if (warned > 0)
		buf_printf(into, "Everything works; %zu warning%s", warned, warned == 1 ? "" : "s");
	else
		buf_puts(into, "Everything is in place");
}

void
check_report_summarize(const CheckReport *report, Buf *into)
{
	const char *separator = ": ";

	put_verdict(report, into);
	for (size_t i = 0; i < report->count; i++)
		if (report->checks[i].result == CHECK_FAIL)
		{
			buf_printf(into, "%s%s", separator, report->checks[i].name);
			separator = ", ";
		}
}

void
check_report_print_text(const CheckReport *report)
{
	AUTO_BUF(verdict, VERDICT_MAX);

	put_verdict(report, &verdict);
	print_line(stdout, "%s.", verdict.data);
	(void) fputs("\n", stdout);
	for (size_t i = 0; i < report->count; i++)
	{
		const Check *check = &report->checks[i];

		print_line(stdout, "%-4s  %-15s  %s", results[check->result], check->name,
		           check->detail == NULL ? "" : check->detail);
		if (check->hint != NULL)
			print_line(stdout, "      %-15s  %s", "", check->hint);
	}
}

void
check_report_print_json(const CheckReport *report)
{
	AUTO(Json) root = json_new_object();
	Json *array;

	json_add_int(root, "format", REPORT_FORMAT);
	array = json_add_array(root, "checks");
	for (size_t i = 0; i < report->count; i++)
	{
		const Check *check = &report->checks[i];
		Json *item = json_add_object(array, NULL);

		json_add_string(item, "check", check->name);
		json_add_bool(item, "ok", check->result != CHECK_FAIL);
		json_add_string(item, "result", results[check->result]);
		json_add_string(item, "detail", check->detail);
		if (check->hint != NULL)
			json_add_string(item, "hint", check->hint);
	}
	json_add_bool(root, "ok", !check_report_failed(report));
	print_object(root, stdout);
}

void
check_report_release(CheckReport *report)
{
	for (size_t i = 0; i < report->count; i++)
	{
		free(report->checks[i].detail);
		free(report->checks[i].hint);
	}
	free(report->checks);
}
