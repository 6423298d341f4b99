/* The pictures of a status page, as SVG: what can be recovered, and how long drills took. */
#include "print_status_picture.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/size.h"

#define WIDTH          1000 /* of a picture, in its own units */
#define LEFT           70   /* where its lines begin */
#define RIGHT          (WIDTH - 20)
#define ROW            34
#define TIMELINES_MOST 40  /* rows: the newest ones */
#define DRILLS_HIGH    120 /* of the picture of drills */
#define TICKS          4

/* Where times stand: from the first that is known to now. */
typedef struct Scale
{
	TimeUs from;
	TimeUs to;
} Scale;

static int
position(const Scale *scale, TimeUs time)
{
	double share = (double) (time - scale->from) / (double) (scale->to - scale->from);

	if (share < 0)
		share = 0;
	return LEFT + (int) ((share > 1 ? 1 : share) * (RIGHT - LEFT));
}

static Scale
scale_of(const StatusFacts *facts)
{
	const StatusPicture *picture = &facts->picture;
	Scale scale = {facts->now, facts->now};

	for (size_t i = 0; i < picture->n_spans; i++)
		if (picture->spans[i].from < scale.from)
			scale.from = picture->spans[i].from;
	for (size_t i = 0; i < picture->n_backups; i++)
		if (picture->backups[i].stop_time < scale.from)
			scale.from = picture->backups[i].stop_time;

	/* Never nothing between them. */
	scale.from -= 1000000;
	return scale;
}

/* The row of a timeline, from the bottom of the oldest that is shown; -1: it is not shown. */
static int
row_of(const StatusPicture *picture, TimeLineID timeline)
{
	size_t first = picture->n_timelines > TIMELINES_MOST ? picture->n_timelines - TIMELINES_MOST : 0;

	for (size_t i = first; i < picture->n_timelines; i++)
		if (picture->timelines[i].timeline == timeline)
			return (int) (i - first);
	return -1;
}

static int
y_of(int row)
{
	return ROW * row + ROW;
}

static void
put_bar(const Scale *scale, int row, TimeUs from, TimeUs to, const char *class, const char *what, Buf *into)
{
	int x = position(scale, from);
	int width = position(scale, to) - x;

	buf_printf(into, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"8\"><title>%s ", class, x,
	           y_of(row) - 4, width < 2 ? 2 : width, what);
	html_put_time(into, from);
	buf_puts(into, " to ");
	html_put_time(into, to);
	buf_puts(into, "</title></rect>\n");
}

static void
put_spans(const StatusPicture *picture, const Scale *scale, Buf *into)
{
	for (size_t i = 0; i < picture->n_spans; i++)
	{
		const StatusSpan *span = &picture->spans[i];
		const StatusSpan *before = i == 0 || span[-1].timeline != span->timeline ? NULL : &span[-1];
		int row = row_of(picture, span->timeline);

		if (row < 0)
			continue;
		if (before != NULL)
			put_bar(scale, row, before->to, span->from, "gap", "cannot be recovered:", into);
		put_bar(scale, row, span->from, span->to, "bar", "any moment from", into);
	}
}

static void
put_timelines(const StatusPicture *picture, const Scale *scale, Buf *into)
{
	for (size_t i = 0; i < picture->n_timelines; i++)
	{
		const StatusTimeline *timeline = &picture->timelines[i];
		int row = row_of(picture, timeline->timeline);
		int parent = row_of(picture, timeline->parent);

		if (row < 0)
			continue;
		buf_printf(into, "<text x=\"0\" y=\"%d\">timeline %" PRIu32 "</text>\n", y_of(row) + 4,
		           timeline->timeline);
		buf_printf(into, "<line class=\"axis\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", LEFT, y_of(row),
		           RIGHT, y_of(row));
		if (parent >= 0 && timeline->began != TIME_NONE)
			buf_printf(into, "<path class=\"branch\" d=\"M%d %dV%d\"/>\n", position(scale, timeline->began),
			           y_of(parent), y_of(row));
	}
}

/* Of several that would lie upon one another one is drawn: nobody could point at the others. */
static void
put_backup_marks(const StatusPicture *picture, const Scale *scale, Buf *into)
{
	int last_x = -1;
	int last_row = -1;

	for (size_t i = 0; i < picture->n_backups; i++)
	{
		const StatusBackup *backup = &picture->backups[i];
		int row = row_of(picture, backup->timeline);
		int x = position(scale, backup->stop_time);

		if (row < 0 || (x == last_x && row == last_row && backup->missing == NULL))
			continue;
		last_x = x;
		last_row = row;
		buf_printf(into, "<path class=\"%s\" d=\"M%d %dl-4 -9h8z\"><title>backup ",
		           backup->missing != NULL ? "broken" : "backup", x, y_of(row) - 4);
		html_put_text(into, backup->id);
		buf_puts(into, ", ");
		html_put_time(into, backup->stop_time);
		buf_puts(into, "</title></path>\n");
	}
}

