/* What "walship check" found, result by result. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"

typedef enum CheckResult
{
	CHECK_OK,
	CHECK_WARN, /* works, but somebody should know */
	CHECK_FAIL,
} CheckResult;

typedef struct Check
{
	const char *name; /* a constant */
	CheckResult result;
	char *detail; /* NULL: nothing to be said */
	char *hint;   /* the remedy; NULL: none */
} Check;

typedef struct CheckReport
{
	Check *checks;
	size_t count;
	size_t capacity;
} CheckReport;

/* Detail and hint are given away; both may be NULL. */
void check_report_add(CheckReport *report, const char *name, CheckResult result, char *detail, char *hint);

/* An error is CHECK_FAIL, with its hint; without one it is CHECK_OK and "detail", which is copied.  The error is given away. */
void check_report_error(CheckReport *report, const char *name, Error *error, const char *detail);

/* Nothing was found out, which is CHECK_WARN.  The error is given away. */
void check_report_unknown(CheckReport *report, const char *name, Error *error, const char *hint);

bool check_report_failed(const CheckReport *report);

/* "2 of 17 checks failed: archiver, store" */
void check_report_summarize(const CheckReport *report, Buf *into);

/* On standard output. */
void check_report_print_text(const CheckReport *report);
void check_report_print_json(const CheckReport *report); /* docs/json.md */

void check_report_release(CheckReport *report);
