/* Facts of a status that only a page shows: all backups, windows, timelines and drills. */
#include <stdlib.h>

#include "status_steps.h"
#include "walship/base/mem.h"
#include "walship/upkeep/drill.h"

void
status_picture_release(StatusPicture *picture)
{
	for (size_t i = 0; i < picture->n_backups; i++)
	{
		free(picture->backups[i].id);
		free(picture->backups[i].note);
		free(picture->backups[i].missing);
	}
	free(picture->backups);
	free(picture->timelines);
	free(picture->spans);
	free(picture->drills);
}

void
status_draw_backups(StatusPicture *picture, const Catalog *catalog)
{
	picture->backups = NEW_ARRAY(StatusBackup, catalog->n_backups);
	picture->n_backups = catalog->n_backups;
	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		const BackupRecord *backup = catalog->backups[i];

		picture->backups[i] = (StatusBackup){.id = mem_strdup(backup->id),
		                                     .timeline = backup->timeline,
		                                     .stop_time = backup->stop_time,
		                                     .duration_ms = backup->duration_ms,
		                                     .files_size = backup->files_size,
		                                     .stored_size = backup_record_stored_size(backup),
		                                     .note = mem_strdup(backup->note),
		                                     .missing = mem_strdup(backup->missing)};
	}
}

void
status_draw_windows(StatusPicture *picture, const Catalog *catalog, const WindowList *windows)
{
	picture->timelines = NEW_ARRAY(StatusTimeline, windows->n_timelines);
	picture->n_timelines = windows->n_timelines;
	for (size_t i = 0; i < windows->n_timelines; i++)
	{
		const TimelineHistory *history = catalog->timelines[i].history;
		const TimelineWindows *timeline = &windows->timelines[i];

		picture->timelines[i] = (StatusTimeline){
			.timeline = timeline->timeline,
			.parent = history->n_ancestors == 0 ? 0 : history->ancestors[history->n_ancestors - 1].timeline,
			.began = timeline->first_commit};
		for (size_t j = 0; j < timeline->n_windows; j++)
		{
			const RecoveryWindow *window = &timeline->windows[j];

			GROW(picture->spans, picture->n_spans, picture->spans_capacity);
			picture->spans[picture->n_spans++] =
				(StatusSpan){timeline->timeline, window->from_time,
			                 window->to_time == TIME_NONE ? window->from_time : window->to_time};
		}
	}
}

Error *
status_read_drills(StatusFacts *facts, Store *store, int jobs, const Notices *notices)
{
	StatusPicture *picture = &facts->picture;
	AUTO_DRILL_HISTORY history = {0};

	TRY(drill_history_read(store, facts->system_identifier, NULL, jobs, notices, &history));
	picture->drills = NEW_ARRAY(StatusDrill, history.count);
	for (size_t i = 0; i < history.count; i++)
		if (history.reports[i].dump == NULL)
			picture->drills[picture->n_drills++] = (StatusDrill){
				history.reports[i].time, history.reports[i].passed, history.reports[i].total_ms};
	return NULL;
}
