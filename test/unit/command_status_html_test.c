/* The page of a status: hostile names are text, nothing is loaded, and ten thousand backups are a page, too. */
#include "print_status.h"

#include "scratch.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define NOW     INT64_C(1795132800000000) /* 2026-11-20 00:00:00 UTC */
#define DAY     (INT64_C(86400) * 1000000)
#define PAGE    (64 * 1024 * 1024)
#define HOSTILE "<script>alert('x')</script>\"&\n\x1b[31m\xff<img src=//evil onerror=x>"

static void
add_backups(StatusPicture *picture, size_t count)
{
	picture->backups = NEW_ARRAY(StatusBackup, count);
	picture->n_backups = count;
	for (size_t i = 0; i < count; i++)
		picture->backups[i] =
			(StatusBackup){.id = mem_printf("backup-%zu", i),
		                   .timeline = i * 2 > count ? 2 : 1,
		                   .stop_time = NOW - 30 * DAY + (TimeUs) i * 30 * DAY / (TimeUs) count,
		                   .duration_ms = 60000,
		                   .files_size = 1 << 30,
		                   .stored_size = 1 << 28,
		                   .note = i == 1 ? mem_strdup(HOSTILE) : NULL,
		                   .missing = i == 2 ? mem_strdup("base-0001.tar.br") : NULL};
}

static void
add_timelines(StatusPicture *picture)
{
	static const StatusTimeline timelines[] = {{1, 0, NOW - 30 * DAY}, {2, 1, NOW - 14 * DAY}};
	static const StatusSpan spans[] = {{1, NOW - 30 * DAY, NOW - 22 * DAY},
	                                   {1, NOW - 20 * DAY, NOW - 12 * DAY},
	                                   {2, NOW - 20 * DAY, NOW - 40 * 1000000}};

	picture->timelines = NEW_ARRAY(StatusTimeline, lengthof(timelines));
	memcpy(picture->timelines, timelines, sizeof(timelines));
	picture->n_timelines = lengthof(timelines);
	picture->spans = NEW_ARRAY(StatusSpan, lengthof(spans));
	memcpy(picture->spans, spans, sizeof(spans));
	picture->n_spans = lengthof(spans);
}

static void
add_drills(StatusPicture *picture, size_t count)
{
	picture->drills = NEW_ARRAY(StatusDrill, count);
	picture->n_drills = count;
	for (size_t i = 0; i < count; i++)
		picture->drills[i] = (StatusDrill){.time = NOW - 28 * DAY + (TimeUs) i * 7 * DAY,
		                                   .passed = i != 1,
		                                   .rto_ms = 200000 + (int64_t) i * 20000};
}

static void
make(ClusterStatus *cluster, size_t backups)
{
	StatusFacts *facts = &cluster->facts;

	*cluster = (ClusterStatus){.limits = {.backup_max_age_ms = INT64_C(8) * 86400000,
	                                      .drill_max_age_ms = INT64_C(35) * 86400000,
	                                      .rto_target_ms = 300000,
	                                      .price_per_gb = -1,
	                                      .price_per_1000_puts = -1}};
	facts->now = NOW;
	facts->cluster = mem_strdup("billing");
	facts->store = mem_strdup("s3://bucket/" HOSTILE);
	facts->system_identifier = UINT64_C(7300000000000000001);
	facts->wal = (StatusWal){.timeline = 2, .last = "00000002000000000000000F", .came = NOW - 40 * 1000000};
	facts->window = (StatusWindow){.exists = true,
	                               .from = NOW - 20 * DAY,
	                               .to = NOW - 40 * 1000000,
	                               .gaps = 1,
	                               .gap = mem_strdup("000000010000000000000007"),
	                               .gap_came = NOW - 20 * DAY};
	facts->backups = (StatusBackups){
		.count = backups, .id = mem_strdup("newest"), .stop_time = NOW - DAY, .came = NOW - DAY};
	facts->drill = (StatusEvidence){
		.count = 5, .time = NOW - 2 * 3600 * INT64_C(1000000), .passed = true, .rto_ms = 240000};
	facts->verify = (StatusEvidence){.time = TIME_NONE};
	facts->dumps = (StatusEvidence){.count = 1, .time = NOW - 3 * DAY, .passed = true};
	facts->files = (StatusEvidence){.time = TIME_NONE};
	facts->storage.size_per_day = -1;
	add_backups(&facts->picture, backups);
	add_timelines(&facts->picture);
	add_drills(&facts->picture, 5);
	status_decide(facts, &cluster->limits, &cluster->report);
}

static void
release(ClusterStatus *cluster)
{
	status_facts_release(&cluster->facts);
	status_report_release(&cluster->report);
}

static size_t
count_of(const char *text, const char *part)
{
	size_t count = 0;

	for (const char *at = strstr(text, part); at != NULL; at = strstr(at + strlen(part), part))
		count++;
	return count;
}

