/* The pictures of the page of "walship status", and how text gets into it. */
#pragma once

#include "print_status.h"

/* Text that stands between tags, or in a value. */
void html_put_text(Buf *into, const char *text);
void html_put_time(Buf *into, TimeUs time); /* to the second; "-" for none */

/* Timelines, windows and gaps, backups, drills; nothing where there are no timelines. */
void html_put_picture(const StatusFacts *facts, Buf *into);
void html_put_drills(const ClusterStatus *cluster, Buf *into);
