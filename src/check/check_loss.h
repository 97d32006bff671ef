/* SPDX-License-Identifier: Apache-2.0 */
/* What problems of losses share. */
#ifndef CLEF_CHECK_LOSS_H
#define CLEF_CHECK_LOSS_H

#include <clef/ops.h>

#include "families.h"

/* mean, sum, none: the first values of clef_reduction. */
extern const char *const clef__reduction_words[];

/* A row of a table of terms; `type` is that of the options, whose field `reduction` is an int. */
#define CLEF__REDUCTION_TERM(type)                                                                                     \
	{                                                                                                              \
		.name = "reduction", .kind = CLEF__TERM_WORD, .offset = offsetof(type, reduction),                     \
		.words = clef__reduction_words, .about = "of the losses"                                               \
	}

/* Makes y of the losses 0 to n - 1, of which each is loss(x, opts, i); a mean is their sum divided by `divisor`. */
bool clef__reference_losses(double (*loss)(const clef__ref *x, const void *opts, int64_t i), const clef__ref *x,
			    const void *opts, int reduction, int64_t n, double divisor, clef__ref *y);

#endif
