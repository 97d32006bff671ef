/* SPDX-License-Identifier: Apache-2.0 */
/* What the initializers share. */
#ifndef CLEF_INIT_INTERNAL_H
#define CLEF_INIT_INTERNAL_H

#include <clef/init.h>

#include "tensor_internal.h"

/* OK for a float32 tensor and a stream that are there; `what` begins the message. */
clef_status clef__init_check(const char *what, const clef_tensor *x, const clef_rng *rng);

/* One draw into x, by a kernel of PROGRAM ("random" if NULL) that is built on random.clh; adds 1 to the counter. */
clef_status clef__init_draw(const clef_tensor *x, clef_rng *rng, clef__launch_opts *opts);

/* Are these what clef_random_int() and its like take? `what` begins the message. */
clef_status clef__random_int_check(const char *what, int64_t lo, int64_t hi);
clef_status clef__random_rate_check(const char *what, float rate);
clef_status clef__random_share_check(const char *what, float p);

#endif
