/* A runbook as text (Markdown, as docs/runbook.md) and as a page for a browser and for paper. */
#pragma once

#include "walship/base/buf.h"
#include "walship/upkeep/runbook.h"

void print_runbook_text(const Runbook *runbook, Buf *into);

/* It stands for itself: nothing of it is loaded from elsewhere, and nothing of it is a program. */
void print_runbook_html(const Runbook *runbook, Buf *into);
