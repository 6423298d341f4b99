/* Segments whose WAL ends at a timeline switch, and the notes of what is complete. */
#include "walship/archive/lineage.h"
#include "walship/archive/lineage_files.h"
#include "walship/archive/timeline_note.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

/* Then it is looked at anew: the store may have been emptied meanwhile, and history files are pushed only once. */
#define COMPLETE_VALID_MS (3600 * INT64_C(1000))

/*
 * Does any history file in wal_directory leave "timeline" after "from" and not
 * after "to"?  One that cannot be understood says nothing.
 */
static Error *
is_left_within(const char *wal_directory, TimeLineID timeline, XLogRecPtr from, XLogRecPtr to, bool *ret_left)
{
	AUTO_STRLIST names = {0};
	bool left = false;

	TRY(dir_list(wal_directory, &names));
	for (size_t i = 0; i < names.count && !left; i++)
	{
		AUTO(TimelineHistory) history = NULL;
		AUTO(Error) error = NULL;
		WalName name;
		XLogRecPtr end;

		if (!str_ends_with(names.items[i], ".history"))
			continue;
		error = wal_name_parse(names.items[i], &name);
		if (error != NULL || name.timeline <= timeline)
			continue;
		error = lineage_read_history(wal_directory, names.items[i], name.timeline, &history);
		left = error == NULL && timeline_history_end_of(history, timeline, &end) && end > from && end <= to;
	}
	*ret_left = left;
	return NULL;
}

Error *
lineage_is_stub(const WalArchive *archive, const char *wal_directory, const char *path, const WalName *name,
                bool *ret_stub)
{
	uint32_t segment_size;
	XLogSegNo segno;
	XLogRecPtr start;
	bool left;
	WalIndex index;

	*ret_stub = false;
	TRY(lineage_segment_size(path, &segment_size));
	if (!wal_name_segno(name, segment_size, &segno))
		return NULL;
	start = segment_start(segno, segment_size);
	TRY(is_left_within(wal_directory, name->timeline, start, start + segment_size - 1, &left));
	if (!left)
		return NULL;

	/* Rare, so a second reading of the file is no matter. */
	TRY(wal_object_inspect(archive, path, name, &index));
	return is_left_within(wal_directory, name->timeline, index.walk.wal_end - 1, index.walk.wal_end,
	                      ret_stub);
}

static StateNote
complete_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	StateNote note = timeline_note(state_dir, "complete", archive, timeline);

	note.valid_ms = COMPLETE_VALID_MS;
	return note;
}

bool
timeline_complete_is_noted(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	AUTO_STATE_NOTE note = complete_note(state_dir, archive, timeline);
	AUTO_BUF(nothing, STATE_NOTE_SIZE_MAX);

	return state_note_read(&note, &nothing);
}

Error *
timeline_complete_note(const char *state_dir, const WalArchive *archive, TimeLineID timeline)
{
	AUTO_STATE_NOTE note = complete_note(state_dir, archive, timeline);

	return state_note_write(&note, "");
}
