/* SPDX-License-Identifier: Apache-2.0 */
/* What the initializers share. */
#ifndef CLEF_INIT_INTERNAL_H
#define CLEF_INIT_INTERNAL_H

#include <clef/init.h>

#include "tensor_internal.h"

/* OK for a float32 tensor and a stream that are there; `what` begins the message. */
clef_status clef__init_check(const char *what, const clef_tensor *x, const clef_rng *rng);

#endif
