/*
 * A page of a status: the verdict, what to do, a picture of what can be recovered,
 * how long drills took, the backups.  It is one file, without a script, and its policy
 * forbids a browser to load anything: it is opened at three in the morning, perhaps on
 * a machine without a network, and what names and notes of people say is text.
 */
#include <inttypes.h>
#include <string.h>

#include "print_status_picture.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/base/strs.h"

#define SHOWN_MOST 20 /* backups in the table that is open */

static const char style[] =
	":root{--text:#1b1f24;--dim:#57606a;--back:#fff;--line:#d0d7de;--ok:#1a7f37;--warn:#9a6700;--fail:#cf222e;"
	"--unknown:#57606a;--bar:#218bff}"
	"@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--dim:#9198a1;--back:#0d1117;--line:#3d444d;--ok:#3fb950;"
	"--warn:#d29922;--fail:#f85149;--unknown:#9198a1;--bar:#4493f8}}"
	"body{font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);max-width:70rem;margin:0 auto;"
	"padding:1rem;overflow-wrap:break-word}td:last-child{overflow-wrap:anywhere;min-width:14rem}"
	"h1{font-size:1.3rem;border-left:.5rem solid;padding-left:.75rem}h2{font-size:1.1rem;margin-top:2rem}"
	".OK{color:var(--ok)}.WARN{color:var(--warn)}.FAIL{color:var(--fail)}.UNKNOWN{color:var(--unknown)}"
	".verdict{font-size:1.1rem}.dim{color:var(--dim)}.scroll{overflow-x:auto}"
	"table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid "
	"var(--line);vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap}"
	"b.OK,b.WARN,b.FAIL,b.UNKNOWN{white-space:nowrap}"
	"svg{width:100%;height:auto;min-width:44rem;font:12px system-ui,sans-serif}svg text{fill:var(--dim)}"
	".axis{stroke:var(--line)}.bar{fill:var(--bar)}.gap{fill:var(--fail)}.branch{stroke:var(--dim);fill:none;"
	"stroke-dasharray:4 3}.backup{fill:var(--text)}.broken{fill:var(--fail)}.passed{fill:var(--ok)}.failed{fill:"
	"var(--fail)}.target{stroke:var(--warn);stroke-dasharray:6 4}"
	"summary{cursor:pointer}@media print{body{max-width:none}details{display:block}h2{break-after:avoid}tr{break-inside:"
	"avoid}}";

/* Text that stands between tags, or in a value. */
void
html_put_text(Buf *into, const char *text)
{
	AUTO_FREE char *printable = str_printable(text);

	for (const char *c = printable; *c != '\0'; c++)
	{
		if (*c == '&')
			buf_puts(into, "&amp;");
		else if (*c == '<')
			buf_puts(into, "&lt;");
		else if (*c == '>')
			buf_puts(into, "&gt;");
		else if (*c == '"')
			buf_puts(into, "&quot;");
		else if (*c == '\'')
			buf_puts(into, "&#39;");
		else
			buf_putc(into, *c);
	}
}

void
html_put_time(Buf *into, TimeUs time)
{
	char text[TIME_TEXT_SIZE];

	html_put_text(into, time == TIME_NONE ? "-" : time_format_postgres(time - time % 1000000, text));
}

/* ---- verdict and items ---- */

static void
put_item(const StatusItem *item, Buf *into)
{
	buf_printf(into, "<tr><td><b class=\"%s\">%s</b></td><td>", status_state_text(item->state),
	           status_state_text(item->state));
	html_put_text(into, item->name);
	buf_puts(into, "</td><td>");
	html_put_text(into, item->value);
	if (item->reason != NULL)
	{
		buf_printf(into, "<br><span class=\"%s\">", status_state_text(item->state));
		html_put_text(into, item->reason);
		buf_puts(into, "</span>");
	}
	if (item->threshold != NULL)
	{
		buf_puts(into, " <span class=\"dim\">(");
		html_put_text(into, item->threshold);
		buf_puts(into, ")</span>");
	}
	if (item->remedy != NULL)
	{
		buf_puts(into, "<br>");
		html_put_text(into, item->remedy);
	}
	buf_puts(into, "</td></tr>\n");
}

static void
put_items(const StatusReport *report, Buf *into)
{
	static const StatusState order[] = {STATUS_FAIL, STATUS_WARN, STATUS_UNKNOWN, STATUS_OK};

	buf_puts(into, "<h2>What is, and what to do</h2>\n<div class=\"scroll\"><table>\n");
	for (size_t i = 0; i < lengthof(order); i++)
		for (size_t j = 0; j < report->count; j++)
			if (report->items[j].state == order[i])
				put_item(&report->items[j], into);
	buf_puts(into, "</table></div>\n");
}

