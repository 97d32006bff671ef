/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of schedules share. */
#ifndef CLEF_SCHEDULE_INTERNAL_H
#define CLEF_SCHEDULE_INTERNAL_H

#include <clef/schedule.h>

#include "nn_internal.h"

/* Checks the options and puts in the defaults of what was left out. */
clef_status clef__schedule_options(clef_schedule_opts *o);

clef_schedule_kind clef__schedule_kind(const clef_schedule *schedule);

#endif