static void
test_what_people_wrote_is_text(void **state)
{
	ClusterStatus cluster;
	AUTO_BUF(page, PAGE);

	make(&cluster, 10);
	print_status_html(&(ClusterList){.items = &cluster, .count = 1}, &page);
	assert_null(strstr(page.data, "<script"));
	assert_null(strstr(page.data, "<img"));
	assert_null(strchr(page.data, '\x1b'));
	assert_int_equal(count_of(page.data, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"), 3);
	release(&cluster);
	(void) state;
}

static void
test_nothing_is_loaded_from_anywhere(void **state)
{
	static const char *const loads[] = {" src=", " href=",  "url(",    "@import",
	                                    "<link", "<script", "<iframe", "http"};
	ClusterStatus cluster;
	AUTO_BUF(page, PAGE);

	make(&cluster, 1);
	free(cluster.facts.picture.backups[0].note);
	cluster.facts.picture.backups[0].note = NULL;
	free(cluster.facts.store);
	cluster.facts.store = mem_strdup("file:///store");
	status_report_release(&cluster.report);
	status_decide(&cluster.facts, &cluster.limits, &cluster.report);
	print_status_html(&(ClusterList){.items = &cluster, .count = 1}, &page);
	assert_non_null(strstr(page.data, "default-src 'none'"));
	for (size_t i = 0; i < lengthof(loads); i++)
	{
		const char *found = strstr(page.data, loads[i]);

		if (found != NULL && strncmp(found, "http-equiv", strlen("http-equiv")) != 0)
			fail_msg("\"%s\" is in the page", loads[i]);
	}
	release(&cluster);
	(void) state;
}

static void
test_the_picture_has_what_there_is(void **state)
{
	ClusterStatus cluster;
	AUTO_BUF(page, PAGE);

	make(&cluster, 10);
	print_status_html(&(ClusterList){.items = &cluster, .count = 1}, &page);
	assert_int_equal(count_of(page.data, "<rect class=\"bar\""), 3);
	assert_int_equal(count_of(page.data, "<rect class=\"gap\""), 1);
	assert_int_equal(count_of(page.data, "<path class=\"branch\""), 1);
	assert_int_equal(count_of(page.data, "<path class=\"backup\""), 9);
	assert_int_equal(count_of(page.data, "<path class=\"broken\""), 1);
	assert_int_equal(count_of(page.data, "<circle class=\"passed\""), 4);
	assert_int_equal(count_of(page.data, "<circle class=\"failed\""), 1);
	assert_int_equal(count_of(page.data, "<line class=\"target\""), 1);
	assert_int_equal(count_of(page.data, "<title>dump 2026-11-17"), 1);
	release(&cluster);
	(void) state;
}

static void
test_ten_thousand_backups(void **state)
{
	ClusterStatus cluster;
	AUTO_BUF(page, PAGE);

	make(&cluster, 10000);
	print_status_html(&(ClusterList){.items = &cluster, .count = 1}, &page);
	assert_false(page.overflowed);
	assert_int_equal(count_of(page.data, "<td>backup-"), 10000);
	assert_int_equal(count_of(page.data, "9980 older ones"), 1);
	assert_in_range(count_of(page.data, "<path class=\"backup\""), 500, 1000);
	assert_in_range(page.size, 1, 4 * 1024 * 1024);
	release(&cluster);
	(void) state;
}

static void
test_an_empty_world_and_a_store_that_is_gone(void **state)
{
	ClusterStatus clusters[2] = {0};
	AUTO_BUF(page, PAGE);

	clusters[0].facts = (StatusFacts){.now = NOW, .store_error = mem_strdup("it is not mounted")};
	clusters[1].facts = (StatusFacts){.now = NOW, .cluster = mem_strdup("new")};
	clusters[1].facts.wal.came = TIME_NONE;
	for (size_t i = 0; i < lengthof(clusters); i++)
		status_decide(&clusters[i].facts, &clusters[i].limits, &clusters[i].report);
	print_status_html(&(ClusterList){.items = clusters, .count = lengthof(clusters), .all = true}, &page);
	assert_int_equal(count_of(page.data, "<section>"), 2);
	assert_int_equal(count_of(page.data, "<svg"), 0);
	assert_non_null(strstr(page.data, "it is not mounted"));
	for (size_t i = 0; i < lengthof(clusters); i++)
		release(&clusters[i]);
	(void) state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_people_wrote_is_text),
		cmocka_unit_test(test_nothing_is_loaded_from_anywhere),
		cmocka_unit_test(test_the_picture_has_what_there_is),
		cmocka_unit_test(test_ten_thousand_backups),
		cmocka_unit_test(test_an_empty_world_and_a_store_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