/* ---- backups ---- */

static void
put_backup(const StatusBackup *backup, TimeUs now, Buf *into)
{
	char text[SIZE_TEXT_SIZE];
	char age[AGE_TEXT_SIZE];

	buf_puts(into, "<tr><td>");
	html_put_text(into, backup->id);
	buf_puts(into, "</td><td>");
	html_put_time(into, backup->stop_time);
	buf_printf(into, "</td><td class=\"n\">%s</td>", age_format(backup->stop_time, now, age));
	buf_printf(into, "<td class=\"n\">%s</td>", duration_format(backup->duration_ms, text));
	buf_printf(into, "<td class=\"n\">%s</td>", size_format(backup->files_size, text));
	buf_printf(into, "<td class=\"n\">%s</td>", size_format(backup->stored_size, text));
	buf_printf(into, "<td class=\"n\">%" PRIu32 "</td><td>", backup->timeline);
	if (backup->missing != NULL)
	{
		buf_puts(into, "<b class=\"FAIL\">not there: ");
		html_put_text(into, backup->missing);
		buf_puts(into, "</b> ");
	}
	if (backup->note != NULL)
		html_put_text(into, backup->note);
	buf_puts(into, "</td></tr>\n");
}

/* The newest "to" first, but not those that are newer than "from". */
static void
put_backup_table(const StatusPicture *picture, TimeUs now, size_t from, size_t to, Buf *into)
{
	buf_puts(
		into,
		"<div class=\"scroll\"><table>\n<tr><th>backup</th><th>ended</th><th></th><th class=\"n\">took</th>"
		"<th class=\"n\">on disk</th><th class=\"n\">stored</th><th class=\"n\">timeline</th><th>note</th>"
		"</tr>\n");
	for (size_t i = from; i < to; i++)
		put_backup(&picture->backups[picture->n_backups - 1 - i], now, into);
	buf_puts(into, "</table></div>\n");
}

static void
put_backups(const StatusFacts *facts, Buf *into)
{
	const StatusPicture *picture = &facts->picture;
	size_t shown = picture->n_backups > SHOWN_MOST ? SHOWN_MOST : picture->n_backups;

	if (picture->n_backups == 0)
		return;
	buf_puts(into, "<h2>Backups</h2>\n");
	put_backup_table(picture, facts->now, 0, shown, into);
	if (shown == picture->n_backups)
		return;
	buf_printf(into, "<details><summary>%zu older ones</summary>\n", picture->n_backups - shown);
	put_backup_table(picture, facts->now, shown, picture->n_backups, into);
	buf_puts(into, "</details>\n");
}

/* ---- the page ---- */

static void
put_cluster(const ClusterStatus *cluster, Buf *into)
{
	const StatusFacts *facts = &cluster->facts;
	const char *state = status_state_text(cluster->report.state);

	buf_printf(into, "<section>\n<h1 class=\"%s\">%s: ", state, state);
	html_put_text(into, facts->cluster != NULL ? facts->cluster : "PostgreSQL");
	buf_puts(into, "</h1>\n<p class=\"verdict\">");
	html_put_text(into, cluster->report.verdict);
	buf_puts(into, "</p>\n<p class=\"dim\">");
	if (facts->system_identifier != 0)
		buf_printf(into, "database system %" PRIu64 ", ", facts->system_identifier);
	html_put_text(into, facts->store != NULL ? facts->store : "");
	buf_puts(into, ", as of ");
	html_put_time(into, facts->now);
	buf_puts(into, "</p>\n");
	put_items(&cluster->report, into);
	if (facts->store_error == NULL)
	{
		html_put_picture(facts, into);
		html_put_drills(cluster, into);
		put_backups(facts, into);
	}
	buf_puts(into, "</section>\n");
}

void
print_status_html(const ClusterList *clusters, Buf *into)
{
	buf_printf(into,
	           "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	           "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
	           "'unsafe-inline'\">\n"
	           "<meta name=\"color-scheme\" content=\"light dark\">\n<title>%s: walship status</title>\n"
	           "<style>%s</style></head>\n<body>\n",
	           status_state_text(print_status_state(clusters)), style);
	for (size_t i = 0; i < clusters->count; i++)
		put_cluster(&clusters->items[i], into);
	buf_puts(into,
	         "<p class=\"dim\">walship " WALSHIP_VERSION ". A page that is old says nothing of now.</p>\n"
	         "</body></html>\n");
}
