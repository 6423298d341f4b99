/* Retention lines: text to values and back; see walship/base/retention.h. */
#include "walship/base/retention.h"

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/base/strs.h"

#define COUNT_MAX  10000
#define LINE_CAP   4096
#define LONGEST_MS (INT64_C(100) * 366 * 24 * 3600 * 1000)
#define RULE_FORM  "Write some of: window 7d, within 30d, last 3, daily 7, weekly 4, monthly 12, yearly 3."
#define FIELD(p)   offsetof(RetentionPolicy, p)

/* In the order of the canonical form. */
static const struct
{
	const char *word;
	size_t offset;
	bool is_duration;
} rules[] = {
	{"window", FIELD(window_ms), true}, {"within", FIELD(within_ms), true},
	{"last", FIELD(last), false},       {"daily", FIELD(daily), false},
	{"weekly", FIELD(weekly), false},   {"monthly", FIELD(monthly), false},
	{"yearly", FIELD(yearly), false},
};

static int64_t
value_of(const RetentionPolicy *policy, size_t rule)
{
	const char *at = (const char *) policy + rules[rule].offset;

	return rules[rule].is_duration ? *(const int64_t *) (const void *) at
	                               : (int64_t) * (const uint32_t *) (const void *) at;
}

static void
set_value(RetentionPolicy *policy, size_t rule, int64_t value)
{
	char *at = (char *) policy + rules[rule].offset;

	if (rules[rule].is_duration)
		*(int64_t *) (void *) at = value;
	else
		*(uint32_t *) (void *) at = (uint32_t) value;
}

static Error *
unknown_word(const char *word)
{
	const char *words[lengthof(rules)];
	const char *nearest;

	for (size_t i = 0; i < lengthof(rules); i++)
		words[i] = rules[i].word;
	nearest = str_nearest(word, words, lengthof(words));
	if (nearest == NULL)
		return error_hint(error_new(ERR_USAGE, "unknown word \"%s\"", word), RULE_FORM);
	return error_hint(error_new(ERR_USAGE, "unknown word \"%s\"", word), "Did you mean \"%s\"? " RULE_FORM,
	                  nearest);
}

/* A bare number would be seconds to duration_parse(): nobody who writes "window 7" means that. */
static bool
parse_value(const char *text, bool is_duration, int64_t *ret_value)
{
	uint64_t count;

	if (is_duration)
		return strspn(text, "0123456789") < strlen(text) && duration_parse(text, ret_value) &&
		       *ret_value > 0 && *ret_value <= LONGEST_MS;
	if (!str_to_uint64(text, &count) || count == 0 || count > COUNT_MAX)
		return false;
	*ret_value = (int64_t) count;
	return true;
}

/* One rule, "daily 7". */
static Error *
parse_rule(char *text, RetentionPolicy *policy)
{
	char *rest = NULL;
	const char *word = strtok_r(text, " \t", &rest);
	const char *number = strtok_r(NULL, " \t", &rest);
	size_t rule = 0;
	int64_t value;

	if (word == NULL)
		return error_hint(
			error_new(ERR_USAGE, "a rule is missing between two commas, or before or after one"), RULE_FORM);
	while (rule < lengthof(rules) && strcmp(rules[rule].word, word) != 0)
		rule++;
	if (rule == lengthof(rules))
		return unknown_word(word);
	if (number == NULL || strtok_r(NULL, " \t", &rest) != NULL ||
	    !parse_value(number, rules[rule].is_duration, &value))
		return error_hint(error_new(ERR_USAGE, "\"%s\" is not followed by %s", word,
		                            rules[rule].is_duration ? "a time such as 12h or 7d"
		                                                    : "a whole number from 1 to 10000"),
		                  RULE_FORM);
	if (value_of(policy, rule) != 0)
		return error_hint(error_new(ERR_USAGE, "\"%s\" is there twice", word), "Leave one of them out.");
	set_value(policy, rule, value);
	return NULL;
}

Error *
retention_parse(const char *text, RetentionPolicy *ret_policy)
{
	AUTO_FREE char *copy = mem_strdup(text);
	RetentionPolicy policy = {0};

	for (char *next = copy; next != NULL;)
	{
		char *rule = next;

		next = strchr(rule, ',');
		if (next != NULL)
			*next++ = '\0';
		TRY(parse_rule(rule, &policy));
	}
	*ret_policy = policy;
	return NULL;
}

char *
retention_duration_text(int64_t ms)
{
	static const struct
	{
		int64_t ms;
		const char *unit;
	} units[] = {{24 * 3600 * 1000, "d"}, {3600 * 1000, "h"}, {60 * 1000, "min"}, {1000, "s"}};

	for (size_t i = 0; i < lengthof(units); i++)
		if (ms % units[i].ms == 0)
			return mem_printf("%" PRId64 "%s", ms / units[i].ms, units[i].unit);
	return mem_printf("%" PRId64 "ms", ms);
}

char *
retention_text(const RetentionPolicy *policy)
{
	Buf text;

	buf_init(&text, LINE_CAP);
	for (size_t i = 0; i < lengthof(rules); i++)
	{
		int64_t value = value_of(policy, i);
		AUTO_FREE char *number =
			rules[i].is_duration ? retention_duration_text(value) : mem_printf("%" PRId64, value);

		if (value != 0)
			buf_printf(&text, "%s%s %s", text.size == 0 ? "" : ", ", rules[i].word, number);
	}
	return buf_steal(&text);
}

Error *
retention_canonical(const char *text, char **ret_text)
{
	RetentionPolicy policy;

	TRY(retention_parse(text, &policy));
	*ret_text = retention_text(&policy);
	return NULL;
}