/* Below the last row: drills as circles, the newest dump and files as squares. */
static void
put_proof_marks(const StatusFacts *facts, const Scale *scale, int y, Buf *into)
{
	const StatusPicture *picture = &facts->picture;
	const struct
	{
		const char *name;
		TimeUs time;
	} records[] = {{"dump", facts->dumps.time}, {"files", facts->files.time}};

	buf_printf(into, "<text x=\"0\" y=\"%d\">drills</text>\n", y + 4);
	for (size_t i = 0; i < picture->n_drills; i++)
	{
		if (picture->drills[i].time < scale->from)
			continue;
		buf_printf(into, "<circle class=\"%s\" cx=\"%d\" cy=\"%d\" r=\"5\"><title>drill %s, ",
		           picture->drills[i].passed ? "passed" : "failed", position(scale, picture->drills[i].time),
		           y, picture->drills[i].passed ? "passed" : "FAILED");
		html_put_time(into, picture->drills[i].time);
		buf_puts(into, "</title></circle>\n");
	}
	for (size_t i = 0; i < lengthof(records); i++)
	{
		if (records[i].time == TIME_NONE || records[i].time < scale->from)
			continue;
		buf_printf(into, "<rect class=\"backup\" x=\"%d\" y=\"%d\" width=\"8\" height=\"8\"><title>%s ",
		           position(scale, records[i].time) - 4, y - 4, records[i].name);
		html_put_time(into, records[i].time);
		buf_puts(into, "</title></rect>\n");
	}
}

static void
put_ticks(const Scale *scale, int y, Buf *into)
{
	for (int i = 0; i <= TICKS; i++)
	{
		TimeUs time = scale->from + (scale->to - scale->from) / TICKS * i;
		char text[TIME_TEXT_SIZE];

		(void) time_format_postgres(time - time % 1000000, text);
		text[strcspn(text, "+")] = '\0';
		buf_printf(into, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", position(scale, time), y,
		           i == 0       ? "start"
		           : i == TICKS ? "end"
		                        : "middle",
		           text);
	}
}

void
html_put_picture(const StatusFacts *facts, Buf *into)
{
	const StatusPicture *picture = &facts->picture;
	Scale scale = scale_of(facts);
	int rows = (int) (picture->n_timelines > TIMELINES_MOST ? TIMELINES_MOST : picture->n_timelines);
	int height = y_of(rows) + 2 * ROW;

	if (rows == 0)
		return;
	buf_puts(into, "<h2>What can be recovered</h2>\n<div class=\"scroll\">\n");
	buf_printf(
		into,
		"<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"timelines with what can be recovered, backups "
		"and drills\">\n",
		WIDTH, height);
	put_timelines(picture, &scale, into);
	put_spans(picture, &scale, into);
	put_backup_marks(picture, &scale, into);
	put_proof_marks(facts, &scale, y_of(rows), into);
	put_ticks(&scale, height - 6, into);
	buf_puts(
		into,
		"</svg></div>\n<p class=\"dim\">Blue: any moment can be recovered; red: none can. Triangles: backups; "
		"circles: drills; squares: the newest dump, and files. Times are UTC; point at a mark to see its "
		"own.</p>\n");
	if (picture->n_timelines > TIMELINES_MOST)
		buf_printf(into, "<p class=\"dim\">The newest %d of %zu timelines are shown.</p>\n", TIMELINES_MOST,
		           picture->n_timelines);
}

/* ---- drills ---- */

void
html_put_drills(const ClusterStatus *cluster, Buf *into)
{
	const StatusPicture *picture = &cluster->facts.picture;
	int64_t target_ms = cluster->limits.rto_target_ms;
	int64_t most_ms = target_ms > 0 ? target_ms : 1;
	char text[SIZE_TEXT_SIZE];

	if (picture->n_drills == 0)
		return;
	for (size_t i = 0; i < picture->n_drills; i++)
		if (picture->drills[i].rto_ms > most_ms)
			most_ms = picture->drills[i].rto_ms;
	buf_puts(into, "<h2>How long a recovery takes</h2>\n<div class=\"scroll\">\n");
	buf_printf(into, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"how long drills took\">\n", WIDTH,
	           DRILLS_HIGH + 20);
	buf_printf(into, "<text x=\"0\" y=\"14\">%s</text>\n", duration_format(most_ms, text));
	for (size_t i = 0; i < picture->n_drills; i++)
	{
		const StatusDrill *drill = &picture->drills[i];
		int step = (RIGHT - LEFT) / (int) picture->n_drills;
		int high = (int) ((double) drill->rto_ms / (double) most_ms * DRILLS_HIGH);

		high = high < 2 ? 2 : high;
		buf_printf(into, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"><title>drill of ",
		           drill->passed ? "passed" : "failed", LEFT + step * (int) i, DRILLS_HIGH + 5 - high,
		           step > 42  ? 40
		           : step > 3 ? step - 2
		                      : 1,
		           high);
		html_put_time(into, drill->time);
		buf_printf(into, ": %s%s</title></rect>\n", duration_format(drill->rto_ms, text),
		           drill->passed ? "" : ", FAILED");
	}
	if (target_ms > 0)
	{
		int y = DRILLS_HIGH + 5 - (int) ((double) target_ms / (double) most_ms * DRILLS_HIGH);

		buf_printf(
			into,
			"<line class=\"target\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"><title>rto_target: %s</title></line>\n",
			LEFT, y, RIGHT, y, duration_format(target_ms, text));
	}
	buf_puts(into, "</svg></div>\n");
}
