/* SPDX-License-Identifier: Apache-2.0 */
/* Problems of normalizations. */
#ifndef CLEF_CHECK_NORM_H
#define CLEF_CHECK_NORM_H

#include "check_activation.h"

typedef struct clef__norm_problem {
	clef_shape x;
	int dims; /* of layer_norm and rms_norm */
	int g;    /* of group_norm */
	float eps, momentum;
	bool training, keep_running, plain;
	clef_activation act;
	char kind; /* the family's first letter; set by setup() */
} clef__norm_problem;

/* The group of element i, those that share a mean and a variance, and the index of its w and b. */
void clef__norm_place(const clef__norm_problem *o, int64_t i, int64_t *group, int64_t *weight);

#endif
